//! The ledger in SQL. A one-row head gives each row its number inside the inserting transaction and stays locked
//! until the commit, so that the order of the numbers is the order of the commits.

use std::sync::Arc;

use async_trait::async_trait;

use super::dialect::Dialect;
use super::driver::{Record as _, values};
use super::failure::Failure;
use super::pool::Connection;
use super::{Mode, SqlStore, audit, rows};
use crate::model::{
    EventKind, NewEvent, Origin, Position, Revocation, RevocationReason, RevocationScope, SessionId,
    UnixMillis, UserId,
};
use crate::secret;
use crate::store::{
    Cause, Ending, Ledger, LedgerPoll, LedgerSnapshot, Lived, SNAPSHOT_ROWS, SessionRevocation, Standing,
    StoreError,
};

#[async_trait]
impl<D: Dialect> Ledger for SqlStore<D> {
    async fn revoke_from(
        &self,
        sessions: &[(SessionRevocation, Arc<Origin>)],
    ) -> Result<Vec<Revocation>, StoreError> {
        if sessions.is_empty() {
            return Ok(Vec::new());
        }
        self.run(Mode::Transaction, sessions.to_vec(), |sessions, connection| {
            Box::pin(revoke(sessions, connection))
        })
        .await
    }

    async fn standing(&self, user: UserId, session: SessionId) -> Result<Standing, StoreError> {
        self.run(Mode::Read, (user, session), |&(user, session), connection| {
            Box::pin(async move {
                let found = connection.fetch(D::STATEMENTS.standing, values![session, user]).await?;
                let row = found.first().ok_or(sqlx::Error::RowNotFound)?;
                let known = row.bytes("id")?.is_some();
                Ok(Standing {
                    user: known.then(|| rows::user(row)).transpose()?,
                    session_revoked: rows::flag(row, "session_revoked")?,
                })
            })
        })
        .await
    }

    async fn ending(
        &self,
        user: UserId,
        session: SessionId,
        lived: Lived,
    ) -> Result<Option<Ending>, StoreError> {
        // No epoch is below 0, and none is above the largest number.
        let (epoch, since) = match lived {
            Lived::InEpoch(epoch) => (i64::try_from(epoch.0).unwrap_or(i64::MAX), i64::MIN),
            Lived::At(time) => (-1, time.0),
            Lived::Unknown => (i64::MAX, i64::MIN),
        };
        self.run(Mode::Read, (user, session, epoch, since), |&(user, session, epoch, since), connection| {
            Box::pin(async move {
                let of = values![session, user, user, epoch, since];
                let found = connection.fetch(D::STATEMENTS.ending, of).await?;
                found.first().map(rows::ending).transpose()
            })
        })
        .await
    }

    async fn snapshot(&self, since: UnixMillis) -> Result<LedgerSnapshot, StoreError> {
        self.run(Mode::Read, since, |&since, connection| {
            Box::pin(async move {
                let found = connection.fetch(D::STATEMENTS.snapshot, values![since, SNAPSHOT_ROWS]).await?;
                let head = found.first().ok_or(NO_HEAD)?;
                let head =
                    Position { seq: rows::unsigned(head, "head_seq")?, mark: rows::mark(head, "head_mark")? };
                // No row's time lies before that of an earlier one, so the times' order is the rows'.
                let rows = rows::joined(&found, "seq", rows::revocation)?;
                let cursor = match rows.last() {
                    Some(last) if rows.len() == SNAPSHOT_ROWS as usize => last.position(),
                    _ => head,
                };
                Ok(LedgerSnapshot { rows, cursor })
            })
        })
        .await
    }

    async fn poll(&self, cursor: Position, limit: u32) -> Result<LedgerPoll, StoreError> {
        self.run(Mode::Read, (cursor, limit.max(1)), |&(cursor, limit), connection| {
            Box::pin(async move {
                let from = values![cursor.seq, cursor.seq, cursor.seq, limit];
                let found = connection.fetch(D::STATEMENTS.poll, from).await?;
                let head = found.first().ok_or(NO_HEAD)?;
                if head.int("cursor_mark")?.map(i64::cast_unsigned) != Some(cursor.mark) {
                    return Ok(LedgerPoll::AnotherIncarnation);
                }
                let rows = rows::joined(&found, "seq", rows::revocation)?;
                let cursor = rows.last().map_or(cursor, Revocation::position);
                Ok(LedgerPoll::Rows(rows, cursor))
            })
        })
        .await
    }

    async fn head(&self) -> Result<Position, StoreError> {
        self.run(Mode::Read, (), |(), connection| {
            Box::pin(async move { Ok(read_head(connection).await?.position) })
        })
        .await
    }

