//! Configuration, in layers: defaults, then a TOML file, then the environment, then flags; each overrides the one
//! before it, key by key.
//!
//! The key `k` of the section `[s]` is the environment variable `COUNTERSIGN__S__K`. A secret may also be given as
//! the name of a file that holds it: `k_file` in TOML, `COUNTERSIGN__S__K_FILE` in the environment. Whatever is
//! wrong is one [`ConfigError`] that names the key and where its value came from, before any port is bound.
//! `countersign.example.toml` shows every key.

use std::path::Path;

use figment::Figment;
use serde::{Deserialize, Serialize};

mod audit;
mod bounds;
mod captcha;
mod database;
pub mod duration;
mod edge;
mod environment;
mod error;
mod error_codes;
mod ext_authz;
mod grpc;
mod keys;
mod layers;
mod limits;
mod log;
mod log_level;
mod operations;
mod origins;
mod passwords;
mod redis;
mod revocation;
mod rotation;
mod schema;
mod secret;
mod sessions;
mod shutdown;
mod telemetry;
#[cfg(feature = "test-server")]
mod test_server;
mod throttle;
mod tls;
mod tokens;
mod url;

pub use self::redis::Redis;
pub use audit::Audit;
pub use captcha::{Captcha, CaptchaMode, OnUnavailable};
pub use database::{Database, DatabaseLocation};
pub use edge::{Edge, EdgeClient, ErrorShape, RefreshTransport, SameSite, Times};
pub use environment::{ignored_variables, process_environment};
pub use error::{ConfigError, Problem};
pub use ext_authz::ExtAuthz;
pub use grpc::Grpc;
pub use keys::{Algorithm, CreateMissing, KeyStore, Keys, Permissions};
pub use layers::Override;
pub use limits::Limits;
pub use log::{Log, LogFormat};
pub use log_level::filter as log_filter;
pub use operations::Operations;
pub use passwords::Passwords;
pub use revocation::{OnStale, Revocation};
pub use rotation::Rotation;
pub use sessions::{OnLimit, Sessions, SessionsStore};
pub use shutdown::Shutdown;
pub use telemetry::Telemetry;
pub use throttle::Throttle;
pub use tls::{AllowRule, ClientCertificates, Tls};
pub use tokens::Tokens;
pub use url::{ConfiguredUrl, shown_url};

use layers::Layer;
use schema::Schema;

/// Everything that can be configured, checked as a whole. [`Config::default`] lacks what has no default, and is
/// therefore no valid configuration by itself.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `[grpc]`: the service itself.
    pub grpc: Grpc,
    /// `[ext_authz]`: what Envoy asks.
    pub ext_authz: ExtAuthz,
    /// `[edge]`: the same over HTTP.
    pub edge: Edge,
    /// `[captcha]`: what a login over HTTP must pass first.
    pub captcha: Captcha,
    /// `[operations]`: health for machines that do not speak gRPC.
    pub operations: Operations,
    /// `[limits]`: what callers may hold, on every port.
    pub limits: Limits,
    /// `[tokens]`: what access tokens say and how long they live.
    pub tokens: Tokens,
    /// `[sessions]`: how long sessions live and how many a user may have.
    pub sessions: Sessions,
    /// `[rotation]`: what is honoured of old refresh tokens.
    pub rotation: Rotation,
    /// `[revocation]`: how old the view of what is revoked may be.
    pub revocation: Revocation,
    /// `[audit]`: how long it is known who did what.
    pub audit: Audit,
    /// `[passwords]`: what a password hash costs.
    pub passwords: Passwords,
    /// `[throttle]`: how many logins may be tried.
    pub throttle: Throttle,
    /// `[database]`: where users, sessions and the revocation ledger live.
    pub database: Database,
    /// `[redis]`: what replicas share beside the database.
    pub redis: Redis,
    /// `[keys]`: where the keys are that make and check tokens.
    pub keys: Keys,
    /// `[log]`: what is written to standard error.
    pub log: Log,
    /// `[telemetry]`: where traces go.
    pub telemetry: Telemetry,
    /// `[shutdown]`: how the process goes.
    pub shutdown: Shutdown,
}

/// The layers, each above the one before it.
fn layered(
    preset: &[Override],
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
    overrides: &[Override],
) -> Result<Figment, ConfigError> {
    let schema = Schema::new()?;
    let mut layers = vec![Layer::defaults(&schema)];
    layers.extend(Layer::overrides(preset, &schema)?);
    if let Some(file) = file {
        layers.extend(Layer::file(file, &schema)?);
    }
    layers.extend(Layer::environment(environment, &schema)?);
    layers.extend(Layer::overrides(overrides, &schema)?);
    Ok(layers.into_iter().fold(Figment::new(), Figment::merge))
}

