//! The catalogue of error reasons: the one place that says what an error is called, what it means and how each
//! transport tells it. `docs/errors.md` is made from it.
//!
//! A reason is published: its name, code and number never change their meaning. A new case gets a new reason.

use std::fmt;
use std::time::Duration;

mod catalogue;
mod language;

pub use language::Language;

/// The domain of every reason, in `google.rpc.ErrorInfo`.
pub const DOMAIN: &str = "countersign";

/// Why a call failed, as callers are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The request is not one that could ever succeed.
    InvalidRequest,
    /// Wrong password, unknown user or disabled user.
    InvalidCredentials,
    /// The refresh token is malformed, forged or unknown.
    RefreshTokenInvalid,
    /// The refresh token is past its idle or absolute life.
    RefreshTokenExpired,
    /// An old refresh token came back, and the session is now revoked.
    RefreshTokenReused,
    /// The session was logged out or revoked.
    SessionRevoked,
    /// The user has as many sessions as they may.
    SessionLimitReached,
    /// The predecessor of a refresh token whose answer may still be under way.
    RefreshInProgress,
    /// Too many attempts.
    RateLimitExceeded,
    /// The login queue is full.
    LoginOverloaded,
    /// The service holds as much for its callers as it may.
    ServerOverloaded,
    /// A store is down, slow, read-only or full.
    StoreUnavailable,
    /// What is known of revocations is older than the bound.
    RevocationsStale,
    /// A stream ends before its caller has said everything.
    StreamEnded,
    /// Who calls may not use this method.
    CallerNotAllowed,
    /// No token came with the request.
    TokenMissing,
    /// The access token has expired; Refresh gets another.
    AccessTokenExpired,
    /// The access token is none that is honoured here.
    AccessTokenInvalid,
    /// The reset token is not one that is good now.
    ResetTokenInvalid,
    /// An administrator asks for a user that there is not.
    UserNotFound,
    /// Another user has the username.
    UsernameTaken,
    /// Another user has the external id.
    ExternalIdTaken,
    /// What was to be changed has changed since it was read.
    EtagMismatch,
    /// What was to become a password is not good enough.
    PasswordRejected,
    /// The service key is not one that is good now.
    ServiceKeyInvalid,
    /// An administrator asks for a service account that there is not.
    ServiceAccountNotFound,
    /// Another service account has the name.
    ServiceAccountNameTaken,
    /// The service account has no such key.
    ServiceKeyNotFound,
    /// The service account has as many keys as it may.
    ServiceKeyLimitReached,
    /// There is no key of this id that makes tokens.
    KeyNotFound,
    /// The keys are files, which the service does not write.
    KeysInDirectory,
    /// The next key is announced already.
    KeyRotationInProgress,
    /// No other key could make tokens.
    KeyHasNoSuccessor,
    /// What follows a position of the audit log is not known any more.
    PositionExpired,
    /// The call's time was up.
    DeadlineExceeded,
    /// A defect of ours.
    Internal,
    /// The calling program has not proved which one it is. From here on: the HTTP edge alone.
    ClientUnauthenticated,
    /// The user lacks a role that the request needs.
    RoleRequired,
    /// A browser sent it from a page of another site.
    CrossSiteRequest,
    /// The double-submit token is missing or is another than the cookie.
    CsrfTokenMismatch,
    /// A captcha must be solved first.
    CaptchaRequired,
    /// The captcha was not solved.
    CaptchaRejected,
    /// There is no such path.
    NotFound,
    /// The path has no such method.
    MethodNotAllowed,
    /// The request's body did not come in time.
    RequestTimeout,
    /// The request's body is too large.
    RequestTooLarge,
    /// The request's body is not of the media type that is asked for.
    UnsupportedMediaType,
    /// Whoever verifies captchas does not answer.
    CaptchaUnavailable,
}

/// One entry of the catalogue.
struct Entry {
    reason: Reason,
    name: &'static str,
    code: Code,
    number: u32,
    retry_after: Option<Duration>,
    en: &'static str,
    zh_cn: &'static str,
    meaning: &'static str,
    remedy: &'static str,
}

impl Reason {
    /// All of them, in the order of the documentation.
    pub fn all() -> impl Iterator<Item = Self> {
        catalogue::ENTRIES.iter().map(|entry| entry.reason)
    }

