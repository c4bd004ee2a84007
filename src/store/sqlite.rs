//! The embedded store: SQLite, in one file.
//!
//! One connection writes, several read. Another process (the command line beside a running server) may use the
//! same file: whoever comes second waits, for a while.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::error::DatabaseError;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{
    Sqlite, SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteQueryResult, SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _};

use crate::model::Clock;
use crate::store::sql::{self, Dialect, Failure, Fault, SqlStore, Statements};

use self::place::Place;
#[cfg(feature = "test-server")]
use crate::secret;

mod place;
mod statements;
#[cfg(test)]
mod tests;

pub use crate::store::sql::SchemaError;

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// SQLite's file system in this process's memory.
#[cfg(feature = "test-server")]
const IN_MEMORY: &str = "memdb";
/// The largest database in memory: 64 MiB.
const MOST_PAGES: &str = "16384";

/// Users, ledger and sessions in one SQLite file.
pub type SqliteStore = SqlStore<SqliteDialect>;

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
    /// The file system, by its name in SQLite; `None` for the operating system's.
    pub vfs: Option<&'static str>,
}

impl SqliteOptions {
    /// The defaults for the database at `path`: 4 readers, 1 s for another writer, 1.5 s for all.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            readers: 4,
            busy_timeout: Duration::from_secs(1),
            deadline: Duration::from_millis(1500),
            vfs: None,
        }
    }

    /// The same for a database that is in memory, shared by the connections of this store alone, and gone with them.
    #[cfg(feature = "test-server")]
    pub fn in_memory() -> Self {
        // A path that begins with a slash is one that several connections may have.
        let path = format!("/{}", hex::encode(secret::random::<16>()));
        Self { readers: 2, vfs: Some(IN_MEMORY), ..Self::new(path) }
    }

    fn reading(&self) -> SqliteConnectOptions {
        self.connect_options().read_only(true)
    }

    fn writing(&self) -> SqliteConnectOptions {
        if self.vfs.is_some() {
            return self.connect_options().journal_mode(SqliteJournalMode::Memory);
        }
        // A long run of commits without a checkpoint makes the write-ahead log grow; afterwards it is cut back.
        self.connect_options().journal_mode(SqliteJournalMode::Wal).pragma("journal_size_limit", "67108864")
    }

    fn connect_options(&self) -> SqliteConnectOptions {
        let options = match self.vfs {
            Some(vfs) => SqliteConnectOptions::new().vfs(vfs).pragma("max_page_count", MOST_PAGES),
            None => SqliteConnectOptions::new(),
        };
        options
            .filename(&self.path)
            .foreign_keys(true)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(self.busy_timeout)
            .disable_statement_logging()
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

impl SqliteStore {
    /// Opens the database, and makes the file (mode 0600, empty) when there is none. Its directory must exist.
    /// Before use call [`SqlStore::migrate`] or [`SqlStore::check_schema`].
    pub async fn open(options: SqliteOptions, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        if options.vfs.is_none() {
            create_private(&options.path)
                .map_err(|source| OpenError::File { path: options.path.clone(), source })?;
        }
        // The first writer turns on the write-ahead log, without which readers cannot open the file; and whether
        // it is a database at all is better said now.
        let first = options.writing().connect().await;
        let first = first
            .map_err(|error| OpenError::Database { path: options.path.clone(), source: Box::new(error) })?;
        let files = options.vfs.is_none().then_some(options.path.as_path());
        let place = Place::of(files, first)
            .await
            .map_err(|error| OpenError::Database { path: options.path.clone(), source: Box::new(error) })?;
        let place = Arc::new(place);
        let connect = |options| SqliteConnect { options, place: Arc::clone(&place) };
        let readers = (connect(options.reading()), options.readers);
        Ok(Self::in_file(readers, connect(options.writing()), clock, options.deadline))
    }
}

/// Makes the file with mode 0600 where there is none; SQLite gives the files beside it the same mode.
fn create_private(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

/// How to connect, and to what.
#[derive(Debug)]
pub struct SqliteConnect {
    options: SqliteConnectOptions,
    place: Arc<Place>,
}

impl SqliteConnect {
    /// A connection to the file that was opened first, or none.
    async fn connect(&self) -> sqlx::Result<SqliteConnection> {
        let connection = self.options.connect().await?;
        self.place.check().map_err(|misplaced| sqlx::Error::Configuration(misplaced.into()))?;
        Ok(connection)
    }
}

/// What is SQLite's own.
#[derive(Debug)]
pub struct SqliteDialect;

impl Dialect for SqliteDialect {
    type Database = Sqlite;
    type Options = SqliteConnect;

    const NAME: &'static str = "sqlite";
    const STATEMENTS: &'static Statements = &statements::STATEMENTS;

    async fn connect(options: &SqliteConnect) -> sqlx::Result<SqliteConnection> {
        options.connect().await
    }

    async fn connect_to_migrate(options: &SqliteConnect) -> sqlx::Result<SqliteConnection> {
        options.connect().await
    }

    fn check_place(options: &SqliteConnect) -> Result<(), Failure> {
        options.place.check()
    }

    async fn leave(options: &SqliteConnect) {
        options.place.leave().await;
    }

    fn migrations() -> &'static Migrator {
        &MIGRATIONS
    }

    /// All in one transaction, which is also the lock.
    async fn migrate(connection: &mut SqliteConnection, _: &SqliteConnect) -> Result<(), SchemaError> {
        let unavailable = |error: sqlx::Error| SchemaError::of::<Self>(error.into());
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(unavailable)?;
        sql::migrate::<Self>(&mut transaction).await?;
        transaction.commit().await.map_err(unavailable)
    }

    fn affected(result: &SqliteQueryResult) -> u64 {
        result.rows_affected()
    }

    /// `SQLITE_CORRUPT` and `SQLITE_NOTADB` say that the file is damaged. They stand in the low byte of what may
    /// be an extended code.
    fn fault(error: &dyn DatabaseError) -> Fault {
        let primary = error.code().and_then(|code| code.parse::<u32>().ok()).map(|code| code & 0xff);
        if matches!(primary, Some(11 | 26)) { Fault::Damage } else { Fault::Other }
    }

    /// None: what matters is set on each connection.
    fn concerns(_: &BTreeMap<String, String>) -> Vec<String> {
        Vec::new()
    }
}
