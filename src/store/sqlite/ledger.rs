//! The ledger in SQLite. A one-row head gives each row its number inside the inserting transaction.

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

use super::failure::Failure;
use super::{SqliteStore, rows};
use crate::model::{Cursor, Revocation, RevocationScope, SessionId, UnixMillis, UserId};
use crate::secret;
use crate::store::{Cause, Ledger, LedgerPoll, LedgerSnapshot, SessionRevocation, Standing, StoreError};

/// What a Refresh must know: the user as they are now, and whether this session is revoked.
const STANDING: &str = "
    SELECT u.*, EXISTS (SELECT 1 FROM ledger WHERE session_id = ?2) AS session_revoked
    FROM (SELECT 1) LEFT JOIN users AS u ON u.id = ?1";

/// The head beside the rows since a time: one row with nulls when there are none. The `+` keeps SQLite from
/// reading the whole ledger in order, of which the rows that are wanted are the small last part.
const SNAPSHOT: &str = "
    SELECT h.seq AS head_seq, h.mark AS head_mark, l.*
    FROM ledger_head AS h LEFT JOIN ledger AS l ON l.written_at >= ?1
    WHERE h.only_row = 1 ORDER BY +l.seq";

/// What the ledger says now of the row that a cursor points at, beside the rows that follow it.
const POLL: &str = "
    SELECT CASE ?1 WHEN 0 THEN h.birth_mark WHEN h.seq THEN h.mark
               ELSE (SELECT mark FROM ledger WHERE seq = ?1) END AS cursor_mark, l.*
    FROM ledger_head AS h LEFT JOIN ledger AS l ON l.seq > ?1
    WHERE h.only_row = 1 ORDER BY l.seq LIMIT ?2";

const PURGE: &str = "
    DELETE FROM ledger WHERE seq IN (
        SELECT seq FROM ledger WHERE matters_until < ?1 AND seq < (SELECT seq FROM ledger_head) LIMIT ?2)";

#[async_trait]
impl Ledger for SqliteStore {
    async fn revoke_sessions(&self, sessions: &[SessionRevocation]) -> Result<Vec<Revocation>, StoreError> {
        if sessions.is_empty() {
            return Ok(Vec::new());
        }
        let entries: Vec<_> = sessions
            .iter()
            .map(|&SessionRevocation { session, user, cause }| {
                (RevocationScope::Session { session, user }, cause)
            })
            .collect();
        self.write(move |connection, now| Box::pin(async move { append(connection, now, &entries).await }))
            .await
    }

    async fn standing(&self, user: UserId, session: SessionId) -> Result<Standing, StoreError> {
        let query = sqlx::query(STANDING).bind(&user.as_bytes()[..]).bind(&session.as_bytes()[..]);
        self.read(async {
            let row = query.fetch_one(&self.readers).await?;
            let known = row.try_get::<Option<&[u8]>, _>("id")?.is_some();
            Ok(Standing {
                user: known.then(|| rows::user(&row)).transpose()?,
                session_revoked: row.try_get("session_revoked")?,
            })
        })
        .await
    }

    async fn snapshot(&self, since: UnixMillis) -> Result<LedgerSnapshot, StoreError> {
        self.read(async {
            let found = sqlx::query(SNAPSHOT).bind(since.0).fetch_all(&self.readers).await?;
            let head = found.first().ok_or(sqlx::Error::RowNotFound)?;
            let cursor =
                Cursor { seq: rows::unsigned(head, "head_seq")?, mark: rows::mark(head, "head_mark")? };
            Ok(LedgerSnapshot { rows: revocations(&found)?, cursor })
        })
        .await
    }

    async fn poll(&self, cursor: Cursor, limit: u32) -> Result<LedgerPoll, StoreError> {
        let query = sqlx::query(POLL).bind(rows::number(cursor.seq)).bind(limit.max(1));
        self.read(async {
            let found = query.fetch_all(&self.readers).await?;
            let head = found.first().ok_or(sqlx::Error::RowNotFound)?;
            let mark: Option<i64> = head.try_get("cursor_mark")?;
            if mark.map(i64::cast_unsigned) != Some(cursor.mark) {
                return Ok(LedgerPoll::AnotherIncarnation);
            }
            let rows = revocations(&found)?;
            let cursor = rows.last().map_or(cursor, |last| Cursor { seq: last.seq, mark: last.mark });
            Ok(LedgerPoll::Rows(rows, cursor))
        })
        .await
    }

    async fn purge(&self, now: UnixMillis, limit: u32) -> Result<u64, StoreError> {
        self.write(move |connection, _| {
            Box::pin(async move {
                Ok(sqlx::query(PURGE).bind(now.0).bind(limit).execute(connection).await?.rows_affected())
            })
        })
        .await
    }
}

