//! `[keys]`

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::Problem;
use super::{bounds, duration};
use crate::token;

/// The keys that access tokens are signed with and refresh tokens are made with.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keys {
    /// The directory that they are in; no default. `COUNTERSIGN__KEYS__DIRECTORY`
    pub directory: PathBuf,
    /// The algorithm of signing keys that are made from now on. `COUNTERSIGN__KEYS__ALGORITHM`
    pub algorithm: Algorithm,
    /// Whether keys that are missing at start are made. `COUNTERSIGN__KEYS__CREATE_MISSING`
    pub create_missing: CreateMissing,
    /// Who may read the directory. `COUNTERSIGN__KEYS__PERMISSIONS`
    pub permissions: Permissions,
    /// How often the directory is looked at for new keys; 100ms to 1h. `COUNTERSIGN__KEYS__RELOAD_INTERVAL`
    #[serde(with = "duration")]
    pub reload_interval: Duration,
}

/// A signature algorithm of access tokens (RFC 7518 §3.1, RFC 8037 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Algorithm {
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
    /// ECDSA on P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// RSA PKCS#1 v1.5 with SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
}

/// Whether keys that are missing at start are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CreateMissing {
    /// When the database is SQLite, so that there is no other replica that would have to know them.
    Auto,
    /// In any case.
    Always,
    /// Never: it is an error that they are missing.
    Never,
}

/// Who may read the directory of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permissions {
    /// The user that runs the service, and nobody else.
    Strict,
    /// Whoever a volume that somebody else mounts lets read it, as with a Secret of Kubernetes.
    Mounted,
}

impl From<Algorithm> for countersign_verifier::Algorithm {
    fn from(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::EdDsa => Self::EdDSA,
            Algorithm::Es256 => Self::Es256,
            Algorithm::Rs256 => Self::Rs256,
        }
    }
}

impl From<Permissions> for token::Permissions {
    fn from(permissions: Permissions) -> Self {
        match permissions {
            Permissions::Strict => Self::Strict,
            Permissions::Mounted => Self::Mounted,
        }
    }
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            directory: PathBuf::new(),
            algorithm: Algorithm::EdDsa,
            create_missing: CreateMissing::Auto,
            permissions: Permissions::Strict,
            reload_interval: Duration::from_secs(10),
        }
    }
}

impl Keys {
    pub(super) fn check(&self) -> Result<(), Problem> {
        if self.directory.as_os_str().is_empty() {
            return Err(Problem::required("keys.directory"));
        }
        bounds::time("keys.reload_interval", self.reload_interval, ["100ms", "1h"])
    }
}
