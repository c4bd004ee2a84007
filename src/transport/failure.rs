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

/// An error with everything that caused it, on one line. Some errors say what caused them in their own text, too; it is not
/// said twice.
pub struct Chain<'a>(pub &'a dyn Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut last = self.0.to_string();
        f.write_str(&last)?;
        let mut next = self.0.source();
        while let Some(error) = next {
            let text = error.to_string();
            if !last.ends_with(&text) {
                write!(f, ": {text}")?;
            }
            last = text;
            next = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoreError;

    #[test]
    fn the_log_is_told_the_whole_chain() {
        let inner = AuthError::internal("the disk at /var/lib is on fire");
        let error = AuthError::internal(inner);
        let text = Chain(error.source().unwrap()).to_string();
        assert_eq!(text, "INTERNAL: the disk at /var/lib is on fire");
    }

    #[test]
    fn what_an_error_says_of_its_cause_is_not_said_again() {
        let error = StoreError::Unavailable { store: "postgres", source: "no answer within 1.5s".into() };
        assert_eq!(Chain(&error).to_string(), "postgres is unavailable: no answer within 1.5s");
    }
}
