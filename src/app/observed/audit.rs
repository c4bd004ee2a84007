//! The audit log, watched.

use async_trait::async_trait;

use super::stores::Observed;
use crate::model::{EventFilter, Position, UnixMillis};
use crate::store::{AuditStore, EventBatch, EventPage, EventsAfter, StoreError};

#[async_trait]
impl AuditStore for Observed<dyn AuditStore> {
    async fn write(&self, batch: EventBatch) -> Result<Position, StoreError> {
        self.watch.time(0, self.inner.write(batch)).await
    }

    async fn page(
        &self,
        filter: EventFilter,
        before: Option<u64>,
        size: u32,
    ) -> Result<EventPage, StoreError> {
        self.watch.time(1, self.inner.page(filter, before, size)).await
    }

    async fn after(&self, position: Option<Position>, limit: u32) -> Result<EventsAfter, StoreError> {
        self.watch.time(2, self.inner.after(position, limit)).await
    }

    async fn end(&self) -> Result<Position, StoreError> {
        self.inner.end().await
    }

    async fn purge(&self, before: UnixMillis, limit: u32) -> Result<u64, StoreError> {
        self.watch.time(3, self.inner.purge(before, limit)).await
    }
}
