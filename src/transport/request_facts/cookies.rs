//! Cookies as they come back (RFC 6265 §5.4): pairs with `;` in between, over as many lines as the client likes.

use super::HeaderFields;
use crate::auth::AuthError;

/// Two cookies of one name came with a request. Which of them was set here cannot be known: another host of the same
/// domain may have set the other one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("two cookies are named {0}")]
pub struct AmbiguousCookie(String);

impl From<AmbiguousCookie> for AuthError {
    fn from(AmbiguousCookie(name): AmbiguousCookie) -> Self {
        Self::invalid_field(
            "",
            format!("must have one cookie {name}, and which of several counts is unknown"),
        )
    }
}

/// The value of the cookie with this name. What stands beside it, in whatever bytes, makes no difference; one without
/// a value says nothing.
pub fn cookie<'a>(fields: &'a impl HeaderFields, name: &str) -> Result<Option<&'a [u8]>, AmbiguousCookie> {
    let pairs = fields.all("cookie").flat_map(|line| line.split(|byte| *byte == b';'));
    let mut values = pairs.filter_map(|pair| {
        let equals = pair.iter().position(|byte| *byte == b'=')?;
        let (found, value) = (pair[..equals].trim_ascii(), pair[equals + 1..].trim_ascii());
        (found == name.as_bytes() && !value.is_empty()).then_some(value)
    });
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        (_, Some(_)) => Err(AmbiguousCookie(name.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::COOKIE;
    use http::{HeaderMap, HeaderValue};

    fn found(lines: &[&[u8]]) -> Result<Option<Vec<u8>>, AmbiguousCookie> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(COOKIE, HeaderValue::from_bytes(line).unwrap());
        }
        cookie(&headers, "__Host-id").map(|value| value.map(<[u8]>::to_vec))
    }

    #[test]
    fn a_cookie_is_found_among_any_others() {
        for (lines, expected) in [
            (&[b"__Host-id=a".as_slice()][..], Some(b"a".as_slice())),
            (&[b"x=1; __Host-id=a; y=2"], Some(b"a")),
            (&[b"x=1;__Host-id=a;y"], Some(b"a")),
            (&[b"x=1", b"__Host-id=a=b=="], Some(b"a=b==")),
            (&[b"city=\xE5\x8C\x97; __Host-id=a"], Some(b"a")),
            (&[b"\xFF", b"\xFF=\xFF; __Host-id=a; \xFF"], Some(b"a")),
            (&[b"__Host-id=; __Host-id=a"], Some(b"a")),
            (&[b"__Host-id=\xFF"], Some(b"\xFF")),
            (&[b"__host-id=a; x__Host-id=a; __Host-id2=a; \"__Host-id=a\""], None),
            (&[b"__Host-id=; __Host-id"], None),
            (&[b""], None),
            (&[], None),
        ] {
            assert_eq!(found(lines), Ok(expected.map(<[u8]>::to_vec)), "{lines:?}");
        }
    }

    #[test]
    fn two_of_a_name_are_an_ambiguity_even_where_they_are_equal() {
        let two: [&[&[u8]]; 5] = [
            &[b"__Host-id=a; __Host-id=b"],
            &[b"__Host-id=a; __Host-id=a"],
            &[b"__Host-id=a", b"__Host-id=b"],
            &[b"__Host-id=a; x=\xFF; __Host-id=\xFF"],
            &[b"__Host-id =a; __Host-id=b"],
        ];
        for lines in two {
            assert_eq!(found(lines), Err(AmbiguousCookie("__Host-id".to_owned())), "{lines:?}");
        }
    }
}
