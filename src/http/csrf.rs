//! The optional double-submit token: a header that only a page can write which could read the cookie.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::json;
use subtle::ConstantTimeEq as _;

use super::call::Call;
use super::edge::Edge;
use super::refusal::Refused;
use crate::auth::AuthError;
use crate::reason::Reason;
use crate::secret;
use crate::transport::only;

/// Carries the token, in both directions.
pub(super) const HEADER: HeaderName = HeaderName::from_static("x-csrf-token");

/// Longer than any session of a browser's window; it is made anew whenever it is missing.
const LIFE: Duration = Duration::from_hours(365 * 24);

/// Refuses a request that was let in by a cookie and does not have the token twice.
pub(super) fn check(edge: &Edge, headers: &HeaderMap) -> Result<(), Refused> {
    if !edge.options.csrf {
        return Ok(());
    }
    let cookie = edge.csrf_cookie.find(headers).map_err(AuthError::from)?;
    let header = only(headers, "x-csrf-token").ok().flatten();
    match (cookie, header) {
        (Some(cookie), Some(header)) if bool::from(cookie.ct_eq(header)) => Ok(()),
        _ => Err(Reason::CsrfTokenMismatch.into()),
    }
}

/// Gives the token with an answer: the one that the browser has, or a fresh one.
pub(super) fn give(edge: &Edge, request: &HeaderMap, answer: &mut HeaderMap) -> String {
    let cookie = &edge.csrf_cookie;
    let well_formed = |token: &&[u8]| token.len() == 32 && token.iter().all(u8::is_ascii_hexdigit);
    let token = match cookie.find(request).ok().flatten().filter(well_formed) {
        Some(token) => String::from_utf8_lossy(token).into_owned(),
        None => hex::encode(secret::random::<16>()),
    };
    cookie.set(answer, &token, LIFE);
    if let Ok(value) = HeaderValue::from_str(&token) {
        answer.insert(HEADER, value);
    }
    token
}

/// `GET /v1/auth/csrf`: for pages of another origin of the same site, which cannot read the cookie. Whoever may not
/// read the answer, by CORS, learns nothing.
pub(super) async fn token(
    State(edge): State<Arc<Edge>>,
    Extension(_): Extension<Call>,
    request: Request,
) -> Response {
    let mut headers = HeaderMap::new();
    let token = give(&edge, request.headers(), &mut headers);
    let mut answer = edge.answer(json!({ "csrfToken": token }));
    answer.headers_mut().extend(headers);
    answer
}
