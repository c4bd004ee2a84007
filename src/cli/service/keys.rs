//! Keys in a directory and keys in the database, for operators.

use std::time::Duration;

use async_trait::async_trait;

use super::operator;
use crate::app::StartError;
use crate::auth::{DatabaseKeys, KeyAdminError};
use crate::cli::key::{KeyAdministration, KeyFacts, KeyKeeping, KeyKind, KeyState, KeyWithdrawn};
use crate::cli::program::BoxError;
use crate::config::Keys;
use crate::model::{Clock as _, SystemClock, UnixMillis};
use crate::token::{self, Activation, KeyDirectory, KeyInfo};

/// How long a new key waits by default: several times what a replica takes to look for new ones.
const ANNOUNCEMENT: u32 = 6;

/// The key directory.
pub(super) struct DirectoryKeys {
    pub(super) keys: Keys,
    pub(super) clock: SystemClock,
}

#[async_trait]
impl KeyAdministration for DirectoryKeys {
    async fn list(&self) -> Result<Vec<KeyFacts>, BoxError> {
        let keys = KeyDirectory::open(&self.keys.directory, self.keys.permissions.into());
        let keys = keys.map_err(StartError::Keys)?;
        Ok(keys.list(self.clock.now()).into_iter().map(of_file).collect())
    }

    async fn rotate(&self, _: KeyKind, _: Option<&str>) -> Result<KeyFacts, BoxError> {
        Err(KeyAdminError::InDirectory.into())
    }

    async fn withdraw(&self, _: &str) -> Result<KeyWithdrawn, BoxError> {
        Err(KeyAdminError::InDirectory.into())
    }
}

#[async_trait]
impl KeyKeeping for DirectoryKeys {
    async fn init(&self) -> Result<Vec<KeyFacts>, BoxError> {
        let (directory, now) = (&self.keys.directory, self.clock.now());
        KeyDirectory::create_missing(directory, self.keys.algorithm.into(), now)?;
        self.list().await
    }

    async fn generate(&self, kind: KeyKind, activate_in: Option<Duration>) -> Result<KeyFacts, BoxError> {
        let now = self.clock.now();
        let activate_at = now + activate_in.unwrap_or(self.keys.reload_interval * ANNOUNCEMENT);
        let directory = &self.keys.directory;
        let (id, algorithm) = match kind {
            KeyKind::Signing => {
                let algorithm = self.keys.algorithm.into();
                let id = KeyDirectory::generate_signing_key(directory, algorithm, activate_at)?;
                (id.to_string(), algorithm.name())
            }
            KeyKind::Refresh => {
                let id = KeyDirectory::generate_mac_key(directory, activate_at)?;
                (id.to_string(), token::MAC_ALGORITHM)
            }
        };
        // The directory is not read again: it may well be without the other kind of key as yet.
        let activate_at = UnixMillis::from_secs(activate_at.as_secs());
        let state = if activate_at > now { KeyState::Pending } else { KeyState::Current };
        let (algorithm, missing_on) = (algorithm.to_owned(), Vec::new());
        Ok(KeyFacts { kind, id, algorithm, state, activate_at: Some(activate_at), missing_on })
    }

    async fn move_to_database(&self) -> Result<usize, BoxError> {
        Err("keys are moved to where the configuration says that they are: give one with keys.store = \"database\", and \
             with keys.directory as it was"
            .into())
    }

    async fn rewrap(&self) -> Result<usize, BoxError> {
        Err(KeyAdminError::InDirectory.into())
    }
}

/// The keys in the database.
pub(super) struct StoredKeys {
    pub(super) stored: DatabaseKeys,
    pub(super) keys: Keys,
}

#[async_trait]
impl KeyAdministration for StoredKeys {
    async fn list(&self) -> Result<Vec<KeyFacts>, BoxError> {
        Ok(self.stored.list().await?.into_iter().map(Into::into).collect())
    }

    async fn rotate(&self, kind: KeyKind, request_id: Option<&str>) -> Result<KeyFacts, BoxError> {
        Ok(self.stored.rotate(&operator(), kind.into(), request_id).await?.into())
    }

    async fn withdraw(&self, id: &str) -> Result<KeyWithdrawn, BoxError> {
        let withdrawn = self.stored.withdraw(&operator(), id).await?;
        Ok(KeyWithdrawn { position: withdrawn.position, pushed: Some(withdrawn.pushed) })
    }
}

#[async_trait]
impl KeyKeeping for StoredKeys {
    async fn init(&self) -> Result<Vec<KeyFacts>, BoxError> {
        self.stored.init(&operator()).await?;
        self.list().await
    }

    async fn generate(&self, _: KeyKind, _: Option<Duration>) -> Result<KeyFacts, BoxError> {
        Err("the keys are in the database: make the next one with `countersign key rotate`".into())
    }

    async fn move_to_database(&self) -> Result<usize, BoxError> {
        if self.keys.directory.as_os_str().is_empty() {
            return Err("keys.directory must name the directory that the keys are moved from".into());
        }
        Ok(self.stored.move_from(&operator(), &self.keys.directory, self.keys.permissions.into()).await?)
    }

    async fn rewrap(&self) -> Result<usize, BoxError> {
        Ok(self.stored.rewrap(&operator()).await?)
    }
}

fn of_file(key: KeyInfo) -> KeyFacts {
    KeyFacts {
        kind: key.kind.into(),
        id: key.name,
        algorithm: key.algorithm.to_owned(),
        state: key.state.into(),
        activate_at: key.activation.and_then(Activation::at),
        missing_on: Vec::new(),
    }
}
