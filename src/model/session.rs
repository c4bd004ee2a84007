//! A session: one login on one client, and the line of refresh tokens that continues it.

use std::num::NonZeroU32;
use std::time::Duration;

use countersign_verifier::{Epoch, SessionId, UnixMillis, UserId};

use super::id::MacKeyId;
use super::rotation::Line;

/// What the client said of itself at login. Shown to people; of the class alone something depends, how many sessions of
/// it there may be. Bounded where it is taken in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClientFacts {
    /// The address that the login came from.
    pub address: String,
    /// The `User-Agent` or the like.
    pub user_agent: String,
    /// A name that the user may recognise: "Ada's phone".
    pub name: String,
    /// What kind of client it is: one of the classes that are configured, or empty.
    pub class: String,
}

impl ClientFacts {
    /// The longest name of a class, in bytes. Redis finds a class by it: see `src/store/redis/record.rs`.
    pub const CLASS_MAX_BYTES: usize = 32;

    /// Whether a class may have this name: letters and digits in lower case, `_` and `-`.
    pub fn is_class(name: &str) -> bool {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
        (1..=Self::CLASS_MAX_BYTES).contains(&name.len()) && name.bytes().all(allowed)
    }
}

/// What the session store keeps. There is no token in it, nor anything that a token can be made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its public id.
    pub id: SessionId,
    /// Whose it is.
    pub user: UserId,
    /// The user's epoch that was read in the same row as the password hash at login.
    pub epoch: Epoch,
    /// Where its refresh tokens stand.
    pub line: Line,
    /// The audiences that the login asked for, which every access token of the session is minted for; empty for
    /// the default one, whichever that is when the token is minted.
    pub audiences: Vec<String>,
    /// The MAC key of the current generation, so that it can be recomputed after the key in use has changed.
    pub mac_key: MacKeyId,
    /// When the login was, by the store's clock: `auth_time` in the access tokens.
    pub created_at: UnixMillis,
    /// When it dies unless it is refreshed before; never after `expires_at`.
    pub idle_expires_at: UnixMillis,
    /// When it dies whatever happens.
    pub expires_at: UnixMillis,
    /// What the client said of itself.
    pub client: ClientFacts,
}

impl Session {
    /// When its idle life ends after a Refresh at `now` that moved it to `line`. By a clock that is behind what the line
    /// has seen it does not end earlier than before: such a clock says nothing about when the client was last here.
    #[must_use]
    pub fn idle_end_moved(&self, line: &Line, now: UnixMillis, idle: Duration) -> UnixMillis {
        let end = self.expires_at.min(line.rotated_at + idle);
        if now < line.rotated_at { end.max(self.idle_expires_at) } else { end }
    }

    /// When its idle life ends after a Refresh at `now` that moved nothing. A gain of less than a hundredth of the idle
    /// life is left out, so that a store which need not write for another reason writes only where it matters.
    #[must_use]
    pub fn idle_end_unmoved(&self, now: UnixMillis, idle: Duration) -> UnixMillis {
        let end = self.expires_at.min(now + idle);
        let gain = end.since(self.idle_expires_at);
        if !gain.is_zero() && gain.saturating_mul(100) >= idle { end } else { self.idle_expires_at }
    }
}

/// What a login asks the session store to keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSession {
    /// Its public id, derived from a fresh secret.
    pub id: SessionId,
    /// Whose it is.
    pub user: UserId,
    /// The user's epoch that was read in the same row as the password hash.
    pub epoch: Epoch,
    /// The audiences that the login asked for; empty for the default one.
    pub audiences: Vec<String>,
    /// The MAC key that its first refresh token is made with.
    pub mac_key: MacKeyId,
    /// What the client said of itself.
    pub client: ClientFacts,
}

/// How many sessions a user may have at once, and what happens to one more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionLimit {
    /// As many as they like.
    Unlimited,
    /// At most so many; one more login is refused.
    Deny(NonZeroU32),
    /// At most so many; one more login ends those that were refreshed longest ago.
    EvictOldest(NonZeroU32),
}

impl SessionLimit {
    /// How many, where they are bounded, and whether one more ends others.
    pub const fn most(self) -> Option<(NonZeroU32, bool)> {
        match self {
            Self::Unlimited => None,
            Self::Deny(most) => Some((most, false)),
            Self::EvictOldest(most) => Some((most, true)),
        }
    }
}
