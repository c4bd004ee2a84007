//! The code that `build.rs` makes of the contract.

/// The package `countersign.v1`.
#[allow(
    clippy::all,
    clippy::pedantic,
    dead_code,
    missing_docs,
    unreachable_pub,
    rustdoc::all,
    reason = "generated: the contract's own comments are in proto/"
)]
pub(crate) mod v1 {
    tonic::include_proto!("countersign.v1");
}

/// The package `countersign.test.v1`.
#[cfg(feature = "testing")]
#[allow(
    clippy::all,
    clippy::pedantic,
    dead_code,
    missing_docs,
    unreachable_pub,
    rustdoc::all,
    reason = "generated: the contract's own comments are in proto/"
)]
pub(crate) mod test_v1 {
    tonic::include_proto!("countersign.test.v1");
}
