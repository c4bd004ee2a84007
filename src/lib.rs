//! Countersign: a standalone auth microservice behind gRPC.
//!
//! The binary is `src/main.rs`; this library is what it and the tests are made of. Imports run one way:
//! `main → cli → app → {grpc, http} → auth → {token, password, revocation, store} → model`.

pub mod auth;
pub mod grpc;
pub mod model;
pub mod reason;
pub mod secret;
pub mod store;
