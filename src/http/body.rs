//! Reading a request's body: of the right media type, within bounds of size and time.

use std::io::ErrorKind;
use std::time::Duration;

use axum::body::Body;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Bytes;

use super::MAX_BODY_BYTES;
use super::refusal::Refused;
use crate::auth::{AuthError, FieldViolation};
use crate::reason::Reason;
use crate::transport::{only, refused_as};

/// The media type of the contract's messages.
pub(super) const JSON: &str = "application/json";
/// The media type of OAuth's requests.
pub(super) const FORM: &str = "application/x-www-form-urlencoded";

/// Reads a body of this media type; one that is empty needs none. A browser lets no page of another origin send
/// `application/json` without asking first, so this is a part of the defence.
pub(super) async fn read(
    headers: &HeaderMap,
    media_type: &str,
    body: Body,
    patience: Duration,
) -> Result<Bytes, Refused> {
    let untyped = !headers.contains_key(CONTENT_TYPE);
    if !untyped && !is(headers, media_type) {
        return Err(unsupported(media_type).into());
    }
    match tokio::time::timeout(patience, Limited::new(body, MAX_BODY_BYTES).collect()).await {
        Ok(Ok(collected)) => {
            let content = collected.to_bytes();
            if untyped && !content.is_empty() { Err(unsupported(media_type).into()) } else { Ok(content) }
        }
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Reason::RequestTooLarge.into()),
        Ok(Err(error)) if refused_as(&*error) == Some(ErrorKind::TimedOut) => {
            Err(Reason::RequestTimeout.into())
        }
        Ok(Err(error)) if refused_as(&*error) == Some(ErrorKind::QuotaExceeded) => {
            Err(Reason::ServerOverloaded.into())
        }
        Ok(Err(error)) => Err(AuthError::invalid_field("", "broke off").caused_by(error).into()),
        Err(_elapsed) => Err(Reason::RequestTimeout.into()),
    }
}

/// What is wrong with the media type, and what it should be.
fn unsupported(media_type: &str) -> AuthError {
    let mut error = AuthError::new(Reason::UnsupportedMediaType);
    error.violations.push(FieldViolation::new("Content-Type", format!("must be {media_type}, in UTF-8")));
    error
}

/// Whether the one `Content-Type` (RFC 9110 §8.3) names the media type, in UTF-8 if it says.
fn is(headers: &HeaderMap, media_type: &str) -> bool {
    let Ok(Some(value)) = only(headers, CONTENT_TYPE.as_str()) else { return false };
    let mut parts = value.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    let named = parts.next().unwrap_or_default();
    named.eq_ignore_ascii_case(media_type.as_bytes()) && parts.all(is_utf8_or_no_charset)
}

/// Whether a parameter names another character set than UTF-8. Programs also call that `utf8`.
fn is_utf8_or_no_charset(parameter: &[u8]) -> bool {
    let equals = parameter.iter().position(|byte| *byte == b'=').unwrap_or(parameter.len());
    let (name, value) = parameter.split_at(equals);
    let value = value.strip_prefix(b"=").unwrap_or_default().trim_ascii();
    let value = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value);
    !name.trim_ascii().eq_ignore_ascii_case(b"charset")
        || value.eq_ignore_ascii_case(b"utf-8")
        || value.eq_ignore_ascii_case(b"utf8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_one_media_type_is_read() {
        for (value, expected) in [
            ("application/json", true),
            ("Application/JSON ; Charset=\"UTF-8\"", true),
            ("application/json; profile=x", true),
            ("application/json;charset=utf8", true),
            ("application/json; charset = \"Utf8\" ; x=y", true),
            ("application/json;", true),
            ("application/json; charset", false),
            ("application/json; charset=\"utf-8", false),
            ("application/json; charset=utf-16", false),
            ("application/json; charset=gbk", false),
            ("text/plain", false),
            ("text/plain; application/json", false),
            ("application/json-seq", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, value.parse().unwrap())]);
            assert_eq!(is(&headers, JSON), expected, "{value:?}");
        }
        assert!(!is(&HeaderMap::new(), JSON));
        let mut twice = HeaderMap::new();
        twice.append(CONTENT_TYPE, "application/json".parse().unwrap());
        twice.append(CONTENT_TYPE, "text/plain".parse().unwrap());
        assert!(!is(&twice, JSON), "which of the two would count?");
    }
}
