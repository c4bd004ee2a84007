//! What is asked of the administration of users: which user, and what of them.

use std::fmt;

use secrecy::SecretString;

use crate::model::{CustomClaims, ExternalId, Role, UnixMillis, User, UserId, Username};

/// Which user is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserRef {
    /// The one with this id.
    Id(UserId),
    /// The one with this username.
    Name(Username),
    /// The one with this external id.
    External(ExternalId),
}

impl From<Username> for UserRef {
    fn from(username: Username) -> Self {
        Self::Name(username)
    }
}

impl From<UserId> for UserRef {
    fn from(id: UserId) -> Self {
        Self::Id(id)
    }
}

impl fmt::Display for UserRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "{id}"),
            Self::Name(username) => write!(f, "{:?}", username.as_str()),
            Self::External(id) => write!(f, "with the external id {:?}", id.as_str()),
        }
    }
}

/// How a new user will prove that it is them.
#[derive(Debug)]
pub enum NewCredential {
    /// With this password, good enough or not.
    Password(SecretString),
    /// With the password that another system has made this hash of; of what may become a password nothing is asked of it.
    Hash(SecretString),
}

/// Whom a new user is to be.
#[derive(Debug)]
pub struct CreateUser {
    /// The id, where the caller chooses it: the same call again finds the user that it made.
    pub id: Option<UserId>,
    /// The name.
    pub username: Username,
    /// How they prove that it is them.
    pub credential: NewCredential,
    /// The roles.
    pub roles: Vec<Role>,
    /// The custom claims.
    pub claims: CustomClaims,
    /// What they are called in another system.
    pub external_id: Option<ExternalId>,
}

impl CreateUser {
    /// A user with no roles, no claims and no external id, whose id is made here.
    pub fn new(username: Username, password: impl Into<SecretString>) -> Self {
        let credential = NewCredential::Password(password.into());
        let claims = CustomClaims::default();
        Self { id: None, username, credential, roles: Vec::new(), claims, external_id: None }
    }
}

/// What a user is to have from now on; what is `None` stays as it is.
#[derive(Debug, Default)]
pub struct ChangeUser {
    /// The roles.
    pub roles: Option<Vec<Role>>,
    /// The custom claims.
    pub claims: Option<CustomClaims>,
    /// The external id, or none from now on.
    pub external_id: Option<Option<ExternalId>>,
    /// [`User::updated_at`] of what the caller has read; nothing is changed if it is another by now.
    pub unchanged_since: Option<UnixMillis>,
}

/// Which users are wanted: those of whom everything that is given is true.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserFilter {
    /// What the username begins with.
    pub prefix: Option<Username>,
    /// A role that they have.
    pub role: Option<Role>,
    /// Whether they are disabled.
    pub disabled: Option<bool>,
}

impl UserFilter {
    pub(super) fn admits(&self, user: &User) -> bool {
        self.role.as_ref().is_none_or(|role| user.roles.contains(role))
            && self.disabled.is_none_or(|disabled| user.disabled == disabled)
    }

    pub(super) fn is_past(&self, username: &Username) -> bool {
        self.prefix.as_ref().is_some_and(|prefix| !username.as_str().starts_with(prefix.as_str()))
    }
}

/// Some of the users, in order of username.
#[derive(Debug)]
pub struct UserPage {
    /// Those that were found.
    pub users: Vec<User>,
    /// Where to go on; `None` when there are no more.
    pub next: Option<Username>,
}
