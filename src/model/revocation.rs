//! What the revocation ledger holds.

use std::fmt;

use countersign_verifier::{Epoch, SessionId, UnixMillis, UserId};

use super::Position;
use super::service_account::ServiceAccountId;

/// What a ledger row ends or announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RevocationScope {
    /// One session: its refresh tokens and every access token with its `sid`.
    Session {
        /// The session.
        session: SessionId,
        /// Its user.
        user: UserId,
    },
    /// Every session of a user that began before this epoch.
    User {
        /// The user.
        user: UserId,
        /// The user's epoch from now on: access tokens with a smaller one are refused.
        epoch: Epoch,
    },
    /// A user's roles or claims changed. Ends nothing: the next Refresh reads them anew.
    UserChanged {
        /// The user.
        user: UserId,
    },
    /// Keys in the database changed. Whoever has read this row has loaded them since.
    KeysChanged,
}

/// Why something was revoked. Stored by name, so a name never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RevocationReason {
    /// The user logged out of one session.
    Logout,
    /// The user logged out everywhere.
    LogoutEverywhere,
    /// An old refresh token came back.
    RefreshTokenReused,
    /// The session made room for a newer one.
    SessionLimit,
    /// The password was changed.
    PasswordChanged,
    /// The user was disabled.
    UserDisabled,
    /// The user was deleted.
    UserDeleted,
    /// Roles or claims were changed.
    UserChanged,
    /// An operator ended it.
    Operator,
}

impl RevocationReason {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Logout,
        Self::LogoutEverywhere,
        Self::RefreshTokenReused,
        Self::SessionLimit,
        Self::PasswordChanged,
        Self::UserDisabled,
        Self::UserDeleted,
        Self::UserChanged,
        Self::Operator,
    ];

    /// The name that stores and logs use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Logout => "logout",
            Self::LogoutEverywhere => "logout_everywhere",
            Self::RefreshTokenReused => "refresh_token_reused",
            Self::SessionLimit => "session_limit",
            Self::PasswordChanged => "password_changed",
            Self::UserDisabled => "user_disabled",
            Self::UserDeleted => "user_deleted",
            Self::UserChanged => "user_changed",
            Self::Operator => "operator",
        }
    }

    /// What callers are told of a session that ended for this reason; `None` where it ends none.
    pub const fn end_cause(self) -> Option<EndCause> {
        match self {
            Self::Logout => Some(EndCause::LoggedOut),
            Self::LogoutEverywhere => Some(EndCause::LoggedOutEverywhere),
            Self::RefreshTokenReused => Some(EndCause::TokenReused),
            Self::SessionLimit => Some(EndCause::SignedInElsewhere),
            Self::PasswordChanged => Some(EndCause::PasswordChanged),
            Self::UserDisabled => Some(EndCause::UserDisabled),
            Self::UserDeleted => Some(EndCause::UserDeleted),
            Self::UserChanged => None,
            Self::Operator => Some(EndCause::RevokedByAdministrator),
        }
    }

    /// The reason with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == name)
    }
}

/// What ended a session, as callers are told: part of the contract, so a name never changes its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EndCause {
    /// The user logged out of it.
    LoggedOut,
    /// The user logged out everywhere.
    LoggedOutEverywhere,
    /// The password was changed, by the user or by an administrator.
    PasswordChanged,
    /// A newer session took its place, because the user had as many as they may.
    SignedInElsewhere,
    /// An administrator ended it.
    RevokedByAdministrator,
    /// The user was disabled.
    UserDisabled,
    /// The user was deleted.
    UserDeleted,
    /// A refresh token came back that had been replaced.
    TokenReused,
}

impl EndCause {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::LoggedOut,
        Self::LoggedOutEverywhere,
        Self::PasswordChanged,
        Self::SignedInElsewhere,
        Self::RevokedByAdministrator,
        Self::UserDisabled,
        Self::UserDeleted,
        Self::TokenReused,
    ];

    /// The name that callers are told.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LoggedOut => "LOGGED_OUT",
            Self::LoggedOutEverywhere => "LOGGED_OUT_EVERYWHERE",
            Self::PasswordChanged => "PASSWORD_CHANGED",
            Self::SignedInElsewhere => "SIGNED_IN_ELSEWHERE",
            Self::RevokedByAdministrator => "REVOKED_BY_ADMINISTRATOR",
            Self::UserDisabled => "USER_DISABLED",
            Self::UserDeleted => "USER_DELETED",
            Self::TokenReused => "TOKEN_REUSED",
        }
    }
}

/// Who did it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Actor {
    /// The user, with a token of theirs.
    User(UserId),
    /// A service account, with a key of its own.
    Service(ServiceAccountId),
    /// An operator at the command line.
    Operator,
    /// The service itself, which saw a reuse or made room.
    System,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => write!(f, "user:{id}"),
            Self::Service(id) => write!(f, "service:{id}"),
            Self::Operator => f.write_str("operator"),
            Self::System => f.write_str("system"),
        }
    }
}

/// A row of the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revocation {
    /// Its place in commit order: a row with a smaller number was committed before.
    pub seq: u64,
    /// Drawn at random when the row was written. Tells a row from another one with the same number in a ledger
    /// that was restored from a backup and went on.
    pub mark: u64,
    /// What it ends.
    pub scope: RevocationScope,
    /// Why.
    pub reason: RevocationReason,
    /// When it was written, by the database's clock.
    pub at: UnixMillis,
    /// Until when it matters to a refresh token; after that the row may be purged.
    pub until: UnixMillis,
}

impl Revocation {
    /// Its place in the ledger.
    pub const fn position(&self) -> Position {
        Position { seq: self.seq, mark: self.mark }
    }
}
