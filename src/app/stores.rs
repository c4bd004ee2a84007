//! The stores that the configuration names, behind their contracts.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use secrecy::ExposeSecret as _;

use super::StartError;
use crate::auth::RequestLimit;
use crate::config::{Config, Database, DatabaseLocation, SessionsStore};
use crate::connection_url;
use crate::cores::Cores;
use crate::model::Clock;
use crate::store::in_process::{InProcessRequests, InProcessThrottle};
use crate::store::mysql::MysqlStore;
use crate::store::postgres::PostgresStore;
use crate::store::redis::{
    RedisOptions, RedisRequests, RedisStore, RedisThrottle, RedisTls, RedisUrl, TimeSource,
};
use crate::store::sql::{Dialect, NetworkOptions, SqlStore};
use crate::store::sqlite::{SqliteOptions, SqliteStore};
use crate::store::{
    AuditStore, KeyStore, Ledger, LoginThrottle, Probe, Push, RequestThrottle, ServiceAccountStore,
    SessionStore, UserStore,
};
use crate::text;

/// Where state lives.
#[derive(Clone)]
pub struct Stores {
    /// Users and password hashes.
    pub users: Arc<dyn UserStore>,
    /// Service accounts, and the digests of their keys.
    pub service_accounts: Arc<dyn ServiceAccountStore>,
    /// The keys that make tokens, where they are in the database.
    pub keys: Arc<dyn KeyStore>,
    /// The audit log.
    pub audit: Arc<dyn AuditStore>,
    /// The durable list of what was revoked.
    pub ledger: Arc<dyn Ledger>,
    /// Sessions.
    pub sessions: Arc<dyn SessionStore>,
    /// How replicas tell each other of revocations; `None` where they only poll.
    pub push: Option<Arc<dyn Push>>,
    /// How many logins may be tried; `None` for as many as one likes.
    pub throttle: Option<Arc<dyn LoginThrottle>>,
    /// How many requests one source may make at the edge; none where they are not bounded.
    pub requests: Option<Arc<dyn RequestThrottle>>,
    /// Each store once, to be watched and closed.
    pub probes: Vec<Arc<dyn Probe>>,
    /// What an operator should know of the database's schema; `None` when it is this release's own.
    pub schema_warning: Option<String>,
}

impl Stores {
    /// Opens what the configuration names, and checks that this release works with the database's schema; `migrate`
    /// brings it to this release's own first. What is shared by many calls lives on the threads that serve them, where there are such.
    pub async fn open(
        config: &Config,
        clock: &Arc<dyn Clock>,
        migrate: bool,
        cores: Option<&Cores>,
    ) -> Result<Self, StartError> {
        let Config { database, .. } = config;
        check_files_of(database)?;
        let options = network_options(database);
        let mut stores = match database.location()? {
            DatabaseLocation::Sqlite(path) => {
                Self::on(open_sqlite(database, &path, clock).await?, migrate).await
            }
            DatabaseLocation::Postgres => Self::on(PostgresStore::open(&options)?, migrate).await,
            DatabaseLocation::Mysql => Self::on(MysqlStore::open(&options)?, migrate).await,
        }?;
        if config.redis.is_configured() {
            let (policy, requests) = (config.throttle.policy(), config.throttle.request_rate());
            let redis = open_redis(config, cores)?;
            if config.sessions.store != SessionsStore::Sql {
                stores.sessions = Arc::new(redis.clone());
            }
            stores.push = Some(Arc::new(redis.clone()));
            stores.throttle = policy.map(|policy| Arc::new(RedisThrottle::new(redis.clone(), policy)) as _);
            stores.requests = requests.map(|rate| Arc::new(RedisRequests::new(redis.clone(), rate)) as _);
            stores.probes.push(Arc::new(redis));
        } else {
            stores.throttle_in_process(config, clock);
        }
        Ok(stores)
    }

    /// Opens stores of nobody else's that are gone with this process.
    #[cfg(feature = "test-server")]
    pub(super) async fn in_memory(config: &Config, clock: &Arc<dyn Clock>) -> Result<Self, StartError> {
        let options = SqliteOptions { deadline: config.database.timeout, ..SqliteOptions::in_memory() };
        let mut stores = Self::on(SqliteStore::open(options, clock.clone()).await?, true).await?;
        stores.throttle_in_process(config, clock);
        Ok(stores)
    }

    fn throttle_in_process(&mut self, config: &Config, clock: &Arc<dyn Clock>) {
        let (policy, requests) = (config.throttle.policy(), config.throttle.request_rate());
        self.throttle = policy.map(|policy| Arc::new(InProcessThrottle::new(clock.clone(), policy)) as _);
        self.requests = requests.map(|rate| Arc::new(InProcessRequests::new(clock.clone(), rate)) as _);
    }

