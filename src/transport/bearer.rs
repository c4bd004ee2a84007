//! `Authorization: Bearer` (RFC 6750 §2.1).

use crate::reason::Reason;

/// The token in the value of an `Authorization` header. Credentials of another scheme are none of ours; a value that
/// is no text holds no token that was ever made.
pub fn bearer_token(authorization: &[u8]) -> Result<Option<&str>, Reason> {
    let visible = |byte: &u8| *byte == b'\t' || (b' '..=b'~').contains(byte);
    let text = std::str::from_utf8(authorization).ok().filter(|text| text.as_bytes().iter().all(visible));
    let text = text.ok_or(Reason::AccessTokenInvalid)?;
    let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
    let token = token.trim();
    Ok((scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_found_by_its_scheme() {
        for (value, expected) in [
            (b"Bearer a.b.c".as_slice(), Ok(Some("a.b.c"))),
            (b"bEARER  a ", Ok(Some("a"))),
            (b"Bearer", Ok(None)),
            (b"Bearer ", Ok(None)),
            (b"Basic YTpi", Ok(None)),
            (b"", Ok(None)),
            (b"Bearer \xC3\xA9", Err(Reason::AccessTokenInvalid)),
            (b"Bearer \xFF", Err(Reason::AccessTokenInvalid)),
            (b"Bearer a\0", Err(Reason::AccessTokenInvalid)),
        ] {
            assert_eq!(bearer_token(value), expected, "{}", value.escape_ascii());
        }
    }
}
