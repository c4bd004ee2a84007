//! What is known of a call before any handler looks at it.

use std::net::IpAddr;

use http::Request;

use crate::reason::Language;
use crate::transport::{Encrypted, Peer, RequestId, TrustedProxies, forwarded_https, language};

/// In the extensions of every request.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) request_id: RequestId,
    pub(super) language: Language,
    /// The address of the client: of the peer, or what a trusted proxy says of it.
    pub(super) client: Option<IpAddr>,
    /// Whether the client came by HTTPS: to this port, or as the proxy says that ended it. Anybody may claim it, and
    /// gets no more of it than a header that is good for HTTPS.
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
            https: request.extensions().get::<Encrypted>().is_some()
                || forwarded_https(headers) == Some(true),
        }
    }
}
