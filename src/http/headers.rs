//! The headers that every answer has.

use axum::response::Response;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::HttpOptions;
use super::call::Call;

/// A page may load what the edge itself serves, and nothing inline or from elsewhere.
const CSP_OF_PAGES: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";
/// What is no page may load nothing, should a browser ever take it for one.
const CSP_OF_DATA: &str = "default-src 'none'; frame-ancestors 'none'";

/// Adds what the answer does not say itself.
pub(super) fn harden(answer: &mut Response, call: &Call, options: &HttpOptions) {
    let headers = answer.headers_mut();
    let page = headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"text/html"));
    say(headers, CACHE_CONTROL, "no-store");
    say(headers, X_CONTENT_TYPE_OPTIONS, "nosniff");
    say(headers, REFERRER_POLICY, "no-referrer");
    say(headers, X_FRAME_OPTIONS, "DENY");
    say(headers, CONTENT_SECURITY_POLICY, if page { CSP_OF_PAGES } else { CSP_OF_DATA });
    // RFC 6797 §7.2: never over plain HTTP.
    if call.https && !options.plain_http && !options.hsts.is_zero() {
        let value = format!("max-age={}", options.hsts.as_secs());
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(STRICT_TRANSPORT_SECURITY, value);
        }
    }
}

fn say(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers.entry(name).or_insert(HeaderValue::from_static(value));
}
