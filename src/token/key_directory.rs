//! The directory that keys are kept in.
//!
//! ```text
//! keys/                                           mode 0700
//!   signing/20260101T000000Z-0a1b2c3d.pem         a private key: signs and verifies; `kid` is the name
//!   signing/20250101T000000Z-99887766.pub.pem     a public key: verifies only
//!   refresh/20260101T000000Z-5e6f7081.key         a MAC key: the eight digits are its id
//! ```
//!
//! A time in a name says from when on the key is in use; without one it is since ever. Files whose names begin
//! with a dot are ignored, so that a mounted Kubernetes Secret can be read as it is.

use std::path::Path;

use countersign_verifier::{Algorithm, KeyId, VerifyingKey};
use zeroize::Zeroizing;

use super::mac_key::{MacKey, MacKeys};
use super::pem_block;
use super::schedule::Activation;
use super::signing_key::{InvalidSigningKey, SigningKey};
use super::signing_keys::SigningKeys;
use crate::model::{KeyKind, MacKeyId, UnixMillis};

mod create;
mod error;
mod file;
mod name;

pub use error::{KeyDirectoryError, KeyFileDefect};
use file::Listing;
use name::FileName;

/// Where signing keys lie.
const SIGNING: &str = "signing";
/// Where MAC keys lie.
const REFRESH: &str = "refresh";

/// What people are told that refresh tokens are made with (RFC 7518 §3.1).
pub const MAC_ALGORITHM: &str = "HS256";

/// Who else may read the keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Permissions {
    /// Nobody: directories must be 0700 and files 0600, or stricter.
    #[default]
    Strict,
    /// The group may read files, and directories are not looked at: how Kubernetes mounts a Secret
    /// (`defaultMode: 0440`). Files that others may read are refused all the same.
    Mounted,
}

/// What reads and writes a directory of keys. Every function takes the directory's path.
#[derive(Debug, Clone, Copy)]
pub struct KeyDirectory;

/// Every key of a directory.
#[derive(Debug)]
pub struct LoadedKeys {
    /// What access tokens are signed and verified with.
    pub signing: SigningKeys,
    /// What refresh tokens are made and recognised with.
    pub mac: MacKeys,
}

/// A key of a directory, as its file has it.
pub(super) struct PlainKey {
    pub(super) id: String,
    pub(super) kind: KeyKind,
    pub(super) algorithm: &'static str,
    pub(super) verify_only: bool,
    /// From when on it makes tokens; `None` for a public key.
    pub(super) activation: Option<Activation>,
    pub(super) text: Zeroizing<String>,
}

/// What a key does now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyState {
    /// New tokens are made with it.
    Active,
    /// New tokens will be made with it; it is announced, and verifies.
    Upcoming,
    /// It verifies what was made with it, and makes nothing new.
    VerifyOnly,
    /// It is gone, because everything that was made with it had expired.
    Retired,
    /// It is gone, because somebody withdrew it.
    Withdrawn,
}

impl KeyState {
    /// The name that people read.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Upcoming => "upcoming",
            Self::VerifyOnly => "verify-only",
            Self::Retired => "retired",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// What people are told of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyInfo {
    /// The `kid`, or the MAC key's id.
    pub name: String,
    /// What it is for.
    pub kind: KeyKind,
    /// `EdDSA`, `ES256`, `RS256` or `HS256`.
    pub algorithm: &'static str,
    /// From when on it is in use; none for a key that only verifies.
    pub activation: Option<Activation>,
    /// What it does now.
    pub state: KeyState,
}

impl KeyDirectory {
    /// Reads every key. There must be one to sign with and one for refresh tokens, and every file must be a key
    /// that is known: one that is passed over in silence would be missed only when tokens fail.
    pub fn open(path: &Path, permissions: Permissions) -> Result<LoadedKeys, KeyDirectoryError> {
        file::check_directory(path, permissions)?;
        Ok(LoadedKeys {
            signing: open_signing(&path.join(SIGNING), permissions)?,
            mac: open_refresh(&path.join(REFRESH), permissions)?,
        })
    }

    /// Makes what is missing of the directory, of a key to sign with and of a key for refresh tokens; both are
    /// in use from `now` on. Two processes that start at once end with the same keys.
    pub fn create_missing(
        path: &Path,
        algorithm: Algorithm,
        now: UnixMillis,
    ) -> Result<(), KeyDirectoryError> {
        let directory = create::LockedDirectory::create(path)?;
        if !directory.has_key(SIGNING)? {
            directory.add_signing_key(algorithm, now)?;
        }
        if !directory.has_key(REFRESH)? {
            directory.add_mac_key(now)?;
        }
        Ok(())
    }

    /// Adds a key that signs from `activate_at` on, rounded down to a second, and verifies from when it is
    /// read.
    pub fn generate_signing_key(
        path: &Path,
        algorithm: Algorithm,
        activate_at: UnixMillis,
    ) -> Result<KeyId, KeyDirectoryError> {
        create::LockedDirectory::create(path)?.add_signing_key(algorithm, activate_at)
    }

    /// Adds a key that refresh tokens are made with from `activate_at` on, rounded down to a second, and
    /// recognised with from when it is read.
    pub fn generate_mac_key(path: &Path, activate_at: UnixMillis) -> Result<MacKeyId, KeyDirectoryError> {
        create::LockedDirectory::create(path)?.add_mac_key(activate_at)
    }
}

