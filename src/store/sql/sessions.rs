//! Sessions in SQL.

use async_trait::async_trait;

use super::dialect::Dialect;
use super::driver::{Record, Value, values};
use super::failure::Failure;
use super::pool::Connection;
use super::{Mode, SqlStore, rows};
use crate::model::{
    Decision, Line, NewSession, Session, SessionId, SessionLimit, UnixMillis, UserId, decide,
};
use crate::secret;
use crate::store::{Created, Honoured, Presentation, Rotation, SessionPolicy, SessionStore, StoreError};

#[async_trait]
impl<D: Dialect> SessionStore for SqlStore<D> {
    async fn create(&self, session: NewSession, policy: &SessionPolicy) -> Result<Created, StoreError> {
        self.run(Mode::Transaction, (session, *policy), |(session, policy), connection| {
            Box::pin(create(session, policy, connection))
        })
        .await
    }

    async fn rotate(&self, ask: Presentation, policy: &SessionPolicy) -> Result<Rotation, StoreError> {
        // An update that the server gets to after that finds the line where it was read, or nothing to change.
        self.run_within(ask.within, Mode::Statements, (ask, *policy), |(ask, policy), connection| {
            Box::pin(rotate(ask, policy, connection))
        })
        .await
    }

    async fn find(&self, user: UserId, session: SessionId) -> Result<Option<Session>, StoreError> {
        self.run(Mode::Read, (user, session), |&(user, session), connection| {
            Box::pin(async move {
                let (now, found) = select(connection, user, session).await?;
                Ok(found.filter(|session| session.idle_expires_at > now))
            })
        })
        .await
    }

    async fn list(&self, user: UserId) -> Result<Vec<Session>, StoreError> {
        self.run(Mode::Read, user, |&user, connection| {
            Box::pin(async move {
                let of_user = vec![Value::from(user), connection.time()];
                connection.fetch(D::STATEMENTS.sessions, of_user).await?.iter().map(rows::session).collect()
            })
        })
        .await
    }

    async fn delete(&self, user: UserId, sessions: &[SessionId]) -> Result<(), StoreError> {
        if sessions.is_empty() {
            return Ok(());
        }
        self.run(Mode::Statements, (user, sessions.to_vec()), |(user, sessions), connection| {
            Box::pin(delete(connection, *user, sessions))
        })
        .await
    }

    async fn purge(&self, limit: u32) -> Result<u64, StoreError> {
        self.run(Mode::Statements, limit, |&limit, connection| {
            let dead = vec![connection.time(), Value::from(limit)];
            Box::pin(connection.execute(D::STATEMENTS.purge_sessions, dead))
        })
        .await
    }
}

async fn create<D: Dialect>(
    new: &NewSession,
    policy: &SessionPolicy,
    connection: &mut Connection<D>,
) -> Result<Created, Failure> {
    if let Some(lock) = D::STATEMENTS.lock_sessions
        && (policy.limit, policy.class_limit) != (SessionLimit::Unlimited, SessionLimit::Unlimited)
    {
        connection.fetch(lock, values![lock_number(new.user)]).await?;
    }
    let (now, found) = select(connection, new.user, new.id).await?;
    if let Some(session) = found {
        return Ok(Created::Session(Box::new(session), Vec::new()));
    }
    let Some(evicted) = room_for(connection, now, new, policy).await? else {
        return Ok(Created::LimitReached);
    };
    let expires_at = now + policy.absolute;
    let session = Session {
        id: new.id,
        user: new.user,
        epoch: new.epoch,
        line: Line::begin(now),
        audiences: new.audiences.clone(),
        mac_key: new.mac_key,
        created_at: now,
        idle_expires_at: expires_at.min(now + policy.idle),
        expires_at,
        client: new.client.clone(),
    };
    insert(connection, &session).await?;
    Ok(Created::Session(Box::new(session), evicted))
}

