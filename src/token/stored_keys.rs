//! Keys in a database: making them, encrypting them, and putting them to use.

use std::collections::BTreeMap;

use aws_lc_rs::digest;
use countersign_verifier::{Algorithm, KeyId, VerifyingKey};
use zeroize::Zeroizing;

use super::key_directory::{KeyDirectory, KeyDirectoryError, MAC_ALGORITHM, Permissions, PlainKey};
use super::key_encryption::{KeyEncryption, SealFailed, UnsealError};
use super::mac_key::{InvalidMacKey, InvalidMacKeys, MacKey, MacKeys};
use super::schedule::{Activation, format_timestamp};
use super::signing_key::{GeneratingFailed, InvalidSigningKey, SigningKey};
use super::signing_keys::{InvalidSigningKeys, SigningKeys};
use super::{LoadedKeys, mac_key};
use crate::model::{KeyKind, KeyTable, MacKeyId, SealedKey, TokenKey, UnixMillis};
use crate::secret;

/// No key could be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MakeKeyError {
    /// The library failed to generate it.
    #[error(transparent)]
    Generate(#[from] GeneratingFailed),
    /// The library failed to encrypt it.
    #[error(transparent)]
    Seal(#[from] SealFailed),
    /// The database's clock shows a year that no name can hold.
    #[error("the database's clock is outside the years 0 to 9999")]
    Time,
}

/// Why a key from the database cannot be used; says nothing of the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyDefect {
    /// It cannot be decrypted.
    #[error(transparent)]
    Unseal(#[from] UnsealError),
    /// It is no signing key.
    #[error(transparent)]
    Signing(#[from] InvalidSigningKey),
    /// It is no MAC key.
    #[error(transparent)]
    Mac(#[from] InvalidMacKey),
    /// It is no public key.
    #[error("not a public key for Ed25519, P-256 or RSA of 2048 to 8192 bits")]
    Public,
    /// Its name is none.
    #[error("its name is not that of a key")]
    Name,
    /// It is no text.
    #[error("not the text of a key")]
    Text,
}

/// Keys from the database cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoredKeysError {
    /// One of them.
    #[error("the {} key {id} cannot be used: {defect}", .kind.as_str())]
    Key {
        /// Which.
        id: String,
        /// What it is for.
        kind: KeyKind,
        /// Why.
        defect: KeyDefect,
    },
    /// Those for access tokens, together.
    #[error("the signing keys cannot be used: {0}")]
    Signing(#[from] InvalidSigningKeys),
    /// Those for refresh tokens, together.
    #[error("the keys for refresh tokens cannot be used: {0}")]
    Refresh(#[from] InvalidMacKeys),
}

/// A key that was made and is not stored yet.
#[derive(Debug, Clone)]
pub struct MadeKey {
    /// Its name.
    pub id: String,
    /// What it is for.
    pub kind: KeyKind,
    /// Its algorithm.
    pub algorithm: &'static str,
    /// Whether it is the public half alone.
    pub verify_only: bool,
    /// The key, encrypted.
    pub sealed: SealedKey,
    /// From when on it makes tokens, where a directory's name says so.
    pub activation: Option<Activation>,
}

impl MadeKey {
    /// A new key. Its name begins with the time that it was made at, as those in a directory do.
    pub fn generate(
        kind: KeyKind,
        algorithm: Algorithm,
        encryption: &KeyEncryption,
        now: UnixMillis,
    ) -> Result<Self, MakeKeyError> {
        let digits = MacKeyId::from_bytes(secret::random());
        let (id, algorithm, text) = match kind {
            KeyKind::Signing => {
                let time = format_timestamp(now).ok_or(MakeKeyError::Time)?;
                (format!("{time}-{digits}"), algorithm.name(), SigningKey::generate_pem(algorithm)?)
            }
            KeyKind::Refresh => (digits.to_string(), MAC_ALGORITHM, mac_key::generate_pem()),
        };
        let sealed = encryption.seal(purpose(kind, false), &id, text.as_bytes())?;
        Ok(Self { id, kind, algorithm, verify_only: false, sealed, activation: None })
    }

    /// Every key of a directory, encrypted.
    pub fn of_directory(
        path: &std::path::Path,
        permissions: Permissions,
        encryption: &KeyEncryption,
    ) -> Result<Vec<Self>, MoveKeysError> {
        let keys = KeyDirectory::read_all(path, permissions)?;
        let seal = |key: PlainKey| {
            let PlainKey { id, kind, algorithm, verify_only, activation, text } = key;
            let sealed = encryption.seal(purpose(kind, verify_only), &id, text.as_bytes())?;
            Ok(Self { id, kind, algorithm, verify_only, sealed, activation })
        };
        keys.into_iter().map(seal).collect()
    }
}

/// The keys of a directory cannot be moved.
#[derive(Debug, thiserror::Error)]
pub enum MoveKeysError {
    /// They cannot be read.
    #[error(transparent)]
    Directory(#[from] KeyDirectoryError),
    /// They cannot be encrypted.
    #[error(transparent)]
    Seal(#[from] SealFailed),
}

impl KeyEncryption {
    /// The same key, encrypted with the current key-encryption key.
    pub fn reseal(&self, key: &TokenKey) -> Result<SealedKey, StoredKeysError> {
        let failed = |defect| StoredKeysError::Key { id: key.id.clone(), kind: key.kind, defect };
        let purpose = purpose(key.kind, key.verify_only);
        let plain = self.unseal(purpose, &key.id, &key.sealed).map_err(|error| failed(error.into()))?;
        self.seal(purpose, &key.id, &plain).map_err(|_| failed(KeyDefect::Text))
    }
}

/// What could be used of a table of keys, and what could not.
#[derive(Debug)]
pub struct OpenedKeys {
    /// The keys that can be used.
    pub keys: LoadedKeys,
    /// The first that cannot.
    pub error: Option<StoredKeysError>,
}

impl LoadedKeys {
    /// The keys of a table that are trusted. A key that cannot be used is left out and told: a replica that lacks a new one
    /// still gives up those that were withdrawn.
    pub fn of_table(table: &KeyTable, encryption: &KeyEncryption) -> Result<OpenedKeys, StoredKeysError> {
        let (mut signing, mut verifying, mut mac) = (Vec::new(), Vec::new(), Vec::new());
        let mut error = None;
        let activations = activations(table);
        for key in table.keys.iter().filter(|key| key.is_trusted()) {
            let from = activations.get(key.id.as_str()).copied().unwrap_or(Activation::Pending);
            let opened = match (key.kind, key.verify_only) {
                (KeyKind::Signing, false) => {
                    open_signing(key, encryption).map(|key| signing.push(key.active_from(from)))
                }
                (KeyKind::Signing, true) => open_verifying(key, encryption).map(|key| verifying.push(key)),
                (KeyKind::Refresh, _) => open_mac(key, encryption).map(|key| mac.push(key.active_from(from))),
            };
            if let Err(defect) = opened {
                let failed = StoredKeysError::Key { id: key.id.clone(), kind: key.kind, defect };
                error.get_or_insert(failed);
            }
        }
        let keys = SigningKeys::new(signing, verifying).map_err(StoredKeysError::from);
        let keys = keys.and_then(|signing| Ok(LoadedKeys { signing, mac: MacKeys::new(mac)? }));
        match (keys, error) {
            (Ok(keys), error) => Ok(OpenedKeys { keys, error }),
            // That there is no key left is not what is wrong.
            (Err(_), Some(error)) | (Err(error), None) => Err(error),
        }
    }
}

fn open_signing(key: &TokenKey, encryption: &KeyEncryption) -> Result<SigningKey, KeyDefect> {
    let id = KeyId::parse(&key.id).map_err(|_| KeyDefect::Name)?;
    Ok(SigningKey::from_pkcs8_pem(id, &text_of(key, encryption)?)?)
}

fn open_verifying(key: &TokenKey, encryption: &KeyEncryption) -> Result<VerifyingKey, KeyDefect> {
    let id = KeyId::parse(&key.id).map_err(|_| KeyDefect::Name)?;
    KeyDirectory::read_public(id, &text_of(key, encryption)?).map_err(|_| KeyDefect::Public)
}

fn open_mac(key: &TokenKey, encryption: &KeyEncryption) -> Result<MacKey, KeyDefect> {
    let id: MacKeyId = key.id.parse().map_err(|_| KeyDefect::Name)?;
    Ok(MacKey::from_pem(id, &text_of(key, encryption)?)?)
}

fn text_of(key: &TokenKey, encryption: &KeyEncryption) -> Result<Zeroizing<String>, KeyDefect> {
    let mut plain = encryption.unseal(purpose(key.kind, key.verify_only), &key.id, &key.sealed)?;
    String::from_utf8(std::mem::take(&mut *plain)).map(Zeroizing::new).map_err(|_| KeyDefect::Text)
}

/// From when on each key makes tokens. Of two that were activated in the same millisecond, the later one follows.
fn activations(table: &KeyTable) -> BTreeMap<&str, Activation> {
    let mut activations = BTreeMap::new();
    for kind in KeyKind::ALL {
        let mut last = UnixMillis(i64::MIN);
        for key in table.scheduled(kind) {
            let at = key.activate_at.unwrap_or(table.now).max(UnixMillis(last.0.saturating_add(1)));
            activations.insert(key.id.as_str(), Activation::At(at));
            last = at;
        }
    }
    activations
}

/// What a sealed key is bound to: a public key must not pass for a private one either.
const fn purpose(kind: KeyKind, verify_only: bool) -> &'static str {
    match (kind, verify_only) {
        (KeyKind::Signing, false) => "signing",
        (KeyKind::Signing, true) => "verifying",
        (KeyKind::Refresh, _) => "refresh",
    }
}

/// Names a request for a key of a kind. The request itself is not stored: a caller may have put anything into it.
pub fn digest_of_key_request(kind: KeyKind, request_id: &str) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in ["countersign key request v1\0", kind.as_str(), "\0", request_id] {
        context.update(part.as_bytes());
    }
    hex::encode(context.finish())
}