impl KeyDirectory {
    /// Every key, with its text. They can be used together.
    pub(super) fn read_all(
        path: &Path,
        permissions: Permissions,
    ) -> Result<Vec<PlainKey>, KeyDirectoryError> {
        let loaded = Self::open(path, permissions)?;
        let algorithm =
            |id: &KeyId| loaded.signing.key_set().get(id.as_str()).map(|key| key.algorithm().name());
        let mut keys = Vec::new();
        for file in Listing::read(&path.join(SIGNING), permissions)?.into_files() {
            let name = name::signing(file.name()).map_err(|defect| file.error(defect))?;
            let (id, activation) = match name {
                FileName::Private(id, activation) => (id, Some(activation)),
                FileName::Public(id) => (id, None),
            };
            // One that was added since is found by the next attempt.
            let Some(algorithm) = algorithm(&id) else { continue };
            let (kind, verify_only) = (KeyKind::Signing, activation.is_none());
            let text = file.text()?;
            keys.push(PlainKey { id: id.to_string(), kind, algorithm, verify_only, activation, text });
        }
        for file in Listing::read(&path.join(REFRESH), permissions)?.into_files() {
            let (id, activation) = name::refresh(file.name()).map_err(|defect| file.error(defect))?;
            keys.push(PlainKey {
                id: id.to_string(),
                kind: KeyKind::Refresh,
                algorithm: MAC_ALGORITHM,
                verify_only: false,
                activation: Some(activation),
                text: file.text()?,
            });
        }
        Ok(keys)
    }

    /// Reads the PEM text of a public key.
    pub(super) fn read_public(id: KeyId, pem: &str) -> Result<VerifyingKey, KeyFileDefect> {
        read_public_key(id, pem)
    }
}

fn open_signing(directory: &Path, permissions: Permissions) -> Result<SigningKeys, KeyDirectoryError> {
    let (mut signing, mut verifying) = (Vec::new(), Vec::new());
    for file in Listing::read(directory, permissions)?.into_files() {
        match name::signing(file.name()).map_err(|defect| file.error(defect))? {
            FileName::Private(id, activation) => {
                let key = SigningKey::from_pkcs8_pem(id, &file.text()?).map_err(|error| file.error(error))?;
                signing.push(key.active_from(activation));
            }
            FileName::Public(id) => {
                let key = read_public_key(id, &file.text()?).map_err(|error| file.error(error))?;
                verifying.push(key);
            }
        }
    }
    SigningKeys::new(signing, verifying)
        .map_err(|source| KeyDirectoryError::Signing { path: directory.to_owned(), source })
}

fn read_public_key(id: KeyId, pem: &str) -> Result<VerifyingKey, KeyFileDefect> {
    let der = pem_block::decode(pem, pem_block::PUBLIC_KEY).map_err(InvalidSigningKey::Pem)?;
    let algorithm = Algorithm::of_spki_der(&der).ok_or(KeyFileDefect::UnsupportedPublicKey)?;
    Ok(VerifyingKey::from_spki_der(id, algorithm, &der).map_err(InvalidSigningKey::Public)?)
}

fn open_refresh(directory: &Path, permissions: Permissions) -> Result<MacKeys, KeyDirectoryError> {
    let mut keys = Vec::new();
    for file in Listing::read(directory, permissions)?.into_files() {
        let (id, activation) = name::refresh(file.name()).map_err(|defect| file.error(defect))?;
        let key = MacKey::from_pem(id, &file.text()?).map_err(|error| file.error(error))?;
        keys.push(key.active_from(activation));
    }
    MacKeys::new(keys).map_err(|source| KeyDirectoryError::Refresh { path: directory.to_owned(), source })
}

impl LoadedKeys {
    /// What every key does at `now`: first those that sign, in the order in which they come into use, then
    /// those that only verify, then those for refresh tokens.
    pub fn list(&self, now: UnixMillis) -> Vec<KeyInfo> {
        let signer = self.signing.signer(now).id();
        let signing = self.signing.signing().map(|key| KeyInfo {
            name: key.id().to_string(),
            kind: KeyKind::Signing,
            algorithm: key.algorithm().name(),
            activation: Some(key.activation()),
            state: state(key.id() == signer, key.activation(), now),
        });
        let key_set = self.signing.key_set();
        let signs = |id: &KeyId| self.signing.signing().any(|key| key.id() == id);
        let verifying = key_set.iter().filter(|key| !signs(key.id())).map(|key| KeyInfo {
            name: key.id().to_string(),
            kind: KeyKind::Signing,
            algorithm: key.algorithm().name(),
            activation: None,
            state: KeyState::VerifyOnly,
        });
        let mac = self.mac.iter().map(|key| KeyInfo {
            name: key.id().to_string(),
            kind: KeyKind::Refresh,
            algorithm: MAC_ALGORITHM,
            activation: Some(key.activation()),
            state: state(key.id() == self.mac.active(now), key.activation(), now),
        });
        signing.chain(verifying).chain(mac).collect()
    }
}

fn state(active: bool, activation: Activation, now: UnixMillis) -> KeyState {
    if active {
        KeyState::Active
    } else if activation.is_reached(now) {
        KeyState::VerifyOnly
    } else {
        KeyState::Upcoming
    }
}

#[cfg(test)]
mod tests;