/// Writes what a login writes, in a transaction that takes it back: whoever can do that can write. It belongs to nobody
/// and lives for ever, so that no purge meets it.
pub(super) async fn write_and_take_back<D: Dialect>(connection: &mut Connection<D>) -> Result<(), Failure> {
    let (user, id) = (UserId::from_bytes(secret::random()), SessionId::from_bytes(secret::random()));
    let written = values![
        user,
        id,
        0_u32,
        0_u32,
        None::<u32>,
        0_u32,
        "[]",
        [0_u8; 4],
        0_u32,
        FOR_EVER,
        FOR_EVER,
        "{}",
        ""
    ];
    connection.execute(D::STATEMENTS.insert_session, written).await?;
    delete(connection, user, &[id]).await
}

/// The year 2255, in milliseconds.
const FOR_EVER: i64 = 9_000_000_000_000;

/// The end of the id, which is its random part.
fn lock_number(user: UserId) -> i64 {
    user.as_bytes()[8..].iter().fold(0, |number, &byte| number << 8 | i64::from(byte))
}

/// The sessions that must go for one more; `None` when there is no room and none may be made. They stay until their
/// end is in the ledger. Sessions of an earlier epoch are revoked and take no room.
async fn room_for<D: Dialect>(
    connection: &mut Connection<D>,
    now: UnixMillis,
    new: &NewSession,
    policy: &SessionPolicy,
) -> Result<Option<Vec<Session>>, Failure> {
    let mut evicted = Vec::new();
    let class = new.client.class.as_str();
    if let Some((most, may_evict)) = policy.class_limit.most()
        && !class.is_empty()
    {
        let beyond = values![new.user, now, new.epoch.0, class, most.get() - 1];
        let statement = D::STATEMENTS.sessions_beyond_in_class;
        evicted = sessions(&connection.fetch(statement, beyond).await?)?;
        if !evicted.is_empty() && !may_evict {
            return Ok(None);
        }
    }
    if let Some((most, may_evict)) = policy.limit.most() {
        let beyond = values![new.user, now, new.epoch.0, most.get() - 1];
        let oldest = sessions(&connection.fetch(D::STATEMENTS.sessions_beyond, beyond).await?)?;
        // Those of the class make room, too, whether or not they are among the oldest of all.
        let more = oldest.len().saturating_sub(evicted.len());
        if more > 0 && !may_evict {
            return Ok(None);
        }
        let others = oldest.into_iter().rev().filter(|old| evicted.iter().all(|gone| gone.id != old.id));
        let others: Vec<Session> = others.take(more).collect();
        evicted.extend(others);
    }
    Ok(Some(evicted))
}

fn sessions(rows: &[impl Record]) -> Result<Vec<Session>, Failure> {
    rows.iter().map(rows::session).collect()
}

/// How often a line is read again that moved between the read and the write. Whoever moved it was answered, and
/// a line that has just been moved answers everybody else without moving: a few times are many.
const ROUNDS: u32 = 8;

/// Reads, decides, and moves the line in one guarded update, which finds nothing to change when the line has
/// moved since: then all begins anew. Nothing is locked in between.
async fn rotate<D: Dialect>(
    ask: &Presentation,
    policy: &SessionPolicy,
    connection: &mut Connection<D>,
) -> Result<Rotation, Failure> {
    for _ in 0..ROUNDS {
        let (now, found) = select(connection, ask.user, ask.session).await?;
        let (honoured, from, to) = match answer(found, now, ask, policy) {
            Answer::Settled(rotation) => return Ok(rotation),
            Answer::Move { honoured, from, to } => (honoured, from, to),
        };
        connection.point_of_no_return();
        if advance(connection, &from, &to).await? == 1 {
            return Ok(Rotation::Honoured(honoured, to));
        }
    }
    Err(Failure::Contended)
}

