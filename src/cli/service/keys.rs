//! Keys in a directory and keys in the database, for operators.

use std::time::Duration;

use async_trait::async_trait;

use super::operator;
use crate::app::StartError;
use crate::auth::bounds::REQUEST_ID_MAX_BYTES;
use crate::auth::{DatabaseKeys, KeyAdminError, KeyEntry};
use crate::cli::key::{KeyAdministration, KeyFacts, KeyKind, KeyState};
use crate::cli::program::BoxError;
use crate::config::Keys;
use crate::model::{self, Clock as _, SystemClock, UnixMillis};
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

    async fn rotate(&self, _: KeyKind, _: Option<&str>) -> Result<KeyFacts, BoxError> {
        Err(KeyAdminError::InDirectory.into())
    }

    async fn withdraw(&self, _: &str) -> Result<(String, bool), BoxError> {
        Err(KeyAdminError::InDirectory.into())
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
        Ok(self.stored.list().await?.into_iter().map(of_entry).collect())
    }

    async fn init(&self) -> Result<Vec<KeyFacts>, BoxError> {
        self.stored.init(&operator()).await?;
        self.list().await
    }

    async fn generate(&self, _: KeyKind, _: Option<Duration>) -> Result<KeyFacts, BoxError> {
        Err("the keys are in the database: make the next one with `countersign key rotate`".into())
    }

    async fn rotate(&self, kind: KeyKind, request_id: Option<&str>) -> Result<KeyFacts, BoxError> {
        if request_id.is_some_and(|id| id.is_empty() || id.len() > REQUEST_ID_MAX_BYTES) {
            return Err(format!("--request-id must have 1 to {REQUEST_ID_MAX_BYTES} bytes").into());
        }
        let kind = match kind {
            KeyKind::Signing => model::KeyKind::Signing,
            KeyKind::Refresh => model::KeyKind::Refresh,
        };
        Ok(of_entry(self.stored.rotate(&operator(), kind, request_id).await?))
    }

    async fn withdraw(&self, id: &str) -> Result<(String, bool), BoxError> {
        let withdrawn = self.stored.withdraw(&operator(), id).await?;
        Ok((withdrawn.position.to_string(), withdrawn.pushed))
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
        kind: kind(key.kind),
        id: key.name,
        algorithm: key.algorithm.to_owned(),
        state: state(key.state),
        activate_at: key.activation.and_then(Activation::at),
        missing_on: Vec::new(),
    }
}

fn of_entry(key: KeyEntry) -> KeyFacts {
    let KeyEntry { id, algorithm, activate_at, missing_on, .. } = key;
    KeyFacts { kind: kind(key.kind), id, algorithm, state: state(key.state), activate_at, missing_on }
}

const fn kind(kind: model::KeyKind) -> KeyKind {
    match kind {
        model::KeyKind::Signing => KeyKind::Signing,
        model::KeyKind::Refresh => KeyKind::Refresh,
    }
}

const fn state(state: token::KeyState) -> KeyState {
    match state {
        token::KeyState::Active => KeyState::Current,
        token::KeyState::Upcoming => KeyState::Pending,
        token::KeyState::VerifyOnly => KeyState::VerifyOnly,
        token::KeyState::Retired => KeyState::Retired,
        token::KeyState::Withdrawn => KeyState::Withdrawn,
    }
}
