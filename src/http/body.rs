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
use crate::auth::AuthError;
use crate::reason::Reason;
use crate::transport::refused_as;

/// The media type of the contract's messages.
pub(super) const JSON: &str = "application/json";
/// The media type of OAuth's requests.
pub(super) const FORM: &str = "application/x-www-form-urlencoded";

/// Reads a body of this media type. A browser lets no page of another origin send `application/json` without asking
/// first, so this is a part of the defence.
pub(super) async fn read(
    headers: &HeaderMap,
    media_type: &str,
    body: Body,
    patience: Duration,
) -> Result<Bytes, Refused> {
    if !is(headers, media_type) {
        return Err(Reason::UnsupportedMediaType.into());
    }
    match tokio::time::timeout(patience, Limited::new(body, MAX_BODY_BYTES).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
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

/// Whether the one `Content-Type` (RFC 9110 §8.3) names the media type, in UTF-8 if it says.
fn is(headers: &HeaderMap, media_type: &str) -> bool {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let (Some(Ok(value)), None) = (values.next().map(|value| value.to_str()), values.next()) else {
        return false;
    };
    let mut parts = value.split(';');
    let named = parts.next().unwrap_or_default().trim();
    named.eq_ignore_ascii_case(media_type)
        && parts.filter_map(|part| part.split_once('=')).all(|(name, value)| {
            !name.trim().eq_ignore_ascii_case("charset")
                || value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        })
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
