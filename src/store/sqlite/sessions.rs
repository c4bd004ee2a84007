//! Sessions in SQLite. Time is the clock's, read once the write lock is held.

use async_trait::async_trait;
use sqlx::SqliteConnection;

use super::failure::Failure;
use super::{SqliteStore, rows};
use crate::model::{
    Decision, Line, NewSession, Session, SessionId, SessionLimit, UnixMillis, UserId, decide,
};
use crate::store::{Created, Honoured, Presentation, Rotation, SessionPolicy, SessionStore, StoreError};

#[async_trait]
impl SessionStore for SqliteStore {
    async fn create(&self, session: NewSession, policy: &SessionPolicy) -> Result<Created, StoreError> {
        let policy = *policy;
        self.write(move |connection, now| {
            Box::pin(async move { create(connection, now, session, &policy).await })
        })
        .await
    }

    async fn rotate(&self, ask: Presentation, policy: &SessionPolicy) -> Result<Rotation, StoreError> {
        let policy = *policy;
        self.write(move |connection, now| {
            Box::pin(async move { rotate(connection, now, &ask, &policy).await })
        })
        .await
    }

    async fn find(&self, user: UserId, session: SessionId) -> Result<Option<Session>, StoreError> {
        let query =
            sqlx::query("SELECT * FROM sessions WHERE user_id = ?1 AND id = ?2 AND idle_expires_at > ?3")
                .bind(&user.as_bytes()[..])
                .bind(&session.as_bytes()[..])
                .bind(self.clock.now().0);
        self.read(async {
            let row = query.fetch_optional(&self.readers).await?;
            row.as_ref().map(rows::session).transpose()
        })
        .await
    }

    async fn list(&self, user: UserId) -> Result<Vec<Session>, StoreError> {
        let query = sqlx::query(
            "SELECT * FROM sessions WHERE user_id = ?1 AND idle_expires_at > ?2
             ORDER BY rotated_at DESC, created_at DESC, id",
        )
        .bind(&user.as_bytes()[..])
        .bind(self.clock.now().0);
        self.read(async { query.fetch_all(&self.readers).await?.iter().map(rows::session).collect() }).await
    }

    async fn delete(&self, user: UserId, sessions: &[SessionId]) -> Result<(), StoreError> {
        if sessions.is_empty() {
            return Ok(());
        }
        let sessions = sessions.to_vec();
        self.write(move |connection, _| {
            Box::pin(async move {
                for session in sessions {
                    delete(connection, user, session).await?;
                }
                Ok(())
            })
        })
        .await
    }

    async fn purge(&self, limit: u32) -> Result<u64, StoreError> {
        self.write(move |connection, now| {
            Box::pin(async move {
                let delete = sqlx::query(
                    "DELETE FROM sessions WHERE (user_id, id) IN (
                         SELECT user_id, id FROM sessions WHERE idle_expires_at <= ?1 LIMIT ?2)",
                );
                Ok(delete.bind(now.0).bind(limit).execute(connection).await?.rows_affected())
            })
        })
        .await
    }
}

async fn create(
    connection: &mut SqliteConnection,
    now: UnixMillis,
    new: NewSession,
    policy: &SessionPolicy,
) -> Result<Created, Failure> {
    if let Some(session) = select(connection, new.user, new.id).await? {
        return Ok(Created::Session(Box::new(session), Vec::new()));
    }
    let Some(evicted) = make_room(connection, now, &new, policy.limit).await? else {
        return Ok(Created::LimitReached);
    };
    let expires_at = now + policy.absolute;
    let session = Session {
        id: new.id,
        user: new.user,
        epoch: new.epoch,
        line: Line::begin(now),
        audiences: new.audiences,
        mac_key: new.mac_key,
        created_at: now,
        idle_expires_at: expires_at.min(now + policy.idle),
        expires_at,
        client: new.client,
    };
    insert(connection, &session).await?;
    Ok(Created::Session(Box::new(session), evicted))
}

/// Ends as many sessions as must go for one more, and returns them; `None` when there is no room and none may be
/// made. Sessions of an earlier epoch are revoked and take no room.
async fn make_room(
    connection: &mut SqliteConnection,
    now: UnixMillis,
    new: &NewSession,
    limit: SessionLimit,
) -> Result<Option<Vec<Session>>, Failure> {
    let (most, may_evict) = match limit {
        SessionLimit::Unlimited => return Ok(Some(Vec::new())),
        SessionLimit::Deny(most) => (most, false),
        SessionLimit::EvictOldest(most) => (most, true),
    };
    let too_many = sqlx::query(
        "SELECT * FROM sessions WHERE user_id = ?1 AND idle_expires_at > ?2 AND epoch >= ?3
         ORDER BY rotated_at DESC, created_at DESC, id LIMIT -1 OFFSET ?4",
    )
    .bind(&new.user.as_bytes()[..])
    .bind(now.0)
    .bind(rows::number(new.epoch.0))
    .bind(most.get() - 1)
    .fetch_all(&mut *connection)
    .await?;
    if !too_many.is_empty() && !may_evict {
        return Ok(None);
    }
    let evicted: Vec<Session> = too_many.iter().map(rows::session).collect::<Result<_, _>>()?;
    for session in &evicted {
        delete(connection, session.user, session.id).await?;
    }
    Ok(Some(evicted))
}

