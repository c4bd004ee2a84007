//! The integration tests: one binary, a file for each capability.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod command_line;
mod configuration;
mod conformance;
mod rotation_model;
mod rotation_properties;
mod sqlite_store;
