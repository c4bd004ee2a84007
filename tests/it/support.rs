//! What several tests stand on: real processes on free ports, the tools that talk to them, and a gRPC server over
//! a stub.

pub(crate) mod administrator;
pub(crate) mod cli;
pub(crate) mod client;
pub(crate) mod database;
pub(crate) mod envoy;
pub(crate) mod fake_watch;
pub(crate) mod grpc;
pub(crate) mod histories;
pub(crate) mod http;
pub(crate) mod in_process;
pub(crate) mod landscape;
pub(crate) mod mariadb;
pub(crate) mod otlp;
pub(crate) mod pgbouncer;
pub(crate) mod postgres;
pub(crate) mod process;
pub(crate) mod redis;
pub(crate) mod replica;
pub(crate) mod stub;
pub(crate) mod tls;
pub(crate) mod tool;
