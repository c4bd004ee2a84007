//! Real servers, as the tests start them.

#![expect(dead_code, reason = "the tests need more of it than the bench does")]

#[path = "../../tests/it/support/client.rs"]
pub(crate) mod client;
#[path = "../../tests/it/support/database.rs"]
pub(crate) mod database;
#[path = "../../tests/it/support/postgres.rs"]
pub(crate) mod postgres;
#[path = "../../tests/it/support/redis.rs"]
pub(crate) mod redis;
#[path = "../../tests/it/support/replica.rs"]
pub(crate) mod replica;
#[path = "../../tests/it/support/tls.rs"]
pub(crate) mod tls;
#[path = "../../tests/it/support/tool.rs"]
pub(crate) mod tool;
