//! Request ids: one name for a call, in the caller's log and in ours.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::secret;

/// The metadata, or header, that carries a request id, in both directions.
pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");

const MAX_BYTES: usize = 64;

/// 1 to 64 of `A-Z a-z 0-9 . _ -`: nothing that could forge a line of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// The caller's, if it sent one that is well-formed; otherwise a fresh one.
    pub fn of(headers: &HeaderMap) -> Self {
        Self::sent(headers).unwrap_or_else(Self::fresh)
    }

    /// The caller's, if it sent one that is well-formed.
    pub fn sent(headers: &HeaderMap) -> Option<Self> {
        headers.get(HEADER).and_then(|value| Self::parse(value.as_bytes()))
    }

    /// The id in a header, if it is well-formed.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let well_formed = (1..=MAX_BYTES).contains(&value.len()) && value.iter().copied().all(allowed);
        well_formed.then(|| Self(String::from_utf8_lossy(value).into()))
    }

    fn fresh() -> Self {
        Self(hex::encode(secret::random::<8>()).into())
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id, to be kept elsewhere without a copy.
    pub fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }

    /// The id as metadata.
    pub fn to_header(&self) -> HeaderValue {
        HeaderValue::from_str(&self.0).expect("letters, digits and . _ - may stand in a header")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_well_formed_id_is_kept_and_any_other_replaced() {
        let of = |value: &[u8]| {
            let value = HeaderValue::from_bytes(value).unwrap();
            RequestId::of(&HeaderMap::from_iter([(HEADER, value)]))
        };
        let longest = "x".repeat(64);
        for kept in ["a", "4f9d-A_z.0", &longest] {
            assert_eq!(of(kept.as_bytes()).as_str(), kept);
        }
        let too_long = "x".repeat(65);
        for replaced in [b"".as_slice(), b"a b", b"a\"b", b"a\tb", b"\xFF", too_long.as_bytes()] {
            let id = of(replaced);
            assert_eq!(id.as_str().len(), 16, "{id:?}");
            assert!(id.as_str().bytes().all(|byte| byte.is_ascii_hexdigit()), "{id:?}");
        }
        assert_ne!(RequestId::of(&HeaderMap::new()), RequestId::of(&HeaderMap::new()));
    }
}
