//! The integration tests: one binary, a file per capability.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics, its helpers included")]

mod error_catalogue;
mod grpc_contract;
mod grpc_deadlines;
mod support;
