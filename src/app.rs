//! Puts the service together: the only place that names concrete stores.

mod administration;
mod assembly;
mod background;
mod check;
mod edge;
mod gauges;
mod keys;
mod observed;
mod stores;
#[cfg(feature = "test-server")]
mod test_server;
mod tls;

pub use administration::Administration;
pub use stores::Stores;
#[cfg(feature = "test-server")]
pub use test_server::{TestServer, TestServerOptions, WORLD_HEADER};
pub use tls::ListenersTls;

use assembly::{Assembly, Ground};
use gauges::Gauges;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use countersign_verifier::Rules;

use crate::auth::{KeeperError, Policy, UserAdmin};
use crate::config::{Config, OnStale, Problem};
use crate::cores::Cores;
use crate::grpc::{self, Allow, AllowList, Deadlines, ExtAuthz, GrpcOptions, InvalidRule, Published};
use crate::lifecycle::Lifecycle;
use crate::listener::tls::TlsError;
use crate::listener::{self, Budget, Limits, Port};
use crate::model::{Clock, SessionLimit, SystemClock};
use crate::operations;
use crate::password::{
    BreachedPasswords, HashParameters, HashingPool, InvalidBreachedFile, InvalidHashParameters,
    PasswordPolicy, PoolOptions,
};
use crate::readiness::Readiness;
use crate::revocation::follower::Follower;
use crate::store::SessionPolicy;
use crate::store::redis::InvalidRedisUrl;
use crate::store::sql::{InvalidUrl, SchemaError};
use crate::store::sqlite::OpenError;
use crate::telemetry::Metrics;
use crate::token::access::AccessTokenIssuer;
use crate::token::{KeyDirectoryError, Keyring};
use crate::transport::{AllowedOrigins, TrustedProxies};

/// The most connections to the operations port at once: scrapes and probes, and people.
const OPERATIONS_CONNECTIONS: usize = 256;
/// What they may hold together, in bytes.
const OPERATIONS_BYTES: usize = 16 * 1024 * 1024;
/// How long a service that stops waits until the database has taken the events of the last logins.
const EVENTS_WRITTEN_WITHIN: Duration = Duration::from_secs(5);
/// How much longer than an access token's life a revocation is remembered: for clocks that differ.
const CLOCK_MARGIN: Duration = Duration::from_mins(1);

