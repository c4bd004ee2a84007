//! Whether a write was sent by a page that may send it: [`crate::transport::Sent`] has the rule, which Envoy's `Check`
//! goes by, too.

use http::header::HOST;
use http::{HeaderMap, Request};

use super::refusal::Refused;
use crate::reason::Reason;
use crate::transport::{AllowedOrigins, Encrypted, Sent, forwarded_https, only};

/// Refuses whatever may change something and comes from a page of an origin that is neither the edge's own nor one of
/// `allowed`.
pub(super) fn check<B>(request: &Request<B>, allowed: &AllowedOrigins) -> Result<(), Refused> {
    if sent(request).is_cross_site_write(allowed) { Err(Reason::CrossSiteRequest.into()) } else { Ok(()) }
}

/// Who sent a request, as far as it says. The proxy that met the client knows best how that came; where none says
/// anything, this port does.
pub(super) fn sent<B>(request: &Request<B>) -> Sent<'_, HeaderMap> {
    let fields = request.headers();
    let encrypted = request.extensions().get::<Encrypted>().is_some();
    // The authority of HTTP/2 stands in the URI.
    let host = match request.uri().authority() {
        Some(authority) => Some(authority.as_str().as_bytes()),
        None => only(fields, HOST.as_str()).ok().flatten(),
    };
    Sent {
        method: request.method().as_str().as_bytes(),
        host,
        https: forwarded_https(fields).unwrap_or(encrypted),
        fields,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes<B>(request: &Request<B>) -> bool {
        check(request, &AllowedOrigins::default()).is_ok()
    }

    #[test]
    fn the_host_is_that_of_the_uri_or_else_of_the_one_header() {
        let post = || Request::post("/v1/auth/refresh").header("origin", "https://auth.example");
        assert!(passes(&post().header("host", "auth.example:443").body(()).unwrap()));
        assert!(passes(&post().uri("https://auth.example:443/v1/auth/refresh").body(()).unwrap()));
        assert!(!passes(&post().header("host", "other.example").body(()).unwrap()));
        assert!(!passes(&post().body(()).unwrap()), "no host is nobody's");
        let twice = post().header("host", "auth.example").header("host", "auth.example");
        assert!(!passes(&twice.body(()).unwrap()));
    }

    #[test]
    fn a_page_of_plain_http_is_of_another_origin_than_an_edge_over_https() {
        let post = || Request::post("/").header("host", "a.example").header("origin", "http://a.example");
        assert!(passes(&post().body(()).unwrap()), "who ended TLS is not known");
        assert!(!passes(&post().extension(Encrypted).body(()).unwrap()));
        assert!(!passes(&post().header("x-forwarded-proto", "https").body(()).unwrap()));
        let gateway = post().extension(Encrypted).header("x-forwarded-proto", "http");
        assert!(passes(&gateway.body(()).unwrap()), "TLS is between the gateway and the edge alone");
    }
}
