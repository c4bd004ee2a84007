//! Whether a request was sent by a page that may send it: the one rule for whatever a browser's cookies let in.
//!
//! Browsers say where a request comes from: by `Sec-Fetch-Site` (Fetch Metadata), and where they leave that out, over
//! plain HTTP say, by `Origin`. What comes with neither was not sent by a page: native clients, gateways, curl.

use super::origin::Origin;
use super::{AllowedOrigins, HeaderFields, Repeated, only};

/// A request, as far as it tells which page sent it.
#[derive(Debug, Clone, Copy)]
pub struct Sent<'a, F> {
    /// The method, which has a case (RFC 9110 §9.1).
    pub method: &'a [u8],
    /// The host that the request is for, as it came; `None` where it has none, or several.
    pub host: Option<&'a [u8]>,
    /// Whether the client is known to have come by HTTPS.
    pub https: bool,
    /// The rest of its head.
    pub fields: &'a F,
}

impl<'a, F: HeaderFields> Sent<'a, F> {
    /// Whether it may change something, and comes from a page of an origin that is neither the service's own nor one of
    /// `allowed`.
    pub fn is_cross_site_write(&self, allowed: &AllowedOrigins) -> bool {
        self.may_change_something() && !self.is_own() && !self.is_allowed(allowed)
    }

    /// The origin of the page that sent it, when that is neither the service's own nor one of `allowed`: such a page
    /// cannot read the answer, and what it writes is refused.
    pub fn foreign_origin(&self, allowed: &AllowedOrigins) -> Option<&'a [u8]> {
        let origin = only(self.fields, "origin").ok().flatten()?;
        (!self.is_own() && !allowed.contains(origin)).then_some(origin)
    }

    /// A WebSocket begins with a GET that no browser keeps to its site.
    fn may_change_something(&self) -> bool {
        let reads = [b"GET".as_slice(), b"HEAD", b"OPTIONS"].contains(&self.method);
        !reads || self.fields.all("upgrade").next().is_some()
    }

    /// Whether a page of the service's own origin sent it, or none at all.
    fn is_own(&self) -> bool {
        match only(self.fields, "sec-fetch-site") {
            Ok(Some(site)) => matches!(site, b"same-origin" | b"none"),
            Ok(None) => match only(self.fields, "origin") {
                Ok(None) => true,
                Ok(Some(origin)) => Origin::parse(origin)
                    .is_some_and(|origin| self.host.is_some_and(|host| origin.is_of(host, self.https))),
                Err(Repeated) => false,
            },
            Err(Repeated) => false,
        }
    }

    fn is_allowed(&self, allowed: &AllowedOrigins) -> bool {
        matches!(only(self.fields, "origin"), Ok(Some(origin)) if allowed.contains(origin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;

    fn fields(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    fn refused(method: &str, pairs: &[(&'static str, &str)]) -> bool {
        let fields = fields(pairs);
        let host = Some(b"auth.example:8443".as_slice());
        let sent = Sent { method: method.as_bytes(), host, https: false, fields: &fields };
        sent.is_cross_site_write(&AllowedOrigins::new(&["https://app.example".to_owned()]))
    }

    #[test]
    fn only_own_and_allowed_origins_may_write() {
        for (site, origin, passes) in [
            ("", "", true),
            ("same-origin", "", true),
            ("same-origin", "https://auth.example:8443", true),
            ("none", "", true),
            ("same-site", "", false),
            ("same-site", "https://auth.example:8443", false),
            ("same-site", "https://app.example", true),
            ("cross-site", "https://app.example", true),
            ("cross-site", "https://evil.example", false),
            ("cross-site", "null", false),
            ("cross-site", "", false),
            ("same-origin,cross-site", "", false),
            ("whatever", "", false),
            ("", "https://auth.example:8443", true),
            ("", "http://auth.example:8443", true),
            ("", "https://auth.example", false),
            ("", "https://app.example", true),
            ("", "https://app.example:1", false),
            ("", "https://app.example.evil.example", false),
            ("", "null", false),
            ("", "auth.example:8443", false),
        ] {
            let pairs: Vec<_> = [("sec-fetch-site", site), ("origin", origin)]
                .into_iter()
                .filter(|(_, value)| !value.is_empty())
                .collect();
            assert_eq!(refused("POST", &pairs), !passes, "{site:?} {origin:?}");
            assert!(!refused("GET", &pairs), "reading is free: {site:?} {origin:?}");
        }
    }

    #[test]
    fn two_answers_are_none_and_a_websocket_is_a_write() {
        assert!(refused(
            "POST",
            &[("origin", "https://auth.example:8443"), ("origin", "https://evil.example")]
        ));
        assert!(refused("POST", &[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "same-origin")]));
        assert!(refused("get", &[("sec-fetch-site", "cross-site")]), "methods have a case");
        assert!(refused("GET", &[("sec-fetch-site", "cross-site"), ("upgrade", "websocket")]));
        assert!(!refused("GET", &[("sec-fetch-site", "same-origin"), ("upgrade", "websocket")]));
    }

    #[test]
    fn an_origin_that_may_not_call_is_named() {
        let named = |pairs: &[(&'static str, &str)]| {
            let fields = fields(pairs);
            let host = Some(b"auth.example".as_slice());
            let sent = Sent { method: b"GET", host, https: true, fields: &fields };
            let allowed = AllowedOrigins::new(&["https://app.example".to_owned()]);
            sent.foreign_origin(&allowed).map(<[u8]>::to_vec)
        };
        assert_eq!(named(&[("origin", "https://new.example")]), Some(b"https://new.example".to_vec()));
        assert_eq!(named(&[("origin", "https://app.example")]), None);
        assert_eq!(named(&[("origin", "https://auth.example")]), None);
        assert_eq!(named(&[("sec-fetch-site", "cross-site")]), None, "nothing to name");
    }
}
