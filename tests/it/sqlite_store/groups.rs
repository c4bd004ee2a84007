//! Writes that wait are committed together, and each has the outcome that it would have had alone.

use std::sync::Arc;
use std::time::Duration;

use countersign::model::{Epoch, Session, new_user_id};
use countersign::store::sqlite::SqliteStore;
use countersign::store::{Created, Honoured, Rotation, SessionStore, StoreError};
use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection};
use tokio::task::JoinSet;

use super::{File, clock};
use crate::conformance::{POLICY, new_session, presentation};

const WRITES: usize = 40;

async fn sessions(store: &SqliteStore) -> Vec<Session> {
    let mut sessions = Vec::new();
    for _ in 0..WRITES {
        let new = new_session(new_user_id(), Epoch(0));
        match SessionStore::create(store, new, &POLICY).await.unwrap() {
            Created::Session(session, _) => sessions.push(*session),
            Created::LimitReached => panic!("there is no limit"),
        }
    }
    sessions
}

/// Another program holds the lock, and whatever is written waits.
async fn locked(file: &File) -> SqliteConnection {
    let mut other = file.connect().await;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    other
}

async fn unlock(mut other: SqliteConnection) {
    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    other.close().await.unwrap();
}

/// Rotates every session while the lock is held, and lets go of it when all of them wait.
async fn rotate_all(
    file: &File,
    store: &Arc<SqliteStore>,
    sessions: &[Session],
) -> Vec<Result<Rotation, StoreError>> {
    let lock = locked(file).await;
    let mut rotating = JoinSet::new();
    for (place, session) in sessions.iter().enumerate() {
        let (store, ask) = (store.clone(), presentation(session, session.current()));
        rotating.spawn(async move { (place, SessionStore::rotate(store.as_ref(), ask, &POLICY).await) });
    }
    // Each has come as far as it can by itself.
    for _ in 0..WRITES {
        tokio::task::yield_now().await;
    }
    unlock(lock).await;
    let mut outcomes = rotating.join_all().await;
    outcomes.sort_by_key(|(place, _)| *place);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

/// How many transactions stand in the write-ahead log: a frame with the size of the database ends each (the file format of
/// SQLite, section 4.1).
fn commits(file: &File) -> usize {
    const HEADER: usize = 32;
    const FRAME_HEADER: usize = 24;
    let log = std::fs::read(file.beside("-wal")).unwrap();
    let page = u32::from_be_bytes(log[8..12].try_into().unwrap()) as usize;
    let salt = &log[16..24];
    let frames = log[HEADER..].chunks_exact(FRAME_HEADER + page).take_while(|frame| &frame[8..16] == salt);
    frames.filter(|frame| frame[4..8] != [0; 4]).count()
}

#[tokio::test]
async fn writes_that_wait_are_committed_together() {
    let file = File::new();
    let store = Arc::new(file.open(clock()).await);
    let sessions = sessions(&store).await;
    let before = commits(&file);
    for outcome in rotate_all(&file, &store, &sessions).await {
        assert!(matches!(outcome, Ok(Rotation::Honoured(Honoured::Rotated, _))), "{outcome:?}");
    }
    // The first of them may have been begun before there was anything to wait for.
    let commits = commits(&file) - before;
    assert!((1..=2).contains(&commits), "{commits}");
    for session in sessions {
        let now = SessionStore::find(store.as_ref(), session.user, session.id).await.unwrap().unwrap();
        assert_ne!(now.current(), session.current());
    }
}

#[tokio::test]
async fn a_write_that_fails_fails_alone() {
    let file = File::new();
    let store = Arc::new(file.open(clock()).await);
    let sessions = sessions(&store).await;
    let broken = WRITES / 2;
    let mut other = file.connect().await;
    let damage = format!(
        "UPDATE sessions SET client = '[]' WHERE id = x'{}'",
        hex::encode(sessions[broken].id.as_bytes())
    );
    sqlx::query("PRAGMA ignore_check_constraints = ON").execute(&mut other).await.unwrap();
    let damaged = sqlx::query(AssertSqlSafe(damage)).execute(&mut other).await.unwrap();
    assert_eq!(damaged.rows_affected(), 1);
    other.close().await.unwrap();
    for (place, outcome) in rotate_all(&file, &store, &sessions).await.into_iter().enumerate() {
        match outcome {
            Err(StoreError::Corrupt { .. }) => assert_eq!(place, broken),
            Ok(Rotation::Honoured(Honoured::Rotated, _)) => assert_ne!(place, broken),
            other => panic!("{place}: {other:?}"),
        }
    }
}

/// Whoever has waited too long is answered, and nothing was done for them.
#[tokio::test]
async fn a_write_whose_time_is_over_is_not_begun() {
    let file = File::new();
    let store = Arc::new(file.open(clock()).await);
    let sessions = sessions(&store).await;
    let lock = locked(&file).await;
    let patient = presentation(&sessions[0], sessions[0].current());
    let first = {
        let store = store.clone();
        tokio::spawn(async move { SessionStore::rotate(store.as_ref(), patient, &POLICY).await })
    };
    tokio::task::yield_now().await;
    let mut hurried = presentation(&sessions[1], sessions[1].current());
    hurried.within = Duration::from_millis(20);
    let late = SessionStore::rotate(store.as_ref(), hurried, &POLICY).await;
    assert!(matches!(late, Err(StoreError::Unavailable { .. })), "{late:?}");
    unlock(lock).await;
    assert!(matches!(first.await.unwrap(), Ok(Rotation::Honoured(Honoured::Rotated, _))));
    // One more write: what was waiting before it is done with.
    let next = presentation(&sessions[2], sessions[2].current());
    SessionStore::rotate(store.as_ref(), next, &POLICY).await.unwrap();
    let untouched = SessionStore::find(store.as_ref(), sessions[1].user, sessions[1].id).await.unwrap();
    assert_eq!(untouched.unwrap().current(), sessions[1].current());
}

/// Whoever asked goes away, as when their call is cancelled: the others hear what became of theirs.
#[tokio::test]
async fn a_write_that_nobody_waits_for_holds_up_no_other() {
    let file = File::new();
    let store = Arc::new(file.open(clock()).await);
    let sessions = sessions(&store).await;
    let lock = locked(&file).await;
    let mut rotating = Vec::new();
    for session in &sessions {
        let (store, ask) = (store.clone(), presentation(session, session.current()));
        rotating.push(tokio::spawn(async move { SessionStore::rotate(store.as_ref(), ask, &POLICY).await }));
    }
    for _ in 0..WRITES {
        tokio::task::yield_now().await;
    }
    for gone in rotating.iter().step_by(2) {
        gone.abort();
    }
    unlock(lock).await;
    for (place, rotating) in rotating.into_iter().enumerate() {
        let outcome = rotating.await;
        if place % 2 == 1 {
            assert!(matches!(outcome.unwrap(), Ok(Rotation::Honoured(Honoured::Rotated, _))), "{place}");
        }
    }
}
