//! Opening one connection to the server that is meant.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::io::tcp::{TcpSettings, socket2};
use deadpool_redis::redis::{
    self, AsyncConnectionConfig, Client, ConnectionAddr, IntoConnectionInfo as _, ProtocolVersion, PushInfo,
    RedisConnectionInfo, RedisError, Value,
};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::store::redis::RedisTls;
use crate::store::redis::address::Server;
use crate::store::redis::failure::Failure;

/// After so long without any sign of the other side a connection is given up by the operating system.
const UNACKNOWLEDGED: Duration = Duration::from_secs(5);
/// How many commands may wait to be written to one connection.
const BUFFERED: usize = 256;

/// Whom to log in as.
#[derive(Debug, Clone, Default)]
pub(in crate::store::redis) struct Credentials {
    pub(in crate::store::redis) username: Option<String>,
    pub(in crate::store::redis) password: Option<SecretString>,
}

/// How to speak to a server, whichever it is.
#[derive(Debug, Clone)]
pub(in crate::store::redis) struct Dialer {
    pub(in crate::store::redis) credentials: Credentials,
    pub(in crate::store::redis) tls: Option<RedisTls>,
    pub(in crate::store::redis) database: i64,
    /// How long opening a connection may take, login included.
    pub(in crate::store::redis) patience: Duration,
    /// How many shared connections were opened since the start; clones count together.
    pub(in crate::store::redis) opened: Arc<AtomicU64>,
    /// Where connections for commands live.
    pub(in crate::store::redis) homes: Homes,
}

/// Runtimes that connections live on, one after the other; without any, the current one.
#[derive(Debug, Clone, Default)]
pub(in crate::store::redis) struct Homes(pub(in crate::store::redis) Arc<[Handle]>);

impl Homes {
    /// Of the `number`th connection to a server.
    pub(in crate::store::redis) fn of(&self, number: usize) -> Handle {
        let number = number.checked_rem(self.0.len());
        number.map_or_else(Handle::current, |number| self.0[number].clone())
    }
}

/// Whom a connection is to lead to.
#[derive(Debug, Clone)]
pub(in crate::store::redis) enum Target {
    /// This server, which must be a master.
    Master(Server),
    /// The master that Sentinels name.
    Sentinel { sentinels: Arc<[Server]>, service: Arc<str>, credentials: Credentials },
    /// This node of a Cluster, which says itself what it serves.
    Node(Server),
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Master(server) | Self::Node(server) => server.fmt(f),
            Self::Sentinel { service, .. } => write!(f, "the master of {service}"),
        }
    }
}

impl Dialer {
    /// How long it may take to find the server, connect and log in, and ask what it is.
    pub(super) const fn longest(&self) -> Duration {
        self.patience.saturating_mul(2)
    }

    /// Opens a connection for commands. A replica is refused: what it says may be old.
    pub(super) async fn dial(&self, target: &Target) -> Result<MultiplexedConnection, Failure> {
        match target {
            Target::Node(server) => self.open(server, None).await,
            Target::Master(server) => self.open_master(server).await,
            Target::Sentinel { sentinels, service, credentials } => {
                Ok(self.find_master(sentinels, service, credentials).await?.1)
            }
        }
    }

    /// Opens a connection on which messages arrive too.
    pub(super) async fn listen(
        &self,
        target: &Target,
        messages: mpsc::Sender<PushInfo>,
    ) -> Result<MultiplexedConnection, Failure> {
        let server = match target {
            Target::Node(server) | Target::Master(server) => server.clone(),
            Target::Sentinel { sentinels, service, credentials } => {
                self.find_master(sentinels, service, credentials).await?.0
            }
        };
        self.open(&server, Some(messages)).await
    }

