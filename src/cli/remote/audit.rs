//! The audit log, at a running service.

use async_trait::async_trait;

use crate::cli::audit::{AuditReading, Following, Start};
use crate::cli::program::{BoxError, Page};
use crate::grpc::{Administrator, ToldEvents};
use crate::model::{Event, EventFilter, Position};

#[async_trait]
impl AuditReading for Administrator {
    async fn page(
        &self,
        filter: &EventFilter,
        after: Option<&str>,
        size: u32,
    ) -> Result<Page<Event>, BoxError> {
        let (items, next) = self.list_events(filter, after, size).await?;
        Ok(Page { items, next })
    }

    async fn follow(&self, filter: &EventFilter, from: Start) -> Result<Box<dyn Following>, BoxError> {
        let position = match from {
            Start::After(position) => Some(position),
            Start::Now | Start::Oldest => None,
        };
        Ok(Box::new(self.watch_events(filter, position, from == Start::Oldest).await?))
    }
}

#[async_trait]
impl Following for ToldEvents {
    async fn next(&mut self) -> Result<Option<(Vec<Event>, Position)>, BoxError> {
        Ok(ToldEvents::next(self).await?)
    }
}
