//! The one place where a call's failure is logged.

use std::error::Error;
use std::fmt;

use crate::auth::AuthError;
use crate::reason::Reason;

/// Logs a failure, both halves. A defect is an error; what an operator can mend, or must know to be going on, a
/// warning; what the caller did is news to nobody but the caller.
pub fn log_failure(error: &AuthError) {
    let reason = error.reason.name();
    let source = error.source().map(|source| tracing::field::display(Chain(source)));
    match error.reason {
        Reason::Internal => tracing::error!(reason, source, "call failed"),
        Reason::StoreUnavailable
        | Reason::RevocationsStale
        | Reason::LoginOverloaded
        | Reason::CaptchaUnavailable
        | Reason::DeadlineExceeded => tracing::warn!(reason, source, "call failed"),
        _ => tracing::debug!(reason, source, violations = ?error.violations, "call refused"),
    }
}

/// An error with everything that caused it, on one line.
struct Chain<'a>(&'a dyn Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut next = self.0.source();
        while let Some(error) = next {
            write!(f, ": {error}")?;
            next = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_told_the_whole_chain() {
        let inner = AuthError::internal("the disk at /var/lib is on fire");
        let error = AuthError::internal(inner);
        let text = Chain(error.source().unwrap()).to_string();
        assert_eq!(text, "INTERNAL: the disk at /var/lib is on fire");
    }
}
