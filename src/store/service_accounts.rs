//! The contract for service accounts and their keys.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::{Cause, StoreError};
use crate::model::{
    NewServiceAccount, Note, Origin, Revocation, ServiceAccount, ServiceAccountChange, ServiceAccountId,
    ServiceAccountName, ServiceKey, ServiceKeyDigest, ServiceKeyId, SessionId, UnixMillis,
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
    /// The session of the access tokens that are got with it.
    pub session: SessionId,
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
    /// Why the tokens end that were got with a key that this one replaces.
    pub cause: Cause,
}

/// What became of a key to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyCreated {
    /// It is stored. A key that it replaced had tokens: the row that ends them.
    Key(ServiceKey, Option<Revocation>),
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
    /// The session of the access tokens that are got with it now.
    pub session: SessionId,
    /// From when on it is refused.
    pub expires_at: UnixMillis,
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
    /// [`ServiceAccount::updated_at`] is `unchanged_since` where that is given: every change gives another one. When it is
    /// disabled, the row that ends its access tokens comes with it.
    async fn change(
        &self,
        id: ServiceAccountId,
        change: ServiceAccountChange,
        unchanged_since: Option<UnixMillis>,
        cause: Cause,
    ) -> Result<Option<(ServiceAccount, Option<Revocation>)>, StoreError>;

    /// Forgets an account and its keys, and ends its access tokens. `None` when there is no such account.
    async fn delete(&self, id: ServiceAccountId, cause: Cause) -> Result<Option<Revocation>, StoreError>;

    /// Stores a key, and forgets those of the account that have expired by the store's time, which take no room. Keys that are
    /// stored at once are counted one after the other.
    async fn create_key(&self, key: NewServiceKey) -> Result<KeyCreated, StoreError>;

    /// The keys of an account that are stored, the expired ones too, the oldest first.
    async fn keys(&self, account: ServiceAccountId) -> Result<Vec<ServiceKey>, StoreError>;

    /// Forgets a key of an account, and ends the access tokens that were got with it. `None` when there is no such key.
    async fn revoke_key(
        &self,
        account: ServiceAccountId,
        key: ServiceKeyId,
        cause: Cause,
    ) -> Result<Option<Revocation>, StoreError>;

    /// Ends the access tokens of this session. Those that are got from now on with the key that they were got with, if there is
    /// one still, have another session.
    async fn end_tokens(
        &self,
        account: ServiceAccountId,
        session: SessionId,
        cause: Cause,
    ) -> Result<Revocation, StoreError>;

    /// The key with this id, unless it has expired by the store's time, in one indexed read.
    async fn stored_key(&self, key: ServiceKeyId) -> Result<Option<StoredKey>, StoreError>;
}
