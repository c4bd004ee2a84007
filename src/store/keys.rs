//! What is asked of a store that keeps the keys which make tokens.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::StoreError;
use crate::model::{Actor, KeyEnd, KeyKind, KeyTable, Origin, ReplicaId, Revocation, SealedKey, UnixMillis};

/// A key to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTokenKey {
    /// Its id; no other key has it, nor had it as long as that is listed.
    pub id: String,
    /// What it is for.
    pub kind: KeyKind,
    /// `EdDSA`, `ES256`, `RS256` or `HS256`.
    pub algorithm: String,
    /// Whether it is the public half alone.
    pub verify_only: bool,
    /// The key, encrypted.
    pub sealed: SealedKey,
    /// The longest life of a token that is made with it.
    pub life: Duration,
    /// From when on it makes tokens.
    pub activation: NewKeyActivation,
    /// Names the request that makes it; empty where none does.
    pub request: String,
}

/// From when on a new key makes tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewKeyActivation {
    /// When it is activated, or never: it is announced, or verifies only.
    Later,
    /// At once, by the database's clock; every replica makes tokens with it, for there is none before.
    AtOnce,
    /// From this moment on, and every replica knows.
    At(UnixMillis),
}

/// A change of the table of keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyChange {
    /// A new key.
    Add(NewTokenKey),
    /// It makes tokens from now on; not every replica is known to do so yet.
    Activate(String),
    /// Every replica has it as it is now.
    Settle(String),
    /// No token of it is accepted any more. Its secret is deleted.
    End(String, KeyEnd),
    /// An ended key is listed no more.
    Forget(String),
    /// The same key, encrypted anew.
    Reseal(String, SealedKey),
    /// Nothing, but every replica loads its keys.
    Tell,
}

impl KeyChange {
    /// Whether replicas must load their keys because of it.
    pub const fn concerns_replicas(&self) -> bool {
        matches!(self, Self::Add(_) | Self::Activate(_) | Self::End(..) | Self::Tell)
    }
}

/// What a replica says of itself, time and again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyReport {
    /// Names its process.
    pub id: ReplicaId,
    /// What people know it by.
    pub name: String,
    /// Up to which revision it has every key.
    pub revision: u64,
    /// For how long from now it is counted as alive, and has the lease to rotate keys if nobody else has it.
    pub lease: Duration,
    /// The longest life of an access token that it makes.
    pub access_life: Duration,
    /// The longest life of a token that it makes with a MAC key.
    pub refresh_life: Duration,
}

/// The table was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeysChanged {
    /// The revision of the table from now on.
    pub revision: u64,
    /// The row of the ledger by which replicas hear of it, where it concerns them.
    pub row: Option<Revocation>,
}

/// Keys in a database, all of them encrypted: the store never has what they are encrypted with. What becomes of a key is
/// written to the audit log in the same transaction.
#[async_trait]
pub trait KeyStore: Send + Sync + 'static {
    /// The same store: the events of what is changed through it say that it comes from there.
    fn attributed_to(&self, origin: Arc<Origin>) -> Arc<dyn KeyStore>;

    /// Every key and every replica that is alive. The revision is never ahead of the keys.
    async fn keys(&self) -> Result<KeyTable, StoreError>;

    /// Notes what a replica says of itself, gives it the lease to rotate if it had it or nobody has, raises the lives of trusted
    /// keys to those of its tokens, and returns the table as it is then.
    async fn report(&self, report: KeyReport) -> Result<KeyTable, StoreError>;

    /// Forgets a replica, and gives up its lease: nobody waits for it any more.
    async fn leave(&self, replica: ReplicaId) -> Result<(), StoreError>;

    /// Changes the table in one transaction if its revision is still this one, and tells of it in the ledger where replicas must
    /// hear of it. `None`: it was changed in the meantime, and nothing was done.
    async fn change(
        &self,
        revision: u64,
        changes: Vec<KeyChange>,
        actor: Actor,
    ) -> Result<Option<KeysChanged>, StoreError>;
}