/// Why the service did not start. One sentence that names the setting to look at.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A folder that the configuration names cannot be made.
    #[error("cannot make {folder}: {source}")]
    Folder {
        /// Which.
        folder: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file of breached passwords.
    #[error("passwords.breached_file: {0}")]
    Breached(InvalidBreachedFile),
    /// The keys.
    #[error("keys.directory: {0}{hint}", hint = first_keys(.0))]
    Keys(#[from] KeyDirectoryError),
    /// The keys in the database.
    #[error("keys: {0}")]
    StoredKeys(#[from] KeeperError),
    /// The database.
    #[error(transparent)]
    Database(#[from] OpenError),
    /// The database's address.
    #[error("database.url: {0}")]
    DatabaseUrl(#[from] InvalidUrl),
    /// The address of Redis.
    #[error("redis.url: {0}")]
    RedisUrl(#[from] InvalidRedisUrl),
    /// A file that the configuration names.
    #[error("{setting}: {file} cannot be read: {source}")]
    File {
        /// The key in the configuration.
        setting: &'static str,
        /// Which file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The database's schema.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// A value that only the part that it is for can judge.
    #[error(transparent)]
    Config(#[from] Problem),
    /// What a password hash costs.
    #[error("[passwords]: {0}")]
    Hashing(#[from] InvalidHashParameters),
    /// The operating system gives no thread to hash passwords or to serve connections on.
    #[error("cannot start the threads that hash passwords and serve connections: {0}")]
    Threads(std::io::Error),
    /// A rule that guards nothing.
    #[error("grpc.allow: {0}")]
    Allow(InvalidRule),
    /// The certificates of a listener.
    #[error("[{section}]: {source}")]
    Tls {
        /// The section in the configuration.
        section: &'static str,
        /// Why.
        source: Box<TlsError>,
    },
    /// A world of the test server.
    #[cfg(feature = "test-server")]
    #[error("cannot make a world: {0}")]
    World(Box<dyn std::error::Error + Send + Sync>),
    /// A port.
    #[error("{setting}: cannot listen on {address}: {source}")]
    Listen {
        /// The key in the configuration.
        setting: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
}

/// What to do where there are no keys yet.
fn first_keys(error: &KeyDirectoryError) -> &'static str {
    if error.is_missing() {
        "; make the first keys with: countersign key init (replicas of one database need the same keys)"
    } else {
        ""
    }
}

/// The service, put together and bound to its ports; nothing is served before [`App::run`].
pub struct App {
    parts: Arc<Assembly>,
    grpc: Port,
    http: Option<edge::Edge>,
    operations: Port,
    trusted_proxies: TrustedProxies,
    cores: Arc<Cores>,
    allow: AllowList,
}

impl App {
    /// Opens keys and stores and binds the ports, in this order, so that a service with a broken configuration
    /// is never seen by a load balancer. `migrate` brings the database's schema up to date first.
    pub async fn build(config: Config, migrate: bool) -> Result<Self, StartError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let keys =
            if keys::are_stored(&config) { None } else { Some(keys::of_directory(&config, clock.as_ref())?) };
        let tls = ListenersTls::load(&config)?;
        let cores = Arc::new(Cores::start(config.grpc.threads()).map_err(StartError::Threads)?);
        let stores = Stores::open(&config, &clock, migrate, Some(&cores)).await?;
        stores.log_warnings().await;
        let (keys, keeper) = if let Some(keys) = keys {
            (Arc::new(Keyring::new(keys)), None)
        } else {
            let keeper = Arc::new(keys::of_database(&config, &stores).await?);
            (keeper.keyring().clone(), Some(keeper))
        };
        let metrics = Metrics::new();
        let stores = observed::stores(stores, &config, &clock, &metrics);
        let hashing = PoolOptions {
            threads: config.passwords.threads().get(),
            queue: config.passwords.queue,
            parameters: hash_parameters(&config)?,
        };
        let passwords = HashingPool::start(hashing, clock.clone()).map_err(StartError::Threads)?;
        let passwords = Arc::new(passwords);
        let trusted_proxies = TrustedProxies::new(config.grpc.trusted_networks()?);
        let budget = budget(&config, trusted_proxies.clone())?;
        let grpc = Port::new(bind("grpc.listen", config.grpc.listen).await?, tls.grpc.clone());
        let grpc = grpc.within(budget.clone());
        let http = edge::Edge::bind(&config, &tls, &budget).await?;
        let operations = bind("operations.listen", config.operations.listen).await?;
        // Health keeps a budget of its own, so that it answers whatever others hold.
        let operations =
            Port::new(operations, tls.operations.clone()).within(Budget::new(OPERATIONS_BYTES, |_| true));
        let allow = allow_list(&config)?;
        let ground = Ground { clock, stores, keys, keeper, metrics, passwords: passwords.clone(), tls };
        let (parts, authenticator) = Assembly::over(config, ground).await?;
        let listening = [Some(&grpc), http.as_ref().map(edge::Edge::port), Some(&operations)];
        parts.metrics.add(Arc::new(Gauges::of(&parts, passwords, authenticator, listening, budget.clone())));
        Ok(Self { parts: Arc::new(parts), grpc, http, operations, trusted_proxies, allow, cores })
    }

    /// Where gRPC is served.
    pub fn grpc_address(&self) -> std::io::Result<SocketAddr> {
        self.grpc.local_addr()
    }

    /// Where HTTP is served, unless it is switched off.
    pub fn http_address(&self) -> std::io::Result<Option<SocketAddr>> {
        self.http.as_ref().map(edge::Edge::address).transpose()
    }

    /// Where `/readyz` is served.
    pub fn operations_address(&self) -> std::io::Result<SocketAddr> {
        self.operations.local_addr()
    }

    /// The certificates that the listeners have.
    pub fn tls(&self) -> &ListenersTls {
        &self.parts.tls
    }

    /// Whether requests should be sent here.
    pub fn readiness(&self) -> &Readiness {
        &self.parts.readiness
    }

    /// Operators' changes to users, on this service's own store.
    pub fn user_admin(&self) -> Result<UserAdmin, StartError> {
        administration::user_admin(
            &self.parts.config,
            self.parts.stores.users.clone(),
            self.parts.clock.clone(),
        )
    }

    /// Serves until `until` resolves, then stops by the configuration's bounds. Says whether every call under way
    /// finished.
    pub async fn run(self, until: impl Future<Output = ()>) -> bool {
        let Self { parts, grpc, http, operations, trusted_proxies, allow, cores } = self;
        let lifecycle = Lifecycle::new();
        let shutdown = parts.config.shutdown.clone();
        background::start(&parts, &lifecycle);
        tls::watch(&parts, &lifecycle);
        let follower = Follower::new(
            parts.revocations.clone(),
            parts.readiness.clone(),
            parts.config.revocation.poll_interval,
        );
        tokio::spawn(follower.run(lifecycle.stopping().clone()));
        tokio::spawn(parts.revocations.clone().listen());

        let limits = limits_of(&parts.config, parts.config.grpc.max_connections as usize);
        let options = GrpcOptions { allow, ..grpc_options(&parts, trusted_proxies, &lifecycle) };
        let service = grpc::service(parts.authenticator.clone(), &parts.health, options);
        lifecycle.tasks().spawn(listener::serve(
            "grpc",
            grpc.on(cores.clone()),
            service,
            tls::stamp,
            limits,
            lifecycle.stopping().clone(),
            lifecycle.aborting().clone(),
        ));
        if let Some(http) = http {
            http.serve(&parts, &lifecycle);
        }
        // The operations port answers to the last, so that whoever watches sees the draining.
        tokio::spawn(listener::serve(
            "operations",
            operations,
            operations::router(parts.readiness.clone(), parts.metrics.clone()),
            |_, _| {},
            Limits {
                always_answered: &["/livez", "/readyz"],
                ..limits_of(&parts.config, OPERATIONS_CONNECTIONS)
            },
            lifecycle.aborting().clone(),
            lifecycle.aborting().clone(),
        ));
        until.await;
        parts.readiness.set_draining();
        let finished = lifecycle.stop(shutdown.drain_delay, shutdown.grace).await;
        if let Some(keeper) = &parts.keeper {
            keeper.leave().await;
        }
        parts.events.close(EVENTS_WRITTEN_WITHIN).await;
        parts.stores.close().await;
        // Not before the last call of any listener has ended: connections to the stores live there.
        drop(cores);
        finished
    }
}

/// What callers of gRPC and the edge may hold together. Proxies that either trusts speak for many clients.
fn budget(config: &Config, trusted: TrustedProxies) -> Result<Budget, StartError> {
    let of_the_edge = TrustedProxies::new(config.edge.trusted_networks()?);
    let speaks_for_many = move |address| trusted.contains(address) || of_the_edge.contains(address);
    Ok(Budget::new(config.limits.memory_bytes(), speaks_for_many))
}

/// What a listener with so many connections allows its peers.
fn limits_of(config: &Config, connections: usize) -> Limits {
    let limits = &config.limits;
    Limits {
        connections,
        connections_per_peer: limits.connections_per_peer as usize,
        streams: limits.streams_per_connection,
        request_head: limits.request_timeout,
        message: limits.request_timeout,
        stream_idle: limits.stream_idle_timeout,
        unread_answer: limits.unread_timeout,
        keep_alive: limits.keep_alive_timeout,
        ..Limits::default()
    }
}

async fn bind(setting: &'static str, address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|source| StartError::Listen { setting, address, source })
}

fn hash_parameters(config: &Config) -> Result<HashParameters, StartError> {
    let passwords = &config.passwords;
    Ok(HashParameters::new(passwords.memory_kib, passwords.iterations, passwords.parallelism)?)
}

fn policy(config: &Config) -> Policy {
    let tokens = &config.tokens;
    let default_audience = tokens.default_audience().to_owned();
    Policy {
        session: SessionPolicy {
            idle: config.sessions.idle,
            absolute: config.sessions.absolute,
            limit: config.sessions.limit(),
            class_limit: SessionLimit::Unlimited,
            rotation: config.rotation.policy(),
        },
        classes: config.sessions.class_limits(),
        access_ttl: tokens.access_ttl,
        audiences: tokens.audiences.clone(),
        access_tokens: AccessTokenIssuer::new(&tokens.issuer),
        rules: Rules { leeway: tokens.leeway, ..Rules::new(&tokens.issuer, vec![default_audience.clone()]) },
        verified_cache: tokens.verified_cache,
        default_audience,
        max_staleness: config.revocation.max_staleness,
        serve_when_stale: config.revocation.on_stale == OnStale::Serve,
    }
}

fn grpc_options(parts: &Assembly, trusted_proxies: TrustedProxies, lifecycle: &Lifecycle) -> GrpcOptions {
    let config = &parts.config;
    let calls = grpc::Calls::new(parts.clock.clone());
    parts.metrics.add(calls.source());
    GrpcOptions {
        clock: parts.clock.clone(),
        deadlines: deadlines(config),
        max_request_bytes: config.grpc.max_message_bytes,
        reflection: config.grpc.reflection,
        trusted_proxies,
        allow: AllowList::default(),
        tasks: lifecycle.tasks().clone(),
        published: Some(Published { revocations: parts.revocations.clone(), keys: parts.keys.announced() }),
        stopping: lifecycle.stopping().clone(),
        calls,
        administration: Some(administration::within(parts)),
        events: parts.events.clone(),
        ext_authz: config.ext_authz.enabled.then(|| ExtAuthz {
            cookie: config.ext_authz.cookie().map(str::to_owned),
            allowed_origins: AllowedOrigins::new(&config.ext_authz.allowed_origins),
            error_response: config.ext_authz.error_response,
        }),
        #[cfg(feature = "test-server")]
        test: None,
    }
}

/// What may become a password.
fn password_policy(config: &Config) -> Result<Arc<PasswordPolicy>, StartError> {
    let file = &config.passwords.breached_file;
    let breached = if file.as_os_str().is_empty() {
        None
    } else {
        Some(BreachedPasswords::open(file).map_err(StartError::Breached)?)
    };
    Ok(Arc::new(PasswordPolicy { min_bytes: config.passwords.min_length, breached }))
}

/// Who may use which methods.
fn allow_list(config: &Config) -> Result<AllowList, StartError> {
    let rules = config.grpc.allow.iter().cloned();
    let rules = rules.map(|rule| Allow { methods: rule.methods, names: rule.sans, roles: rule.roles });
    let list = AllowList::new(rules.collect()).map_err(StartError::Allow)?;
    // By the address that is bound: who calls from this machine may be a proxy for somebody else.
    Ok(if config.grpc.listen.ip().is_loopback() { list } else { list.reached_from_elsewhere() })
}

/// The same for every transport.
fn deadlines(config: &Config) -> Deadlines {
    Deadlines {
        login: config.grpc.login_timeout,
        refresh: config.rotation.deadline,
        logout: config.grpc.logout_timeout,
        verify: config.grpc.verify_timeout,
    }
}
