//! Keeps a replica's keys where those in the database are, and rotates these while it has the lease.
//!
//! What is to be done next is one pure function ([`next_step`]); here each step is carried out, in one transaction that
//! takes effect only if the table is still the one that it was decided on.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use countersign_verifier::Algorithm;

use super::audit;
use crate::model::{
    Actor, KeyEnd, KeyKind, KeyPolicy, KeyStep, KeyTable, ReplicaId, Revocation, TokenKey, laggards,
    next_step,
};
use crate::revocation::LoadKeys;
use crate::secret;
use crate::store::{KeyChange, KeyReport, KeyStore, NewKeyActivation, NewTokenKey, StoreError};
use crate::token::{KeyEncryption, Keyring, LoadedKeys, MadeKey, MakeKeyError, StoredKeysError};

/// How often something is tried anew because another replica was faster, and how many steps are taken at once.
const TRIES: usize = 20;

/// How a replica keeps its keys.
#[derive(Debug, Clone)]
pub struct KeeperOptions {
    /// What people know the replica by.
    pub name: String,
    /// The algorithm of new signing keys.
    pub algorithm: Algorithm,
    /// When keys are rotated.
    pub policy: KeyPolicy,
    /// For how long a replica that does not answer is waited for, and how long it may rotate without asking again.
    pub lease: Duration,
    /// After how long a replica that lacks a key is named in the log.
    pub patience: Duration,
    /// The longest life of an access token.
    pub access_life: Duration,
    /// The longest life of whatever is made with a MAC key.
    pub refresh_life: Duration,
    /// Whether the first keys are made where there are none.
    pub create_first: bool,
}

