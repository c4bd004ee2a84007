//! Tests of a service that has Countersign before it (feature `testing`): the real server, in memory, and a world of it for
//! each test.
//!
//! ```no_run
//! use countersign_verifier::testing::{TestServer, TokenState};
//!
//! #[tokio::test]
//! async fn a_revoked_token_is_refused() {
//!     let world = TestServer::shared().world();
//!     let verifier = world.verifier().await;
//!     let good = world.access_token().roles(["admin"]).mint().await.unwrap();
//!     let revoked = world.access_token().state(TokenState::Revoked).mint().await.unwrap();
//!     assert!(verifier.verify(&good.token, &[]).await.is_ok());
//!     assert!(verifier.verify_at_least(&revoked.token, &[], &revoked.position).await.is_err());
//! }
//! ```
//!
//! The server is the program `countersign test-server`: the one that [`Options::binary`] or the variable `COUNTERSIGN_BIN` names,
//! or `countersign` on the `PATH`. It ends with the process that has started it, however that ends.

mod mint;
mod server;
mod world;

pub use mint::{Mint, Minted, TokenState};
pub use server::{Options, StartError, TestServer};
pub use world::{Failure, World, WorldClock};
