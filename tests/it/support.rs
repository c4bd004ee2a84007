//! What several tests stand on.

pub(crate) mod grpc;
pub(crate) mod stub;
