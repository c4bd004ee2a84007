//! `GET /.well-known/jwks.json`: the keys that tokens are verified with (RFC 7517), those that will sign later
//! included.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_verifier::KeySet;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::edge::Edge;
use crate::transport::members;

/// How long a cache may go on with what it has while the edge is not reachable: a verifier that loses its keys
/// refuses everybody.
const STALE_IF_ERROR: u64 = 24 * 60 * 60;

/// The key set, for anybody to cache.
pub(super) async fn jwks(State(edge): State<Arc<Edge>>, request: Request) -> Response {
    let document = document(&(edge.options.keys)()).to_string();
    let tag = format!("\"{}\"", &URL_SAFE_NO_PAD.encode(digest(&SHA256, document.as_bytes()))[..22]);
    let seconds = edge.options.keys_max_age.as_secs();
    let lifetime = format!("public, max-age={seconds}, stale-if-error={STALE_IF_ERROR}");
    let headers = [(CACHE_CONTROL, lifetime), (ETAG, tag.clone())];
    if is_known(request.headers(), &tag) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    (headers, [(CONTENT_TYPE, "application/jwk-set+json")], document).into_response()
}

/// `If-None-Match` (RFC 9110 §13.1.2), by weak comparison.
fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let tag = tag.as_bytes();
    members(headers, IF_NONE_MATCH.as_str())
        .any(|known| known == b"*" || known.strip_prefix(b"W/").unwrap_or(known) == tag)
}

/// The set, in order of key id.
fn document(keys: &KeySet) -> Value {
    let keys: Vec<&Value> = keys.iter().map(|key| key.jwk()).collect();
    json!({ "keys": keys })
}
