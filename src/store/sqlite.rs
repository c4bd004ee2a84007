//! The embedded store: SQLite, in one file.
//!
//! One connection writes, several read. Every write is one `BEGIN IMMEDIATE` transaction that runs in a task of
//! its own, so that it finishes whatever becomes of the caller; every read is one statement. Another process
//! (the command line beside a running server) may use the same file: whoever comes second waits, for a while.

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, SqliteConnection, SqlitePool};

use self::failure::Failure;
use crate::model::{Clock, UnixMillis};
use crate::store::{Probe, StoreError};

mod failure;
mod ledger;
mod rows;
mod schema;
mod sessions;
mod users;

pub use self::schema::SchemaError;

/// What the store calls itself in errors, on `/readyz` and in the log.
const NAME: &str = "sqlite";

/// Where the database is and how long anything may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqliteOptions {
    /// The database file; SQLite keeps two more beside it, named `…-wal` and `…-shm`.
    pub path: PathBuf,
    /// How many connections read at the same time.
    pub readers: u32,
    /// How long to wait for another process that writes.
    pub busy_timeout: Duration,
    /// How long any operation may take, waiting included, before it is answered as unavailable.
    pub deadline: Duration,
}

impl SqliteOptions {
    /// The defaults for the database at `path`: 4 readers, 1 s for another writer, 1.5 s for all.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            readers: 4,
            busy_timeout: Duration::from_secs(1),
            deadline: Duration::from_millis(1500),
        }
    }

    fn connect_options(&self) -> SqliteConnectOptions {
        SqliteConnectOptions::new()
            .filename(&self.path)
            .foreign_keys(true)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(self.busy_timeout)
            .disable_statement_logging()
    }

    fn pool_options(&self, connections: u32) -> SqlitePoolOptions {
        SqlitePoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(self.deadline)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
    }
}

/// The database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file can be neither opened nor made.
    #[error("cannot open or create the database {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// SQLite does not take the file for a database of its own, or another process keeps it locked.
    #[error("cannot open the database {path}: {source}")]
    Database {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Users, ledger and sessions in one SQLite file. Clones share the connections.
#[derive(Clone)]
pub struct SqliteStore {
    writer: SqlitePool,
    readers: SqlitePool,
    clock: Arc<dyn Clock>,
    deadline: Duration,
}

/// A transaction's work, which borrows the connection.
type Work<'c, T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send + 'c>>;

impl SqliteStore {
    /// Opens the database, and makes the file (mode 0600, empty) when there is none. Its directory must exist.
    /// Before use call [`SqliteStore::migrate`] or [`SqliteStore::check_schema`].
    pub async fn open(options: SqliteOptions, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        create_private(&options.path)
            .map_err(|source| OpenError::File { path: options.path.clone(), source })?;
        // A long run of commits without a checkpoint makes the write-ahead log grow; afterwards it is cut back.
        let writing = options
            .connect_options()
            .journal_mode(SqliteJournalMode::Wal)
            .pragma("journal_size_limit", "67108864");
        let writer = options.pool_options(1).connect_with(writing).await;
        let writer = writer
            .map_err(|error| OpenError::Database { path: options.path.clone(), source: Box::new(error) })?;
        let reading = options.connect_options().read_only(true);
        let readers = options.pool_options(options.readers.max(1)).connect_lazy_with(reading);
        Ok(Self { writer, readers, clock, deadline: options.deadline })
    }

    /// Waits for what is under way and closes the file. Afterwards every operation is answered as unavailable.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    /// Runs one write transaction in a task of its own, at the time that it began to hold the lock.
    async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection, UnixMillis) -> Work<'c, T> + Send + 'static,
    {
        let transaction = tokio::spawn(transact(self.writer.clone(), Arc::clone(&self.clock), work));
        match tokio::time::timeout(self.deadline, transaction).await {
            Ok(Ok(outcome)) => outcome.map_err(StoreError::from),
            Ok(Err(cut_off)) => Err(Failure::CutOff(cut_off).into()),
            Err(_) => Err(Failure::Late(self.deadline).into()),
        }
    }

    /// Waits for a read, but not for ever.
    async fn read<T>(&self, work: impl Future<Output = Result<T, Failure>>) -> Result<T, StoreError> {
        let outcome = tokio::time::timeout(self.deadline, work).await;
        outcome.unwrap_or(Err(Failure::Late(self.deadline))).map_err(StoreError::from)
    }
}

