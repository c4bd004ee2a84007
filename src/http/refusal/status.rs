//! The JSON of a `google.rpc.Status`, member for member what a transcoding gateway makes of the error that gRPC
//! answers with.

use serde_json::{Value, json};

use super::super::contract::encode;
use super::super::convert;
use crate::auth::AuthError;
use crate::reason::{DOMAIN, Language};
use crate::transport::problem::violations;

/// Before the name of a detail's message: its `@type`.
const TYPE_PREFIX: &str = "type.googleapis.com/google.rpc.";

/// The details stand in the order in which gRPC has them.
pub(super) fn of(error: &AuthError, language: Language) -> Value {
    let reason = error.reason;
    let mut details = Vec::new();
    if let Some(delay) = error.retry_delay() {
        let delay = encode(&convert::duration(delay));
        details.push(detail("RetryInfo", json!({ "retryDelay": delay })));
    }
    let mut info = json!({ "reason": reason.name(), "domain": DOMAIN });
    for &(name, value) in &error.metadata {
        info["metadata"][name] = value.into();
    }
    details.push(detail("ErrorInfo", info));
    if !error.violations.is_empty() {
        details.push(detail("BadRequest", json!({ "fieldViolations": violations(error) })));
    }
    let localized = json!({ "locale": language.tag(), "message": reason.message(language) });
    details.push(detail("LocalizedMessage", localized));
    json!({ "code": reason.code().number(), "message": reason.message(Language::En), "details": details })
}

fn detail(name: &str, mut detail: Value) -> Value {
    detail["@type"] = format!("{TYPE_PREFIX}{name}").into();
    detail
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::reason::Reason;

    #[test]
    fn a_delay_is_a_duration_as_protobuf_writes_it() {
        let mut error = AuthError::new(Reason::RateLimitExceeded);
        error.retry_after = Some(Duration::from_millis(1_500));
        let status = of(&error, Language::En);
        assert_eq!(status["code"], 8);
        assert_eq!(status["details"][0]["@type"], "type.googleapis.com/google.rpc.RetryInfo");
        assert_eq!(status["details"][0]["retryDelay"], "1.500s");
    }
}
