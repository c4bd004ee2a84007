//! URLs that may hold a secret in their user, password or query, and are not shown with it.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

use super::error::Problem;

/// What stands in place of a part that is not shown.
pub(super) const REDACTED: &str = "(redacted)";

/// A URL as it is configured. Shown, logged, serialized: without user, password, query and fragment.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct ConfiguredUrl(String);

impl ConfiguredUrl {
    /// The URL as it was written, for the request that goes there and nothing else.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether none was given.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads it as a URL with a scheme and a host, and leaves out user and password: HTTP clients do not send them, and
    /// write them into their logs as part of the authority.
    pub(crate) fn parse(&self, key: &'static str) -> Result<http::Uri, Problem> {
        if self.0.contains(REDACTED) {
            return Err(Problem::new(key, "was redacted where it was printed: write the URL itself"));
        }
        let url = self.0.parse::<http::Uri>().ok();
        url.and_then(without_user)
            .filter(|url| url.scheme().is_some() && url.host().is_some_and(|host| !host.is_empty()))
            .ok_or_else(|| {
                Problem::new(key, format!("\"{self}\" is not a URL such as https://host:port/path"))
            })
    }
}

fn without_user(url: http::Uri) -> Option<http::Uri> {
    let mut parts = url.into_parts();
    let authority = parts.authority?;
    let (_, host) = authority.as_str().rsplit_once('@').unwrap_or(("", authority.as_str()));
    parts.authority = Some(host.parse().ok()?);
    http::Uri::from_parts(parts).ok()
}

impl From<&str> for ConfiguredUrl {
    fn from(url: &str) -> Self {
        Self(url.to_owned())
    }
}

impl fmt::Display for ConfiguredUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown_url(&self.0))
    }
}

impl fmt::Debug for ConfiguredUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&shown_url(&self.0), f)
    }
}

impl Serialize for ConfiguredUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&shown_url(&self.0))
    }
}

/// Writes text that may be a URL as [`ConfiguredUrl`] does.
pub(super) fn redacted<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&shown_url(text))
}

/// The URL as it may be shown: without user, password, query and fragment. Where a password is not encoded and it
/// cannot be told where it ends, nothing is shown but the scheme.
pub fn shown_url(url: &str) -> String {
    let (scheme, rest) = url.find("://").map_or(("", url), |colon| url.split_at(colon + "://".len()));
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (user, host) = authority.rsplit_once('@').map_or((false, authority), |(_, host)| (true, host));
    if path.contains('@') && !user {
        return format!("{scheme}{REDACTED}");
    }
    let (path, hidden) = match path.find(['?', '#']) {
        Some(mark) => (&path[..mark], &path[mark..=mark]),
        None => (path, ""),
    };
    let user = if user { format!("{REDACTED}@") } else { String::new() };
    let query = if hidden.is_empty() { "" } else { REDACTED };
    format!("{scheme}{user}{host}{path}{hidden}{query}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_what_may_be_secret() {
        for (url, shown) in [
            ("https://h:1/p/q", "https://h:1/p/q"),
            ("https://u:s3cret@h:1/p?k=s3cret#s3cret", "https://(redacted)@h:1/p?(redacted)"),
            ("https://s3cret@h", "https://(redacted)@h"),
            ("https://h?s3cret", "https://h?(redacted)"),
            ("https://h/#s3cret", "https://h/#(redacted)"),
            ("https://u:s3/cret@h/p", "https://(redacted)"),
            ("https://u:s3?cret@h/p", "https://(redacted)"),
            ("https://u:s3#cret@h/p", "https://(redacted)"),
            ("https://u:s3@cret@h/p", "https://(redacted)@h/p"),
            ("u:s3cret@h:4317", "(redacted)@h:4317"),
            ("countersign", "countersign"),
            ("", ""),
        ] {
            assert_eq!(shown_url(url), shown);
            assert_eq!(ConfiguredUrl::from(url).to_string(), shown);
            assert_eq!(format!("{:?}", ConfiguredUrl::from(url)), format!("{shown:?}"));
        }
    }
}
