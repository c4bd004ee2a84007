//! The contract for service accounts and their keys.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::StoreError;
use crate::model::{
    NewServiceAccount, Note, Origin, ServiceAccount, ServiceAccountChange, ServiceAccountId, ServiceAccountName,
    ServiceKey, ServiceKeyDigest, ServiceKeyId, UnixMillis,
};

/// Creating a service account failed.
#[derive(Debug, thiserror::Error)]
pub enum CreateServiceAccountError {
    /// There is another one with this name.
    #[error("the name is taken")]
    NameTaken,
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A key to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewServiceKey {
    /// Its id. A key of the account that has it already is replaced.
    pub id: ServiceKeyId,
    /// Whose it is to be.
    pub account: ServiceAccountId,
    /// What it is recognised by.
    pub digest: ServiceKeyDigest,
    /// What people call it.
    pub label: Note,
    /// Who makes it: an [`crate::model::Actor`] as text.
    pub created_by: String,
    /// How long it is good.
    pub ttl: Duration,
    /// [`ServiceAccount::updated_at`] of what the caller has read: nothing is stored if it is another by now.
    pub unchanged_since: UnixMillis,
    /// The most keys that the account may have.
    pub most: u32,
}

/// What became of a key to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyCreated {
    /// It is stored.
    Key(ServiceKey),
    /// The account has as many as it may.
    LimitReached,
    /// The account was changed in the meantime, or deleted.
    Changed,
}

/// A key that is stored and has not expired.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredKey {
    /// What it is recognised by.
    pub digest: ServiceKeyDigest,
    /// Whose it is, as the account is now: it may be disabled.
    pub account: ServiceAccount,
}

/// Service accounts and the digests of their keys. Nothing of them is kept in memory, by the store or by its callers: what
/// is revoked, disabled or deleted is refused from the next call on, on every replica. Every change is written to the audit log
/// in the same transaction.
#[async_trait]
pub trait ServiceAccountStore: Send + Sync + 'static {
    /// The same store: the events of what is changed through it say that it comes from there.
    fn attributed_to(&self, origin: Arc<Origin>) -> Arc<dyn ServiceAccountStore>;

    /// Creates an account, enabled. The same call again, with the same id, finds the account that it made.
    async fn create(&self, account: NewServiceAccount) -> Result<ServiceAccount, CreateServiceAccountError>;

    /// The account with this id.
    async fn find(&self, id: ServiceAccountId) -> Result<Option<ServiceAccount>, StoreError>;

    /// The account with this name.
    async fn named(&self, name: &ServiceAccountName) -> Result<Option<ServiceAccount>, StoreError>;

    /// At most `limit` accounts whose names come after `after`, in order of name, byte by byte.
    async fn list(
        &self,
        after: Option<&ServiceAccountName>,
        limit: u32,
    ) -> Result<Vec<ServiceAccount>, StoreError>;

    /// Changes an account, and returns it as it is then. `None` when there is no such account, or none any more whose
    /// [`ServiceAccount::updated_at`] is `unchanged_since` where that is given: every change gives another one.
    async fn change(
        &self,
        id: ServiceAccountId,
        change: ServiceAccountChange,
        unchanged_since: Option<UnixMillis>,
    ) -> Result<Option<ServiceAccount>, StoreError>;

    /// Forgets an account and its keys. Says whether there was such an account.
    async fn delete(&self, id: ServiceAccountId) -> Result<bool, StoreError>;

    /// Stores a key, and forgets those of the account that have expired by the store's time, which take no room. Keys that are
    /// stored at once are counted one after the other.
    async fn create_key(&self, key: NewServiceKey) -> Result<KeyCreated, StoreError>;

    /// The keys of an account that are stored, the expired ones too, the oldest first.
    async fn keys(&self, account: ServiceAccountId) -> Result<Vec<ServiceKey>, StoreError>;

    /// Forgets a key of an account. Says whether there was such a key.
    async fn revoke_key(&self, account: ServiceAccountId, key: ServiceKeyId) -> Result<bool, StoreError>;

    /// The key with this id, unless it has expired by the store's time, in one indexed read.
    async fn stored_key(&self, key: ServiceKeyId) -> Result<Option<StoredKey>, StoreError>;
}
