//! A failure as a problem (RFC 9457), and the headers that go with it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::auth::{AuthError, FieldViolation};
use crate::reason::{Language, Reason};

/// The media type of problems.
pub const PROBLEM: &str = "application/problem+json";
/// Before the name of the reason: the `type` of a problem.
pub const TYPE_PREFIX: &str = "urn:countersign:error:";

/// What the caller of `request_id` is told.
pub fn problem(error: &AuthError, language: Language, request_id: &str) -> Value {
    let reason = error.reason;
    let mut problem = json!({
        "type": format!("{TYPE_PREFIX}{}", reason.name()),
        "title": reason.message(Language::En),
        "status": reason.http_status(),
        "detail": reason.message(language),
        "reason": reason.name(),
        "code": reason.number(),
        "requestId": request_id,
    });
    if !error.violations.is_empty() {
        problem["violations"] = violations(error);
    }
    if let Some(cause) = error.end_cause() {
        problem["cause"] = cause.into();
    }
    problem
}

/// Which fields are wrong, and what with them.
pub fn violations(error: &AuthError) -> Value {
    let each = |it: &FieldViolation| json!({ "field": it.field, "description": it.description });
    error.violations.iter().map(each).collect()
}

/// `Retry-After` (RFC 9110 §10.2.3) has whole seconds: rounded up, for who comes too early comes in vain.
pub fn retry_after(delay: Duration) -> u64 {
    delay.as_secs() + u64::from(delay.subsec_nanos() > 0)
}

/// `WWW-Authenticate`: how to authenticate (RFC 9110 §11.6.1). The parameter `error` is there only where a token came
/// (RFC 6750 §3.1).
pub fn challenge(reason: Reason) -> Option<String> {
    let error = match reason {
        Reason::ClientUnauthenticated => {
            return Some("Basic realm=\"countersign\", charset=\"UTF-8\"".to_owned());
        }
        Reason::TokenMissing | Reason::InvalidCredentials => {
            return Some("Bearer realm=\"countersign\"".to_owned());
        }
        Reason::RoleRequired => "insufficient_scope",
        _ if reason.http_status() == 401 => "invalid_token",
        _ => return None,
    };
    let description = reason.message(Language::En);
    Some(format!("Bearer realm=\"countersign\", error=\"{error}\", error_description=\"{description}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_not_authenticated_is_told_how_to_be() {
        for reason in Reason::all() {
            let challenge = challenge(reason);
            let expected = reason.http_status() == 401 || reason == Reason::RoleRequired;
            assert_eq!(challenge.is_some(), expected, "{reason}");
            if let Some(text) = challenge {
                assert_eq!(text.matches('"').count() % 2, 0, "{text}");
                assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{text}");
                assert!(!reason.message(Language::En).contains(['"', '\\']), "{reason}");
            }
        }
    }

    #[test]
    fn nobody_is_told_to_come_back_too_early() {
        assert_eq!(retry_after(Duration::from_millis(1)), 1);
        assert_eq!(retry_after(Duration::from_secs(2)), 2);
        assert_eq!(retry_after(Duration::from_millis(42_500)), 43);
    }
}