    async fn time(&self) -> Result<UnixMillis, StoreError> {
        self.run(Mode::Read, (), |(), connection| {
            Box::pin(async move { Ok(read_head(connection).await?.now) })
        })
        .await
    }

    async fn purge(&self, now: UnixMillis, limit: u32) -> Result<u64, StoreError> {
        self.run(Mode::Statements, (now, limit), |&(now, limit), connection| {
            Box::pin(connection.execute(D::STATEMENTS.purge_ledger, values![now, limit]))
        })
        .await
    }
}

const NO_HEAD: Failure = Failure::Corrupt("the ledger has no head");

async fn revoke<D: Dialect>(
    sessions: &[(SessionRevocation, Arc<Origin>)],
    connection: &mut Connection<D>,
) -> Result<Vec<Revocation>, Failure> {
    let entry = |&(SessionRevocation { session, user, cause }, _): &(_, _)| {
        (RevocationScope::Session { session, user }, cause)
    };
    let rows = append(connection, &sessions.iter().map(entry).collect::<Vec<_>>()).await?;
    let event = |(SessionRevocation { session, user, cause }, origin): &(SessionRevocation, Arc<Origin>)| {
        event(ended_by(cause.reason), *user, *cause, origin).session(*session)
    };
    audit::note(connection, &sessions.iter().map(event).collect::<Vec<_>>()).await?;
    Ok(rows)
}

/// What the audit log calls the end of sessions that ended for this reason.
pub(super) const fn ended_by(reason: RevocationReason) -> EventKind {
    match reason {
        RevocationReason::Logout | RevocationReason::LogoutEverywhere => EventKind::Logout,
        RevocationReason::RefreshTokenReused => EventKind::RefreshReused,
        RevocationReason::PasswordChanged => EventKind::PasswordChanged,
        RevocationReason::UserDisabled => EventKind::UserDisabled,
        RevocationReason::UserDeleted => EventKind::UserDeleted,
        RevocationReason::UserChanged => EventKind::UserUpdated,
        RevocationReason::SessionLimit | RevocationReason::Operator => EventKind::SessionRevoked,
    }
}

/// The event of a change of a user or of a session of theirs.
pub(super) fn event(kind: EventKind, user: UserId, cause: Cause, origin: &Origin) -> NewEvent {
    caused(NewEvent::new(origin.kind.unwrap_or(kind), cause.actor, origin).about(user), cause)
}

/// The event of an end, with what callers are told of why.
pub(super) fn caused(event: NewEvent, cause: Cause) -> NewEvent {
    match cause.reason.end_cause() {
        Some(end) => event.because(end.as_str()),
        None => event,
    }
}

/// Where the ledger ends, and the database's clock.
struct Head {
    position: Position,
    now: UnixMillis,
}

async fn read_head<D: Dialect>(connection: &mut Connection<D>) -> Result<Head, Failure> {
    let time = vec![connection.time()];
    let found = connection.fetch(D::STATEMENTS.head, time).await?;
    let head = found.first().ok_or(NO_HEAD)?;
    let position = Position { seq: rows::unsigned(head, "seq")?, mark: rows::mark(head, "mark")? };
    Ok(Head { position, now: rows::time(head, "now")? })
}

/// Writes rows, in this order, at the end of the transaction that is open. Their time is that at which they got
/// hold of the head: it does not lie before that of an earlier row.
pub(super) async fn append<D: Dialect>(
    connection: &mut Connection<D>,
    entries: &[(RevocationScope, Cause)],
) -> Result<Vec<Revocation>, Failure> {
    let marks: Vec<u64> = entries.iter().map(|_| new_mark()).collect();
    let Some(last_mark) = marks.last() else { return Ok(Vec::new()) };
    let count = entries.len() as u64;
    let advance = values![count, last_mark.cast_signed()];
    if connection.execute(D::STATEMENTS.advance_head, advance).await? != 1 {
        return Err(NO_HEAD);
    }
    let Head { position, now: at } = read_head(connection).await?;
    let before = position.seq.saturating_sub(count);

    let written: Vec<Revocation> = (before + 1..)
        .zip(entries.iter().zip(marks))
        .map(|(seq, (&(scope, cause), mark))| Revocation {
            seq,
            mark,
            scope,
            reason: cause.reason,
            at,
            until: cause.until.resolve(at),
        })
        .collect();
    let causes = entries.iter().map(|&(_, cause)| cause);
    let json = rows::ledger_json(written.iter().zip(causes));
    match connection.execute(D::STATEMENTS.append, values![json]).await? {
        rows if rows == count => Ok(written),
        _ => Err(Failure::Corrupt("the ledger did not take the rows")),
    }
}

pub(super) fn new_mark() -> u64 {
    u64::from_ne_bytes(secret::random())
}
