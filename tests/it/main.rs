//! The integration tests: one binary, a file for each capability.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod architecture;
mod auth_client;
mod command_line;
mod configuration;
mod conformance;
mod crash;
mod error_catalogue;
mod first_login;
mod grpc_contract;
mod grpc_deadlines;
mod live_verifier;
mod revocation_stream;
mod rotation_model;
mod rotation_properties;
mod rotation_race;
mod secret_canary;
mod sqlite_store;
mod support;
mod verify_many;
