//! The SQLite store: the conformance suite, and what is SQLite's alone (the file, the schema, other processes,
//! restored copies, damaged rows).

use std::path::PathBuf;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use countersign::model::{Epoch, ManualClock, Position, RevocationScope, UnixMillis, new_user_id};
use countersign::store::sqlite::{OpenError, SchemaError, SqliteOptions, SqliteStore};
use countersign::store::{
    Ledger, LedgerPoll, Probe as _, SessionRevocation, SessionStore, StoreError, UserStore,
};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};
use tempfile::TempDir;

use crate::conformance::{Backend, OPERATOR, POLICY, START, Stores, new_session, new_user, session_id};
use crate::support::process::Dev;
use crate::support::replica::readyz;

/// Users, ledger and sessions in one file.
pub(crate) struct Sqlite;

impl Backend for Sqlite {
    async fn fresh(clock: Arc<ManualClock>) -> Option<Stores> {
        let file = File::new();
        let store = Arc::new(file.open(clock).await);
        Some(Stores {
            users: store.clone(),
            ledger: store.clone(),
            accounts: store.clone(),
            keys: store.clone(),
            audit: store.clone(),
            sessions: store,
            keep: Box::new(file),
        })
    }
}

mod damage;
mod files;
mod groups;

mod conformance {
    crate::conformance::every_case!(crate::sqlite_store::Sqlite);
}

/// A database file in a directory of its own.
pub(crate) struct File {
    directory: TempDir,
}

impl File {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("countersign.db")
    }

    /// Opens and migrates it, with a deadline that a busy machine keeps.
    pub(crate) async fn open(&self, clock: Arc<ManualClock>) -> SqliteStore {
        let options = SqliteOptions { deadline: Duration::from_secs(20), ..SqliteOptions::new(self.path()) };
        let store = SqliteStore::open(options, clock).await.unwrap();
        store.migrate().await.unwrap();
        store
    }

    /// Copies the database as it is; nothing may be writing.
    pub(crate) fn save(&self) {
        for suffix in ["", "-wal"] {
            let (from, to) = (self.beside(suffix), self.beside(&format!(".saved{suffix}")));
            if from.exists() {
                std::fs::copy(from, to).unwrap();
            } else {
                std::fs::remove_file(to).ok();
            }
        }
    }

    /// Puts the copy in the place of the database, which must be closed.
    pub(crate) fn restore(&self) {
        for suffix in ["", "-wal", "-shm"] {
            std::fs::remove_file(self.beside(suffix)).ok();
        }
        for suffix in ["", "-wal"] {
            let saved = self.beside(&format!(".saved{suffix}"));
            if saved.exists() {
                std::fs::copy(saved, self.beside(suffix)).unwrap();
            }
        }
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut path = self.path().into_os_string();
        path.push(suffix);
        path.into()
    }

    /// A connection of another program.
    pub(crate) async fn connect(&self) -> SqliteConnection {
        SqliteConnectOptions::new().filename(self.path()).connect().await.unwrap()
    }
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(START))
}

fn revoking() -> SessionRevocation {
    SessionRevocation { session: session_id(), user: new_user_id(), cause: OPERATOR }
}

