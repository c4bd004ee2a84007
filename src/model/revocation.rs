//! What the revocation ledger holds.

use std::fmt;

use countersign_verifier::{Epoch, SessionId, UnixMillis, UserId};

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

    /// The reason with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == name)
    }
}

/// Who did it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Actor {
    /// The user, with a token of theirs.
    User(UserId),
    /// An operator at the command line.
    Operator,
    /// The service itself, which saw a reuse or made room.
    System,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => write!(f, "user:{id}"),
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

/// How far a reader has followed the ledger: the last row that it saw, or the empty ledger of an incarnation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The number of the last row seen; 0 before the first.
    pub seq: u64,
    /// The mark of the last row seen; before the first, that of the ledger's birth.
    pub mark: u64,
}
