//! How a failure is told over HTTP: as a problem (RFC 9457), as a `google.rpc.Status`, as an envelope, or as an OAuth
//! error (RFC 6749 §5.2).

use std::sync::Arc;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};

use super::ErrorShape;
use super::call::Call;
use super::edge::Edge;
use crate::auth::AuthError;
use crate::reason::{Language, Reason};
use crate::transport::log_failure;
use crate::transport::problem::{PROBLEM, challenge, problem, retry_after, violations};

mod status;

/// A failure that was logged and is to be told. It travels in the extensions of an answer until it is known in which
/// shape and language.
#[derive(Debug, Clone)]
pub(super) struct Refused(Arc<AuthError>);

impl Refused {
    /// Why.
    pub(super) fn reason(&self) -> Reason {
        self.0.reason
    }
}

impl From<AuthError> for Refused {
    /// Logs the failure, for nobody sees its cause hereafter.
    fn from(error: AuthError) -> Self {
        log_failure(&error);
        Self(Arc::new(error))
    }
}

impl From<Reason> for Refused {
    fn from(reason: Reason) -> Self {
        AuthError::new(reason).into()
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.reason.http_status());
        let mut answer = Response::new(Body::empty());
        *answer.status_mut() = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        answer.extensions_mut().insert(self);
        answer
    }
}

/// Writes a refusal into an answer, and leaves the headers that it has.
pub(super) fn render(refused: &Refused, answer: &mut Response, call: &Call, path: &str, edge: &Edge) {
    let error = &*refused.0;
    let number = edge.options.number_of(error.reason);
    let (media_type, body) = if path.starts_with("/oauth2/") {
        ("application/json", oauth_error(error, number))
    } else if edge.options.envelope && path.starts_with("/v1/auth/") {
        *answer.status_mut() = StatusCode::OK;
        let message = error.reason.message(call.language);
        ("application/json", edge.envelope(number, message, &details(error)))
    } else {
        match edge.options.errors {
            ErrorShape::Problem => {
                let mut problem = problem(error, call.language, call.request_id.as_str());
                problem["code"] = number.into();
                (PROBLEM, problem)
            }
            ErrorShape::Status => ("application/json", status::of(error, call.language)),
        }
    };
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CONTENT_LANGUAGE, HeaderValue::from_static(call.language.tag()));
    headers.remove(CONTENT_LENGTH);
    if let Some(challenge) = challenge(error.reason).and_then(|text| HeaderValue::try_from(text).ok()) {
        headers.insert(WWW_AUTHENTICATE, challenge);
    }
    if let Some(delay) = error.retry_delay() {
        headers.insert(RETRY_AFTER, retry_after(delay).into());
    }
    *answer.body_mut() = Body::from(body.to_string());
}

/// What a program may want of a failure that is told in an envelope.
fn details(error: &AuthError) -> Value {
    let mut details = json!({ "reason": error.reason.name() });
    if !error.violations.is_empty() {
        details["violations"] = violations(error);
    }
    if let Some(cause) = error.end_cause() {
        details["cause"] = cause.into();
    }
    if let Some(delay) = error.retry_delay() {
        details["retryAfter"] = retry_after(delay).into();
    }
    details
}

/// What is wrong with the grant, the scope and the audience of a request for a token.
pub(super) const TOKEN_ERRORS: [&str; 3] = ["unsupported_grant_type", "invalid_scope", "invalid_target"];

fn oauth_error(error: &AuthError, number: u32) -> Value {
    let reason = error.reason;
    let wrong = error.violations.first();
    // RFC 6749 §5.2, and RFC 8707 §2 for a token's audience.
    let [grant_type, scope, target] = TOKEN_ERRORS;
    let code = match wrong.map(|wrong| wrong.field.as_str()) {
        Some("grant_type") => grant_type,
        Some("scope") => scope,
        Some(field) if field.starts_with("audiences") => target,
        _ => oauth_code(reason),
    };
    let description = match wrong {
        None => reason.message(Language::En).to_owned(),
        Some(wrong) => format!("{} {}", wrong.field, wrong.description).trim_start().to_owned(),
    };
    json!({
        "error": code,
        "error_description": description,
        "reason": reason.name(),
        "code": number,
    })
}

/// RFC 6749 §5.2, and §4.1.2.1 for what is ours.
pub(super) fn oauth_code(reason: Reason) -> &'static str {
    match reason.http_status() {
        401 => "invalid_client",
        403 => "access_denied",
        429 | 503 | 504 => "temporarily_unavailable",
        500 => "server_error",
        _ => "invalid_request",
    }
}
