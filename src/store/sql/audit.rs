//! The audit log in SQL. A one-row head gives each event its number inside the inserting transaction and stays locked until
//! the commit, so that the order of the numbers is the order of the commits. It is always the last lock that a transaction
//! takes, after a user's row, the head of the keys and the ledger's.

use async_trait::async_trait;

use super::dialect::Dialect;
use super::driver::{Record as _, Value, values};
use super::failure::Failure;
use super::pool::Connection;
use super::{Mode, SqlStore, ledger, rows};
use crate::model::{EventFilter, NewEvent, Origin, Position, UnixMillis};
use crate::store::{AuditStore, EVENTS_READ, EventBatch, EventPage, EventsAfter, StoreError};

#[async_trait]
impl<D: Dialect> AuditStore for SqlStore<D> {
    async fn write(&self, batch: EventBatch) -> Result<Position, StoreError> {
        self.run(Mode::Transaction, batch, |batch, connection| Box::pin(write(batch, connection))).await
    }

    async fn page(
        &self,
        filter: EventFilter,
        before: Option<u64>,
        size: u32,
    ) -> Result<EventPage, StoreError> {
        self.run(Mode::Read, (filter, before, size.max(1)), |(filter, before, size), connection| {
            Box::pin(page(filter, *before, *size, connection))
        })
        .await
    }

    async fn after(&self, position: Option<Position>, limit: u32) -> Result<EventsAfter, StoreError> {
        self.run(Mode::Read, (position, limit.max(1)), |&(position, limit), connection| {
            Box::pin(after(position, limit, connection))
        })
        .await
    }

    async fn end(&self) -> Result<Position, StoreError> {
        self.run(Mode::Read, (), |(), connection| Box::pin(end(connection))).await
    }

    async fn purge(&self, before: UnixMillis, limit: u32) -> Result<u64, StoreError> {
        self.run(Mode::Statements, (before, limit), |&(before, limit), connection| {
            Box::pin(connection.execute(D::STATEMENTS.purge_events, values![before, limit]))
        })
        .await
    }
}

impl<D: Dialect> SqlStore<D> {
    /// The same store, for what comes from there.
    pub(super) fn attributed(&self, origin: std::sync::Arc<Origin>) -> Self {
        Self { origin, ..self.clone() }
    }
}

/// Writes the events at the end of the transaction that is open.
pub(super) async fn note<D: Dialect>(
    connection: &mut Connection<D>,
    events: &[NewEvent],
) -> Result<(), Failure> {
    append(connection, events, ledger::new_mark()).await
}

async fn append<D: Dialect>(
    connection: &mut Connection<D>,
    events: &[NewEvent],
    last_mark: u64,
) -> Result<(), Failure> {
    if events.is_empty() {
        return Ok(());
    }
    let count = events.len() as u64;
    let last = events.len() - 1;
    let marks = (0..events.len()).map(|n| if n == last { last_mark } else { ledger::new_mark() });
    let json = rows::events_json(events.iter().zip(marks));
    let mut advance = values![count, last_mark.cast_signed()];
    advance.push(connection.time());
    let append = values![count, json];
    let written = if let Some(statement) = D::STATEMENTS.advance_audit_head {
        if connection.execute(statement, advance).await? != 1 {
            return Err(NO_HEAD);
        }
        connection.execute(D::STATEMENTS.append_events, append).await?
    } else {
        // One statement does both.
        let both = advance.into_iter().chain(append).collect();
        connection.execute(D::STATEMENTS.append_events, both).await?
    };
    if written == count { Ok(()) } else { Err(Failure::Corrupt("the audit log did not take the events")) }
}

async fn write<D: Dialect>(batch: &EventBatch, connection: &mut Connection<D>) -> Result<Position, Failure> {
    if let Some(since) = batch.tried_since {
        // Whoever tried before holds the head until that is over.
        if connection.execute(D::STATEMENTS.lock_audit_head, values![]).await? != 1 {
            return Err(NO_HEAD);
        }
        let marked = values![since, batch.mark.cast_signed()];
        if !connection.fetch(D::STATEMENTS.event_marked, marked).await?.is_empty() {
            return end(connection).await;
        }
    }
    append(connection, &batch.events, batch.mark).await?;
    end(connection).await
}

async fn end<D: Dialect>(connection: &mut Connection<D>) -> Result<Position, Failure> {
    let found = connection.fetch(D::STATEMENTS.audit_head, values![]).await?;
    let head = found.first().ok_or(NO_HEAD)?;
    Ok(Position { seq: rows::unsigned(head, "seq")?, mark: rows::mark(head, "mark")? })
}

