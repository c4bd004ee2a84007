//! Origins (RFC 6454) and the host that a request is for (RFC 9110 §7.2), compared as what they are and not as text.

use std::net::Ipv6Addr;

/// The origins whose pages may call, beside a service's own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedOrigins(Vec<Origin>);

impl AllowedOrigins {
    /// Of their serializations (RFC 6454 §6.2). What is none is left out; the configuration refuses it.
    pub fn new(origins: &[String]) -> Self {
        Self(origins.iter().filter_map(|origin| Origin::parse(origin.as_bytes())).collect())
    }

    /// Whether the value of an `Origin` field is one of them.
    pub fn contains(&self, origin: &[u8]) -> bool {
        // Nearly every edge allows none, and nearly every request comes without an origin.
        !self.0.is_empty() && Origin::parse(origin).is_some_and(|origin| self.0.contains(&origin))
    }
}

/// A scheme, a host and a port; `null`, and schemes other than those of the web, are no origin of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    scheme: Scheme,
    host: Host,
    port: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Http,
    Https,
}

impl Scheme {
    const fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    /// A name or an IPv4 address, in lower case.
    Named(String),
    V6(Ipv6Addr),
}

impl Origin {
    /// Reads the value of an `Origin` field: one origin, and nothing else.
    pub(super) fn parse(value: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(value).ok()?;
        let (scheme, rest) = text.split_once("://")?;
        let scheme = if scheme.eq_ignore_ascii_case("https") {
            Scheme::Https
        } else if scheme.eq_ignore_ascii_case("http") {
            Scheme::Http
        } else {
            return None;
        };
        let (host, port) = authority(rest)?;
        Some(Self { scheme, host, port: port.unwrap_or(scheme.port()) })
    }

    /// Whether a request for `host` (a `Host` field or an `:authority`) goes to this origin. A port that is missing, or
    /// empty, is the default one of the scheme. Which scheme a request came by is often known only to the gateway that
    /// ended TLS: unless it is known to have been HTTPS, the scheme makes no difference.
    pub(super) fn is_of(&self, host: &[u8], https: bool) -> bool {
        if https && self.scheme == Scheme::Http {
            return false;
        }
        let parsed = std::str::from_utf8(host).ok().and_then(authority);
        parsed
            .is_some_and(|(host, port)| host == self.host && port.unwrap_or(self.scheme.port()) == self.port)
    }
}

/// Host and port (RFC 3986 §3.2), without user information.
fn authority(text: &str) -> Option<(Host, Option<u16>)> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        (Host::V6(address.parse().ok()?), port)
    } else {
        let (name, port) = text.split_at(text.find(':').unwrap_or(text.len()));
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+;=%".contains(&byte);
        if name.is_empty() || !name.bytes().all(allowed) {
            return None;
        }
        (Host::Named(name.to_ascii_lowercase()), port)
    };
    let digits = if port.is_empty() { port } else { port.strip_prefix(':')? };
    if !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let port = if digits.is_empty() { None } else { Some(digits.parse().ok()?) };
    Some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(origin: &str, host: &str, https: bool) -> bool {
        Origin::parse(origin.as_bytes()).is_some_and(|origin| origin.is_of(host.as_bytes(), https))
    }

    #[test]
    fn default_ports_and_case_make_no_difference() {
        for (origin, host) in [
            ("https://auth.example", "auth.example"),
            ("https://auth.example", "auth.example:443"),
            ("https://auth.example:443", "auth.example"),
            ("https://auth.example", "auth.example:"),
            ("HTTPS://Auth.Example", "aUTH.eXAMPLE:0443"),
            ("https://auth.example:8443", "auth.example:8443"),
            ("https://[::1]:8443", "[0:0:0:0:0:0:0:1]:8443"),
            ("https://127.0.0.1", "127.0.0.1:443"),
            ("https://my_host.example", "my_host.example"),
        ] {
            assert!(same(origin, host, true) && same(origin, host, false), "{origin} {host}");
        }
        assert!(same("http://auth.example", "auth.example:80", false));
        assert!(!same("http://auth.example", "auth.example:80", true), "a page of plain HTTP");
    }

    #[test]
    fn everything_else_is_another_origin() {
        for (origin, host) in [
            ("https://auth.example", "auth.example:80"),
            ("http://auth.example", "auth.example:443"),
            ("https://auth.example", "auth.example:8443"),
            ("https://auth.example", "www.auth.example"),
            ("https://auth.example", "auth.example."),
            ("https://auth.example", "user@auth.example"),
            ("https://auth.example", ""),
            ("https://auth.example", ":443"),
            ("https://auth.example", "auth.example:443:443"),
            ("https://auth.example", "auth.example:+443"),
            ("https://auth.example:65979", "auth.example:443"),
            ("https://auth.example/", "auth.example"),
            ("https://user@auth.example", "auth.example"),
            ("https://auth.example https://auth.example", "auth.example"),
            ("https://auth.example,https://auth.example", "auth.example"),
            ("https://[::1", "[::1"),
            ("https://[::1]x", "[::1]x"),
            ("https://[auth.example]", "auth.example"),
            ("https://b\u{fc}cher.example", "b\u{fc}cher.example"),
            ("ws://auth.example", "auth.example"),
            ("auth.example", "auth.example"),
            ("https://", ""),
            ("null", "null"),
            ("", ""),
        ] {
            assert!(!same(origin, host, false), "{origin} {host}");
        }
        assert!(Origin::parse(b"https://\xFF").is_none());
    }

    #[test]
    fn an_allowed_origin_is_that_origin_and_no_other() {
        let allowed =
            AllowedOrigins::new(&["https://app.example".to_owned(), "http://[::1]:3000".to_owned()]);
        for origin in ["https://app.example", "https://APP.example:443", "http://[::1]:3000"] {
            assert!(allowed.contains(origin.as_bytes()), "{origin}");
        }
        for origin in
            ["http://app.example", "https://app.example:444", "https://app.example.evil", "null", ""]
        {
            assert!(!allowed.contains(origin.as_bytes()), "{origin}");
        }
        assert!(!AllowedOrigins::default().contains(b"null"));
    }
}
