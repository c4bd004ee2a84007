//! Sessions, push and login throttling on Redis or Valkey, 6.2 or newer: one server, a master behind Sentinels, or
//! a Cluster.
//!
//! Each verb is one Lua script on one key, and so one atomic command in one round trip. Every call is answered, or
//! fails, within the deadline; connections are opened and mended by tasks of their own, and shared by all callers.
//! A script that Redis gets to after its caller has given up finds that out by itself, and does nothing; where it
//! comes before that, what it did is found by the retry.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use deadpool_redis::redis::{ClientTlsConfig, TlsCertificates, Value};
use secrecy::SecretString;
use tokio::runtime::Handle;

use self::connection::{Bounds, Connections, Credentials, Dialer, Homes};
use self::push::PubSub;
use self::scripts::{Arguments, Script, Scripts};
use self::server_time::ServerTime;
use crate::model::{Clock, UserId};
use crate::store::{PoolStats, Probe, StoreError};
use crate::text;

mod address;
mod checks;
mod connection;
mod failure;
mod message;
mod push;
mod record;
mod scripts;
mod server_time;
mod sessions;
mod throttle;
mod user_agent;

pub use self::address::{InvalidRedisUrl, RedisUrl, Server, Topology};
pub use self::throttle::{RedisRequests, RedisThrottle};

/// What the store calls itself in errors, on `/readyz` and in the log.
const NAME: &str = "redis";

/// Where Redis is, how to speak to it, and how long anything may take.
#[derive(Debug, Clone)]
pub struct RedisOptions {
    /// Where it is.
    pub url: RedisUrl,
    /// Certificates, where the URL asks for TLS.
    pub tls: RedisTls,
    /// The ACL user at the Sentinels, where they want one.
    pub sentinel_username: Option<String>,
    /// The password at the Sentinels.
    pub sentinel_password: Option<SecretString>,
    /// What every key begins with. Without braces, which have a meaning in a Cluster.
    pub prefix: String,
    /// How many connections to each master.
    pub connections: usize,
    /// The runtimes that these live on, one after the other; none for that of [`RedisStore::open`]. A call from one of
    /// them prefers a connection that lives there.
    pub runtimes: Vec<Handle>,
    /// How many calls may be under way at once; more wait, within the deadline.
    pub in_flight: u32,
    /// How long a call may take, waiting included, before it is answered as unavailable.
    pub deadline: Duration,
    /// How long opening a connection may take, login included. No caller waits for it longer than `deadline`.
    pub connect_timeout: Duration,
}

/// What TLS is done with. The files are read for each connection, so that what replaces them is used from the next
/// one on.
#[derive(Debug, Clone, Default)]
pub struct RedisTls {
    /// The authorities to trust, in PEM, instead of those of the operating system.
    pub ca_file: Option<PathBuf>,
    /// A certificate of our own and its key, in PEM, for servers that want one.
    pub client: Option<(PathBuf, PathBuf)>,
}

impl RedisTls {
    /// Reads the files. Blocks on the disk.
    fn certificates(&self) -> std::io::Result<TlsCertificates> {
        let read = |file: &Path| {
            let named = |invalid| std::io::Error::other(format!("{} {invalid}", file.display()));
            text::file_bytes(file, text::MAX_PEM_BYTES).map(|pem| pem.to_vec()).map_err(named)
        };
        let client = self.client.as_ref().map(|(certificate, key)| {
            Ok::<_, std::io::Error>(ClientTlsConfig {
                client_cert: read(certificate)?,
                client_key: read(key)?,
            })
        });
        let root_cert = self.ca_file.as_deref().map(read).transpose()?;
        Ok(TlsCertificates { client_tls: client.transpose()?, root_cert })
    }
}

impl RedisOptions {
    /// The defaults for this URL: 2 connections to each master, 1,024 calls at once, 150 ms for each, 500 ms to
    /// connect, and keys that begin with `countersign:`.
    pub fn new(url: RedisUrl) -> Self {
        Self {
            url,
            tls: RedisTls::default(),
            sentinel_username: None,
            sentinel_password: None,
            prefix: "countersign:".to_owned(),
            connections: 2,
            runtimes: Vec::new(),
            in_flight: 1024,
            deadline: Duration::from_millis(150),
            connect_timeout: Duration::from_millis(500),
        }
    }

    fn dialer(&self) -> Dialer {
        Dialer {
            credentials: Credentials {
                username: self.url.username.clone(),
                password: self.url.password.clone(),
            },
            tls: self.url.tls.then(|| self.tls.clone()),
            database: self.url.database,
            patience: self.connect_timeout,
            opened: Arc::default(),
            homes: Homes(self.runtimes.as_slice().into()),
        }
    }
}

/// Whose time sessions are kept by.
#[derive(Clone)]
pub enum TimeSource {
    /// The server's, the same for all replicas.
    Server,
    /// A test's own.
    Clock(Arc<dyn Clock>),
}

/// Sessions, push and throttling in Redis. Clones share the connections.
#[derive(Clone)]
pub struct RedisStore {
    connections: Arc<Connections>,
    scripts: Arc<Scripts>,
    prefix: Arc<str>,
    time: TimeSource,
    server_time: Arc<ServerTime>,
    deadline: Duration,
    pubsub: PubSub,
}

impl RedisStore {
    /// Begins to connect, and returns at once: until there is a connection every call fails within its deadline.
    /// Must be called within a runtime; the connections live on it, unless the options name others.
    pub fn open(options: &RedisOptions, time: TimeSource) -> Self {
        if options.url.tls {
            // Only where nobody has chosen one before: a TLS connection would panic.
            let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        }
        let sentinel = Credentials {
            username: options.sentinel_username.clone(),
            password: options.sentinel_password.clone(),
        };
        let bounds = Bounds {
            connections: options.connections,
            in_flight: options.in_flight,
            deadline: options.deadline,
        };
        let dialer = options.dialer();
        let connections = Connections::open(&dialer, &options.url.topology, sentinel, bounds);
        let connections = Arc::new(connections);
        Self {
            pubsub: PubSub::new(Arc::clone(&connections), dialer, &options.prefix),
            connections,
            scripts: Arc::new(Scripts::new()),
            prefix: options.prefix.as_str().into(),
            time,
            server_time: Arc::new(ServerTime::new()),
            deadline: options.deadline,
        }
    }

    /// Runs a script on the key of a user's sessions.
    async fn script(
        &self,
        script: &Script,
        user: UserId,
        arguments: &Arguments,
    ) -> Result<Value, StoreError> {
        Ok(self.connections.script(script, &[self.key(user).as_bytes()], arguments).await?)
    }

    fn key(&self, user: UserId) -> String {
        format!("{}{{{}}}", self.prefix, URL_SAFE_NO_PAD.encode(user.as_bytes()))
    }

    /// The time to pass to a script: nothing where it asks the server.
    fn now(&self) -> String {
        match &self.time {
            TimeSource::Server => String::new(),
            TimeSource::Clock(clock) => clock.now().0.to_string(),
        }
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

#[async_trait]
impl Probe for RedisStore {
    fn name(&self) -> &'static str {
        NAME
    }

    /// Writes: a server that is full, or read-only, or cut off from its replicas still answers a PING.
    async fn check(&self) -> Result<(), StoreError> {
        Ok(self.connections.write_to_all(&self.prefix).await?)
    }

    async fn warnings(&self) -> Vec<String> {
        self.warnings().await
    }

    fn pools(&self) -> Vec<PoolStats> {
        vec![self.connections.stats()]
    }

    /// The connections themselves close when the last clone is gone.
    async fn close(&self) {
        self.connections.close().await;
    }
}