impl Operations {
    /// Loads `[operations]` alone, for whoever asks a service how it is and needs neither its database nor its keys.
    pub fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let figment = layered(&[], file, environment, &[])?;
        let operations: Self =
            figment.extract_inner("operations").map_err(|error| ConfigError::from_extraction(&error))?;
        operations.tls.check(&tls::Keys::OPERATIONS).map_err(|problem| problem.located(&figment))?;
        Ok(operations)
    }
}

impl Config {
    /// Loads the configuration of `serve`. Each name in `environment` that begins with `COUNTERSIGN__` must be one that
    /// is known, and none may be a misspelling of one; others do not matter.
    pub fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
        overrides: &[Override],
    ) -> Result<Self, ConfigError> {
        Self::assemble(&[], file, environment, overrides)
    }

    /// Loads the configuration of `dev`: its own defaults, with everything under `data_dir`, then the environment
    /// and flags.
    pub fn load_dev(
        data_dir: &Path,
        environment: impl IntoIterator<Item = (String, String)>,
        overrides: &[Override],
    ) -> Result<Self, ConfigError> {
        let Some(directory) = data_dir.to_str().filter(|directory| !directory.is_empty()) else {
            return Err(ConfigError::DataDirectory { directory: data_dir.to_owned() });
        };
        let database = data_dir.join("countersign.db");
        let prefix = if data_dir.is_absolute() { "sqlite://" } else { "sqlite:" };
        let of_dev = [
            ("grpc.reflection", "true".to_owned()),
            ("edge.enabled", "true".to_owned()),
            ("edge.plain_http", "true".to_owned()),
            ("edge.demonstration", "true".to_owned()),
            ("database.url", format!("{prefix}{}", database.display())),
            ("keys.directory", format!("{}/keys", directory.trim_end_matches('/'))),
            ("log.format", "text".to_owned()),
            ("shutdown.drain_delay", "0s".to_owned()),
        ]
        .map(|(key, value)| Override { key, flag: "the defaults of `countersign dev`", value });
        Self::assemble(&of_dev, None, environment, overrides)
    }

    /// Loads the configuration of `test-server`: its own defaults, then the file and the flags. The environment says nothing:
    /// what is meant for a deployment must not change what tests see. `encryption_key` is 32 bytes in base64, drawn at random.
    #[cfg(feature = "test-server")]
    pub fn load_test_server(
        file: Option<&Path>,
        overrides: &[Override],
        encryption_key: &str,
    ) -> Result<Self, ConfigError> {
        let preset = test_server::preset(encryption_key);
        let figment = layered(&preset, file, [], overrides)?;
        let config: Self = figment.extract().map_err(|error| ConfigError::from_extraction(&error))?;
        let checked = config.check().and_then(|()| test_server::check(&config));
        checked.map_err(|problem| problem.located(&figment))?;
        Ok(config)
    }

    /// The defaults of `dev`: readable logs, reflection, and SQLite and keys under `data_dir`.
    pub fn dev(data_dir: &Path) -> Result<Self, ConfigError> {
        Self::load_dev(data_dir, [], &[])
    }

    fn assemble(
        preset: &[Override],
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
        overrides: &[Override],
    ) -> Result<Self, ConfigError> {
        let figment = layered(preset, file, environment, overrides)?;
        let config: Self = figment.extract().map_err(|error| ConfigError::from_extraction(&error))?;
        config.check().map_err(|problem| problem.located(&figment))?;
        Ok(config)
    }

    /// Whether missing keys are made at start. In the database they are, and on one that only this machine has; replicas that
    /// share one and have directories must be given the same keys.
    pub fn create_missing_keys(&self) -> bool {
        match self.keys.create_missing {
            CreateMissing::Always => true,
            CreateMissing::Never => false,
            CreateMissing::Auto => {
                self.keys.store == KeyStore::Database
                    || matches!(self.database.location(), Ok(DatabaseLocation::Sqlite(_)))
            }
        }
    }

    /// The effective configuration as TOML, each secret as `(redacted)`.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        toml::to_string(self)
    }

    /// Finds the first thing that is wrong.
    fn check(&self) -> Result<(), Problem> {
        self.grpc.check()?;
        self.ext_authz.check()?;
        self.operations.check(&self.grpc)?;
        self.edge.check(&self.grpc, &self.operations)?;
        self.captcha.check()?;
        self.limits.check()?;
        self.tokens.check()?;
        self.rotation.check()?;
        self.sessions.check(&self.rotation, &self.tokens)?;
        self.revocation.check()?;
        self.audit.check()?;
        self.passwords.check()?;
        self.throttle.check()?;
        self.database.check()?;
        self.redis.check(&self.sessions)?;
        self.keys.check()?;
        self.log.check()?;
        self.telemetry.check()?;
        self.shutdown.check()
    }
}
