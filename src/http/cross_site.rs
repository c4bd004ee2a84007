//! Whether a write was sent by a page that may send it.
//!
//! Browsers say so: by `Sec-Fetch-Site` (Fetch Metadata), and where they leave that out, over plain HTTP say, by
//! `Origin`. What comes with neither was not sent by a page: native clients, gateways, curl.

use http::header::{HOST, ORIGIN};
use http::{HeaderMap, Request, Uri};

use super::refusal::Refused;
use crate::reason::Reason;

/// Refuses whatever may change something and comes from a page of an origin that is neither the edge's own nor one of
/// `allowed`.
pub(super) fn check<B>(request: &Request<B>, allowed: &[String]) -> Result<(), Refused> {
    // Gateways ask with whatever method their client used; nothing is changed by asking.
    if request.method().is_safe() || request.uri().path() == super::forward_auth::PATH {
        return Ok(());
    }
    let headers = request.headers();
    let is_own = match one(headers, "sec-fetch-site") {
        One::Is("same-origin" | "none") => true,
        One::Is(_) | One::Unclear => false,
        One::Absent => match one(headers, ORIGIN.as_str()) {
            One::Absent => true,
            One::Is(origin) => authority(origin).is_some_and(|origin| Some(origin) == host(request)),
            One::Unclear => false,
        },
    };
    let is_allowed = || match one(headers, ORIGIN.as_str()) {
        One::Is(origin) => allowed.iter().any(|allowed| allowed == origin),
        One::Absent | One::Unclear => false,
    };
    if is_own || is_allowed() { Ok(()) } else { Err(Reason::CrossSiteRequest.into()) }
}

/// What a header that may stand once says.
enum One<'a> {
    Absent,
    Is(&'a str),
    /// Several, or no text.
    Unclear,
}

fn one<'a>(headers: &'a HeaderMap, name: &str) -> One<'a> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => One::Absent,
        (Some(value), None) => value.to_str().map_or(One::Unclear, One::Is),
        (Some(_), Some(_)) => One::Unclear,
    }
}

/// Host and port of an origin. `null` has none.
fn authority(origin: &str) -> Option<&str> {
    origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"))
}

/// Host and port that the request is for. With TLS ended in front of the edge its own scheme is not known here, so
/// the scheme is not compared.
fn host<B>(request: &Request<B>) -> Option<&str> {
    let of_uri = |uri: &Uri| uri.authority().is_some();
    if of_uri(request.uri()) {
        return request.uri().authority().map(http::uri::Authority::as_str);
    }
    match one(request.headers(), HOST.as_str()) {
        One::Is(host) => Some(host),
        One::Absent | One::Unclear => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(site: &str, origin: &str) -> bool {
        let mut request = Request::post("/v1/auth/refresh").header("host", "auth.example:8443");
        for (name, value) in [("sec-fetch-site", site), ("origin", origin)] {
            if !value.is_empty() {
                request = request.header(name, value);
            }
        }
        check(&request.body(()).unwrap(), &["https://app.example".to_owned()]).is_ok()
    }

    #[test]
    fn only_own_and_allowed_origins_may_write() {
        for (site, origin, expected) in [
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
            assert_eq!(passes(site, origin), expected, "{site:?} {origin:?}");
        }
    }

    #[test]
    fn reading_is_free_and_two_answers_are_none() {
        let get = Request::get("/v1/auth/session").header("sec-fetch-site", "cross-site").body(()).unwrap();
        assert!(check(&get, &[]).is_ok());
        let twice = Request::post("/v1/auth/refresh")
            .header("host", "a")
            .header("origin", "http://a")
            .header("origin", "http://b");
        assert!(check(&twice.body(()).unwrap(), &[]).is_err());
    }
}
