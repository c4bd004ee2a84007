//! What is written in tokens, for tests that must know which key or which clock made them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

/// The id of the key that a refresh token was made with, as `countersign key list` writes it.
pub(super) fn mac_key(refresh_token: &str) -> String {
    let encoded = refresh_token.strip_prefix("csgn_rt_").unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(encoded).unwrap();
    hex::encode(&bytes[..4])
}

/// The `kid` of an access token.
pub(super) fn signing_key(access_token: &str) -> String {
    part(access_token, 0)["kid"].as_str().unwrap().to_owned()
}

/// When an access token was minted, in seconds.
pub(super) fn issued_at(access_token: &str) -> i64 {
    part(access_token, 1)["iat"].as_i64().unwrap()
}

fn part(jwt: &str, number: usize) -> Value {
    let encoded = jwt.split('.').nth(number).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(encoded).unwrap()).unwrap()
}
