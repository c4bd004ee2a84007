//! What a request says about itself in its header fields: cookies, bearer token, client address, origin, language.
//!
//! The edge, `/forward-auth` and Envoy's `Check` all read these facts here, so that they cannot come to different
//! conclusions about one request. Values are read as bytes: a value that is no text may stand beside the one that is
//! looked for, in the same line, and must not hide it. A field that may stand there once and came twice is an
//! ambiguity, which is refused and never resolved: whatever reads the request next may resolve it the other way.

use http::{HeaderMap, HeaderValue};

use crate::reason::Language;

mod bearer;
mod client_address;
mod cookies;
mod cross_site;
mod origin;

pub use bearer::bearer_token;
pub use client_address::TrustedProxies;
pub use cookies::{AmbiguousCookie, cookie};
pub use cross_site::Sent;
pub use origin::AllowedOrigins;

/// The header fields of a request, whatever brought them here: an HTTP request's own, or those that a gateway describes.
pub trait HeaderFields {
    /// Every value of a field, in the order in which they came: one for each line, as it was sent. `name` is in lower
    /// case.
    fn all<'a>(&'a self, name: &'a str) -> impl DoubleEndedIterator<Item = &'a [u8]>;
}

impl HeaderFields for HeaderMap {
    fn all<'a>(&'a self, name: &'a str) -> impl DoubleEndedIterator<Item = &'a [u8]> {
        self.get_all(name).iter().map(HeaderValue::as_bytes)
    }
}

/// A field that may stand there once came more than once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repeated;

/// The value of a field that may stand there once.
pub fn only<'a>(fields: &'a impl HeaderFields, name: &'a str) -> Result<Option<&'a [u8]>, Repeated> {
    let mut values = fields.all(name);
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        (_, Some(_)) => Err(Repeated),
    }
}

/// The members of a field whose value is a list (RFC 9110 §5.6.1): of every line, in order, without the blanks around
/// them.
pub fn members<'a>(
    fields: &'a impl HeaderFields,
    name: &'a str,
) -> impl DoubleEndedIterator<Item = &'a [u8]> {
    fields.all(name).flat_map(|value| value.split(|byte| *byte == b',')).map(<[u8]>::trim_ascii)
}

/// The language that a caller wants to be answered in (RFC 9110 §12.5.4).
pub fn language(fields: &impl HeaderFields) -> Language {
    let ranges = members(fields, "accept-language");
    Language::accepted(ranges.filter_map(|range| std::str::from_utf8(range).ok()))
}

/// Whether the client came by HTTPS, as the first proxy says that it met (`X-Forwarded-Proto`); `None` when none says
/// anything. Anybody may claim it, so nothing may be granted for it.
pub fn forwarded_https(fields: &impl HeaderFields) -> Option<bool> {
    let scheme = members(fields, "x-forwarded-proto").next()?;
    Some(scheme.eq_ignore_ascii_case(b"https"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(name: &'static str, values: &[&[u8]]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name, HeaderValue::from_bytes(value).unwrap());
        }
        headers
    }

    #[test]
    fn a_field_that_came_twice_is_no_answer() {
        assert_eq!(only(&fields("origin", &[]), "origin"), Ok(None));
        assert_eq!(only(&fields("origin", &[b"a\xFF"]), "origin"), Ok(Some(b"a\xFF".as_slice())));
        assert_eq!(only(&fields("origin", &[b"a", b"a"]), "origin"), Err(Repeated));
    }

    #[test]
    fn a_list_goes_on_in_the_next_line() {
        let headers = fields("accept-language", &[b"en;q=0.2,\xFF", b" zh ;q=0.9 "]);
        assert_eq!(members(&headers, "accept-language").count(), 3);
        assert_eq!(language(&headers), Language::ZhCn);
        assert_eq!(language(&HeaderMap::new()), Language::En);
    }

    #[test]
    fn the_first_proxy_says_how_the_client_came() {
        for (values, expected) in [
            (&[][..], None),
            (&[b"https".as_slice()][..], Some(true)),
            (&[b" HTTPS , http"], Some(true)),
            (&[b"http, https"], Some(false)),
            (&[b"https", b"http"], Some(true)),
            (&[b"\xFF"], Some(false)),
        ] {
            assert_eq!(forwarded_https(&fields("x-forwarded-proto", values)), expected, "{values:?}");
        }
    }
}
