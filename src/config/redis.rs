//! `[redis]`

use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use super::error::Problem;
use super::{Sessions, SessionsStore, bounds, duration, secret};

/// To each master.
const MOST_CONNECTIONS: usize = 64;

/// The Redis or Valkey that replicas share: sessions, pushed revocations, rate limits.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redis {
    /// Where it is; empty for none. A secret, because it may hold a password. `COUNTERSIGN__REDIS__URL`, or a file
    /// that holds it: `COUNTERSIGN__REDIS__URL_FILE`
    #[serde(serialize_with = "secret::redacted")]
    pub url: SecretString,
    /// What every key begins with, 1 to 64 bytes, without braces. `COUNTERSIGN__REDIS__PREFIX`
    pub prefix: String,
    /// How many connections there are to each master; at most 64, 0 is one for each thread of `grpc.threads`.
    /// `COUNTERSIGN__REDIS__CONNECTIONS`
    pub connections: usize,
    /// How many calls may be under way at once; more wait, within their time; 1 to 100000.
    /// `COUNTERSIGN__REDIS__IN_FLIGHT`
    pub in_flight: u32,
    /// How long one call may take, waiting included; 10ms to 10s. `COUNTERSIGN__REDIS__TIMEOUT`
    #[serde(with = "duration")]
    pub timeout: Duration,
    /// How long opening a connection may take; 10ms to 10s. `COUNTERSIGN__REDIS__CONNECT_TIMEOUT`
    #[serde(with = "duration")]
    pub connect_timeout: Duration,
    /// Who to log in as at the Sentinels; empty for nobody. `COUNTERSIGN__REDIS__SENTINEL_USERNAME`
    pub sentinel_username: String,
    /// The password at the Sentinels. `COUNTERSIGN__REDIS__SENTINEL_PASSWORD`, or `…_FILE`
    #[serde(serialize_with = "secret::redacted")]
    pub sentinel_password: SecretString,
    /// A PEM file of authorities to trust with TLS instead of the system's; empty for those.
    /// `COUNTERSIGN__REDIS__CA_FILE`
    pub ca_file: PathBuf,
    /// A PEM file with our own certificate, for servers that want one. `COUNTERSIGN__REDIS__CERTIFICATE_FILE`
    pub certificate_file: PathBuf,
    /// A PEM file with its key. `COUNTERSIGN__REDIS__KEY_FILE`
    pub key_file: PathBuf,
}

impl Default for Redis {
    fn default() -> Self {
        Self {
            url: SecretString::default(),
            prefix: "countersign:".to_owned(),
            connections: 0,
            in_flight: 1024,
            timeout: Duration::from_millis(150),
            connect_timeout: Duration::from_millis(500),
            sentinel_username: String::new(),
            sentinel_password: SecretString::default(),
            ca_file: PathBuf::new(),
            certificate_file: PathBuf::new(),
            key_file: PathBuf::new(),
        }
    }
}

impl Redis {
    /// Whether there is one.
    pub fn is_configured(&self) -> bool {
        !self.url.expose_secret().is_empty()
    }

    /// How many connections there are to each master, where so many threads serve calls: as configured, or one for each.
    pub fn connections(&self, threads: usize) -> usize {
        match self.connections {
            0 => threads.clamp(1, MOST_CONNECTIONS),
            connections => connections,
        }
    }

    pub(super) fn check(&self, sessions: &Sessions) -> Result<(), Problem> {
        if sessions.store == SessionsStore::Redis && !self.is_configured() {
            let what = "is required where sessions.store is redis";
            return Err(Problem::between("redis.url", "sessions.store", what));
        }
        bounds::word("redis.prefix", &self.prefix, 64)?;
        if self.prefix.contains(['{', '}']) {
            return Err(Problem::new(
                "redis.prefix",
                "must not contain braces: they have a meaning in a Cluster",
            ));
        }
        bounds::number("redis.connections", self.connections, &(0..=MOST_CONNECTIONS))?;
        bounds::number("redis.in_flight", self.in_flight, &(1..=100_000))?;
        bounds::time("redis.timeout", self.timeout, ["10ms", "10s"])?;
        bounds::time("redis.connect_timeout", self.connect_timeout, ["10ms", "10s"])?;
        if self.certificate_file.as_os_str().is_empty() != self.key_file.as_os_str().is_empty() {
            let what = "and redis.key_file go together: give both or none";
            return Err(Problem::between("redis.certificate_file", "redis.key_file", what));
        }
        Ok(())
    }
}