    async fn open(
        &self,
        server: &Server,
        messages: Option<mpsc::Sender<PushInfo>>,
    ) -> Result<MultiplexedConnection, Failure> {
        let protocol = if messages.is_some() { ProtocolVersion::RESP3 } else { ProtocolVersion::RESP2 };
        let client = self.client(server, &self.credentials, self.database, protocol)?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.patience))
            .set_response_timeout(None)
            .set_pipeline_buffer_size(BUFFERED);
        let config = match messages {
            // A message that finds the channel full is dropped.
            Some(messages) => config.set_push_sender(move |message| messages.try_send(message)),
            None => config,
        };
        Ok(client.get_multiplexed_async_connection_with_config(&config).await?)
    }

    async fn open_master(&self, server: &Server) -> Result<MultiplexedConnection, Failure> {
        let mut connection = self.open(server, None).await?;
        let mut hello = redis::cmd("HELLO");
        let answer = within(self.patience, hello.arg(2).query_async(&mut connection)).await;
        match answer {
            Ok(facts) => refuse_replica(&facts)?,
            // A proxy or an ACL may not know the command; then a write will tell.
            Err(failure) if !failure.ends_connection() => {}
            Err(failure) => return Err(failure),
        }
        Ok(connection)
    }

    /// Asks all Sentinels at once: the first whose master answers as one is believed. One that is behind the
    /// others names a server that is a replica by now, or gone.
    async fn find_master(
        &self,
        sentinels: &[Server],
        service: &str,
        credentials: &Credentials,
    ) -> Result<(Server, MultiplexedConnection), Failure> {
        let mut asked = JoinSet::new();
        for sentinel in sentinels {
            let (dialer, sentinel) = (self.clone(), sentinel.clone());
            let (service, credentials) = (service.to_owned(), credentials.clone());
            asked.spawn(async move {
                let server = dialer.ask_sentinel(&sentinel, &service, &credentials).await?;
                let connection = dialer.open_master(&server).await?;
                Ok((server, connection))
            });
        }
        let mut why: Arc<str> = "none is configured".into();
        while let Some(answer) = asked.join_next().await {
            match answer {
                Ok(Ok(found)) => return Ok(found),
                Ok(Err::<_, Failure>(failure)) => why = failure.to_string().into(),
                Err(_) => {}
            }
        }
        Err(Failure::NoMaster(why))
    }

    async fn ask_sentinel(
        &self,
        sentinel: &Server,
        service: &str,
        credentials: &Credentials,
    ) -> Result<Server, Failure> {
        let client = self.client(sentinel, credentials, 0, ProtocolVersion::RESP2)?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.patience))
            .set_response_timeout(Some(self.patience));
        let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        let mut ask = redis::cmd("SENTINEL");
        ask.arg("GET-MASTER-ADDR-BY-NAME").arg(service);
        let named: Option<(String, u16)> = ask.query_async(&mut connection).await?;
        let (host, port) =
            named.ok_or_else(|| Failure::NoMaster(format!("{sentinel} does not know {service}").into()))?;
        Ok(Server { host, port })
    }

    fn client(
        &self,
        server: &Server,
        credentials: &Credentials,
        database: i64,
        protocol: ProtocolVersion,
    ) -> Result<Client, Failure> {
        let (host, port) = (server.host.clone(), server.port);
        let address = match self.tls {
            Some(_) => ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None },
            None => ConnectionAddr::Tcp(host, port),
        };
        let mut login = RedisConnectionInfo::default()
            .set_db(database)
            .set_protocol(protocol)
            .set_lib_name("countersign", env!("CARGO_PKG_VERSION"));
        if let Some(username) = &credentials.username {
            login = login.set_username(username);
        }
        if let Some(password) = &credentials.password {
            login = login.set_password(password.expose_secret());
        }
        let info = address.into_connection_info()?.set_redis_settings(login).set_tcp_settings(tcp());
        Ok(match &self.tls {
            Some(tls) => {
                let certificates = tls.certificates().map_err(RedisError::from)?;
                Client::build_with_tls(info, certificates)?
            }
            None => Client::open(info)?,
        })
    }
}

/// Waits, but not for longer than `limit`.
pub(in crate::store::redis) async fn within<T>(
    limit: Duration,
    work: impl Future<Output = redis::RedisResult<T>>,
) -> Result<T, Failure> {
    match tokio::time::timeout(limit, work).await {
        Ok(outcome) => Ok(outcome?),
        Err(_) => Err(Failure::Late(limit)),
    }
}

fn refuse_replica(facts: &HashMap<String, Value>) -> Result<(), Failure> {
    let is_replica = match facts.get("role") {
        Some(Value::BulkString(role)) => role != b"master",
        Some(Value::SimpleString(role)) => role != "master",
        _ => false,
    };
    if is_replica { Err(Failure::Replica) } else { Ok(()) }
}

fn tcp() -> TcpSettings {
    let keepalive =
        socket2::TcpKeepalive::new().with_time(UNACKNOWLEDGED).with_interval(Duration::from_secs(1));
    let settings = TcpSettings::default().set_nodelay(true).set_keepalive(keepalive);
    #[cfg(target_os = "linux")]
    let settings = settings.set_user_timeout(UNACKNOWLEDGED);
    settings
}