/// Writes the head of an empty ledger, unless it is there already.
pub(super) async fn give_birth(connection: &mut SqliteConnection) -> Result<(), Failure> {
    sqlx::query(
        "INSERT INTO ledger_head (only_row, seq, mark, birth_mark) VALUES (1, 0, ?1, ?1)
         ON CONFLICT DO NOTHING",
    )
    .bind(new_mark().cast_signed())
    .execute(connection)
    .await?;
    Ok(())
}

/// Writes rows, in this order, in the transaction that is open.
pub(super) async fn append(
    connection: &mut SqliteConnection,
    now: UnixMillis,
    entries: &[(RevocationScope, Cause)],
) -> Result<Vec<Revocation>, Failure> {
    let marks: Vec<u64> = entries.iter().map(|_| new_mark()).collect();
    let Some(last_mark) = marks.last() else { return Ok(Vec::new()) };
    let count = entries.len() as u64;
    let head =
        sqlx::query("UPDATE ledger_head SET seq = seq + ?1, mark = ?2 WHERE only_row = 1 RETURNING seq")
            .bind(rows::number(count))
            .bind(last_mark.cast_signed())
            .fetch_one(&mut *connection)
            .await?;
    let before = rows::unsigned(&head, "seq")?.saturating_sub(count);

    let mut written = Vec::with_capacity(entries.len());
    for (seq, (&(scope, cause), mark)) in (before + 1..).zip(entries.iter().zip(marks)) {
        let row = Revocation { seq, mark, scope, reason: cause.reason, at: now, until: cause.until };
        insert(connection, &row, cause).await?;
        written.push(row);
    }
    Ok(written)
}

async fn insert(connection: &mut SqliteConnection, row: &Revocation, cause: Cause) -> Result<(), Failure> {
    let (scope, user, session, epoch) = match row.scope {
        RevocationScope::Session { session, user } => ("session", user, Some(session), None),
        RevocationScope::User { user, epoch } => ("user", user, None, Some(epoch)),
        RevocationScope::UserChanged { user } => ("user_changed", user, None, None),
    };
    sqlx::query(
        "INSERT INTO ledger
             (seq, mark, scope, user_id, session_id, epoch, reason, actor, written_at, matters_until)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )
    .bind(rows::number(row.seq))
    .bind(row.mark.cast_signed())
    .bind(scope)
    .bind(&user.as_bytes()[..])
    .bind(session.as_ref().map(|session| &session.as_bytes()[..]))
    .bind(epoch.map(|epoch| rows::number(epoch.0)))
    .bind(row.reason.as_str())
    .bind(cause.actor.to_string())
    .bind(row.at.0)
    .bind(row.until.0)
    .execute(connection)
    .await?;
    Ok(())
}

/// The ledger's rows in the result of a left join, which has one row of nulls when there are none.
fn revocations(found: &[SqliteRow]) -> Result<Vec<Revocation>, Failure> {
    let mut rows = Vec::with_capacity(found.len());
    for row in found {
        if row.try_get::<Option<i64>, _>("seq")?.is_some() {
            rows.push(rows::revocation(row)?);
        }
    }
    Ok(rows)
}

fn new_mark() -> u64 {
    u64::from_ne_bytes(secret::random())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::scratch;

    /// How SQLite would answer a query, a step a line.
    async fn plan(store: &SqliteStore, query: &str) -> String {
        let explained = sqlx::query(sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {query}")));
        let steps = explained.fetch_all(&store.readers).await.unwrap();
        steps.iter().map(|step| step.get::<String, _>("detail") + "\n").collect()
    }

    #[tokio::test]
    async fn what_a_refresh_and_a_poll_read_is_found_by_index() {
        let (store, _directory) = scratch().await;
        for (query, indexes) in [
            (STANDING, ["USING COVERING INDEX ledger_by_session", "sqlite_autoindex_users_1 (id=?)"]),
            (POLL, ["ledger USING INTEGER PRIMARY KEY (rowid=?)", "l USING INTEGER PRIMARY KEY (rowid>?)"]),
            (
                SNAPSHOT,
                [
                    "l USING INDEX ledger_by_written_at (written_at>?)",
                    "SEARCH h USING INTEGER PRIMARY KEY (rowid=?)",
                ],
            ),
        ] {
            let plan = plan(&store, query).await;
            for index in indexes {
                assert!(plan.contains(index), "no {index:?} in\n{plan}");
            }
        }
        assert!(!plan(&store, POLL).await.contains("TEMP B-TREE"), "rows come in order without sorting");
    }
}
