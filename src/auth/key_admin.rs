//! What is done to the keys that make tokens, by operators at the command line and by callers of `KeyService`.

use std::path::Path;
use std::sync::Arc;

use super::audit;
use super::caller::Caller;
use super::key_keeper::{KeeperOptions, KeyKeeper, life_of, make_key};
use crate::model::{
    Clock, KeyEnd, KeyKind, KeyTable, Position, Revocation, TokenKey, UnixMillis, Withdrawal, withdrawal,
};
use crate::revocation::{LoadKeys as _, Revocations};
use crate::store::{KeyChange, KeyStore, NewKeyActivation, NewTokenKey, Push};
use crate::token::{
    Activation, KeyEncryption, KeyState, Keyring, MadeKey, Permissions, digest_of_key_request,
};

mod error;

pub use error::KeyAdminError;

/// How often a change is tried anew because others were faster.
const TRIES: usize = 20;

/// What may be known of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyEntry {
    /// The `kid` of a signing key, or the id of a MAC key.
    pub id: String,
    /// What it is for.
    pub kind: KeyKind,
    /// `EdDSA`, `ES256`, `RS256` or `HS256`.
    pub algorithm: String,
    /// What it does now.
    pub state: KeyState,
    /// When it was stored; `None` for a file.
    pub created_at: Option<UnixMillis>,
    /// From when on it makes tokens; `None` where that is not decided yet, and for one that only verifies.
    pub activate_at: Option<UnixMillis>,
    /// When it was retired or withdrawn.
    pub ended_at: Option<UnixMillis>,
    /// The replicas that do not have it yet.
    pub missing_on: Vec<String>,
}

/// A key was withdrawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Withdrawn {
    /// Where the ledger tells of it: whoever has read up to here accepts no token of it.
    pub position: Position,
    /// Whether the replicas were told at once; the others poll.
    pub pushed: bool,
}

/// Lists keys, makes the next ones and withdraws those that leaked.
pub enum KeyAdmin {
    /// Keys in a directory, which this service reads and does not write.
    Directory {
        /// The keys in use.
        keys: Arc<Keyring>,
        /// By which they are in use.
        clock: Arc<dyn Clock>,
    },
    /// Keys in the database.
    Database(Box<DatabaseKeys>),
}

/// Keys in the database, to be administered.
pub struct DatabaseKeys {
    /// Where they are.
    pub store: Arc<dyn KeyStore>,
    /// What they are encrypted with.
    pub encryption: Arc<KeyEncryption>,
    /// How new ones are made.
    pub options: KeeperOptions,
    /// Who is told of changes.
    pub telling: KeyTelling,
}

/// Who is told of a change of the keys, beside everybody who polls.
pub enum KeyTelling {
    /// This replica, and by it the others.
    Replica(Arc<KeyKeeper>, Revocations),
    /// The replicas, from outside of them.
    Replicas(Option<Arc<dyn Push>>),
}

impl KeyAdmin {
    /// Every key, in the order in which they were made.
    pub async fn list(&self) -> Result<Vec<KeyEntry>, KeyAdminError> {
        match self {
            Self::Directory { keys, clock } => Ok(of_directory(keys, clock.as_ref())),
            Self::Database(keys) => keys.list().await,
        }
    }

    /// Makes the next key of a kind, which makes tokens when every replica has it and it was published for long enough. The same
    /// call again, with the same `request_id`, finds the key that it made.
    pub async fn rotate(
        &self,
        by: &Caller,
        kind: KeyKind,
        request_id: Option<&str>,
    ) -> Result<KeyEntry, KeyAdminError> {
        let Self::Database(keys) = self else { return Err(KeyAdminError::InDirectory) };
        keys.rotate(by, kind, request_id).await
    }

    /// From now on no token of this key is accepted. When it made new tokens, another key does from now on.
    pub async fn withdraw(&self, by: &Caller, id: &str) -> Result<Withdrawn, KeyAdminError> {
        let Self::Database(keys) = self else { return Err(KeyAdminError::InDirectory) };
        keys.withdraw(by, id).await
    }
}

impl DatabaseKeys {
    /// As [`KeyAdmin::list`].
    pub async fn list(&self) -> Result<Vec<KeyEntry>, KeyAdminError> {
        let table = self.store.keys().await?;
        Ok(table.keys.iter().map(|key| entry(&table, key)).collect())
    }

