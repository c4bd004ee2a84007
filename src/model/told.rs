//! What administrators are told of users, sessions and service keys, wherever they ask.

use countersign_verifier::{SessionId, UnixMillis, UserId};

use super::external_id::ExternalId;
use super::service_account::{Note, ServiceKey, ServiceKeyId};
use super::session::{ClientFacts, Session};
use super::user::{CustomClaims, Role, User};
use super::username::Username;

/// What may be known of a user.
#[derive(Debug, Clone, PartialEq)]
pub struct UserFacts {
    /// For ever theirs.
    pub id: UserId,
    /// What they log in with, normalised.
    pub username: Username,
    /// What they may do.
    pub roles: Vec<Role>,
    /// What else their access tokens say of them.
    pub claims: CustomClaims,
    /// What they are called in another system.
    pub external_id: Option<ExternalId>,
    /// A disabled user can neither log in nor refresh.
    pub disabled: bool,
    /// When they were created.
    pub created_at: UnixMillis,
    /// When they were last changed.
    pub updated_at: UnixMillis,
}

impl From<User> for UserFacts {
    fn from(user: User) -> Self {
        let User { id, username, roles, claims, external_id, disabled, epoch: _, created_at, updated_at } =
            user;
        Self { id, username, roles, claims, external_id, disabled, created_at, updated_at }
    }
}

/// What may be known of a session that is alive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionFacts {
    /// Which one.
    pub id: SessionId,
    /// When the login was.
    pub created_at: UnixMillis,
    /// When it was refreshed last; at first, when the login was.
    pub refreshed_at: UnixMillis,
    /// When it ends at the latest.
    pub expires_at: UnixMillis,
    /// What its client said of itself.
    pub client: ClientFacts,
}

impl From<Session> for SessionFacts {
    fn from(session: Session) -> Self {
        let Session { id, created_at, line, expires_at, client, .. } = session;
        Self { id, created_at, refreshed_at: line.rotated_at, expires_at, client }
    }
}

/// What may be known of a service key, by those who know whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceKeyFacts {
    /// Which one.
    pub id: ServiceKeyId,
    /// What people call it.
    pub label: Note,
    /// Who made it: an [`super::Actor`] as text.
    pub created_by: String,
    /// When it was made.
    pub created_at: UnixMillis,
    /// From when on it is refused.
    pub expires_at: UnixMillis,
}

impl From<ServiceKey> for ServiceKeyFacts {
    fn from(key: ServiceKey) -> Self {
        let ServiceKey { id, account: _, label, created_by, created_at, expires_at } = key;
        Self { id, label, created_by, created_at, expires_at }
    }
}