#[cfg(unix)]
#[tokio::test]
async fn no_other_account_can_read_the_files() {
    use std::os::unix::fs::PermissionsExt as _;
    let file = File::new();
    let store = file.open(clock()).await;
    UserStore::create(&store, new_user("ada")).await.unwrap();
    for suffix in ["", "-wal", "-shm"] {
        let mode = std::fs::metadata(file.beside(suffix)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{suffix:?}");
    }
}

#[tokio::test]
async fn what_was_written_is_there_after_a_restart() {
    let (file, clock) = (File::new(), clock());
    let store = file.open(clock.clone()).await;
    let user = UserStore::create(&store, new_user("ada")).await.unwrap();
    SessionStore::create(&store, new_session(user.id, Epoch(0)), &POLICY).await.unwrap();
    let sessions = SessionStore::list(&store, user.id).await.unwrap();
    let rows = store.revoke_sessions(&[revoking()]).await.unwrap();
    let snapshot = store.snapshot(UnixMillis(0)).await.unwrap();
    store.close().await;
    assert!(matches!(store.check().await, Err(StoreError::Unavailable { .. })), "it is closed");

    let store = file.open(clock).await;
    store.check_schema().await.unwrap();
    assert_eq!(UserStore::find(&store, user.id).await.unwrap(), Some(user.clone()));
    assert_eq!(SessionStore::list(&store, user.id).await.unwrap(), sessions);
    assert_eq!(store.snapshot(UnixMillis(0)).await.unwrap(), snapshot);
    assert_eq!(snapshot.rows, rows);
}

#[tokio::test]
async fn a_file_that_cannot_be_a_database_is_named_in_the_error() {
    let file = File::new();
    let nowhere = file.path().join("nowhere.db");
    let error = SqliteStore::open(SqliteOptions::new(&nowhere), clock()).await.unwrap_err();
    assert!(matches!(error, OpenError::File { .. }), "{error}");
    assert!(error.to_string().contains("nowhere.db"), "{error}");

    std::fs::write(file.path(), "This is not a database, whatever its name says. ".repeat(100)).unwrap();
    let error = SqliteStore::open(SqliteOptions::new(file.path()), clock()).await.unwrap_err();
    assert!(matches!(error, OpenError::Database { .. }), "{error}");
    assert!(error.to_string().contains("not a database"), "{error}");
}

#[tokio::test]
async fn an_older_and_a_newer_schema_are_told_apart() {
    let file = File::new();
    let store = SqliteStore::open(SqliteOptions::new(file.path()), clock()).await.unwrap();
    let older = store.check_schema().await.unwrap_err();
    assert!(matches!(older, SchemaError::Older { found: 0, .. }), "{older}");
    assert!(older.to_string().contains("countersign migrate"), "{older}");
    assert!(store.check().await.is_err(), "without a schema it is not ready");

    store.migrate().await.unwrap();
    let birth = store.snapshot(UnixMillis(0)).await.unwrap().cursor;
    store.migrate().await.unwrap();
    assert_eq!(store.snapshot(UnixMillis(0)).await.unwrap().cursor, birth, "the second did nothing");
    store.check_schema().await.unwrap();
    store.check().await.unwrap();

    sqlx::query("INSERT INTO _sqlx_migrations VALUES (9999, 'later', CURRENT_TIMESTAMP, TRUE, x'00', 1)")
        .execute(&mut file.connect().await)
        .await
        .unwrap();
    for newer in [store.check_schema().await.unwrap_err(), store.migrate().await.unwrap_err()] {
        assert!(matches!(newer, SchemaError::Newer { found: 9999, .. }), "{newer}");
        assert!(newer.to_string().contains("newer than this binary"), "{newer}");
    }
}

/// Two releases later, each of which lets this one go on, and then one that does not.
#[tokio::test]
async fn a_newer_schema_is_used_as_far_as_its_migrations_allow() {
    let file = File::new();
    let store = file.open(clock()).await;
    let user = UserStore::create(&store, new_user("ada")).await.unwrap();
    let mut later = file.connect().await;
    for (statement, taken) in LATER {
        sqlx::raw_sql(*statement).execute(&mut later).await.unwrap();
        assert_eq!(store.check_schema().await.is_ok(), *taken, "{statement}");
        assert_eq!(store.migrate().await.is_ok(), *taken, "{statement}");
        assert_eq!(UserStore::find(&store, user.id).await.unwrap(), Some(user.clone()));
    }
}

/// What later migrations might do, and whether a binary of this release goes on after them.
pub(crate) const LATER: &[(&str, bool)] = &[
    (
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9998, 'silent', TRUE, '', 1)",
        false,
    ),
    ("INSERT INTO schema_compatibility (version, oldest) VALUES (9998, 2)", true),
    (
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'contract', TRUE, '', 1)",
        false,
    ),
    ("INSERT INTO schema_compatibility (version, oldest) VALUES (9999, 9998)", false),
    ("UPDATE schema_compatibility SET oldest = 1 WHERE version = 9999", true),
    // While it is under way, or after it failed halfway: what it declares holds after each of its steps.
    ("UPDATE _sqlx_migrations SET success = FALSE WHERE version = 9999", true),
    ("UPDATE schema_compatibility SET oldest = 9998 WHERE version = 9999", false),
];

