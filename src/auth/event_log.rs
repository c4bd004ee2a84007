//! What is asked of the audit log, by operators at the command line and by callers of `AuditService`.

use std::sync::Arc;

use crate::model::{EventFilter, Position};
use crate::store::{AuditStore, EventPage, EventsAfter, StoreError};

/// The most events on a page.
pub const MOST_EVENTS: u32 = 1000;

/// Reads the audit log.
#[derive(Clone)]
pub struct EventLog {
    store: Arc<dyn AuditStore>,
}

impl EventLog {
    /// Of this store.
    pub fn new(store: Arc<dyn AuditStore>) -> Self {
        Self { store }
    }

    /// At most `size` events that the filter admits, the newest first, those before number `before`. A page may be short, or
    /// empty, and still have a next one: how much is read for it is bounded.
    pub async fn page(
        &self,
        filter: EventFilter,
        before: Option<u64>,
        size: u32,
    ) -> Result<EventPage, StoreError> {
        self.store.page(filter, before, size.min(MOST_EVENTS)).await
    }

    /// At most `limit` events after a position, in commit order; from the oldest one that there is, where none is given.
    pub async fn after(&self, position: Option<Position>, limit: u32) -> Result<EventsAfter, StoreError> {
        self.store.after(position, limit).await
    }

    /// Where the log ends.
    pub async fn end(&self) -> Result<Position, StoreError> {
        self.store.end().await
    }
}
