//! `GET /.well-known/jwks.json`: the keys that tokens are verified with (RFC 7517), those that will sign later
//! included.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_verifier::{Algorithm, KeySet, VerifyingKey};
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
    let keys: Vec<Value> = keys.iter().filter_map(|key| jwk(key)).collect();
    json!({ "keys": keys })
}

/// One key: RFC 8037 §2 for Ed25519, RFC 7518 §6.2 for P-256, §6.3 for RSA.
fn jwk(key: &VerifyingKey) -> Option<Value> {
    let encoded = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let public = public_key(key.spki_der())?;
    let mut jwk = match key.algorithm() {
        Algorithm::EdDSA => json!({ "kty": "OKP", "crv": "Ed25519", "x": encoded(public) }),
        Algorithm::Es256 => {
            let (x, y) = public.strip_prefix(&[4])?.split_at_checked(32)?;
            json!({ "kty": "EC", "crv": "P-256", "x": encoded(x), "y": encoded(y) })
        }
        Algorithm::Rs256 => {
            let (members, _) = element(public, 0x30)?;
            let (modulus, rest) = element(members, 0x02)?;
            let (exponent, _) = element(rest, 0x02)?;
            json!({ "kty": "RSA", "n": encoded(unsigned(modulus)), "e": encoded(unsigned(exponent)) })
        }
    };
    jwk["use"] = "sig".into();
    jwk["alg"] = key.algorithm().name().into();
    jwk["kid"] = key.id().as_str().into();
    Some(jwk)
}

/// The bits of the `subjectPublicKey` in a `SubjectPublicKeyInfo` (RFC 5280 §4.1).
fn public_key(spki: &[u8]) -> Option<&[u8]> {
    let (members, _) = element(spki, 0x30)?;
    let (_algorithm, rest) = element(members, 0x30)?;
    let (bits, _) = element(rest, 0x03)?;
    bits.strip_prefix(&[0])
}

/// The contents of the DER element with this tag that stands first, and what comes after it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (bytes, rest) =
            rest.split_at_checked(usize::from(first & 0x7f)).filter(|(bytes, _)| bytes.len() <= 4)?;
        (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
    };
    let (contents, rest) = rest.split_at_checked(length)?;
    (found == tag).then_some((contents, rest))
}

/// An integer without the zero that shows it to be positive.
fn unsigned(integer: &[u8]) -> &[u8] {
    integer.strip_prefix(&[0]).unwrap_or(integer)
}
