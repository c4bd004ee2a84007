//! How a failure is told over gRPC, and where it is logged.

use std::collections::HashMap;

use http::response::Parts;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};

use crate::auth::AuthError;
use crate::reason::{self, Language};
use crate::transport::log_failure;

/// Logs a failure, both halves, and makes of the public half what the caller is told.
pub(super) fn refuse(error: &AuthError, language: Language) -> Status {
    log_failure(error);
    tell(error, language)
}

/// What the caller is told: the code, the reason and its English message, and in the details when to come back,
/// which fields are wrong, and a message for people in their language.
fn tell(error: &AuthError, language: Language) -> Status {
    let reason = error.reason;
    let mut details = ErrorDetails::new();
    let metadata = error.metadata.iter().map(|&(name, value)| (name.to_owned(), value.to_owned()));
    details.set_error_info(reason.name(), reason::DOMAIN, metadata.collect::<HashMap<_, _>>());
    if let Some(delay) = error.retry_delay() {
        details.set_retry_info(Some(delay));
    }
    if !error.violations.is_empty() {
        let violations = error.violations.iter();
        let violations = violations.map(|it| FieldViolation::new(it.field.as_str(), it.description.as_str()));
        details.set_bad_request(violations.collect::<Vec<_>>());
    }
    details.set_localized_message(language.tag(), reason.message(language));
    let code = Code::from_i32(reason.code().number());
    Status::with_error_details(code, reason.message(Language::En), details)
}

/// What to say instead, when tonic has refused a request to one of our services by itself: it takes a request
/// that cannot be read for a defect of the server, and names no reason. `None` when the answer may stand.
pub(super) fn unreadable_request(answer: &Parts) -> Option<AuthError> {
    let status = Status::from_header_map(&answer.headers)?;
    if !status.details().is_empty() {
        return None;
    }
    let description = match status.code() {
        Code::OutOfRange => "is larger than this server reads".to_owned(),
        Code::Internal => "must be one message of the method's type".to_owned(),
        _ => return None,
    };
    Some(AuthError::invalid_field("", description).caused_by(status.message().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reason::Reason;

    #[test]
    fn every_reason_keeps_its_code_and_name_over_grpc() {
        for reason in Reason::all() {
            let status = tell(&reason.into(), Language::En);
            assert_eq!(format!("{:?}", status.code()).to_uppercase(), reason.code().name().replace('_', ""));
            let details = status.get_error_details();
            let info = details.error_info().unwrap();
            assert_eq!((info.reason.as_str(), info.domain.as_str()), (reason.name(), "countersign"));
            assert_eq!(details.retry_info().and_then(|info| info.retry_delay), reason.retry_after());
        }
    }

    #[test]
    fn what_is_for_the_log_is_not_told() {
        let error = AuthError::internal("the disk at /var/lib is on fire");
        let status = tell(&error, Language::En);
        let bytes = [status.message().as_bytes(), status.details()].concat();
        assert!(!String::from_utf8_lossy(&bytes).contains("fire"));
    }
}
