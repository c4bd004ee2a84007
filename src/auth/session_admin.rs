//! What is done to the sessions of others: looked at, and ended.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::audit;
use super::caller::Caller;
use super::live_sessions;
use super::types::RevokedSessions;
use super::user_admin::{SessionsEnded, UserAdmin, UserAdminError, UserRef};
use crate::model::{EndCause, RevocationReason, Session, SessionId, UnixMillis, User, UserId};
use crate::revocation::Revocations;
use crate::store::{Ending, Ledger, Lived, SessionStore};

/// The most sessions that can be named at once.
pub const MOST_SESSIONS_AT_ONCE: usize = 100;

/// Where a session stands among those of its user, which nothing changes while it lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionPlace {
    /// When the login was.
    pub created_at: UnixMillis,
    /// Which one, of those that began in one millisecond.
    pub session: SessionId,
}

impl SessionPlace {
    const fn of(session: &Session) -> Self {
        Self { created_at: session.created_at, session: session.id }
    }
}

/// Some of a user's sessions, the newest first.
#[derive(Debug)]
pub struct SessionPage {
    /// Whose they are.
    pub user: UserId,
    /// Those that were found.
    pub sessions: Vec<Session>,
    /// Where to go on; `None` when there are no more.
    pub next: Option<SessionPlace>,
}

/// How a session was revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionEnd {
    /// By what.
    pub cause: Option<EndCause>,
    /// By whom, as the ledger has it: an [`crate::model::Actor`] as text.
    pub actor: String,
    /// When, by the clock of the ledger's database.
    pub at: UnixMillis,
}

impl From<Ending> for SessionEnd {
    fn from(Ending { revocation, actor }: Ending) -> Self {
        Self { cause: revocation.reason.end_cause(), actor, at: revocation.at }
    }
}

/// What is known of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Explanation {
    /// It goes on.
    Alive,
    /// It was revoked; how, the ledger may have forgotten.
    Revoked(Option<SessionEnd>),
    /// Neither the ledger nor the session store knows it: it has expired, was forgotten, or never was.
    Unknown,
}

/// Looks at sessions, and ends them.
pub struct SessionAdmin {
    users: Arc<UserAdmin>,
    sessions: Arc<dyn SessionStore>,
    ledger: Arc<dyn Ledger>,
    revocations: Option<Revocations>,
}

impl SessionAdmin {
    /// Over these stores; whoever `users` tells of what it revokes is told of sessions, too.
    pub fn new(users: Arc<UserAdmin>, sessions: Arc<dyn SessionStore>, ledger: Arc<dyn Ledger>) -> Self {
        Self { users, sessions, ledger, revocations: None }
    }

    /// Is part of a replica, which has what is revoked in memory.
    #[must_use]
    pub fn within(self, revocations: Revocations) -> Self {
        Self { revocations: Some(revocations), ..self }
    }

    /// At most `size` of a user's sessions that are neither over nor revoked, those that come after `after`: the
    /// newest first.
    pub async fn page(
        &self,
        user: &UserRef,
        after: Option<SessionPlace>,
        size: usize,
    ) -> Result<SessionPage, UserAdminError> {
        let user = self.users.find(user).await?;
        let mut sessions = self.alive(&user).await?;
        sessions.retain(|session| after.is_none_or(|after| SessionPlace::of(session) < after));
        let more = sessions.len() > size;
        sessions.truncate(size);
        let next = sessions.last().filter(|_| more).map(SessionPlace::of);
        Ok(SessionPage { user: user.id, sessions, next })
    }

    /// Ends those of the user's sessions that are named, and says how many of them were alive. When this returns, their end is
    /// durable. A session that is not there, or is another user's, is none of them.
    pub async fn revoke(
        &self,
        by: &Caller,
        user: &UserRef,
        sessions: &BTreeSet<SessionId>,
    ) -> Result<RevokedSessions, UserAdminError> {
        let user = self.users.touchable(by, user).await?;
        let mut ending = self.alive(&user).await?;
        ending.retain(|session| sessions.contains(&session.id));
        let reason = RevocationReason::Operator;
        let (ledger, origin) = (self.ledger.as_ref(), by.origin());
        let (rows, position) = live_sessions::revoke(ledger, &ending, by.actor, reason, &origin).await?;
        self.users.tell(&rows).await;
        for session in &ending {
            audit::session_revoked_by(user.id, session.id, reason, &by.name);
        }
        live_sessions::forget(self.sessions.as_ref(), &user, &ending).await;
        Ok(RevokedSessions { count: ending.len(), position })
    }

    /// Ends every session of the user, those too that a store has forgotten, and says how many were known to be alive. When
    /// this returns, their end is durable.
    pub async fn revoke_all(&self, by: &Caller, user: &UserRef) -> Result<RevokedSessions, UserAdminError> {
        let user = self.users.touchable(by, user).await?;
        // How many they are is a service to the caller; that they end does not hang on it.
        let known = self.alive(&user).await.map(|alive| alive.len());
        let SessionsEnded { position, .. } = self.users.revoke_all(by, user).await?;
        Ok(RevokedSessions { count: known?, position })
    }

    /// Whether a session of the user goes on and, if it was revoked, why. A user who was deleted is found by their id, as
    /// long as the ledger tells of the session.
    pub async fn explain(&self, whose: &UserRef, session: SessionId) -> Result<Explanation, UserAdminError> {
        // In this order: whatever revokes the session in the meantime, the ledger knows when it is read.
        let user = match self.users.find(whose).await {
            Err(UserAdminError::NotFound(UserRef::Id(_))) => None,
            found => Some(found?),
        };
        let id = match (whose, &user) {
            (_, Some(user)) => user.id,
            (UserRef::Id(id), None) => *id,
            (UserRef::Name(_) | UserRef::External(_), None) => {
                return Err(UserAdminError::NotFound(whose.clone()));
            }
        };
        let stored = self.sessions.find(id, session).await;
        let lived = match &stored {
            Ok(Some(session)) => Lived::InEpoch(session.epoch),
            Ok(None) | Err(_) => Lived::Unknown,
        };
        if let Some(ending) = self.ledger.ending(id, session, lived).await? {
            return Ok(Explanation::Revoked(Some(ending.into())));
        }
        match (stored?, user) {
            (Some(session), Some(user)) if session.epoch >= user.epoch => Ok(Explanation::Alive),
            (Some(_), _) => Ok(Explanation::Revoked(None)),
            (None, Some(_)) => Ok(Explanation::Unknown),
            (None, None) => Err(UserAdminError::NotFound(whose.clone())),
        }
    }

    /// The newest first.
    async fn alive(&self, user: &User) -> Result<Vec<Session>, UserAdminError> {
        let mut sessions = live_sessions::stored(self.sessions.as_ref(), user).await?;
        if let Some(revocations) = &self.revocations {
            let index = &revocations.view().index;
            sessions.retain(|session| !index.is_session_revoked(session.id));
            return Ok(sessions);
        }
        let mut alive = Vec::new();
        for session in sessions {
            if !self.ledger.standing(user.id, session.id).await?.session_revoked {
                alive.push(session);
            }
        }
        Ok(alive)
    }
}
