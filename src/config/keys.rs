//! `[keys]`

use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use super::error::Problem;
use super::{bounds, duration, secret};
use crate::token::{self, KeyEncryption};

/// The keys that access tokens are signed with and refresh tokens are made with.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keys {
    /// Where they are kept. `COUNTERSIGN__KEYS__STORE`
    pub store: KeyStore,
    /// The directory that they are in; no default. Needed where `store` is `directory`. `COUNTERSIGN__KEYS__DIRECTORY`
    pub directory: PathBuf,
    /// The algorithm of signing keys that are made from now on. `COUNTERSIGN__KEYS__ALGORITHM`
    pub algorithm: Algorithm,
    /// Whether keys that are missing at start are made. `COUNTERSIGN__KEYS__CREATE_MISSING`
    pub create_missing: CreateMissing,
    /// Who may read the directory. `COUNTERSIGN__KEYS__PERMISSIONS`
    pub permissions: Permissions,
    /// How often the directory is looked at for new keys, and how often a replica says which keys of the database it has;
    /// 100ms to 1h. `COUNTERSIGN__KEYS__RELOAD_INTERVAL`
    #[serde(with = "duration")]
    pub reload_interval: Duration,
    /// What keys in the database are encrypted with: 32 bytes in base64. Needed where `store` is `database`.
    /// `COUNTERSIGN__KEYS__ENCRYPTION_KEY`
    #[serde(serialize_with = "secret::redacted")]
    pub encryption_key: SecretString,
    /// What keys in the database were encrypted with before; empty when there is no other.
    /// `COUNTERSIGN__KEYS__PREVIOUS_ENCRYPTION_KEY`
    #[serde(serialize_with = "secret::redacted")]
    pub previous_encryption_key: SecretString,
    /// How long a key in the database makes tokens before the next one does; 0s is until somebody asks for the next one,
    /// otherwise 1s to 3650d. `COUNTERSIGN__KEYS__ROTATE_EVERY`
    #[serde(with = "duration")]
    pub rotate_every: Duration,
    /// How long a key in the database is published before it makes tokens; at least three times `reload_interval`, which is
    /// how long others may cache the key set; at most 30d. `COUNTERSIGN__KEYS__ANNOUNCE`
    #[serde(with = "duration")]
    pub announce: Duration,
}

/// Where keys are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyStore {
    /// In a directory that somebody else fills.
    Directory,
    /// In the database, where the service makes, rotates and retires them.
    Database,
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
    /// When they are in the database, or when that is SQLite: there is no other replica that would not know them.
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
            store: KeyStore::Directory,
            directory: PathBuf::new(),
            algorithm: Algorithm::EdDsa,
            create_missing: CreateMissing::Auto,
            permissions: Permissions::Strict,
            reload_interval: Duration::from_secs(10),
            encryption_key: SecretString::default(),
            previous_encryption_key: SecretString::default(),
            rotate_every: Duration::from_hours(30 * 24),
            announce: Duration::from_hours(1),
        }
    }
}

impl Keys {
    /// How many times others may keep the key set for as long as replicas take to look for new keys.
    pub const KEPT_FOR: u32 = 3;

    /// What keys in the database are encrypted with.
    pub fn encryption(&self) -> Result<KeyEncryption, Problem> {
        let (current, previous) =
            (self.encryption_key.expose_secret(), self.previous_encryption_key.expose_secret());
        let previous = Some(previous).filter(|key| !key.is_empty());
        let bad = |error: token::InvalidEncryptionKey| Problem::new("keys.encryption_key", error.to_string());
        KeyEncryption::new(current, previous).map_err(bad)
    }

    pub(super) fn check(&self) -> Result<(), Problem> {
        for (name, key) in [
            ("keys.encryption_key", &self.encryption_key),
            ("keys.previous_encryption_key", &self.previous_encryption_key),
        ] {
            let key = key.expose_secret();
            if !key.is_empty() {
                KeyEncryption::check(key).map_err(|error| Problem::new(name, error.to_string()))?;
            }
        }
        match self.store {
            KeyStore::Directory if self.directory.as_os_str().is_empty() => {
                return Err(Problem::required("keys.directory"));
            }
            KeyStore::Database if self.encryption_key.expose_secret().is_empty() => {
                return Err(Problem::required("keys.encryption_key"));
            }
            KeyStore::Directory | KeyStore::Database => {}
        }
        bounds::time("keys.reload_interval", self.reload_interval, ["100ms", "1h"])?;
        if !self.rotate_every.is_zero() {
            bounds::time("keys.rotate_every", self.rotate_every, ["1s", "3650d"])?;
        }
        bounds::time("keys.announce", self.announce, ["0s", "30d"])?;
        let kept = self.reload_interval * Self::KEPT_FOR;
        if self.store == KeyStore::Database && self.announce < kept {
            let what = format!(
                "{} is shorter than {}, three times reload_interval, for which others may cache the key set",
                duration::format(self.announce),
                duration::format(kept)
            );
            return Err(Problem::between("keys.announce", "keys.reload_interval", what));
        }
        Ok(())
    }
}
