//! What the transports have in common: who calls, how a call is named in the log, how long it may take, and how a
//! change is carried through when its caller goes away.

use std::net::IpAddr;
use std::sync::Arc;

mod carry_through;
mod deadlines;
mod failure;
mod identity;
pub mod problem;
mod refused;
mod request_facts;
pub mod request_id;

pub use carry_through::{Panicked, carry_through};
pub use deadlines::Deadlines;
pub use failure::{Chain, log_failure};
pub use identity::{IDENTITY_HEADERS, REQUIRED_ROLES_MAX, bearer_of, identity};
pub(crate) use refused::refused_as;
pub use request_facts::{
    AllowedOrigins, AmbiguousCookie, HeaderFields, Repeated, Sent, TrustedProxies, bearer_token, cookie,
    forwarded_https, language, members, only,
};
pub use request_id::RequestId;

/// The address that a connection came from. Whoever accepts connections puts it into the extensions of each
/// request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub IpAddr);

/// Whom the certificate of a connection names, which was verified: `spiffe://…`, `dns:…`. In the extensions of each
/// request of a connection that brought one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerNames(pub Arc<[String]>);

impl PeerNames {
    /// The name that it goes by in the log.
    pub fn first(&self) -> Option<&str> {
        self.0.first().map(String::as_str)
    }
}

/// In the extensions of a request that is to be refused because a test of another service says so.
#[cfg(feature = "test-server")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForcedRefusal(pub crate::reason::Reason);

/// In the extensions of each request that came over TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encrypted;

/// The contract, as an encoded `google.protobuf.FileDescriptorSet`: `countersign.v1` and all that it imports, with
/// comments and the `google.api.http` annotations.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
