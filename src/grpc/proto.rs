//! The code that `build.rs` makes of `proto/`.

/// The package `countersign.v1`.
#[allow(
    clippy::all,
    clippy::pedantic,
    missing_docs,
    unreachable_pub,
    rustdoc::all,
    reason = "generated: the contract's own comments are in proto/"
)]
pub mod v1 {
    tonic::include_proto!("countersign.v1");
}

/// The package `countersign.test.v1`.
#[cfg(feature = "test-server")]
#[allow(
    clippy::all,
    clippy::pedantic,
    missing_docs,
    unreachable_pub,
    rustdoc::all,
    reason = "generated: the contract's own comments are in proto/"
)]
pub mod test_v1 {
    tonic::include_proto!("countersign.test.v1");

    /// What reflection tells of it.
    pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/test_descriptors.bin"));
}

/// The service of the package `envoy.service.auth.v3`.
#[allow(clippy::all, clippy::pedantic, missing_docs, unreachable_pub, reason = "generated")]
pub(super) mod envoy {
    include!(concat!(env!("OUT_DIR"), "/envoy.service.auth.v3.Authorization.rs"));
}

pub use crate::transport::DESCRIPTORS;
