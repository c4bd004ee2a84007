//! Countersign: a standalone auth microservice behind gRPC.
//!
//! The binary is `src/main.rs`; this library is what it and the tests are made of. Imports run one way:
//! `main → cli → app → {grpc, http} → auth → {token, password, revocation, store} → model`.

pub mod app;
pub mod auth;
pub mod cli;
pub mod config;
pub mod connection_url;
pub mod cores;
pub mod grpc;
pub mod http;
pub mod lifecycle;
pub mod listener;
pub mod model;
pub mod operations;
pub mod password;
pub mod readiness;
pub mod reason;
pub mod revocation;
pub mod secret;
pub mod spelling;
pub mod store;
pub mod telemetry;
#[cfg(feature = "test-server")]
pub mod testing;
pub mod text;
pub mod token;
pub mod transport;
