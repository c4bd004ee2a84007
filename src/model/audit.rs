//! What the audit log holds: who did what to whom, when, from where. Never a secret, nor what somebody typed who could not
//! log in: people type passwords into the wrong field.

use std::net::IpAddr;

use countersign_verifier::{SessionId, UnixMillis, UserId};
use serde::{Deserialize, Serialize};

use super::Position;
use super::session::ClientFacts;

/// What happened. Stored and told by name, so a name never changes its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventKind {
    /// A user logged in.
    LoginSucceeded,
    /// A login was refused.
    LoginFailed,
    /// A refresh token came back that had been replaced; its session was revoked.
    RefreshReused,
    /// A user logged out, of one session or, without a session, of all.
    Logout,
    /// A session was revoked or, without a session, all sessions of a user.
    SessionRevoked,
    /// A password was changed, by its user or by an administrator.
    PasswordChanged,
    /// A password was set with a reset token.
    PasswordReset,
    /// A reset token was made.
    PasswordResetCreated,
    /// A user was created.
    UserCreated,
    /// A user was created by an import.
    UserImported,
    /// Roles, claims or the external id of a user changed.
    UserUpdated,
    /// A user was disabled.
    UserDisabled,
    /// A user was enabled.
    UserEnabled,
    /// A user was deleted.
    UserDeleted,
    /// A key that makes tokens was made.
    KeyCreated,
    /// A key came into use.
    KeyActivated,
    /// A key ended when every token of it had expired.
    KeyRetired,
    /// A key was withdrawn.
    KeyWithdrawn,
    /// A key was encrypted with another key-encryption key.
    KeyReencrypted,
    /// A service account was created.
    ServiceAccountCreated,
    /// Description or roles of a service account changed.
    ServiceAccountUpdated,
    /// A service account was disabled.
    ServiceAccountDisabled,
    /// A service account was enabled.
    ServiceAccountEnabled,
    /// A service account was deleted.
    ServiceAccountDeleted,
    /// A key of a service account was made.
    ServiceKeyCreated,
    /// A request to make a key was repeated: the key was replaced by another with the same id.
    ServiceKeyReplaced,
    /// A key of a service account was revoked.
    ServiceKeyRevoked,
    /// A caller was refused: it is not known who they are, or they may not do this.
    CallerRefused,
    /// Events were lost, because the database could not take them.
    EventsLost,
}

impl EventKind {
    /// All of them.
    pub const ALL: [Self; 29] = [
        Self::LoginSucceeded,
        Self::LoginFailed,
        Self::RefreshReused,
        Self::Logout,
        Self::SessionRevoked,
        Self::PasswordChanged,
        Self::PasswordReset,
        Self::PasswordResetCreated,
        Self::UserCreated,
        Self::UserImported,
        Self::UserUpdated,
        Self::UserDisabled,
        Self::UserEnabled,
        Self::UserDeleted,
        Self::KeyCreated,
        Self::KeyActivated,
        Self::KeyRetired,
        Self::KeyWithdrawn,
        Self::KeyReencrypted,
        Self::ServiceAccountCreated,
        Self::ServiceAccountUpdated,
        Self::ServiceAccountDisabled,
        Self::ServiceAccountEnabled,
        Self::ServiceAccountDeleted,
        Self::ServiceKeyCreated,
        Self::ServiceKeyReplaced,
        Self::ServiceKeyRevoked,
        Self::CallerRefused,
        Self::EventsLost,
    ];

    /// The name that stores and callers use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LoginSucceeded => "LOGIN_SUCCEEDED",
            Self::LoginFailed => "LOGIN_FAILED",
            Self::RefreshReused => "REFRESH_REUSED",
            Self::Logout => "LOGOUT",
            Self::SessionRevoked => "SESSION_REVOKED",
            Self::PasswordChanged => "PASSWORD_CHANGED",
            Self::PasswordReset => "PASSWORD_RESET",
            Self::PasswordResetCreated => "PASSWORD_RESET_CREATED",
            Self::UserCreated => "USER_CREATED",
            Self::UserImported => "USER_IMPORTED",
            Self::UserUpdated => "USER_UPDATED",
            Self::UserDisabled => "USER_DISABLED",
            Self::UserEnabled => "USER_ENABLED",
            Self::UserDeleted => "USER_DELETED",
            Self::KeyCreated => "KEY_CREATED",
            Self::KeyActivated => "KEY_ACTIVATED",
            Self::KeyRetired => "KEY_RETIRED",
            Self::KeyWithdrawn => "KEY_WITHDRAWN",
            Self::KeyReencrypted => "KEY_REENCRYPTED",
            Self::ServiceAccountCreated => "SERVICE_ACCOUNT_CREATED",
            Self::ServiceAccountUpdated => "SERVICE_ACCOUNT_UPDATED",
            Self::ServiceAccountDisabled => "SERVICE_ACCOUNT_DISABLED",
            Self::ServiceAccountEnabled => "SERVICE_ACCOUNT_ENABLED",
            Self::ServiceAccountDeleted => "SERVICE_ACCOUNT_DELETED",
            Self::ServiceKeyCreated => "SERVICE_KEY_CREATED",
            Self::ServiceKeyReplaced => "SERVICE_KEY_REPLACED",
            Self::ServiceKeyRevoked => "SERVICE_KEY_REVOKED",
            Self::CallerRefused => "CALLER_REFUSED",
            Self::EventsLost => "EVENTS_LOST",
        }
    }

    /// The kind with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// Where a change comes from, beside what the change itself says. A store writes it into the event of the change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// Who asked, where that says more than the actor of the change: the name in a certificate, an operator's account.
    pub actor: Option<String>,
    /// The address that the call came from.
    pub peer: Option<IpAddr>,
    /// The id of the call (`x-request-id`); empty where there is none.
    pub request_id: String,
    /// What the change is called, where its verb is used for more than one.
    pub kind: Option<EventKind>,
}