#[tokio::test]
async fn a_service_goes_on_with_a_newer_schema_and_says_so() {
    let data = tempfile::tempdir().unwrap();
    drop(Dev::start(data.path()));
    let database = SqliteConnectOptions::new().filename(data.path().join("countersign.db"));
    let mut later = database.connect().await.unwrap();
    for (statement, _) in &LATER[..2] {
        sqlx::raw_sql(*statement).execute(&mut later).await.unwrap();
    }
    let dev = Dev::start(data.path());
    let (status, report) = readyz(dev.operations).unwrap();
    assert_eq!(status, 200, "{report}");
    let warnings = report["warnings"].to_string();
    assert!(warnings.contains("version 9998") && warnings.contains("newer than this binary"), "{report}");
    assert!(dev.log().contains("newer than this binary"), "{}", dev.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_migrate_at_once_do_it_once() {
    let file = File::new();
    let first = SqliteStore::open(SqliteOptions::new(file.path()), clock()).await.unwrap();
    let second = SqliteStore::open(SqliteOptions::new(file.path()), clock()).await.unwrap();
    let (one, other) = tokio::join!(first.migrate(), second.migrate());
    one.unwrap();
    other.unwrap();
    let (one, other) = tokio::join!(first.snapshot(UnixMillis(0)), second.snapshot(UnixMillis(0)));
    assert_eq!(one.unwrap().cursor, other.unwrap().cursor, "the ledger was born once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_process_that_writes_is_waited_for_but_not_for_ever() {
    let file = File::new();
    file.open(clock()).await.close().await;
    let options =
        SqliteOptions { busy_timeout: Duration::from_millis(100), ..SqliteOptions::new(file.path()) };
    let store = SqliteStore::open(options, clock()).await.unwrap();
    let user = UserStore::create(&store, new_user("ada")).await.unwrap();

    let mut other = file.connect().await;
    let lock = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let refused = store.revoke_all(user.id, OPERATOR).await;
    assert!(matches!(refused, Err(StoreError::Unavailable { .. })), "{refused:?}");
    assert_eq!(UserStore::find(&store, user.id).await.unwrap(), Some(user.clone()), "reading goes on");
    lock.rollback().await.unwrap();
    let row = store.revoke_all(user.id, OPERATOR).await.unwrap().unwrap();
    assert_eq!(row.scope, RevocationScope::User { user: user.id, epoch: Epoch(1) }, "the first left nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_is_held_up_answers_within_the_deadline() {
    let file = File::new();
    file.open(clock()).await.close().await;
    let options = SqliteOptions {
        busy_timeout: Duration::from_mins(10),
        deadline: Duration::from_millis(400),
        ..SqliteOptions::new(file.path())
    };
    let store = SqliteStore::open(options, clock()).await.unwrap();
    let mut other = file.connect().await;
    let lock = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    for _ in 0..3 {
        let late = store.revoke_sessions(&[revoking()]).await;
        assert!(matches!(late, Err(StoreError::Unavailable { .. })), "{late:?}");
    }
    lock.rollback().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_is_finished_after_its_caller_went_away() {
    let (file, clock) = (File::new(), clock());
    let store = file.open(clock).await;
    let new = new_session(new_user_id(), Epoch(0));
    let mut other = file.connect().await;
    let lock = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let mut login = SessionStore::create(&store, new.clone(), &POLICY);
    assert!(std::future::poll_fn(|context| Poll::Ready(login.as_mut().poll(context))).await.is_pending());
    drop(login);
    lock.rollback().await.unwrap();

    let written = async {
        while SessionStore::find(&store, new.user, new.id).await.unwrap().is_none() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), written).await.expect("it is written in the end");
}

#[tokio::test]
async fn dead_sessions_are_purged_as_soon_as_they_are_dead() {
    let (file, clock) = (File::new(), clock());
    let store = file.open(clock.clone()).await;
    for _ in 0..3 {
        SessionStore::create(&store, new_session(new_user_id(), Epoch(0)), &POLICY).await.unwrap();
    }
    clock.advance(POLICY.idle);
    assert_eq!(SessionStore::purge(&store, 2).await.unwrap(), 2);
    assert_eq!(SessionStore::purge(&store, 2).await.unwrap(), 1);
}

/// Two processes, such as the server and the command line, share the ledger's numbers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_write_one_ledger() {
    let (file, clock) = (File::new(), clock());
    let (server, command_line) = (file.open(clock.clone()).await, file.open(clock).await);
    let birth = server.snapshot(UnixMillis(0)).await.unwrap().cursor;
    let write = |store: SqliteStore| async move {
        for _ in 0..50 {
            store.revoke_sessions(&[revoking()]).await.unwrap();
        }
    };
    tokio::join!(write(server.clone()), write(command_line));
    let LedgerPoll::Rows(rows, _) = server.poll(birth, 1000).await.unwrap() else {
        panic!("the ledger is the same")
    };
    assert!(rows.iter().map(|row| row.seq).eq(1..=100));
}

/// A reader has followed the ledger; then an old copy is restored and goes on, for as many rows as given.
async fn poll_after_a_restore(rows_after: usize) -> (LedgerPoll, LedgerPoll) {
    let (file, clock) = (File::new(), clock());
    let store = file.open(clock.clone()).await;
    let saved = store.revoke_sessions(&[revoking(), revoking()]).await.unwrap()[1];
    file.save();
    let lost = store.revoke_sessions(&[revoking(), revoking()]).await.unwrap()[1];
    store.close().await;

    file.restore();
    let store = file.open(clock).await;
    for _ in 0..rows_after {
        store.revoke_sessions(&[revoking()]).await.unwrap();
    }
    let poll = async |row: countersign::model::Revocation| {
        store.poll(Position { seq: row.seq, mark: row.mark }, 100).await.unwrap()
    };
    (poll(saved).await, poll(lost).await)
}

#[tokio::test]
async fn a_restored_copy_is_found_out_even_when_it_has_overtaken_the_reader() {
    for rows_after in [0, 1, 2, 3, 10] {
        let (saved, lost) = poll_after_a_restore(rows_after).await;
        let LedgerPoll::Rows(rows, _) = saved else { panic!("what was saved is still true") };
        assert_eq!(rows.len(), rows_after);
        assert_eq!(lost, LedgerPoll::AnotherIncarnation, "after {rows_after} more rows");
    }
}

#[tokio::test]
async fn a_database_that_was_made_anew_is_another_incarnation() {
    let (file, clock) = (File::new(), clock());
    let store = file.open(clock.clone()).await;
    let birth = store.snapshot(UnixMillis(0)).await.unwrap().cursor;
    store.close().await;
    std::fs::remove_file(file.path()).unwrap();
    let store = file.open(clock).await;
    assert_eq!(store.poll(birth, 9).await.unwrap(), LedgerPoll::AnotherIncarnation);
}
