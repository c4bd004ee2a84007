//! The contract for the audit log.

use async_trait::async_trait;

use super::StoreError;
use crate::model::{Event, EventFilter, NewEvent, Position, UnixMillis};
use crate::secret;

/// The most events that one question reads, whatever its filter admits of them.
pub const EVENTS_READ: u32 = 2_000;

/// Some of the events, the newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventPage {
    /// Those that were found.
    pub events: Vec<Event>,
    /// Where to go on: only what was committed before this number was not looked at. `None` when there are no more.
    pub next: Option<u64>,
}

/// What has come since a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventsAfter {
    /// These, in commit order with none left out, and where to go on from.
    Events(Vec<Event>, Position),
    /// The log does not have what the position points at: it was purged, or the database was restored from a backup.
    Expired,
}

/// What is written together, and can be written again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventBatch {
    /// The events, in order.
    pub events: Vec<NewEvent>,
    /// Made at random: tells whether the batch has been written before.
    pub mark: u64,
    /// Where the log ended before this batch was first tried; `None` when it was not tried yet.
    pub tried_since: Option<u64>,
}

impl EventBatch {
    /// These events, which were not tried yet.
    pub fn new(events: Vec<NewEvent>) -> Self {
        Self { events, mark: u64::from_ne_bytes(secret::random()), tried_since: None }
    }
}

/// The audit log. An event's number is its place in commit order, so a reader that has seen number *n* has missed none before
/// it. The other contracts write the events of what they change, in the same transaction.
#[async_trait]
pub trait AuditStore: Send + Sync + 'static {
    /// Writes events that belong to no other change. The same batch again, with `tried_since`, is not written twice. Returns
    /// where the log ends then.
    async fn write(&self, batch: EventBatch) -> Result<Position, StoreError>;

    /// At most `size` events that the filter admits and that were committed before number `before`, the newest first. Reads
    /// [`EVENTS_READ`] at the most: when few of them are admitted, a page may be short, or empty, and still have a next one.
    async fn page(
        &self,
        filter: EventFilter,
        before: Option<u64>,
        size: u32,
    ) -> Result<EventPage, StoreError>;

    /// At most `limit` events after a position; from the oldest one that there is, where none is given.
    async fn after(&self, position: Option<Position>, limit: u32) -> Result<EventsAfter, StoreError>;

    /// Where the log ends.
    async fn end(&self) -> Result<Position, StoreError>;

    /// Forgets the oldest events, those that were written before this moment, at most `limit` of them. Returns how many. The
    /// newest of those stays, so that whoever has read up to it can go on.
    async fn purge(&self, before: UnixMillis, limit: u32) -> Result<u64, StoreError>;
}
