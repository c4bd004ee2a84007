use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::InvalidReason;

/// The domain of every reason, in `google.rpc.ErrorInfo`.
const DOMAIN: &str = "countersign";

/// Why a request is not let in.
#[derive(Debug, Clone, thiserror::Error)]
pub enum VerifyError {
    /// It brings no token.
    #[error("no bearer token")]
    Missing,
    /// Its token must be refused.
    #[error("the access token is refused: {0}")]
    Invalid(InvalidReason),
    /// It cannot be known whether its token is still good. Never news about the token.
    #[error("the view of revocations is too old")]
    Stale {
        /// How old it is; none when nothing was loaded yet.
        staleness: Option<Duration>,
    },
    /// The server was to be asked, and did not answer. Never news about the token.
    #[error("the server did not answer: {0}")]
    Unanswered(Box<Status>),
}

impl VerifyError {
    /// The name in the catalogue of reasons (`docs/errors.md`).
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Missing => "TOKEN_MISSING",
            Self::Invalid(InvalidReason::Expired) => "ACCESS_TOKEN_EXPIRED",
            Self::Invalid(InvalidReason::Revoked) => "SESSION_REVOKED",
            Self::Invalid(_) => "ACCESS_TOKEN_INVALID",
            Self::Stale { .. } | Self::Unanswered(_) => "REVOCATIONS_STALE",
        }
    }

    /// Whether it says something about the token; otherwise the caller should try again.
    pub const fn is_about_the_token(&self) -> bool {
        matches!(self, Self::Missing | Self::Invalid(_))
    }

    /// What a gRPC caller is told: UNAUTHENTICATED, or UNAVAILABLE where nothing is known of the token; with the
    /// reason in `google.rpc.ErrorInfo` as the server itself tells it, and when to try again in
    /// `google.rpc.RetryInfo`.
    pub fn to_status(&self) -> Status {
        const RETRY_AFTER: Duration = Duration::from_secs(1);

        let mut details = ErrorDetails::new();
        details.set_error_info(self.reason(), DOMAIN, []);
        let (code, message) = match self {
            Self::Missing => (Code::Unauthenticated, "No access token."),
            Self::Invalid(_) => (Code::Unauthenticated, "The access token is not accepted."),
            Self::Stale { .. } | Self::Unanswered(_) => {
                details.set_retry_info(Some(RETRY_AFTER));
                (Code::Unavailable, "It cannot be told whether the access token is still good.")
            }
        };
        Status::with_error_details(code, message, details)
    }
}

/// The reason in the `google.rpc.ErrorInfo` of an answer of Countersign's, by its name in the catalogue.
pub fn reason(status: &Status) -> Option<String> {
    let info = status.get_details_error_info()?;
    (info.domain == DOMAIN).then_some(info.reason)
}
