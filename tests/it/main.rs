//! The integration tests, one file per capability, as one binary.

mod command_line;
mod configuration;