async fn rotate(
    connection: &mut SqliteConnection,
    now: UnixMillis,
    ask: &Presentation,
    policy: &SessionPolicy,
) -> Result<Rotation, Failure> {
    let Some(session) = select(connection, ask.user, ask.session).await? else {
        return Ok(Rotation::Unknown);
    };
    if session.idle_expires_at <= now {
        return Ok(Rotation::Idle);
    }
    if session.epoch != ask.user_epoch {
        return Ok(Rotation::Superseded);
    }
    let decision = decide(&session.line, ask.presented, now, &policy.rotation);
    let honoured = match decision {
        Decision::Rotate(_) => Honoured::Rotated,
        Decision::Unchanged => Honoured::Unchanged,
        Decision::Replay => Honoured::Replayed,
        Decision::Withdraw(_) => Honoured::Withdrawn,
        Decision::Adopt(_) => Honoured::Adopted,
        Decision::InProgress => return Ok(Rotation::InProgress),
        Decision::Reuse => return Ok(Rotation::Reused),
    };
    let session = match decision.next_line() {
        Some(line) => {
            let idle_expires_at = session.expires_at.min(now + policy.idle);
            let moved = Session { line, mac_key: ask.mac_key, idle_expires_at, ..session.clone() };
            advance(connection, &session, &moved).await?;
            moved
        }
        None => session,
    };
    Ok(Rotation::Honoured(honoured, Box::new(session)))
}

/// Moves a line from what was read. The lock is held since before the read, so that the guard can only fail
/// where this program has a defect; it is there so that such a defect cannot fork a session.
async fn advance(connection: &mut SqliteConnection, from: &Session, to: &Session) -> Result<(), Failure> {
    let update = sqlx::query(
        "UPDATE sessions
         SET generation = ?1, predecessor = ?2, rotated_at = ?3, mac_key = ?4, idle_expires_at = ?5
         WHERE user_id = ?6 AND id = ?7 AND generation = ?8 AND rotated_at = ?9 AND epoch = ?10",
    )
    .bind(to.line.current.0)
    .bind(to.line.predecessor.map(|generation| generation.0))
    .bind(to.line.rotated_at.0)
    .bind(to.mac_key.to_bytes().to_vec())
    .bind(to.idle_expires_at.0)
    .bind(&from.user.as_bytes()[..])
    .bind(&from.id.as_bytes()[..])
    .bind(from.line.current.0)
    .bind(from.line.rotated_at.0)
    .bind(rows::number(from.epoch.0));
    match update.execute(connection).await?.rows_affected() {
        1 => Ok(()),
        _ => Err(Failure::Corrupt("a session changed under the write lock")),
    }
}

async fn select(
    connection: &mut SqliteConnection,
    user: UserId,
    session: SessionId,
) -> Result<Option<Session>, Failure> {
    let row = sqlx::query("SELECT * FROM sessions WHERE user_id = ?1 AND id = ?2")
        .bind(&user.as_bytes()[..])
        .bind(&session.as_bytes()[..])
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(rows::session).transpose()
}

async fn insert(connection: &mut SqliteConnection, session: &Session) -> Result<(), Failure> {
    sqlx::query(
        "INSERT INTO sessions
             (user_id, id, epoch, generation, predecessor, rotated_at, audiences, mac_key, created_at,
              idle_expires_at, expires_at, client_address, user_agent, client_name)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    )
    .bind(&session.user.as_bytes()[..])
    .bind(&session.id.as_bytes()[..])
    .bind(rows::number(session.epoch.0))
    .bind(session.line.current.0)
    .bind(session.line.predecessor.map(|generation| generation.0))
    .bind(session.line.rotated_at.0)
    .bind(rows::names_json(&session.audiences))
    .bind(session.mac_key.to_bytes().to_vec())
    .bind(session.created_at.0)
    .bind(session.idle_expires_at.0)
    .bind(session.expires_at.0)
    .bind(&session.client.address)
    .bind(&session.client.user_agent)
    .bind(&session.client.name)
    .execute(connection)
    .await?;
    Ok(())
}

async fn delete(connection: &mut SqliteConnection, user: UserId, session: SessionId) -> Result<(), Failure> {
    sqlx::query("DELETE FROM sessions WHERE user_id = ?1 AND id = ?2")
        .bind(&user.as_bytes()[..])
        .bind(&session.as_bytes()[..])
        .execute(connection)
        .await?;
    Ok(())
}
