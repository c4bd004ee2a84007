//! Cookies (RFC 6265bis): the one that the refresh token travels in, and the one of the double-submit token.

use std::time::Duration;

use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::HttpOptions;
use crate::transport::{self, AmbiguousCookie};

/// Says on plain HTTP what is different there.
const DEVELOPMENT: HeaderName = HeaderName::from_static("x-countersign-development");

/// One cookie of ours: how it is called and where it goes. It is set and deleted with the same attributes, for
/// a browser takes two that differ for two cookies.
#[derive(Debug, Clone)]
pub(super) struct Cookie {
    name: String,
    attributes: String,
    plain_http: bool,
}

/// The refresh token's cookie, as far as an operator may choose. It never has a `Domain`: every host of the domain
/// would get the token, whatever runs there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefreshCookie {
    /// How it is called, without the prefix, which is `__Host-` where the path is `/`, and `__Secure-` elsewhere.
    pub name: String,
    /// The paths that it is sent to (RFC 6265 §5.1.4), as the browser sees them.
    pub path: String,
    /// Which pages' requests it goes with.
    pub same_site: SameSite,
}

impl Default for RefreshCookie {
    fn default() -> Self {
        Self {
            name: "countersign_refresh".to_owned(),
            path: "/v1/auth".to_owned(),
            same_site: SameSite::Strict,
        }
    }
}

/// Which pages' requests a cookie goes with (RFC 6265bis §5.6.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameSite {
    /// Those of the site alone.
    Strict,
    /// And those that a link or a typed address from elsewhere leads to.
    Lax,
    /// All, where the browser permits it.
    None,
}

impl SameSite {
    const fn name(self) -> &'static str {
        match self {
            Self::Strict => "Strict",
            Self::Lax => "Lax",
            Self::None => "None",
        }
    }
}

/// Holds the refresh token: for the edge alone, and for no script.
pub(super) fn refresh_token(options: &HttpOptions) -> Cookie {
    let RefreshCookie { name, path, same_site } = &options.refresh_cookie;
    let prefix = match path.as_str() {
        _ if options.plain_http => "",
        "/" => "__Host-",
        _ => "__Secure-",
    };
    Cookie {
        name: format!("{prefix}{name}"),
        attributes: format!("Path={path}; HttpOnly; SameSite={}", same_site.name()),
        plain_http: options.plain_http,
    }
}

/// Holds the double-submit token: for scripts to read. The prefix keeps other hosts of the site from setting it. It
/// goes wherever the refresh token goes.
pub(super) fn csrf_token(options: &HttpOptions) -> Cookie {
    let prefix = if options.plain_http { "" } else { "__Host-" };
    Cookie {
        name: format!("{prefix}countersign_csrf"),
        attributes: format!("Path=/; SameSite={}", options.refresh_cookie.same_site.name()),
        plain_http: options.plain_http,
    }
}

impl Cookie {
    /// How it is called.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The value that came with a request. Two of the name are refused: another host of the domain may have set one.
    pub(super) fn find<'a>(&self, headers: &'a HeaderMap) -> Result<Option<&'a [u8]>, AmbiguousCookie> {
        transport::cookie(headers, &self.name)
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
    use std::sync::Arc;

    use super::*;
    use crate::model::SystemClock;

    fn options(plain_http: bool, path: &str) -> HttpOptions {
        let refresh_cookie = RefreshCookie { path: path.to_owned(), ..RefreshCookie::default() };
        let usual = HttpOptions::new(Arc::new(SystemClock::new()), Arc::new(Arc::default));
        HttpOptions { refresh_cookie, plain_http, ..usual }
    }

    #[test]
    fn a_cookie_is_deleted_with_the_attributes_that_it_was_set_with() {
        let (secure, plain) = (options(false, "/v1/auth"), options(true, "/v1/auth"));
        for cookie in [refresh_token(&secure), refresh_token(&plain), csrf_token(&secure)] {
            let (mut set, mut deleted) = (HeaderMap::new(), HeaderMap::new());
            cookie.set(&mut set, "v", Duration::from_secs(9));
            cookie.delete(&mut deleted);
            let text = |headers: &HeaderMap| headers[SET_COOKIE].to_str().unwrap().to_owned();
            assert_eq!(text(&set).replace("=v;", "=;").replace("=9;", "=0;"), text(&deleted));
            assert_eq!(text(&set).contains("; Secure"), !cookie.plain_http);
        }
    }

    #[test]
    fn the_prefix_is_the_strongest_that_the_path_allows() {
        for (plain_http, path, expected) in [
            (false, "/v1/auth", "__Secure-countersign_refresh"),
            (false, "/", "__Host-countersign_refresh"),
            (true, "/", "countersign_refresh"),
        ] {
            assert_eq!(refresh_token(&options(plain_http, path)).name(), expected);
        }
    }
}
