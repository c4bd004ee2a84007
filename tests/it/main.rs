//! The integration tests, one file per capability, as one binary.

mod configuration;
