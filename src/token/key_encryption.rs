//! The key that keys in a database are encrypted with: AES-256-GCM (NIST SP 800-38D), bound to what the key is and what it
//! is called, so that no row can stand in for another.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | the format, 1 |
//! | 12 | the nonce, random |
//! | … | the key, encrypted |
//! | 16 | the tag |

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::model::SealedKey;
use crate::secret::Secret;

/// The length of a key-encryption key, in bytes.
const KEY_LEN: usize = 32;
const FORMAT: u8 = 1;
const TAG_LEN: usize = 16;
/// Separates what is sealed here from whatever else might one day be sealed with the same key.
const DOMAIN: &[u8] = b"countersign key v1\0";
/// Separates a key-encryption key's name from whatever else might be derived from it.
const NAME_DOMAIN: &[u8] = b"countersign key-encryption key name v1\0";
const NAME_LEN: usize = 8;

/// The text is no key-encryption key. Says nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 32 random bytes in base64 (44 characters), as `openssl rand -base64 32` prints them")]
pub struct InvalidEncryptionKey;

/// Why a key from the database cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnsealError {
    /// It was encrypted with a key-encryption key that is not there.
    #[error(
        "it is encrypted with the key-encryption key {needed}, and keys.encryption_key is {current}{}: give the one that it \
         was encrypted with as keys.encryption_key, or as keys.previous_encryption_key until `countersign key rewrap` has \
         run",
        .previous.as_ref().map(|name| format!(", keys.previous_encryption_key {name}")).unwrap_or_default()
    )]
    OtherKey {
        /// The name of the one that is needed.
        needed: String,
        /// The name of the current one.
        current: String,
        /// The name of the previous one, where there is one.
        previous: Option<String>,
    },
    /// It was altered, or moved from another row.
    #[error("its row was altered, or belongs to another key")]
    Altered,
}

/// A key-encryption key.
struct EncryptionKey {
    name: [u8; NAME_LEN],
    key: RandomizedNonceKey,
}

impl EncryptionKey {
    fn parse(text: &str) -> Result<Self, InvalidEncryptionKey> {
        let bytes = Zeroizing::new(STANDARD.decode(text.trim()).map_err(|_| InvalidEncryptionKey)?);
        let bytes = <[u8; KEY_LEN]>::try_from(bytes.as_slice()).map_err(|_| InvalidEncryptionKey)?;
        let secret = Secret::new(bytes);
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(NAME_DOMAIN);
        context.update(secret.expose());
        let mut name = [0; NAME_LEN];
        name.copy_from_slice(&context.finish().as_ref()[..NAME_LEN]);
        let key = RandomizedNonceKey::new(&AES_256_GCM, secret.expose()).map_err(|_| InvalidEncryptionKey)?;
        Ok(Self { name, key })
    }
}

/// The current key-encryption key and, while it is being replaced, the previous one.
pub struct KeyEncryption {
    current: EncryptionKey,
    previous: Option<EncryptionKey>,
}

impl KeyEncryption {
    /// A new key-encryption key as text.
    pub fn generate() -> Zeroizing<String> {
        Zeroizing::new(STANDARD.encode(Secret::<KEY_LEN>::generate().expose()))
    }

    /// Whether the text is a key-encryption key.
    pub fn check(text: &str) -> Result<(), InvalidEncryptionKey> {
        EncryptionKey::parse(text).map(drop)
    }

    /// Encrypts with `current`, and decrypts with it and with `previous`.
    pub fn new(current: &str, previous: Option<&str>) -> Result<Self, InvalidEncryptionKey> {
        let previous = previous.map(EncryptionKey::parse).transpose()?;
        Ok(Self { current: EncryptionKey::parse(current)?, previous })
    }

    /// Whether this was encrypted with the current key-encryption key.
    pub fn is_current(&self, sealed: &SealedKey) -> bool {
        sealed.under == self.current.name
    }

    /// Encrypts what a key of this name and purpose is.
    pub(super) fn seal(&self, purpose: &str, id: &str, plain: &[u8]) -> Result<SealedKey, SealFailed> {
        let mut text = Zeroizing::new(plain.to_vec());
        let mut bytes = Vec::with_capacity(1 + NONCE_LEN + plain.len() + TAG_LEN);
        let sealed = self.current.key.seal_in_place_append_tag(Aad::from(bound_to(purpose, id)), &mut *text);
        let nonce = sealed.map_err(|_| SealFailed)?;
        bytes.push(FORMAT);
        bytes.extend_from_slice(nonce.as_ref());
        bytes.extend_from_slice(&text);
        Ok(SealedKey { under: self.current.name.to_vec(), bytes })
    }