impl std::fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteStore").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

#[async_trait]
impl Probe for SqliteStore {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.read(async {
            sqlx::query("SELECT seq FROM ledger_head").fetch_one(&self.readers).await?;
            Ok(())
        })
        .await
    }
}

/// One transaction that holds the write lock from its beginning, so that it never fails for what it has read.
async fn transact<T, F>(pool: SqlitePool, clock: Arc<dyn Clock>, work: F) -> Result<T, Failure>
where
    F: for<'c> FnOnce(&'c mut SqliteConnection, UnixMillis) -> Work<'c, T>,
{
    let mut connection = pool.acquire().await?;
    let outcome = commit(&mut connection, clock.as_ref(), work).await;
    if outcome.is_err() {
        // SQLite ends a transaction by itself after some errors (a full disk, for one), and the driver would go
        // on to count it as open. A new connection costs a millisecond.
        connection.close_on_drop();
    }
    outcome
}

async fn commit<T, F>(connection: &mut SqliteConnection, clock: &dyn Clock, work: F) -> Result<T, Failure>
where
    F: for<'c> FnOnce(&'c mut SqliteConnection, UnixMillis) -> Work<'c, T>,
{
    let mut transaction = sqlx::Connection::begin_with(connection, "BEGIN IMMEDIATE").await?;
    let value = work(&mut transaction, clock.now()).await?;
    transaction.commit().await?;
    Ok(value)
}

/// Makes the file with mode 0600 where there is none; SQLite gives the files beside it the same mode.
fn create_private(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

/// A migrated database in a directory that goes away with the second value.
#[cfg(test)]
async fn scratch() -> (SqliteStore, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let clock = Arc::new(crate::model::ManualClock::new(UnixMillis::from_secs(1_700_000_000)));
    let options = SqliteOptions::new(directory.path().join("countersign.db"));
    let store = SqliteStore::open(options, clock).await.unwrap();
    store.migrate().await.unwrap();
    (store, directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_committed_is_on_the_disk() {
        let (store, _directory) = scratch().await;
        let mut writer = store.writer.acquire().await.unwrap();
        for (pragma, wanted) in [("journal_mode", "wal"), ("synchronous", "2"), ("foreign_keys", "1")] {
            let query = sqlx::AssertSqlSafe(format!("SELECT CAST({pragma} AS TEXT) FROM pragma_{pragma}"));
            let value: String = sqlx::query_scalar(query).fetch_one(&mut *writer).await.unwrap();
            assert_eq!(value, wanted, "{pragma}");
        }
    }

    #[tokio::test]
    async fn readers_cannot_write() {
        let (store, _directory) = scratch().await;
        let written = sqlx::query("DELETE FROM users").execute(&store.readers).await;
        assert!(written.unwrap_err().to_string().contains("readonly"));
    }

    #[tokio::test]
    async fn a_transaction_that_fails_leaves_nothing_behind_and_the_next_one_works() {
        let (store, _directory) = scratch().await;
        let outcome: Result<(), _> = store
            .write(|connection, _| {
                Box::pin(async move {
                    sqlx::query("UPDATE ledger_head SET seq = 7").execute(&mut *connection).await?;
                    // What SQLite does by itself when the disk is full, unknown to the driver.
                    sqlx::query("ROLLBACK").execute(&mut *connection).await?;
                    sqlx::query("SELECT no_such_column FROM users").execute(connection).await?;
                    Ok(())
                })
            })
            .await;
        assert!(matches!(outcome, Err(StoreError::Unavailable { .. })), "{outcome:?}");
        let seq: i64 = store
            .write(|connection, _| {
                Box::pin(async move {
                    Ok(sqlx::query_scalar("SELECT seq FROM ledger_head").fetch_one(connection).await?)
                })
            })
            .await
            .unwrap();
        assert_eq!(seq, 0);
    }

    #[tokio::test]
    async fn a_panic_in_a_transaction_is_an_error_and_the_next_one_works() {
        let (store, _directory) = scratch().await;
        let outcome: Result<(), _> =
            store.write(|_, _| Box::pin(async { panic!("a defect, made on purpose") })).await;
        assert!(matches!(outcome, Err(StoreError::Unavailable { .. })), "{outcome:?}");
        store.write(|_, _| Box::pin(async { Ok(()) })).await.unwrap();
    }
}