/// What a session as it was read says to a token.
enum Answer {
    /// Nothing need change.
    Settled(Rotation),
    /// This is the answer once the line has moved.
    Move { honoured: Honoured, from: Box<Session>, to: Box<Session> },
}

fn answer(found: Option<Session>, now: UnixMillis, ask: &Presentation, policy: &SessionPolicy) -> Answer {
    let Some(session) = found else { return Answer::Settled(Rotation::Unknown) };
    if session.idle_expires_at <= now {
        return Answer::Settled(Rotation::Idle);
    }
    if session.epoch != ask.user_epoch {
        return Answer::Settled(Rotation::Superseded);
    }
    let decision = decide(&session.line, ask.presented, now, &policy.rotation);
    let honoured = match decision {
        Decision::Rotate(_) => Honoured::Rotated,
        Decision::Unchanged => Honoured::Unchanged,
        Decision::Replay => Honoured::Replayed,
        Decision::Withdraw(_) => Honoured::Withdrawn,
        Decision::Adopt(_) => Honoured::Adopted,
        Decision::InProgress => return Answer::Settled(Rotation::InProgress),
        Decision::Reuse => return Answer::Settled(Rotation::Reused),
    };
    let from = Box::new(session);
    let to = match decision.next_line() {
        Some(line) => {
            let idle_expires_at = from.idle_end_moved(&line, now, policy.idle);
            Session { line, mac_key: ask.mac_key, idle_expires_at, ..(*from).clone() }
        }
        // The idle life counts from the last Refresh, whether it moved the line or not.
        None => Session { idle_expires_at: from.idle_end_unmoved(now, policy.idle), ..(*from).clone() },
    };
    if to == *from {
        return Answer::Settled(Rotation::Honoured(honoured, from));
    }
    Answer::Move { honoured, from, to: Box::new(to) }
}

/// Moves a line, if it stands where it was read; says how many it found.
async fn advance<D: Dialect>(
    connection: &mut Connection<D>,
    from: &Session,
    to: &Session,
) -> Result<u64, Failure> {
    let change = values![
        to.line.current.0,
        to.line.predecessor.map(|generation| generation.0),
        to.line.rotated_at,
        to.mac_key.to_bytes(),
        to.idle_expires_at,
        from.user,
        from.id,
        from.line.current.0,
        from.line.rotated_at,
        from.epoch.0,
    ];
    connection.execute(D::STATEMENTS.advance_session, change).await
}

/// The session, dead or alive, and the store's time at which it was read.
async fn select<D: Dialect>(
    connection: &mut Connection<D>,
    user: UserId,
    session: SessionId,
) -> Result<(UnixMillis, Option<Session>), Failure> {
    let key = vec![connection.time(), Value::from(user), Value::from(session)];
    let found = connection.fetch(D::STATEMENTS.session, key).await?;
    let row = found.first().ok_or(sqlx::Error::RowNotFound)?;
    let there = row.bytes("id")?.is_some();
    Ok((rows::time(row, "now")?, there.then(|| rows::session(row)).transpose()?))
}

async fn insert<D: Dialect>(connection: &mut Connection<D>, session: &Session) -> Result<(), Failure> {
    let new = values![
        session.user,
        session.id,
        session.epoch.0,
        session.line.current.0,
        session.line.predecessor.map(|generation| generation.0),
        session.line.rotated_at,
        rows::names_json(&session.audiences),
        session.mac_key.to_bytes(),
        session.created_at,
        session.idle_expires_at,
        session.expires_at,
        rows::client_json(&session.client),
        session.client.class.as_str(),
    ];
    connection.execute(D::STATEMENTS.insert_session, new).await.map(drop)
}

async fn delete<D: Dialect>(
    connection: &mut Connection<D>,
    user: UserId,
    sessions: &[SessionId],
) -> Result<(), Failure> {
    let named = values![user, rows::ids_json(sessions)];
    connection.execute(D::STATEMENTS.delete_sessions, named).await.map(drop)
}