    fn entry(self) -> &'static Entry {
        &catalogue::ENTRIES[self as usize]
    }

    /// The published name: `reason` in `google.rpc.ErrorInfo`.
    pub fn name(self) -> &'static str {
        self.entry().name
    }

    /// The canonical code that gRPC answers with.
    pub fn code(self) -> Code {
        self.entry().code
    }

    /// The status that HTTP answers with. For whatever gRPC can answer, too, it is the canonical one of
    /// [`Reason::code`].
    pub fn http_status(self) -> u16 {
        u16::try_from(self.number() / 100).unwrap_or(500)
    }

    /// Whether only the HTTP edge answers with it.
    pub fn is_of_the_edge(self) -> bool {
        self as usize > Self::Internal as usize
    }

    /// The stable number that HTTP answers carry beside the name: the status and two digits.
    pub fn number(self) -> u32 {
        self.entry().number
    }

    /// When the caller may try again, where trying again helps and the use case knows nothing more precise.
    /// `None` for a reason that never comes with `google.rpc.RetryInfo`.
    pub fn retry_after(self) -> Option<Duration> {
        self.entry().retry_after
    }

    /// What may be shown to a person.
    pub fn message(self, language: Language) -> &'static str {
        match language {
            Language::En => self.entry().en,
            Language::ZhCn => self.entry().zh_cn,
        }
    }

    /// What has happened, for the documentation.
    pub fn meaning(self) -> &'static str {
        self.entry().meaning
    }

    /// What the client should do, for the documentation.
    pub fn remedy(self) -> &'static str {
        self.entry().remedy
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The canonical codes (`google.rpc.Code`) that reasons have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// The request is wrong whatever the state of the system.
    InvalidArgument,
    /// The call's time was up.
    DeadlineExceeded,
    /// There is no such thing.
    NotFound,
    /// There is one already.
    AlreadyExists,
    /// Something else has changed what this was to change.
    Aborted,
    /// The caller is known, and may not.
    PermissionDenied,
    /// A limit is reached; trying again later may help.
    ResourceExhausted,
    /// The state of the system does not allow it.
    FailedPrecondition,
    /// There is no such operation.
    Unimplemented,
    /// A defect.
    Internal,
    /// Cannot be answered now; trying again helps.
    Unavailable,
    /// The caller has not proved who they are.
    Unauthenticated,
}

impl Code {
    /// The name in `google.rpc.Code`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::InvalidArgument => "INVALID_ARGUMENT",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::NotFound => "NOT_FOUND",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::Aborted => "ABORTED",
            Self::PermissionDenied => "PERMISSION_DENIED",
            Self::Unimplemented => "UNIMPLEMENTED",
            Self::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Self::FailedPrecondition => "FAILED_PRECONDITION",
            Self::Internal => "INTERNAL",
            Self::Unavailable => "UNAVAILABLE",
            Self::Unauthenticated => "UNAUTHENTICATED",
        }
    }

    /// The number in `google.rpc.Code`.
    pub const fn number(self) -> i32 {
        match self {
            Self::InvalidArgument => 3,
            Self::DeadlineExceeded => 4,
            Self::NotFound => 5,
            Self::AlreadyExists => 6,
            Self::Aborted => 10,
            Self::PermissionDenied => 7,
            Self::ResourceExhausted => 8,
            Self::FailedPrecondition => 9,
            Self::Unimplemented => 12,
            Self::Internal => 13,
            Self::Unavailable => 14,
            Self::Unauthenticated => 16,
        }
    }

    /// The HTTP status that `google/rpc/code.proto` maps it to, and so every transcoding gateway.
    pub const fn http_status(self) -> u16 {
        match self {
            Self::InvalidArgument | Self::FailedPrecondition => 400,
            Self::Unauthenticated => 401,
            Self::PermissionDenied => 403,
            Self::NotFound => 404,
            Self::AlreadyExists | Self::Aborted => 409,
            Self::ResourceExhausted => 429,
            Self::Internal => 500,
            Self::Unimplemented => 501,
            Self::Unavailable => 503,
            Self::DeadlineExceeded => 504,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_entry() {
        for (place, entry) in catalogue::ENTRIES.iter().enumerate() {
            assert_eq!(entry.reason as usize, place, "{}", entry.name);
            assert_eq!(entry.reason.name(), entry.name);
        }
        assert_eq!(Reason::CaptchaUnavailable as usize + 1, catalogue::ENTRIES.len());
    }

    #[test]
    fn a_gateway_answers_with_the_same_http_status() {
        for reason in Reason::all().filter(|reason| !reason.is_of_the_edge()) {
            assert_eq!(reason.http_status(), reason.code().http_status(), "{reason}");
        }
    }

    #[test]
    fn no_two_reasons_have_one_number() {
        let numbers: std::collections::BTreeSet<u32> = Reason::all().map(Reason::number).collect();
        assert_eq!(numbers.len(), Reason::all().count());
    }
}
