//! Cookies (RFC 6265bis): the one that the refresh token travels in, and the one of the double-submit token.

use std::time::Duration;

use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue};

/// Says on plain HTTP what is different there.
const DEVELOPMENT: HeaderName = HeaderName::from_static("x-countersign-development");

/// One cookie of ours: how it is called and where it goes. It is set and deleted with the same attributes, for
/// a browser takes two that differ for two cookies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cookie {
    name: &'static str,
    attributes: &'static str,
    plain_http: bool,
}

/// Holds the refresh token: for the edge alone, and for no script.
pub(super) const fn refresh_token(plain_http: bool) -> Cookie {
    Cookie {
        name: if plain_http { "countersign_refresh" } else { "__Secure-countersign_refresh" },
        attributes: "Path=/v1/auth; HttpOnly; SameSite=Strict",
        plain_http,
    }
}

/// Holds the double-submit token: for scripts to read. The prefix keeps other hosts of the site from setting it.
pub(super) const fn csrf_token(plain_http: bool) -> Cookie {
    Cookie {
        name: if plain_http { "countersign_csrf" } else { "__Host-countersign_csrf" },
        attributes: "Path=/; SameSite=Strict",
        plain_http,
    }
}

impl Cookie {
    /// How it is called.
    pub(super) const fn name(&self) -> &'static str {
        self.name
    }

    /// The value that came with a request. Of several of the name, the first: browsers put the one with the longest
    /// path there.
    pub(super) fn find<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        headers
            .get_all(COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find_map(|(name, value)| (name == self.name && !value.is_empty()).then_some(value))
    }

    /// Sets it for this long.
    pub(super) fn set(&self, answer: &mut HeaderMap, value: &str, life: Duration) {
        self.write(answer, value, life.as_secs());
    }

    /// Deletes it.
    pub(super) fn delete(&self, answer: &mut HeaderMap) {
        self.write(answer, "", 0);
    }

    fn write(&self, answer: &mut HeaderMap, value: &str, seconds: u64) {
        let Self { name, attributes, plain_http } = self;
        let secure = if *plain_http { "" } else { "; Secure" };
        let text = format!("{name}={value}; Max-Age={seconds}; {attributes}{secure}");
        if let Ok(mut value) = HeaderValue::from_str(&text) {
            value.set_sensitive(true);
            answer.append(SET_COOKIE, value);
        }
        if *plain_http {
            let differs = HeaderValue::from_static(
                "plain HTTP: cookies have no Secure and no __Secure- or __Host- prefix",
            );
            answer.insert(DEVELOPMENT, differs);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_among_others() {
        let cookie = refresh_token(false);
        for (header, expected) in [
            ("__Secure-countersign_refresh=a", Some("a")),
            ("x=1; __Secure-countersign_refresh=a; y=2", Some("a")),
            ("__Secure-countersign_refresh=a; __Secure-countersign_refresh=b", Some("a")),
            ("countersign_refresh=a", None),
            ("x__Secure-countersign_refresh=a", None),
            ("__Secure-countersign_refresh=", None),
            ("__Secure-countersign_refresh", None),
            ("", None),
        ] {
            let headers = HeaderMap::from_iter([(COOKIE, header.parse().unwrap())]);
            assert_eq!(cookie.find(&headers), expected, "{header:?}");
        }
    }

    #[test]
    fn a_cookie_is_deleted_with_the_attributes_that_it_was_set_with() {
        for cookie in [refresh_token(false), refresh_token(true), csrf_token(false)] {
            let (mut set, mut deleted) = (HeaderMap::new(), HeaderMap::new());
            cookie.set(&mut set, "v", Duration::from_secs(9));
            cookie.delete(&mut deleted);
            let text = |headers: &HeaderMap| headers[SET_COOKIE].to_str().unwrap().to_owned();
            assert_eq!(text(&set).replace("=v;", "=;").replace("=9;", "=0;"), text(&deleted));
            assert_eq!(text(&set).contains("; Secure"), !cookie.plain_http);
        }
    }
}
