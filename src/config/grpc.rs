//! `[grpc]`

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::Problem;
use super::tls::{self, AllowRule, Tls};
use super::{bounds, duration};

/// The gRPC service. How long a Refresh may take is `rotation.deadline`, because the rules of rotation count on it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grpc {
    /// The address to serve on; port 0 takes any free one. `COUNTERSIGN__GRPC__LISTEN`
    #[serde(deserialize_with = "bounds::address")]
    pub listen: SocketAddr,
    /// Whether the service describes itself to tools such as grpcurl. `COUNTERSIGN__GRPC__REFLECTION`
    pub reflection: bool,
    /// The most connections at once, 1 to 1,000,000; one more is closed. `COUNTERSIGN__GRPC__MAX_CONNECTIONS`
    pub max_connections: u32,
    /// The threads that serve connections, each of them with connections of its own; at most 1024, 0 is one for each
    /// processor. `COUNTERSIGN__GRPC__THREADS`
    pub threads: usize,
    /// How long a Login or an administrative call may take, the wait for a hashing thread included; 100ms to 1m.
    /// `COUNTERSIGN__GRPC__LOGIN_TIMEOUT`
    #[serde(with = "duration")]
    pub login_timeout: Duration,
    /// How long a `VerifyAccessToken` may take; 10ms to 1m. `COUNTERSIGN__GRPC__VERIFY_TIMEOUT`
    #[serde(with = "duration")]
    pub verify_timeout: Duration,
    /// How long a Logout may take; 100ms to 1m. `COUNTERSIGN__GRPC__LOGOUT_TIMEOUT`
    #[serde(with = "duration")]
    pub logout_timeout: Duration,
    /// The largest request that is decoded, in bytes; 16384 (a token with the most claims fits in) to 4194304.
    /// `COUNTERSIGN__GRPC__MAX_MESSAGE_BYTES`
    pub max_message_bytes: usize,
    /// The proxies whose `x-forwarded-for` is believed: addresses and networks such as `10.0.0.0/8`, at most 64. From
    /// anybody else the address of the connection counts. `COUNTERSIGN__GRPC__TRUSTED_PROXIES`, separated by commas
    pub trusted_proxies: Vec<String>,
    /// Who may call some methods, by the names in their certificates; at most 64 rules. `COUNTERSIGN__GRPC__ALLOW`,
    /// written as in TOML: `[{ methods = ["…"], sans = ["…"] }]`
    pub allow: Vec<AllowRule>,
    /// `[grpc.tls]`
    pub tls: Tls,
}

impl Default for Grpc {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 50051)),
            reflection: false,
            max_connections: 10_000,
            threads: 0,
            login_timeout: Duration::from_secs(5),
            verify_timeout: Duration::from_secs(1),
            logout_timeout: Duration::from_secs(5),
            max_message_bytes: 65_536,
            trusted_proxies: Vec::new(),
            allow: Vec::new(),
            tls: Tls::default(),
        }
    }
}

impl Grpc {
    /// The networks whose proxies are believed. A loaded configuration does not fail here.
    pub fn trusted_networks(&self) -> Result<Vec<(IpAddr, u8)>, Problem> {
        bounds::networks("grpc.trusted_proxies", &self.trusted_proxies)
    }

    /// How many threads serve connections: as configured, or as many as this process may use processors.
    pub fn threads(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        }
    }

    pub(super) fn check(&self) -> Result<(), Problem> {
        bounds::number("grpc.max_connections", self.max_connections, &(1..=1_000_000))?;
        bounds::number("grpc.threads", self.threads, &(0..=1024))?;
        bounds::time("grpc.login_timeout", self.login_timeout, ["100ms", "1m"])?;
        bounds::time("grpc.verify_timeout", self.verify_timeout, ["10ms", "1m"])?;
        bounds::time("grpc.logout_timeout", self.logout_timeout, ["100ms", "1m"])?;
        bounds::number("grpc.max_message_bytes", self.max_message_bytes, &(16_384..=4_194_304))?;
        self.tls.check(&tls::Keys::GRPC)?;
        tls::check_allow(&self.allow, &self.tls)?;
        self.trusted_networks().map(drop)
    }
}
