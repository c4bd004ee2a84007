//! The stores that the configuration names, behind their contracts.

use std::path::Path;
use std::sync::Arc;

use super::StartError;
use crate::config::{Config, Database, DatabaseLocation};
use crate::model::Clock;
use crate::store::mysql::MysqlStore;
use crate::store::postgres::PostgresStore;
use crate::store::sql::{Dialect, NetworkOptions, SqlStore};
use crate::store::sqlite::{SqliteOptions, SqliteStore};
use crate::store::{Ledger, Probe, SessionStore, UserStore};

/// Where state lives.
#[derive(Clone)]
pub struct Stores {
    /// Users and password hashes.
    pub users: Arc<dyn UserStore>,
    /// The durable list of what was revoked.
    pub ledger: Arc<dyn Ledger>,
    /// Sessions.
    pub sessions: Arc<dyn SessionStore>,
    /// Each store once, to be watched and closed.
    pub probes: Vec<Arc<dyn Probe>>,
}

impl Stores {
    /// Opens what the configuration names, and checks that the database's schema is this release's; `migrate`
    /// brings it there first.
    pub async fn open(config: &Config, clock: &Arc<dyn Clock>, migrate: bool) -> Result<Self, StartError> {
        let Config { database, .. } = config;
        let options = NetworkOptions {
            connections: database.connections,
            deadline: database.timeout,
            ..NetworkOptions::new(database.url.clone())
        };
        match database.location()? {
            DatabaseLocation::Sqlite(path) => {
                Self::on(open_sqlite(database, &path, clock).await?, migrate).await
            }
            DatabaseLocation::Postgres => Self::on(PostgresStore::open(&options)?, migrate).await,
            DatabaseLocation::Mysql => Self::on(MysqlStore::open(&options)?, migrate).await,
        }
    }

    async fn on<D: Dialect>(store: SqlStore<D>, migrate: bool) -> Result<Self, StartError> {
        if migrate {
            store.migrate().await?;
        } else {
            store.check_schema().await?;
        }
        let store = Arc::new(store);
        Ok(Self { users: store.clone(), ledger: store.clone(), sessions: store.clone(), probes: vec![store] })
    }

    /// Says in the log which settings of the stores endanger what is promised.
    pub async fn log_warnings(&self) {
        for probe in &self.probes {
            for warning in probe.warnings().await {
                tracing::warn!(store = probe.name(), "{warning}");
            }
        }
    }

    /// Waits for what is under way, and closes the connections.
    pub async fn close(&self) {
        for probe in &self.probes {
            probe.close().await;
        }
    }
}

async fn open_sqlite(
    database: &Database,
    path: &Path,
    clock: &Arc<dyn Clock>,
) -> Result<SqliteStore, StartError> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        make_folder(folder)?;
    }
    let options = SqliteOptions {
        readers: database.readers,
        busy_timeout: database.timeout * 2 / 3,
        deadline: database.timeout,
        ..SqliteOptions::new(path)
    };
    Ok(SqliteStore::open(options, clock.clone()).await?)
}

/// Only for whoever runs the service: there will be secrets in it.
fn make_folder(folder: &Path) -> Result<(), StartError> {
    use std::os::unix::fs::DirBuilderExt as _;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|source| StartError::Folder { folder: folder.to_owned(), source })
}