    /// As [`KeyAdmin::rotate`].
    pub async fn rotate(
        &self,
        by: &Caller,
        kind: KeyKind,
        request_id: Option<&str>,
    ) -> Result<KeyEntry, KeyAdminError> {
        let request = request_id.map(|id| digest_of_key_request(kind, id)).unwrap_or_default();
        let mut made: Option<NewTokenKey> = None;
        for _ in 0..TRIES {
            let table = self.store.keys().await?;
            if let Some(key) = table.of(kind).find(|key| !request.is_empty() && key.request == request) {
                return Ok(entry(&table, key));
            }
            if let Some(next) = table.announced(kind) {
                return Err(KeyAdminError::Announced { kind, id: next.id.clone() });
            }
            let key = if let Some(key) = made.take() {
                key
            } else {
                let (encryption, later) = (Arc::clone(&self.encryption), NewKeyActivation::Later);
                make_key(kind, &table, &self.options, encryption, later, request.clone()).await?
            };
            let id = key.id.clone();
            if self.change(by, &table, vec![KeyChange::Add(key.clone())]).await?.is_some() {
                let table = self.store.keys().await?;
                let key = table.keys.iter().find(|key| key.id == id).ok_or(KeyAdminError::Changed)?;
                return Ok(entry(&table, key));
            }
            made = Some(key);
        }
        Err(KeyAdminError::Changed)
    }

    /// As [`KeyAdmin::withdraw`].
    pub async fn withdraw(&self, by: &Caller, id: &str) -> Result<Withdrawn, KeyAdminError> {
        for _ in 0..TRIES {
            let table = self.store.keys().await?;
            let mut changes = match withdrawal(&table, id) {
                Withdrawal::Unknown => return Err(KeyAdminError::NotFound(id.to_owned())),
                Withdrawal::NoSuccessor(kind) => return Err(KeyAdminError::NoSuccessor(kind)),
                // Nothing of it is accepted, and where the ledger told of that may be purged: it is told again.
                Withdrawal::Before | Withdrawal::Retired => vec![KeyChange::Tell],
                Withdrawal::Possible { activate } => activate.map(KeyChange::Activate).into_iter().collect(),
            };
            if !changes.contains(&KeyChange::Tell) {
                changes.push(KeyChange::End(id.to_owned(), KeyEnd::Withdrawn));
            }
            if let Some((row, pushed)) = self.change(by, &table, changes).await? {
                return Ok(Withdrawn { position: row.position(), pushed });
            }
        }
        Err(KeyAdminError::Changed)
    }

    /// The keys, as the caller changes them.
    fn store_for(&self, by: &Caller) -> Arc<dyn KeyStore> {
        self.store.attributed_to(by.origin())
    }

    /// Makes changes that concern replicas, and tells of them.
    async fn change(
        &self,
        by: &Caller,
        table: &KeyTable,
        changes: Vec<KeyChange>,
    ) -> Result<Option<(Revocation, bool)>, KeyAdminError> {
        let Some(done) = self.store_for(by).change(table.revision, changes.clone(), by.actor).await? else {
            return Ok(None);
        };
        for change in &changes {
            audit::key_changed(change, &by.name);
        }
        let Some(row) = done.row else { return Err(KeyAdminError::Changed) };
        let pushed = match &self.telling {
            KeyTelling::Replica(keeper, revocations) => {
                // Before the answer: this replica accepts nothing of a withdrawn key when its caller hears of it.
                keeper.load().await?;
                revocations.announce(&row);
                true
            }
            KeyTelling::Replicas(Some(push)) => push.publish(&[row]).await.is_ok(),
            KeyTelling::Replicas(None) => false,
        };
        Ok(Some((row, pushed)))
    }

