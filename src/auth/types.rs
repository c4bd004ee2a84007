//! What the use cases are asked and what they answer. Plain types: each transport converts its own to these.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

pub use countersign_verifier::{InvalidReason, VerifiedToken};

use crate::model::{ClientFacts, Monotonic, Origin, Position, Session, SessionId, UnixMillis, UserId};

/// What the transport knows about a call, beside the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallContext {
    /// When the answer is due, on the clock that the transport was given. Later nobody is listening.
    pub deadline: Monotonic,
    /// The address that the call came from, where the transport has one.
    pub peer: Option<IpAddr>,
    /// The id of the call (`x-request-id`); empty where there is none.
    pub request_id: Arc<str>,
}

impl CallContext {
    /// Where a change comes from that the call makes.
    pub(super) fn origin(&self) -> Origin {
        Origin { peer: self.peer, request_id: self.request_id.to_string(), ..Origin::default() }
    }
}

/// Who wants to log in.
#[derive(Debug)]
pub struct LoginRequest {
    /// The username as it was typed.
    pub username: String,
    /// The password, byte for byte.
    pub password: SecretString,
    /// The services that the access token is meant for; the configured default when empty.
    pub audiences: Vec<String>,
    /// What the client says of itself.
    pub client: ClientFacts,
}

/// A refresh token to exchange.
#[derive(Debug)]
pub struct RefreshRequest {
    /// The token as it came.
    pub refresh_token: SecretString,
}

/// What names the session to end.
#[derive(Debug)]
pub enum LogoutToken {
    /// A refresh token of the session.
    Refresh(SecretString),
    /// An access token of the session.
    Access(SecretString),
}

/// What to end.
#[derive(Debug)]
pub struct LogoutRequest {
    /// What names the session.
    pub token: LogoutToken,
    /// All sessions of the user, and not only this one.
    pub everywhere: bool,
}

/// A user wants another password.
#[derive(Debug)]
pub struct ChangePassword {
    /// A refresh token of the session that asks.
    pub refresh_token: SecretString,
    /// The password that they have.
    pub current_password: SecretString,
    /// The password that they want.
    pub new_password: SecretString,
}

/// A user who cannot log in wants another password.
#[derive(Debug)]
pub struct ResetPassword {
    /// What they were sent.
    pub reset_token: SecretString,
    /// The password that they want.
    pub new_password: SecretString,
}

/// Which of their own sessions a user wants to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WhichSessions {
    /// All but the one that asks.
    Others,
    /// These.
    These(Vec<SessionId>),
}

/// A user wants to end sessions of their own.
#[derive(Debug)]
pub struct RevokeOwnSessions {
    /// A refresh token of the session that asks.
    pub refresh_token: SecretString,
    /// Which are to end.
    pub which: WhichSessions,
}

/// A user's own sessions.
#[derive(Debug)]
pub struct OwnSessions {
    /// The one that asks.
    pub current: SessionId,
    /// All that are alive, the newest first.
    pub sessions: Vec<Session>,
}

/// An access token that came with somebody's request.
#[derive(Debug)]
pub struct VerifyRequest {
    /// The token as it came.
    pub access_token: SecretString,
    /// The names that the asking service goes by; the configured default when empty.
    pub audiences: Vec<String>,
    /// How old the view of revocations may be, when the configured bound is not tight enough.
    pub max_staleness: Option<Duration>,
}

/// What a client holds of a session.
#[derive(Debug)]
pub struct TokenPair {
    /// The access token (RFC 9068).
    pub access_token: SecretString,
    /// The refresh token.
    pub refresh_token: SecretString,
    /// From when on the access token is refused.
    pub access_expires_at: UnixMillis,
    /// From when on the refresh token is refused unless it was used before.
    pub refresh_expires_at: UnixMillis,
    /// How long that is from now, by the stores' clock.
    pub refresh_expires_in: Duration,
    /// How long the access token is accepted from now on.
    pub expires_in: Duration,
}

/// A session, as its user is told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionSummary {
    /// Its public id.
    pub id: SessionId,
    /// Whose it is.
    pub user: UserId,
    /// What they are called, normalized.
    pub username: String,
    /// When the login was.
    pub created_at: UnixMillis,
    /// When it ends whatever happens.
    pub expires_at: UnixMillis,
}

/// A session has begun.
#[derive(Debug)]
pub struct Login {
    /// What the client keeps.
    pub tokens: TokenPair,
    /// The session.
    pub session: SessionSummary,
}

/// Sessions have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RevokedSessions {
    /// How many of them were known to be alive.
    pub count: usize,
    /// Up to where the ledger is to be known by whoever is to refuse them.
    pub position: Position,
}

/// A user has another password, and a session has begun in the place of all others.
#[derive(Debug)]
pub struct ChangedPassword {
    /// What the user goes on with.
    pub login: Login,
    /// Up to where the ledger is to be known by whoever is to refuse the sessions of before.
    pub position: Position,
}

/// A session goes on.
#[derive(Debug)]
pub struct Refresh {
    /// What the client keeps.
    pub tokens: TokenPair,
    /// Whether the refresh token is the presented one: then a transport that sets cookies sets none, lest it
    /// overwrite the answer to a later request.
    pub unchanged: bool,
}

/// What is known of an access token, and how surely.
#[derive(Debug, Clone, PartialEq)]
pub struct Verify {
    /// Whether it may be used.
    pub verification: Verification,
    /// How old the view of revocations is, at most; `None` before it was first loaded.
    pub revocation_staleness: Option<Duration>,
}

/// Whether an access token may be used. The identity exists only where it may.
#[derive(Debug, Clone, PartialEq)]
pub enum Verification {
    /// It may, and speaks for this user.
    Verified(Arc<VerifiedToken>),
    /// It must be refused.
    Invalid(InvalidReason),
}
