//! A JWS in compact serialization (RFC 7515 §7.1), taken apart and not yet trusted.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::{InvalidReason, json};

/// Header parameters that bring a key of their own, or change what the bytes mean: `crit` (RFC 7515 §4.1.11),
/// `b64` (RFC 7797), `zip` and `enc` (RFC 7516), `cty` (a nested JWT, RFC 7519 §5.2), and the ways to say "verify
/// me with this" (RFC 7515 §4.1.2 to §4.1.8). No token of ours has one, so a token that has one is refused; what
/// stands in it is never looked at. Other parameters that we do not know are ignored, as RFC 7515 §4 says.
const FORBIDDEN: [&str; 11] =
    ["crit", "jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256", "b64", "zip", "enc", "cty"];

/// The three parts of a token.
pub(crate) struct Jws<'t> {
    /// What it says of itself.
    pub(crate) header: Header,
    /// The bytes of the claims. Nobody may read them before the signature was verified.
    pub(crate) payload: Vec<u8>,
    /// The bytes that the signature covers: the first two parts as they were sent.
    pub(crate) signing_input: &'t [u8],
    /// The signature.
    pub(crate) signature: Vec<u8>,
}

impl<'t> Jws<'t> {
    /// Takes a token apart: at most `max_bytes`, exactly three parts, none of them empty, each in the one
    /// spelling that base64url gives its bytes (no padding, no white space, no stray trailing bits).
    pub(crate) fn parse(token: &'t str, max_bytes: usize) -> Result<Self, InvalidReason> {
        if token.len() > max_bytes {
            return Err(InvalidReason::Malformed);
        }
        let mut parts = token.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(InvalidReason::Malformed);
        };
        let members = json::object(&decode(header)?).ok_or(InvalidReason::Malformed)?;
        Ok(Self {
            header: Header::from_members(members)?,
            payload: decode(payload)?,
            signing_input: &token.as_bytes()[..=header.len() + payload.len()],
            signature: decode(signature)?,
        })
    }
}

fn decode(part: &str) -> Result<Vec<u8>, InvalidReason> {
    match URL_SAFE_NO_PAD.decode(part) {
        Ok(bytes) if !bytes.is_empty() => Ok(bytes),
        _ => Err(InvalidReason::Malformed),
    }
}

/// The JOSE header (RFC 7515 §4).
pub(crate) struct Header {
    typ: Option<String>,
    /// The algorithm that the token claims to be signed with. Good for nothing but a comparison with the
    /// algorithm of the key.
    pub(crate) alg: String,
    /// The key that the token claims to be signed with.
    pub(crate) kid: Option<String>,
    /// Whether there is a parameter that no token of ours has, see [`FORBIDDEN`].
    pub(crate) has_forbidden_parameter: bool,
}

impl Header {
    fn from_members(mut members: Map<String, Value>) -> Result<Self, InvalidReason> {
        Ok(Self {
            typ: optional_text(members.remove("typ"))?,
            alg: optional_text(members.remove("alg"))?.ok_or(InvalidReason::Malformed)?,
            kid: optional_text(members.remove("kid"))?,
            has_forbidden_parameter: FORBIDDEN.iter().any(|name| members.contains_key(*name)),
        })
    }

    /// Whether the token says that it is an access token. A media type, hence without regard to case and with
    /// `application/` understood where it is left out (RFC 7515 §4.1.9, RFC 9068 §4).
    pub(crate) fn is_access_token(&self) -> bool {
        self.typ.as_ref().is_some_and(|typ| {
            typ.eq_ignore_ascii_case("at+jwt") || typ.eq_ignore_ascii_case("application/at+jwt")
        })
    }
}

fn optional_text(value: Option<Value>) -> Result<Option<String>, InvalidReason> {
    match value {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(InvalidReason::Malformed),
    }
}
