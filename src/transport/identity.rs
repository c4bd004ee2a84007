//! How a gateway is told whom a request comes from: the same names and the same refusals whatever it asks with.

use std::sync::Arc;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::auth::{InvalidReason, Verification, VerifiedToken};
use crate::reason::Reason;

/// The most roles that a gateway may ask for.
pub const REQUIRED_ROLES_MAX: usize = 32;

/// The identity headers. All but the last are in every answer: a gateway that copies them overwrites what its client
/// sent.
pub const IDENTITY_HEADERS: [&str; 8] = [
    "x-auth-subject",
    "x-auth-subject-kind",
    "x-auth-username",
    "x-auth-session",
    "x-auth-roles",
    "x-auth-token-id",
    "x-auth-expires",
    "x-auth-external-id",
];

/// What is percent-encoded in a header besides what is not ASCII: what would make a name look like another.
const UNSAFE: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%').add(b',').add(b';');

/// The values of [`IDENTITY_HEADERS`], in their order: visible ASCII, and `None` where the header must not reach the
/// application, a client's own included.
pub fn identity(token: &VerifiedToken) -> [Option<String>; IDENTITY_HEADERS.len()] {
    let escaped = |text: &str| utf8_percent_encode(text, UNSAFE).to_string();
    [
        Some(token.subject.to_string()),
        Some(token.subject_kind.as_str().to_owned()),
        Some(escaped(&token.username)),
        Some(token.session.to_string()),
        Some(token.roles.iter().map(|role| escaped(role)).collect::<Vec<_>>().join(",")),
        Some(escaped(&token.token_id)),
        Some(token.expires_at.to_string()),
        token.external_id.as_deref().map(escaped),
    ]
}

/// Whom a verified token speaks for, or why one that must be refused is.
pub fn bearer_of(verification: Verification) -> Result<Arc<VerifiedToken>, Reason> {
    match verification {
        Verification::Verified(token) => Ok(token),
        Verification::Invalid(InvalidReason::Expired) => Err(Reason::AccessTokenExpired),
        Verification::Invalid(InvalidReason::Revoked) => Err(Reason::SessionRevoked),
        Verification::Invalid(_) => Err(Reason::AccessTokenInvalid),
    }
}
