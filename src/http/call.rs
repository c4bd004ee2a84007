//! What is known of a call before any handler looks at it.

use std::net::IpAddr;

use http::{HeaderMap, Request};

use crate::reason::Language;
use crate::transport::{Encrypted, Peer, RequestId, TrustedProxies, language};

/// In the extensions of every request.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) request_id: RequestId,
    pub(super) language: Language,
    /// The address of the client: of the peer, or what a trusted proxy says of it.
    pub(super) client: Option<IpAddr>,
    /// Whether the client came by HTTPS: to this port, or as the proxy says that ended it.
    pub(super) https: bool,
}

impl Call {
    pub(super) fn of<B>(request: &Request<B>, proxies: &TrustedProxies) -> Self {
        let headers = request.headers();
        let peer = request.extensions().get::<Peer>().map(|peer| peer.0);
        Self {
            request_id: RequestId::of(headers),
            language: language(headers),
            client: peer.map(|peer| proxies.client(peer, headers)),
            https: request.extensions().get::<Encrypted>().is_some() || came_by_https(headers),
        }
    }
}

/// Anybody may claim it, and gets no more of it than a header that is good for HTTPS.
fn came_by_https(headers: &HeaderMap) -> bool {
    let protocol = headers.get("x-forwarded-proto").and_then(|value| value.to_str().ok());
    protocol.is_some_and(|protocol| protocol.trim().eq_ignore_ascii_case("https"))
}