/// The first number of an event written at this moment or later; `None` when there is none.
async fn since<D: Dialect>(at: UnixMillis, connection: &mut Connection<D>) -> Result<Option<u64>, Failure> {
    let found = connection.fetch(D::STATEMENTS.event_since, values![at]).await?;
    found.first().map(|row| rows::unsigned(row, "seq")).transpose()
}

/// Reads along one index, and looks at the rest of the filter here: what is read is bounded, whatever the filter.
async fn page<D: Dialect>(
    filter: &EventFilter,
    before: Option<u64>,
    size: u32,
    connection: &mut Connection<D>,
) -> Result<EventPage, Failure> {
    const NONE: EventPage = EventPage { events: Vec::new(), next: None };
    let floor = match filter.since {
        Some(at) => match since(at, connection).await? {
            Some(seq) => seq,
            None => return Ok(NONE),
        },
        None => 0,
    };
    let ceiling = match filter.until {
        Some(at) => since(at, connection).await?.unwrap_or(u64::MAX),
        None => u64::MAX,
    };
    let before = before.unwrap_or(u64::MAX).min(ceiling);
    let (statement, by): (_, Option<Value>) = match filter {
        EventFilter { session: Some(session), .. } => {
            (D::STATEMENTS.events_of_session, Some((*session).into()))
        }
        EventFilter { user: Some(user), .. } => (D::STATEMENTS.events_about_user, Some((*user).into())),
        EventFilter { actor: Some(actor), .. } => {
            (D::STATEMENTS.events_by_actor, Some(actor.as_str().into()))
        }
        EventFilter { kinds, .. } => match kinds.as_slice() {
            [kind] => (D::STATEMENTS.events_of_kind, Some(kind.as_str().into())),
            _ => (D::STATEMENTS.events_before, None),
        },
    };
    // One more than is wanted tells whether there are more; all of them are, where the index is the whole filter.
    let narrowed = usize::from(filter.session.is_some())
        + usize::from(filter.user.is_some())
        + usize::from(filter.actor.is_some())
        + filter.kinds.len();
    let whole = if by.is_some() { narrowed == 1 } else { narrowed == 0 };
    let most = if whole { size.saturating_add(1).min(EVENTS_READ) } else { EVENTS_READ };
    let bounds = values![before, floor, most];
    let values = by.into_iter().chain(bounds).collect();
    let found = connection.fetch(statement, values).await?;
    let mut page = EventPage { events: Vec::new(), next: None };
    let mut last = None;
    for row in &found {
        if page.events.len() == size as usize {
            page.next = last;
            return Ok(page);
        }
        let event = rows::event(row)?;
        last = Some(event.position.seq);
        if filter.admits(&event) {
            page.events.push(event);
        }
    }
    if found.len() == most as usize {
        page.next = last;
    }
    Ok(page)
}

async fn after<D: Dialect>(
    position: Option<Position>,
    limit: u32,
    connection: &mut Connection<D>,
) -> Result<EventsAfter, Failure> {
    let seq = position.map_or(0, |position| position.seq);
    let found = connection.fetch(D::STATEMENTS.events_after, values![seq, seq, seq, limit]).await?;
    let head = found.first().ok_or(NO_HEAD)?;
    let mut events = rows::joined(&found, "seq", rows::event)?;
    if let Some(position) = position {
        // Before the first event there is nothing that would tell one log from another.
        let known = seq == 0 || head.int("cursor_mark")?.map(i64::cast_unsigned) == Some(position.mark);
        if !known || events.first().is_some_and(|first| first.position.seq != seq + 1) {
            return Ok(EventsAfter::Expired);
        }
    }
    // What comes after a gap is being purged, and so is what stands before it.
    let gap = events.windows(2).position(|pair| pair[1].position.seq != pair[0].position.seq + 1);
    events.truncate(gap.map_or(events.len(), |last| last + 1));
    let end = match (events.last(), position) {
        (Some(last), _) => last.position,
        (None, Some(position)) => position,
        (None, None) => {
            Position { seq: rows::unsigned(head, "head_seq")?, mark: rows::mark(head, "head_mark")? }
        }
    };
    Ok(EventsAfter::Events(events, end))
}

const NO_HEAD: Failure = Failure::Corrupt("the audit log has no head");