/// What an event says beside who, whom and when. Empty where it does not apply.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EventFacts {
    /// The address that the call came from.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub peer: String,
    /// The id of the call (`x-request-id`).
    #[serde(skip_serializing_if = "String::is_empty")]
    pub request_id: String,
    /// Why: [`super::EndCause`], why a login failed, or the reason that a refused caller was told.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cause: String,
    /// What the subject is called: the username, the service account's name, the label of a key.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The service account that the event is about.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub service_account: String,
    /// The key that the event is about: one that makes tokens, or one of a service account.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub key: String,
    /// The method that a refused caller asked for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub method: String,
    /// How many: of refusals that are one event, or of events that were lost.
    #[serde(skip_serializing_if = "is_zero")]
    pub count: u64,
    /// When the first of those happened, by the replica's clock, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_at: Option<i64>,
    /// When the last of those happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_at: Option<i64>,
    /// What the client said of itself: its name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub client_name: String,
    /// Its user agent.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub client_user_agent: String,
    /// Its class.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub client_class: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl EventFacts {
    /// What is known of where a change comes from.
    pub fn of(origin: &Origin) -> Self {
        Self {
            peer: origin.peer.map(|peer| peer.to_string()).unwrap_or_default(),
            request_id: origin.request_id.clone(),
            ..Self::default()
        }
    }

    /// With what the client said of itself.
    #[must_use]
    pub fn with_client(self, client: &ClientFacts) -> Self {
        Self {
            client_name: client.name.clone(),
            client_user_agent: client.user_agent.clone(),
            client_class: client.class.clone(),
            ..self
        }
    }
}

/// An event on its way into the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// What happened.
    pub kind: EventKind,
    /// Who did it: an [`super::Actor`] as text, `operator:NAME`, `certificate:NAME`, or empty where nobody is known.
    pub actor: String,
    /// The user whom it is about.
    pub user: Option<UserId>,
    /// The session that it is about.
    pub session: Option<SessionId>,
    /// What else is known.
    pub facts: EventFacts,
}

/// The longest name of an actor, in bytes.
pub const ACTOR_MAX_BYTES: usize = 255;

impl NewEvent {
    /// An event whose actor is the one that the origin names, or else this one.
    #[expect(clippy::needless_pass_by_value, reason = "an actor, or how it is written, as it comes")]
    pub fn new(kind: EventKind, actor: impl ToString, origin: &Origin) -> Self {
        let mut actor = origin.actor.clone().unwrap_or_else(|| actor.to_string());
        actor.truncate(actor.floor_char_boundary(ACTOR_MAX_BYTES));
        Self { kind, actor, user: None, session: None, facts: EventFacts::of(origin) }
    }

    /// About this user.
    #[must_use]
    pub fn about(self, user: UserId) -> Self {
        Self { user: Some(user), ..self }
    }

    /// About this session.
    #[must_use]
    pub fn session(self, session: SessionId) -> Self {
        Self { session: Some(session), ..self }
    }

    /// Of what is called so.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.facts.name);
        self
    }

    /// For this reason.
    #[must_use]
    pub fn because(mut self, cause: &str) -> Self {
        cause.clone_into(&mut self.facts.cause);
        self
    }
}

/// An event of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its place: an event with a smaller number was committed before.
    pub position: Position,
    /// When it was written, by the database's clock; never before that of an earlier event.
    pub at: UnixMillis,
    /// What happened; `None` where a newer release says it in a way that this one does not know.
    pub kind: Option<EventKind>,
    /// Who did it.
    pub actor: String,
    /// The user whom it is about.
    pub user: Option<UserId>,
    /// The session that it is about.
    pub session: Option<SessionId>,
    /// What else is known.
    pub facts: EventFacts,
}

/// Which events are wanted: those of which everything that is given is true.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Of one of these kinds; of any where none is given.
    pub kinds: Vec<EventKind>,
    /// By this actor.
    pub actor: Option<String>,
    /// About this user.
    pub user: Option<UserId>,
    /// About this session.
    pub session: Option<SessionId>,
    /// Written at this moment or later.
    pub since: Option<UnixMillis>,
    /// Written before this moment.
    pub until: Option<UnixMillis>,
}

impl EventFilter {
    /// Whether the event is wanted.
    pub fn admits(&self, event: &Event) -> bool {
        (self.kinds.is_empty() || event.kind.is_some_and(|kind| self.kinds.contains(&kind)))
            && self.actor.as_ref().is_none_or(|actor| *actor == event.actor)
            && self.user.is_none_or(|user| event.user == Some(user))
            && self.session.is_none_or(|session| event.session == Some(session))
            && self.since.is_none_or(|since| event.at >= since)
            && self.until.is_none_or(|until| event.at < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_a_name_of_its_own() {
        for kind in EventKind::ALL {
            assert_eq!(EventKind::from_name(kind.as_str()), Some(kind));
        }
        assert_eq!(EventKind::from_name("LOGIN"), None);
    }

    #[test]
    fn an_actor_is_bounded_at_a_character() {
        let origin = Origin { actor: Some("é".repeat(200)), ..Origin::default() };
        assert_eq!(NewEvent::new(EventKind::Logout, "x", &origin).actor, "é".repeat(127));
    }
}
