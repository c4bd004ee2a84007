//! How a use case fails: one half for the caller, one for the log.

use std::error::Error;
use std::time::Duration;

use crate::model::EndCause;
use crate::reason::Reason;
use crate::store::StoreError;

/// The name in the metadata of what ended a session.
const END_CAUSE: &str = "cause";

/// A use case has failed. The caller is told the reason, when to come back and which fields are wrong; the
/// source is for the log alone.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct AuthError {
    /// What the caller is told.
    pub reason: Reason,
    /// When trying again may help; [`Reason::retry_after`] where it is not known better. Means nothing for a
    /// reason that has none.
    pub retry_after: Option<Duration>,
    /// What is wrong with the request, for [`Reason::InvalidRequest`], [`Reason::UnsupportedMediaType`] and
    /// [`Reason::PasswordRejected`].
    pub violations: Vec<FieldViolation>,
    /// What programs are told beside the reason: `metadata` in `google.rpc.ErrorInfo`, as the catalogue says.
    pub metadata: Vec<(&'static str, &'static str)>,
    /// What happened, for the log alone. Never holds a secret.
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// One thing that is wrong with a request. Never quotes the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldViolation {
    /// The path to the field, as the contract spells it: `client.user_agent`, `audiences[2]`. Empty for the
    /// request as a whole.
    pub field: String,
    /// What is wrong with it, to follow on its name: `must not be empty`.
    pub description: String,
}

impl FieldViolation {
    /// A violation of a rule by a field.
    pub fn new(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self { field: field.into(), description: description.into() }
    }
}

impl AuthError {
    /// A failure of which the caller is told the reason and no more.
    pub const fn new(reason: Reason) -> Self {
        Self { reason, retry_after: None, violations: Vec::new(), metadata: Vec::new(), source: None }
    }

    /// A request that breaks the contract.
    pub fn invalid_request(violations: Vec<FieldViolation>) -> Self {
        Self { violations, ..Self::new(Reason::InvalidRequest) }
    }

    /// A request in which one field breaks the contract.
    pub fn invalid_field(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self::invalid_request(vec![FieldViolation::new(field, description)])
    }

    /// A defect of ours; `source` says to the log what it is.
    pub fn internal(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(Reason::Internal).caused_by(source)
    }

    /// Adds what happened, for the log.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Adds what ended the session.
    #[must_use]
    pub fn ended_by(mut self, cause: EndCause) -> Self {
        self.metadata.push((END_CAUSE, cause.as_str()));
        self
    }

    /// What ended the session, where that is told.
    pub fn end_cause(&self) -> Option<&'static str> {
        self.metadata.iter().find(|(name, _)| *name == END_CAUSE).map(|&(_, cause)| cause)
    }

    /// Adds when trying again may help.
    #[must_use]
    pub const fn retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self
    }

    /// When the caller may try again, if that helps at all.
    pub fn retry_delay(&self) -> Option<Duration> {
        let usual = self.reason.retry_after()?;
        Some(self.retry_after.unwrap_or(usual))
    }
}

impl From<Reason> for AuthError {
    fn from(reason: Reason) -> Self {
        Self::new(reason)
    }
}

impl From<StoreError> for AuthError {
    /// A store that cannot be asked is never news about the caller. Data that cannot be read does not get
    /// better by asking again, and so is a defect.
    fn from(error: StoreError) -> Self {
        let reason = match error {
            StoreError::Unavailable { .. } => Reason::StoreUnavailable,
            StoreError::Corrupt { .. } => Reason::Internal,
        };
        Self::new(reason).caused_by(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_does_not_answer_is_never_news_about_the_caller() {
        let down = StoreError::Unavailable { store: "sqlite", source: "disk full".into() };
        let error = AuthError::from(down);
        assert_eq!(error.reason, Reason::StoreUnavailable);
        assert!(error.retry_delay().is_some());
        assert!(!error.to_string().contains("disk"), "the public half tells nothing of the store");

        let corrupt = StoreError::Corrupt { store: "sqlite", what: "a role".to_owned() };
        assert_eq!(AuthError::from(corrupt).reason, Reason::Internal);
    }

    #[test]
    fn only_reasons_where_it_helps_say_when_to_try_again() {
        let delay = Duration::from_secs(7);
        assert_eq!(AuthError::new(Reason::RateLimitExceeded).retry_after(delay).retry_delay(), Some(delay));
        assert_eq!(AuthError::new(Reason::InvalidCredentials).retry_after(delay).retry_delay(), None);
    }
}
