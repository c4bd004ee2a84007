//! How the administration of keys fails, and what callers are told of it.

use crate::auth::error::AuthError;
use crate::auth::key_keeper::KeeperError;
use crate::model::KeyKind;
use crate::reason::Reason;
use crate::store::StoreError;
use crate::token::{MoveKeysError, StoredKeysError};

/// What was asked for could not be done.
#[derive(Debug, thiserror::Error)]
pub enum KeyAdminError {
    /// There is no such key.
    #[error("there is no key {0}")]
    NotFound(String),
    /// The keys are files.
    #[error(
        "the keys are files in keys.directory: make one with `countersign key generate`, and take a file away to withdraw it; \
         with keys.store = \"database\" the service does both"
    )]
    InDirectory,
    /// A next key has been announced and makes no tokens yet.
    #[error("the next {} key, {id}, is announced already: wait for it, or withdraw it first", .kind.as_str())]
    Announced {
        /// Its kind.
        kind: KeyKind,
        /// Its id.
        id: String,
    },
    /// No other key could make tokens.
    #[error("no other {} key could make tokens: rotate first", .0.as_str())]
    NoSuccessor(KeyKind),
    /// There are keys in the database, and they are others.
    #[error(
        "the database has keys already, and not these: {0}; keys are moved into a database that has none, before a replica \
         starts with keys.store = \"database\""
    )]
    NotEmpty(String),
    /// Two keys have the same name.
    #[error("a signing key and a key for refresh tokens are both called {0}: rename one of the files")]
    SameName(String),
    /// Others changed them again and again.
    #[error("the keys were changed by others again and again")]
    Changed,
    /// The keys of a directory could not be moved.
    #[error(transparent)]
    Move(#[from] MoveKeysError),
    /// A key could not be used.
    #[error(transparent)]
    Keys(#[from] StoredKeysError),
    /// A key could not be made.
    #[error(transparent)]
    Keeper(#[from] KeeperError),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<KeyAdminError> for AuthError {
    fn from(error: KeyAdminError) -> Self {
        match error {
            KeyAdminError::NotFound(_) => Self::new(Reason::KeyNotFound),
            KeyAdminError::InDirectory => Self::new(Reason::KeysInDirectory),
            KeyAdminError::Announced { .. } => Self::new(Reason::KeyRotationInProgress),
            KeyAdminError::NoSuccessor(_) => Self::new(Reason::KeyHasNoSuccessor),
            KeyAdminError::Store(error) | KeyAdminError::Keeper(KeeperError::Store(error)) => error.into(),
            KeyAdminError::Changed => Self::new(Reason::StoreUnavailable).caused_by(error),
            error => Self::internal(error),
        }
    }
}
