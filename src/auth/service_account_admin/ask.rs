//! What is asked of the administration of service accounts: which account, and what of it.

use std::fmt;
use std::time::Duration;

use crate::model::{Note, Role, ServiceAccount, ServiceAccountId, ServiceAccountName, UnixMillis};

/// Which service account is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServiceAccountRef {
    /// The one with this id.
    Id(ServiceAccountId),
    /// The one with this name.
    Name(ServiceAccountName),
}

impl fmt::Display for ServiceAccountRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "{id}"),
            Self::Name(name) => f.write_str(name.as_str()),
        }
    }
}

/// What a new service account is to be.
#[derive(Debug, Clone)]
pub struct CreateServiceAccount {
    /// The id, where the caller chooses it: the same call again finds the account that it made.
    pub id: Option<ServiceAccountId>,
    /// The name.
    pub name: ServiceAccountName,
    /// What it is for.
    pub description: Note,
    /// The roles.
    pub roles: Vec<Role>,
}

/// What a service account is to have from now on; what is `None` stays as it is.
#[derive(Debug, Default)]
pub struct ChangeServiceAccount {
    /// What it is for.
    pub description: Option<Note>,
    /// The roles.
    pub roles: Option<Vec<Role>>,
    /// [`ServiceAccount::updated_at`] of what the caller has read; nothing is changed if it is another by now.
    pub unchanged_since: Option<UnixMillis>,
}

/// What a new key is to be.
#[derive(Debug)]
pub struct CreateServiceKey {
    /// What people call it.
    pub label: Note,
    /// How long it is good.
    pub ttl: Duration,
    /// Chosen by the caller: the same call again replaces the key that it made.
    pub request_id: Option<String>,
}

/// Some of the service accounts, in order of name.
#[derive(Debug)]
pub struct ServiceAccountPage {
    /// Those that were found.
    pub accounts: Vec<ServiceAccount>,
    /// Where to go on; `None` when there are no more.
    pub next: Option<ServiceAccountName>,
}
