//! `Authorization: Bearer` (RFC 6750 §2.1).

use super::HeaderFields;
use crate::auth::AuthError;
use crate::reason::Reason;

/// The bearer token of a request, if there is one. Two `Authorization` fields are an ambiguity that somebody may have
/// put there on purpose, merged by a gateway or not: the server behind may read the other one.
pub fn bearer_token(fields: &impl HeaderFields) -> Result<Option<&str>, AuthError> {
    let mut values = fields.all("authorization");
    let Some(value) = values.next() else { return Ok(None) };
    let merged = value.contains(&b',') && value.split(|byte| *byte == b',').any(is_bearer);
    if merged || values.next().is_some() {
        return Err(AuthError::invalid_field("", "must have one Authorization header"));
    }
    Ok(token(value)?)
}

/// The token in one value. Credentials of another scheme are none of ours; a value that is no text holds no token that
/// was ever made.
fn token(authorization: &[u8]) -> Result<Option<&str>, Reason> {
    let visible = |byte: &u8| *byte == b'\t' || (b' '..=b'~').contains(byte);
    let text = std::str::from_utf8(authorization).ok().filter(|text| text.as_bytes().iter().all(visible));
    let text = text.ok_or(Reason::AccessTokenInvalid)?;
    let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
    let token = token.trim();
    Ok((scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token))
}

/// Whether it begins as credentials of the bearer scheme do.
fn is_bearer(piece: &[u8]) -> bool {
    let piece = piece.trim_ascii_start();
    let scheme = piece.split(|byte| *byte == b' ').next().unwrap_or_default();
    scheme.eq_ignore_ascii_case(b"bearer")
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::AUTHORIZATION;
    use http::{HeaderMap, HeaderValue};

    fn found(values: &[&[u8]]) -> Result<Option<String>, Reason> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_bytes(value).unwrap());
        }
        bearer_token(&headers).map(|token| token.map(str::to_owned)).map_err(|error| error.reason)
    }

    #[test]
    fn a_token_is_found_by_its_scheme() {
        for (value, expected) in [
            (b"Bearer a.b.c".as_slice(), Ok(Some("a.b.c"))),
            (b"bEARER  a ", Ok(Some("a"))),
            (b"Bearer", Ok(None)),
            (b"Bearer ", Ok(None)),
            (b"Basic YTpi", Ok(None)),
            (b"Digest realm=\"a\", nonce=\"b\"", Ok(None)),
            (b"", Ok(None)),
            (b"Bearer \xC3\xA9", Err(Reason::AccessTokenInvalid)),
            (b"Bearer \xFF", Err(Reason::AccessTokenInvalid)),
        ] {
            let expected = expected.map(|token| token.map(str::to_owned));
            assert_eq!(found(&[value]), expected, "{}", value.escape_ascii());
        }
        assert_eq!(token(b"Bearer a\0"), Err(Reason::AccessTokenInvalid));
        assert_eq!(found(&[]), Ok(None));
    }

    #[test]
    fn two_are_refused_however_they_came() {
        let two: [&[&[u8]]; 5] = [
            &[b"Bearer a", b"Bearer a"],
            &[b"Basic YTpi", b"Bearer a"],
            &[b"Bearer a,Bearer b"],
            &[b"Bearer a, b"],
            &[b"Basic YTpi,bearer b"],
        ];
        for values in two {
            assert_eq!(found(values), Err(Reason::InvalidRequest), "{values:?}");
        }
    }
}