/// The keys in the database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeeperError {
    /// There are none, and none may be made.
    #[error("there are no keys in the database; keys.create_missing = \"never\" says that none are made")]
    NoKeys,
    /// They cannot be used.
    #[error(transparent)]
    Keys(#[from] StoredKeysError),
    /// None could be made.
    #[error(transparent)]
    Make(#[from] MakeKeyError),
    /// Others changed them again and again.
    #[error("the keys in the database were changed by others again and again")]
    Contended,
    /// The database did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// See the module.
pub struct KeyKeeper {
    store: Arc<dyn KeyStore>,
    encryption: Arc<KeyEncryption>,
    keyring: Arc<Keyring>,
    id: ReplicaId,
    options: KeeperOptions,
    /// Up to which revision this replica has every key. Held while they are loaded, so that no older table follows a newer
    /// one.
    loaded: tokio::sync::Mutex<u64>,
    lagging: Mutex<Vec<String>>,
}

impl KeyKeeper {
    /// Loads the keys, and makes the first ones where there are none and that is allowed. Replicas that start at the same time
    /// end with the same keys. Fails, and changes nothing, if a key there cannot be used.
    pub async fn start(
        store: Arc<dyn KeyStore>,
        encryption: Arc<KeyEncryption>,
        options: KeeperOptions,
    ) -> Result<Self, KeeperError> {
        let id = ReplicaId::from_bytes(secret::random());
        match load_first(store.as_ref(), &encryption, &options, id).await {
            Ok((keys, revision)) => Ok(Self {
                store,
                encryption,
                keyring: Arc::new(Keyring::new(keys)),
                id,
                options,
                loaded: tokio::sync::Mutex::new(revision),
                lagging: Mutex::default(),
            }),
            Err(error) => {
                // Nobody should wait for a replica that does not start.
                store.leave(id).await.ok();
                Err(error)
            }
        }
    }

    /// The keys in use.
    pub const fn keyring(&self) -> &Arc<Keyring> {
        &self.keyring
    }

    /// What the keys are encrypted with.
    pub const fn encryption(&self) -> &Arc<KeyEncryption> {
        &self.encryption
    }

    /// The replicas that lack a key that they must have by now, as far as this one knows.
    pub fn lagging(&self) -> Vec<String> {
        self.lagging.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says what this replica has, loads what it lacks and, with the lease, does what is to be done. Returns the rows of the
    /// ledger by which others hear of it.
    pub async fn step(&self) -> Result<Vec<Revocation>, KeeperError> {
        let mut rows = Vec::new();
        for _ in 0..TRIES {
            let revision = *self.loaded.lock().await;
            let mut table = self.store.report(report(&self.options, self.id, revision)).await?;
            if table.revision != revision {
                let revision = self.load_revision().await?;
                // Whoever waits for this replica should hear of it now.
                table = self.store.report(report(&self.options, self.id, revision)).await?;
                if table.revision != revision {
                    self.note_laggards(&table);
                    return Ok(rows);
                }
            }
            self.note_laggards(&table);
            if table.leader != Some(self.id) {
                return Ok(rows);
            }
            let Some(step) = next_step(&table, &self.options.policy) else { return Ok(rows) };
            rows.extend(self.take(&table, step).await?);
        }
        Ok(rows)
    }

    /// Nobody waits for this replica any more: it makes no more tokens.
    pub async fn leave(&self) {
        if let Err(error) = self.store.leave(self.id).await {
            tracing::debug!(%error, "the other replicas wait for this one until its lease is over");
        }
    }

    /// Does one step, if nothing has changed since it was decided.
    async fn take(&self, table: &KeyTable, step: KeyStep) -> Result<Option<Revocation>, KeeperError> {
        let change = match step.clone() {
            KeyStep::CreateFirst(kind) => {
                KeyChange::Add(self.make(kind, table, NewKeyActivation::AtOnce).await?)
            }
            KeyStep::Announce(kind) => KeyChange::Add(self.make(kind, table, NewKeyActivation::Later).await?),
            KeyStep::Activate(id) => KeyChange::Activate(id),
            KeyStep::Settle(id) => KeyChange::Settle(id),
            KeyStep::Retire(id) => KeyChange::End(id, KeyEnd::Retired),
            KeyStep::Forget(id) => KeyChange::Forget(id),
        };
        let Some(changed) = self.store.change(table.revision, vec![change.clone()], Actor::System).await?
        else {
            return Ok(None);
        };
        audit::key_changed(&change, &Actor::System.to_string());
        Ok(changed.row)
    }

    async fn make(
        &self,
        kind: KeyKind,
        table: &KeyTable,
        activation: NewKeyActivation,
    ) -> Result<NewTokenKey, KeeperError> {
        let encryption = Arc::clone(&self.encryption);
        make_key(kind, table, &self.options, encryption, activation, String::new()).await
    }

    async fn load_revision(&self) -> Result<u64, StoreError> {
        let mut loaded = self.loaded.lock().await;
        let table = self.store.keys().await?;
        let failed = |error: &StoredKeysError| {
            tracing::error!(
                %error, revision = table.revision,
                "not every key in the database could be loaded; no key is rotated before this replica has it"
            );
        };
        match LoadedKeys::of_table(&table, &self.encryption) {
            Ok(opened) => {
                self.keyring.replace(opened.keys);
                match &opened.error {
                    None => *loaded = table.revision,
                    Some(error) => failed(error),
                }
                Ok(*loaded)
            }
            // What was withdrawn cannot be given up alone, so nothing may be taken for known.
            Err(error) => {
                failed(&error);
                Err(StoreError::Corrupt { store: "keys", what: error.to_string() })
            }
        }
    }

    fn note_laggards(&self, table: &KeyTable) {
        let now = laggards(table, self.options.patience);
        let mut lagging = self.lagging.lock().unwrap_or_else(PoisonError::into_inner);
        if table.leader == Some(self.id) && !now.is_empty() && *lagging != now {
            tracing::warn!(
                replicas = now.join(" "),
                "replicas lack a key that they must have by now; rotation waits for them"
            );
        }
        *lagging = now;
    }
}

#[async_trait]
impl LoadKeys for KeyKeeper {
    async fn load(&self) -> Result<(), StoreError> {
        self.load_revision().await.map(drop)
    }
}

/// The keys to start with, and up to which revision they are all.
async fn load_first(
    store: &dyn KeyStore,
    encryption: &Arc<KeyEncryption>,
    options: &KeeperOptions,
    id: ReplicaId,
) -> Result<(LoadedKeys, u64), KeeperError> {
    // From here on no key is activated that this replica does not have.
    let mut table = store.report(report(options, id, 0)).await?;
    for _ in 0..TRIES {
        let missing = missing(&table);
        if missing.is_empty() {
            let opened = LoadedKeys::of_table(&table, encryption)?;
            if let Some(error) = opened.error {
                return Err(error.into());
            }
            store.report(report(options, id, table.revision)).await?;
            return Ok((opened.keys, table.revision));
        }
        if !options.create_first {
            return Err(KeeperError::NoKeys);
        }
        create_first(store, encryption, options, &table, &missing).await?;
        table = store.keys().await?;
    }
    Err(KeeperError::Contended)
}

fn report(options: &KeeperOptions, id: ReplicaId, revision: u64) -> KeyReport {
    KeyReport {
        id,
        name: options.name.clone(),
        revision,
        lease: options.lease,
        access_life: options.access_life,
        refresh_life: options.refresh_life,
    }
}

/// The kinds of keys of which there is none to make tokens with.
fn missing(table: &KeyTable) -> Vec<KeyKind> {
    KeyKind::ALL.into_iter().filter(|kind| !table.of(*kind).any(TokenKey::can_sign)).collect()
}

/// Makes the first keys where there are none, for an operator.
pub(super) async fn create_missing(
    store: &dyn KeyStore,
    encryption: &Arc<KeyEncryption>,
    options: &KeeperOptions,
) -> Result<(), KeeperError> {
    for _ in 0..TRIES {
        let table = store.keys().await?;
        let missing = missing(&table);
        if missing.is_empty() {
            return Ok(());
        }
        create_first(store, encryption, options, &table, &missing).await?;
    }
    Err(KeeperError::Contended)
}

/// Makes the first keys. Of several replicas that do so at once, the changes of one are made.
async fn create_first(
    store: &dyn KeyStore,
    encryption: &Arc<KeyEncryption>,
    options: &KeeperOptions,
    table: &KeyTable,
    kinds: &[KeyKind],
) -> Result<(), KeeperError> {
    let mut changes = Vec::new();
    for kind in kinds {
        let encryption = Arc::clone(encryption);
        let key =
            make_key(*kind, table, options, encryption, NewKeyActivation::AtOnce, String::new()).await?;
        changes.push(KeyChange::Add(key));
    }
    if store.change(table.revision, changes.clone(), Actor::System).await?.is_some() {
        for change in &changes {
            audit::key_changed(change, &Actor::System.to_string());
        }
    }
    Ok(())
}

/// A new key, ready to be stored.
pub(super) async fn make_key(
    kind: KeyKind,
    table: &KeyTable,
    options: &KeeperOptions,
    encryption: Arc<KeyEncryption>,
    activation: NewKeyActivation,
    request: String,
) -> Result<NewTokenKey, KeeperError> {
    let (algorithm, now) = (options.algorithm, table.now);
    // An RSA key takes a while.
    let made =
        tokio::task::spawn_blocking(move || MadeKey::generate(kind, algorithm, &encryption, now)).await;
    let made = made.unwrap_or(Err(MakeKeyError::Generate(crate::token::GeneratingFailed)))?;
    Ok(NewTokenKey {
        id: made.id,
        kind,
        algorithm: made.algorithm.to_owned(),
        verify_only: made.verify_only,
        sealed: made.sealed,
        life: life_of(kind, options),
        activation,
        request,
    })
}

pub(super) const fn life_of(kind: KeyKind, options: &KeeperOptions) -> Duration {
    match kind {
        KeyKind::Signing => options.access_life,
        KeyKind::Refresh => options.refresh_life,
    }
}