    /// Decrypts it again.
    pub(super) fn unseal(
        &self,
        purpose: &str,
        id: &str,
        sealed: &SealedKey,
    ) -> Result<Zeroizing<Vec<u8>>, UnsealError> {
        let keys = [Some(&self.current), self.previous.as_ref()];
        let key = keys.into_iter().flatten().find(|key| sealed.under == key.name);
        let key = key.ok_or_else(|| UnsealError::OtherKey {
            needed: hex::encode(&sealed.under),
            current: hex::encode(self.current.name),
            previous: self.previous.as_ref().map(|previous| hex::encode(previous.name)),
        })?;
        let (&[FORMAT], rest) = sealed.bytes.split_first_chunk::<1>().ok_or(UnsealError::Altered)? else {
            return Err(UnsealError::Altered);
        };
        let (nonce, text) = rest.split_first_chunk::<NONCE_LEN>().ok_or(UnsealError::Altered)?;
        let mut text = Zeroizing::new(text.to_vec());
        let aad = Aad::from(bound_to(purpose, id));
        let plain = key.key.open_in_place(Nonce::from(nonce), aad, &mut text);
        let length = plain.map_err(|_| UnsealError::Altered)?.len();
        text.truncate(length);
        Ok(text)
    }
}

/// The cryptographic library failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cryptographic library failed to encrypt a key")]
pub struct SealFailed;

impl fmt::Debug for KeyEncryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyEncryption")
            .field("current", &hex::encode(self.current.name))
            .field("previous", &self.previous.as_ref().map(|previous| hex::encode(previous.name)))
            .finish_non_exhaustive()
    }
}

/// No purpose has a NUL, so that purpose and name cannot run together.
fn bound_to(purpose: &str, id: &str) -> Vec<u8> {
    [DOMAIN, purpose.as_bytes(), b"\0", id.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "20260101T000000Z-0a1b2c3d";

    fn keys() -> (Zeroizing<String>, Zeroizing<String>) {
        (KeyEncryption::generate(), KeyEncryption::generate())
    }

    #[test]
    fn what_is_sealed_is_opaque_and_opens_again() {
        let (old, new) = keys();
        let before = KeyEncryption::new(&old, None).unwrap();
        let sealed = before.seal("signing", ID, b"canary canary canary").unwrap();
        assert!(!sealed.bytes.windows(6).any(|window| window == b"canary"));
        assert_ne!(
            sealed,
            before.seal("signing", ID, b"canary canary canary").unwrap(),
            "a nonce is used once"
        );
        assert_eq!(&**before.unseal("signing", ID, &sealed).unwrap(), b"canary canary canary");

        let both = KeyEncryption::new(&new, Some(&old)).unwrap();
        assert_eq!(&**both.unseal("signing", ID, &sealed).unwrap(), b"canary canary canary");
        assert!(before.is_current(&sealed) && !both.is_current(&sealed));
        let after = KeyEncryption::new(&new, None).unwrap();
        let error = after.unseal("signing", ID, &sealed).unwrap_err();
        assert!(matches!(error, UnsealError::OtherKey { .. }), "{error}");
        assert!(!error.to_string().contains(&**old) && !format!("{after:?}").contains(&**new));
    }

    #[test]
    fn a_row_that_was_altered_or_moved_is_refused() {
        let encryption = KeyEncryption::new(&KeyEncryption::generate(), None).unwrap();
        let sealed = encryption.seal("signing", ID, b"secret").unwrap();
        for (purpose, id) in [("refresh", ID), ("signing", "another"), ("signin", "g")] {
            assert_eq!(encryption.unseal(purpose, id, &sealed).unwrap_err(), UnsealError::Altered);
        }
        for at in 0..sealed.bytes.len() {
            let mut bytes = sealed.bytes.clone();
            bytes[at] ^= 1;
            let altered = SealedKey { bytes, ..sealed.clone() };
            assert_eq!(encryption.unseal("signing", ID, &altered).unwrap_err(), UnsealError::Altered, "{at}");
            let cut = SealedKey { bytes: sealed.bytes[..at].to_vec(), ..sealed.clone() };
            assert_eq!(encryption.unseal("signing", ID, &cut).unwrap_err(), UnsealError::Altered, "{at}");
        }
    }

    #[test]
    fn only_32_bytes_in_base64_are_a_key() {
        for bad in
            ["", "hello", &"A".repeat(43), &"A".repeat(44), &STANDARD.encode([0; 31]), &"ab".repeat(32)]
        {
            assert_eq!(KeyEncryption::check(bad), Err(InvalidEncryptionKey), "{bad}");
        }
        assert_eq!(KeyEncryption::check(&format!("{}\n", STANDARD.encode([7; 32]))), Ok(()));
    }
}
