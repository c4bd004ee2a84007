//! `GET /.well-known/oauth-authorization-server` (RFC 8414): where the key set and the endpoints of OAuth are, for tools that are
//! given the issuer alone.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::Uri;
use serde_json::{Value, json};

use super::edge::Edge;
use super::{HttpOptions, token};

/// Where it is asked.
pub(super) const PATH: &str = "/.well-known/oauth-authorization-server";

/// Whether the issuer says where the edge is: RFC 8414 §2 has it as a URL. One with a path has its metadata at the root of its
/// host (§3.1), which need not be this edge.
pub(super) fn is_served(issuer: &str) -> bool {
    let Ok(url) = issuer.parse::<Uri>() else { return false };
    let host = url.host().is_some_and(|host| !host.is_empty());
    matches!(url.scheme_str(), Some("http" | "https")) && host && url.query().is_none() && has_no_path(issuer)
}

/// A slash at the end is part of the issuer, and none of the URLs behind it.
fn has_no_path(issuer: &str) -> bool {
    let host = issuer.split_once("://").map_or("", |(_, host)| host);
    !host.strip_suffix('/').unwrap_or(host).contains(['/', '?', '#'])
}

pub(super) async fn metadata(State(edge): State<Arc<Edge>>) -> Json<Value> {
    Json(document(&edge.options))
}

/// What is served, and nothing else. There is no endpoint at which an authorization is to be had.
fn document(options: &HttpOptions) -> Value {
    let issuer = &options.issuer;
    let at = |path: &str| format!("{}{path}", issuer.trim_end_matches('/'));
    let mut document = json!({
        "issuer": issuer,
        "jwks_uri": at("/.well-known/jwks.json"),
        "response_types_supported": [],
        "grant_types_supported": [token::GRANT],
        "token_endpoint": at(token::PATH),
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
    });
    if !options.clients.is_empty() {
        for (endpoint, path) in [("introspection", "/oauth2/introspect"), ("revocation", "/oauth2/revoke")] {
            document[format!("{endpoint}_endpoint")] = at(path).into();
            document[format!("{endpoint}_endpoint_auth_methods_supported")] = json!(["client_secret_basic"]);
        }
    }
    document
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_issuer_that_is_the_url_of_a_host_has_metadata() {
        for url in [
            "https://auth.example.com",
            "https://auth.example.com/",
            "http://127.0.0.1:8080",
            "https://[::1]:8443",
        ] {
            assert!(is_served(url), "{url}");
        }
        for other in [
            "countersign",
            "auth.example.com",
            "https://",
            "https:///",
            "ftp://auth.example.com",
            "https://auth.example.com/tenant",
            "https://auth.example.com//",
            "https://auth.example.com?x",
            "https://auth.example.com/#x",
            "",
        ] {
            assert!(!is_served(other), "{other}");
        }
    }
}
