//! The integration tests, as one binary: a file per capability.

mod rotation_model;
