//! Users, ledger and sessions in one SQL database: a file, or one on a server.

use std::sync::Arc;
use std::time::Duration;

use countersign::model::ManualClock;
use countersign::store::sql::{Dialect, NetworkOptions, SqlStore, TimeSource};
use countersign::store::sqlite::{SqliteOptions, SqliteStore};
use sqlx::sqlite::SqliteConnection;
use tokio::sync::Mutex;

use super::{Landscape, Opened};
use crate::sqlite_store::File;
use crate::support::database::Server;

/// One that a busy machine keeps.
const DEADLINE: Duration = Duration::from_secs(20);

const MAKE_COPY: &[&str] = &["CREATE TABLE saved_sessions AS SELECT * FROM sessions"];
const SAVE: &[&str] = &["DELETE FROM saved_sessions", "INSERT INTO saved_sessions SELECT * FROM sessions"];
const RESTORE: &[&str] = &["DELETE FROM sessions", "INSERT INTO sessions SELECT * FROM saved_sessions"];

fn opened<D: Dialect>(store: SqlStore<D>) -> Opened {
    let store = Arc::new(store);
    Opened {
        users: store.clone(),
        ledger: store.clone(),
        accounts: store.clone(),
        sessions: store.clone(),
        probes: vec![store],
    }
}

/// SQLite.
pub(crate) struct Embedded {
    file: File,
    /// Another program, which holds the write lock.
    lock: Mutex<Option<SqliteConnection>>,
}

impl Embedded {
    /// Nobody else writes while a test does, except where the test holds the lock: there is no point in waiting
    /// for it.
    async fn store(&self, clock: Arc<ManualClock>) -> SqliteStore {
        let options = SqliteOptions {
            busy_timeout: Duration::from_millis(5),
            deadline: DEADLINE,
            ..SqliteOptions::new(self.file.path())
        };
        SqliteStore::open(options, clock).await.unwrap()
    }

    async fn run(&self, statements: &'static [&'static str]) {
        let mut other = self.file.connect().await;
        for statement in statements {
            sqlx::raw_sql(*statement).execute(&mut other).await.unwrap();
        }
        // It holds no lock any more when this returns.
        sqlx::Connection::close(other).await.unwrap();
    }
}

impl Landscape for Embedded {
    async fn new(_test: &str) -> Option<Self> {
        let landscape = Self { file: File::new(), lock: Mutex::default() };
        let store = landscape.store(Arc::new(ManualClock::new(crate::conformance::START))).await;
        store.migrate().await.unwrap();
        store.close().await;
        landscape.run(MAKE_COPY).await;
        Some(landscape)
    }

    async fn open(&self, clock: Arc<ManualClock>) -> Opened {
        opened(self.store(clock).await)
    }

    async fn save(&self) {
        self.run(SAVE).await;
    }

    async fn restore(&self) {
        self.run(RESTORE).await;
    }

    async fn set_writable(&self, writable: bool) {
        let mut lock = self.lock.lock().await;
        if writable {
            if let Some(other) = lock.take() {
                sqlx::Connection::close(other).await.unwrap();
            }
        } else {
            let mut other = self.file.connect().await;
            sqlx::raw_sql("BEGIN EXCLUSIVE").execute(&mut other).await.unwrap();
            *lock = Some(other);
        }
    }

    /// The write-ahead log included.
    async fn contents(&self) -> Vec<Vec<u8>> {
        let files = std::fs::read_dir(self.file.path().parent().unwrap()).unwrap();
        files.map(|entry| std::fs::read(entry.unwrap().path()).unwrap()).collect()
    }
}

/// A database on a server that other tests share.
pub(crate) struct Whole<S: Server> {
    server: &'static S,
    database: String,
    /// For an account that may be forbidden to write.
    url: String,
}

impl<S: Server> Whole<S> {
    /// Connects as one more process, with one connection: what is asked for first is done first.
    pub(super) fn store(&self, clock: Arc<ManualClock>) -> SqlStore<S::Dialect> {
        S::open(&NetworkOptions {
            connections: 1,
            deadline: DEADLINE,
            time: TimeSource::Clock(clock),
            ..NetworkOptions::new(self.url.clone().into())
        })
    }
}

impl<S: Server> Landscape for Whole<S> {
    async fn new(test: &str) -> Option<Self> {
        let server = S::shared(test)?;
        let database = server.create_database().await;
        let options = NetworkOptions::new(server.url(&database).into());
        let store = S::open(&NetworkOptions { deadline: DEADLINE, ..options });
        store.migrate().await.unwrap();
        store.close().await;
        server.run(&database, MAKE_COPY).await;
        let url = server.create_account(&database).await;
        Some(Self { server, database, url })
    }

    async fn open(&self, clock: Arc<ManualClock>) -> Opened {
        opened(self.store(clock))
    }

    async fn save(&self) {
        self.server.run(&self.database, SAVE).await;
    }

    async fn restore(&self) {
        self.server.run(&self.database, RESTORE).await;
    }

    async fn set_writable(&self, writable: bool) {
        self.server.set_writable(&self.database, writable).await;
    }

    async fn contents(&self) -> Vec<Vec<u8>> {
        self.server.contents(&self.database).await
    }
}