    /// Moves the keys of a directory into a database that has none. The directory stays as it is. When the database has exactly
    /// these keys, they were moved before, and nothing is done. Returns how many there are.
    pub async fn move_from(
        &self,
        by: &Caller,
        path: &Path,
        permissions: Permissions,
    ) -> Result<usize, KeyAdminError> {
        let made = MadeKey::of_directory(path, permissions, &self.encryption)?;
        let same = |a: &&MadeKey| made.iter().filter(|b| b.id == a.id).count() > 1;
        if let Some(key) = made.iter().find(same) {
            return Err(KeyAdminError::SameName(key.id.clone()));
        }
        for _ in 0..TRIES {
            let table = self.store.keys().await?;
            if !table.keys.is_empty() {
                let there = |key: &MadeKey| {
                    table.keys.iter().any(|there| there.id == key.id && there.kind == key.kind)
                };
                return if made.iter().all(there) {
                    Ok(made.len())
                } else {
                    let ids: Vec<_> = table.keys.iter().map(|key| key.id.as_str()).collect();
                    Err(KeyAdminError::NotEmpty(ids.join(", ")))
                };
            }
            let changes = made.iter().map(|key| KeyChange::Add(self.moved(key))).collect();
            if self.change(by, &table, changes).await?.is_some() {
                return Ok(made.len());
            }
        }
        Err(KeyAdminError::Changed)
    }

    fn moved(&self, key: &MadeKey) -> NewTokenKey {
        NewTokenKey {
            id: key.id.clone(),
            kind: key.kind,
            algorithm: key.algorithm.to_owned(),
            verify_only: key.verify_only,
            sealed: key.sealed.clone(),
            life: life_of(key.kind, &self.options),
            activation: match key.activation {
                Some(Activation::At(at)) => NewKeyActivation::At(at),
                Some(Activation::Always) => NewKeyActivation::At(UnixMillis(0)),
                Some(Activation::Pending) | None => NewKeyActivation::Later,
            },
            request: String::new(),
        }
    }

    /// Encrypts every key anew that is not encrypted with the current key-encryption key. Returns how many.
    pub async fn rewrap(&self, by: &Caller) -> Result<usize, KeyAdminError> {
        for _ in 0..TRIES {
            let table = self.store.keys().await?;
            let older =
                table.keys.iter().filter(|key| key.is_trusted() && !self.encryption.is_current(&key.sealed));
            let reseal = |key: &TokenKey| Ok(KeyChange::Reseal(key.id.clone(), self.encryption.reseal(key)?));
            let changes = older.map(reseal).collect::<Result<Vec<_>, KeyAdminError>>()?;
            if changes.is_empty() {
                return Ok(0);
            }
            let count = changes.len();
            if self.store_for(by).change(table.revision, changes, by.actor).await?.is_some() {
                return Ok(count);
            }
        }
        Err(KeyAdminError::Changed)
    }

    /// Makes the first keys where there are none.
    pub async fn init(&self, by: &Caller) -> Result<(), KeyAdminError> {
        super::key_keeper::create_missing(self.store_for(by).as_ref(), &self.encryption, &self.options)
            .await?;
        Ok(())
    }
}

fn of_directory(keys: &Keyring, clock: &dyn Clock) -> Vec<KeyEntry> {
    let keys = keys.current().list(clock.now());
    let entry = |key: crate::token::KeyInfo| KeyEntry {
        id: key.name,
        kind: key.kind,
        algorithm: key.algorithm.to_owned(),
        state: key.state,
        created_at: None,
        activate_at: key.activation.and_then(Activation::at),
        ended_at: None,
        missing_on: Vec::new(),
    };
    keys.into_iter().map(entry).collect()
}

fn entry(table: &KeyTable, key: &TokenKey) -> KeyEntry {
    let active = table.active(key.kind).is_some_and(|active| active.id == key.id);
    let upcoming = key.can_sign() && key.activate_at.is_none_or(|at| at > table.now);
    let state = match key.ended {
        Some((_, KeyEnd::Retired)) => KeyState::Retired,
        Some((_, KeyEnd::Withdrawn)) => KeyState::Withdrawn,
        None if active => KeyState::Active,
        None if upcoming => KeyState::Upcoming,
        None => KeyState::VerifyOnly,
    };
    let missing = table.lagging(key.revision).filter(|_| key.is_trusted());
    KeyEntry {
        id: key.id.clone(),
        kind: key.kind,
        algorithm: key.algorithm.clone(),
        state,
        created_at: Some(key.created_at),
        activate_at: key.activate_at,
        ended_at: key.ended.map(|(at, _)| at),
        missing_on: missing.map(|replica| replica.name.clone()).collect(),
    }
}
