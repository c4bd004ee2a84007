//! Service accounts and their keys, watched.

use std::sync::Arc;

use async_trait::async_trait;

use super::stores::Observed;
use crate::model::{
    NewServiceAccount, Origin, Revocation, ServiceAccount, ServiceAccountChange, ServiceAccountId,
    ServiceAccountName, ServiceKey, ServiceKeyId, SessionId, UnixMillis,
};
use crate::store::{
    Cause, CreateServiceAccountError, KeyCreated, NewServiceKey, ServiceAccountStore, StoreError, StoredKey,
};

/// What every call with a service key asks, among [`super::stores::SERVICE_ACCOUNTS`].
const STORED_KEY: usize = 0;
/// What only administrators do.
const OTHER: usize = 1;

#[async_trait]
impl ServiceAccountStore for Observed<dyn ServiceAccountStore> {
    fn attributed_to(&self, origin: Arc<Origin>) -> Arc<dyn ServiceAccountStore> {
        let (watch, counts) = (self.watch.clone(), Arc::clone(&self.counts));
        Arc::new(Self { inner: self.inner.attributed_to(origin), watch, counts })
    }

    async fn create(&self, account: NewServiceAccount) -> Result<ServiceAccount, CreateServiceAccountError> {
        self.watch.time(OTHER, self.inner.create(account)).await
    }

    async fn find(&self, id: ServiceAccountId) -> Result<Option<ServiceAccount>, StoreError> {
        self.watch.time(OTHER, self.inner.find(id)).await
    }

    async fn named(&self, name: &ServiceAccountName) -> Result<Option<ServiceAccount>, StoreError> {
        self.watch.time(OTHER, self.inner.named(name)).await
    }

    async fn list(
        &self,
        after: Option<&ServiceAccountName>,
        limit: u32,
    ) -> Result<Vec<ServiceAccount>, StoreError> {
        self.watch.time(OTHER, self.inner.list(after, limit)).await
    }

    async fn change(
        &self,
        id: ServiceAccountId,
        change: ServiceAccountChange,
        unchanged_since: Option<UnixMillis>,
        cause: Cause,
    ) -> Result<Option<(ServiceAccount, Option<Revocation>)>, StoreError> {
        self.watch.time(OTHER, self.inner.change(id, change, unchanged_since, cause)).await
    }

    async fn delete(&self, id: ServiceAccountId, cause: Cause) -> Result<Option<Revocation>, StoreError> {
        self.watch.time(OTHER, self.inner.delete(id, cause)).await
    }

    async fn create_key(&self, key: NewServiceKey) -> Result<KeyCreated, StoreError> {
        self.watch.time(OTHER, self.inner.create_key(key)).await
    }

    async fn keys(&self, account: ServiceAccountId) -> Result<Vec<ServiceKey>, StoreError> {
        self.watch.time(OTHER, self.inner.keys(account)).await
    }

    async fn revoke_key(
        &self,
        account: ServiceAccountId,
        key: ServiceKeyId,
        cause: Cause,
    ) -> Result<Option<Revocation>, StoreError> {
        self.watch.time(OTHER, self.inner.revoke_key(account, key, cause)).await
    }

    async fn end_tokens(
        &self,
        account: ServiceAccountId,
        session: SessionId,
        cause: Cause,
    ) -> Result<Revocation, StoreError> {
        self.watch.time(OTHER, self.inner.end_tokens(account, session, cause)).await
    }

    async fn stored_key(&self, key: ServiceKeyId) -> Result<Option<StoredKey>, StoreError> {
        self.watch.time(STORED_KEY, self.inner.stored_key(key)).await
    }
}