    /// How many requests a client may make, where that is bounded: over all replicas where there is Redis, and by each replica
    /// alone while that does not answer.
    pub fn request_limit(&self, config: &Config, clock: &Arc<dyn Clock>) -> Option<RequestLimit> {
        let rate = config.throttle.request_rate().filter(|_| config.redis.is_configured());
        let alone = rate.map(|rate| Arc::new(InProcessRequests::new(clock.clone(), rate)) as _);
        self.requests.clone().map(|shared| RequestLimit::new(shared, alone))
    }

    /// Looks at what can be known of the stores without asking them: their addresses, and the files that are needed to
    /// speak to them.
    pub(super) fn check(config: &Config) -> Result<(), StartError> {
        let options = network_options(&config.database);
        match config.database.location()? {
            DatabaseLocation::Sqlite(_) => {}
            DatabaseLocation::Postgres => drop(PostgresStore::open(&options)?),
            DatabaseLocation::Mysql => drop(MysqlStore::open(&options)?),
        }
        check_files_of(&config.database)?;
        if config.redis.is_configured() { redis_options(config).map(drop) } else { Ok(()) }
    }

    async fn on<D: Dialect>(store: SqlStore<D>, migrate: bool) -> Result<Self, StartError> {
        if migrate {
            store.migrate().await?;
        }
        let schema_warning = store.check_schema().await?.warning();
        let store = Arc::new(store);
        Ok(Self {
            users: store.clone(),
            service_accounts: store.clone(),
            keys: store.clone(),
            audit: store.clone(),
            ledger: store.clone(),
            sessions: store.clone(),
            push: None,
            throttle: None,
            requests: None,
            probes: vec![store],
            schema_warning,
        })
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

fn network_options(database: &Database) -> NetworkOptions {
    NetworkOptions {
        connections: database.connections,
        deadline: database.timeout,
        ..NetworkOptions::new(database.url.clone())
    }
}

fn open_redis(config: &Config, cores: Option<&Cores>) -> Result<RedisStore, StartError> {
    let runtimes = cores.map(Cores::runtimes).unwrap_or_default();
    let options = RedisOptions { runtimes, ..redis_options(config)? };
    Ok(RedisStore::open(&options, TimeSource::Server))
}

fn redis_options(config: &Config) -> Result<RedisOptions, StartError> {
    let connections = config.redis.connections(config.grpc.threads());
    let Config { redis: config, .. } = config;
    let url: RedisUrl = config.url.expose_secret().parse()?;
    let ca_file = readable("redis.ca_file", &config.ca_file)?;
    let certificate = readable("redis.certificate_file", &config.certificate_file)?;
    let key = readable("redis.key_file", &config.key_file)?;
    let username = Some(config.sentinel_username.clone()).filter(|name| !name.is_empty());
    let password = Some(config.sentinel_password.clone()).filter(|text| !text.expose_secret().is_empty());
    Ok(RedisOptions {
        tls: RedisTls { ca_file, client: certificate.zip(key) },
        sentinel_username: username,
        sentinel_password: password,
        prefix: config.prefix.clone(),
        connections,
        in_flight: config.in_flight,
        deadline: config.timeout,
        connect_timeout: config.connect_timeout,
        ..RedisOptions::new(url)
    })
}

/// A file that may be left out; it is read whenever it is needed, and a mistake is told at the start.
fn readable(setting: &'static str, file: &Path) -> Result<Option<PathBuf>, StartError> {
    if file.as_os_str().is_empty() {
        return Ok(None);
    }
    match text::file_bytes(file, text::MAX_PEM_BYTES) {
        Ok(_) => Ok(Some(file.to_owned())),
        Err(invalid) => Err(StartError::File { setting, file: file.to_owned(), source: invalid.into() }),
    }
}

/// The files that the database's URL names. The driver reads them by itself, for each connection, and would pass over
/// the first certificate of one that begins with a byte order mark.
fn check_files_of(database: &Database) -> Result<(), StartError> {
    let files = connection_url::files(database.url.expose_secret());
    files.into_iter().try_for_each(|file| {
        text::check_unmarked(&file).map_err(|invalid| StartError::File {
            setting: "database.url",
            file,
            source: invalid.into(),
        })
    })
}

/// Only for whoever runs the service: there will be secrets in it.
fn make_folder(folder: &Path) -> Result<(), StartError> {
    use std::os::unix::fs::DirBuilderExt as _;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|source| StartError::Folder { folder: folder.to_owned(), source })
}
