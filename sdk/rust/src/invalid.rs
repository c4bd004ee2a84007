use std::fmt;

/// Why an access token is not accepted: the reasons that `VerifyAccessToken` publishes. A reason never changes
/// its meaning. A token with several defects reports the first one in the order of the checks, see
/// [`verify`](crate::verify).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum InvalidReason {
    /// Its `exp` has come.
    Expired,
    /// Its `iat` or `nbf` lies further ahead than two replicas' clocks may differ.
    NotYetValid,
    /// It is not a token that Countersign could have written: too long, not a compact JWS, a header or claims
    /// that are not what they must be, or a header parameter that has no business there. A refresh token
    /// presented as an access token is this.
    Malformed,
    /// The signature is not one by the key that `kid` names, or `alg` is not the algorithm of that key.
    BadSignature,
    /// It names no key, or none that is trusted.
    UnknownKey,
    /// None of the expected audiences is among its own.
    WrongAudience,
    /// Another issuer made it.
    WrongIssuer,
    /// It is not an access token: its `typ` is missing or says otherwise (RFC 9068 §4).
    WrongType,
    /// Its session, or every session of its user, was revoked.
    Revoked,
}

impl InvalidReason {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Expired,
        Self::NotYetValid,
        Self::Malformed,
        Self::BadSignature,
        Self::UnknownKey,
        Self::WrongAudience,
        Self::WrongIssuer,
        Self::WrongType,
        Self::Revoked,
    ];

    /// The published name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "EXPIRED",
            Self::NotYetValid => "NOT_YET_VALID",
            Self::Malformed => "MALFORMED",
            Self::BadSignature => "BAD_SIGNATURE",
            Self::UnknownKey => "UNKNOWN_KEY",
            Self::WrongAudience => "WRONG_AUDIENCE",
            Self::WrongIssuer => "WRONG_ISSUER",
            Self::WrongType => "WRONG_TYPE",
            Self::Revoked => "REVOKED",
        }
    }
}

impl fmt::Display for InvalidReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
