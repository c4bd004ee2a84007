//! The audit log in the database, for operators.

use std::time::Duration;

use async_trait::async_trait;

use crate::auth::{EventLog, EventPage, EventsAfter};
use crate::cli::audit::{AuditReading, Following, Start};
use crate::cli::program::{BoxError, Page};
use crate::model::{Event, EventFilter, Position};

/// How often the database is asked for more events.
const POLL_EVERY: Duration = Duration::from_millis(500);
/// The most events that are read at once.
const AT_ONCE: u32 = 500;

#[async_trait]
impl AuditReading for EventLog {
    async fn page(
        &self,
        filter: &EventFilter,
        after: Option<&str>,
        size: u32,
    ) -> Result<Page<Event>, BoxError> {
        let before = after.map(str::parse).transpose()?;
        let EventPage { events, next } = EventLog::page(self, filter.clone(), before, size).await?;
        Ok(Page { items: events, next: next.map(|next| next.to_string()) })
    }

    async fn follow(&self, filter: &EventFilter, from: Start) -> Result<Box<dyn Following>, BoxError> {
        let position = match from {
            Start::After(position) => Some(position),
            Start::Oldest => None,
            Start::Now => Some(self.end().await?),
        };
        Ok(Box::new(Polling { log: self.clone(), filter: filter.clone(), position }))
    }
}

struct Polling {
    log: EventLog,
    filter: EventFilter,
    position: Option<Position>,
}

#[async_trait]
impl Following for Polling {
    async fn next(&mut self) -> Result<Option<(Vec<Event>, Position)>, BoxError> {
        loop {
            let EventsAfter::Events(mut events, position) = self.log.after(self.position, AT_ONCE).await?
            else {
                let what = "what follows this position is not known any more (POSITION_EXPIRED); begin anew with --from-oldest";
                return Err(what.into());
            };
            let read = events.len();
            self.position = Some(position);
            events.retain(|event| self.filter.admits(event));
            if !events.is_empty() {
                return Ok(Some((events, position)));
            }
            if read < AT_ONCE as usize {
                tokio::time::sleep(POLL_EVERY).await;
            }
        }
    }
}
