//! Service keys: what a program shows to call administrative methods. Random, and kept as a digest: a dump of the database
//! holds none.
//!
//! A key is the prefix `csgn_sk_` and 72 characters of base64url (RFC 4648 §5) for 54 bytes:
//!
//! | bytes | what |
//! |---|---|
//! | 16 | the key's id |
//! | 32 | random |
//! | 6 | a checksum over the prefix and every byte before it |
//!
//! The checksum is no secret and proves nothing: anybody can compute it. It tells a key from a text that was cut off or
//! mistyped, so that the database is not asked about those, and a scanner for secrets finds keys and nothing else.

use std::fmt;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::{Zeroize as _, Zeroizing};

use crate::model::{ServiceAccountId, ServiceKeyDigest, ServiceKeyId};
use crate::secret::Secret;

/// What every key begins with, for ever: secret scanners look for it.
const PREFIX: &str = "csgn_sk_";
/// Separates the digest that is stored from every other one that might be made of the same bytes.
const DIGEST_DOMAIN: &[u8] = b"countersign service key v1\0";
/// Separates the checksum, which stands in the key, from the digest.
const CHECKSUM_DOMAIN: &[u8] = b"countersign service key checksum v1\0";
/// Separates the ids that are made from request ids.
const REQUEST_DOMAIN: &[u8] = b"countersign.v1.CreateKey\n";

const ID_LEN: usize = 16;
const SECRET_LEN: usize = 32;
const PAYLOAD_LEN: usize = ID_LEN + SECRET_LEN;
const CHECKSUM_LEN: usize = 6;
const KEY_LEN: usize = PAYLOAD_LEN + CHECKSUM_LEN;
const ENCODED_LEN: usize = KEY_LEN / 3 * 4;

/// A key in plain text. Shown nowhere, and wiped from memory when dropped.
#[derive(Clone)]
pub struct PlainServiceKey(String);

impl PlainServiceKey {
    /// What every key begins with.
    pub const PREFIX: &'static str = PREFIX;
    /// The length of every key, in bytes.
    pub const LEN: usize = PREFIX.len() + ENCODED_LEN;

    /// A new key with this id, and what it is recognised by.
    pub fn generate(id: ServiceKeyId) -> (Self, PresentedKey) {
        let secret = Secret::<SECRET_LEN>::generate();
        let mut key = Zeroizing::new([0; KEY_LEN]);
        key[..ID_LEN].copy_from_slice(id.as_bytes());
        key[ID_LEN..PAYLOAD_LEN].copy_from_slice(secret.expose());
        let checksum = checksum(&key[..PAYLOAD_LEN]);
        key[PAYLOAD_LEN..].copy_from_slice(&checksum);
        let presented = PresentedKey { id, digest: digest_of(&key[..PAYLOAD_LEN]) };
        let mut text = String::with_capacity(Self::LEN);
        text.push_str(PREFIX);
        URL_SAFE_NO_PAD.encode_string(key.as_slice(), &mut text);
        (Self(text), presented)
    }

    /// The text, for whoever asked for it and nobody else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PlainServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlainServiceKey(…)")
    }
}

impl Drop for PlainServiceKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// A well-formed key that somebody has shown: which one it claims to be, and what it is recognised by. Whether there is such
/// a key only the store knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PresentedKey {
    /// Which key.
    pub id: ServiceKeyId,
    /// What the store must hold of it.
    pub digest: ServiceKeyDigest,
}

impl PresentedKey {
    /// Whether a text is meant to be a service key.
    pub fn is_meant_by(text: &str) -> bool {
        text.starts_with(PREFIX)
    }

    /// Reads a key. A key has exactly one spelling; `None` for every other text.
    pub fn parse(text: &str) -> Option<Self> {
        let encoded = text.strip_prefix(PREFIX).filter(|encoded| encoded.len() == ENCODED_LEN)?;
        let key = Zeroizing::new(URL_SAFE_NO_PAD.decode(encoded).ok()?);
        let (payload, sum) = key.split_at_checked(PAYLOAD_LEN)?;
        if checksum(payload) != sum {
            return None;
        }
        let (&id, _) = payload.split_first_chunk()?;
        Some(Self { id: ServiceKeyId::from_bytes(id), digest: digest_of(payload) })
    }
}

/// The id of the key that a request makes for an account: always the same one, and a UUID of version 8 (RFC 9562 §5.8),
/// whose bits are ours to choose.
pub fn service_key_id_of_request(account: ServiceAccountId, request_id: &str) -> ServiceKeyId {
    let digest = sha256(&[REQUEST_DOMAIN, account.as_bytes(), request_id.as_bytes()]);
    let mut bytes = [0; ID_LEN];
    bytes.copy_from_slice(&digest.as_ref()[..ID_LEN]);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    ServiceKeyId::from_bytes(bytes)
}

fn sha256(parts: &[&[u8]]) -> digest::Digest {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(part);
    }
    context.finish()
}

fn digest_of(payload: &[u8]) -> ServiceKeyDigest {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(sha256(&[DIGEST_DOMAIN, payload]).as_ref());
    ServiceKeyDigest::from_bytes(bytes)
}

fn checksum(payload: &[u8]) -> [u8; CHECKSUM_LEN] {
    let mut sum = [0; CHECKSUM_LEN];
    sum.copy_from_slice(&sha256(&[CHECKSUM_DOMAIN, PREFIX.as_bytes(), payload]).as_ref()[..CHECKSUM_LEN]);
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: ServiceKeyId = ServiceKeyId::from_bytes([7; 16]);

    #[test]
    fn what_is_made_is_read_again() {
        let (key, presented) = PlainServiceKey::generate(ID);
        assert_eq!(key.expose().len(), PlainServiceKey::LEN);
        assert_eq!(PresentedKey::parse(key.expose()), Some(presented));
        assert_eq!(presented.id, ID);
        let (other, of_other) = PlainServiceKey::generate(ID);
        assert_ne!(key.expose(), other.expose());
        assert_ne!(presented.digest, of_other.digest);
    }

    #[test]
    fn no_other_text_is_a_key() {
        let (key, _) = PlainServiceKey::generate(ID);
        let key = key.expose().to_owned();
        for place in 0..key.len() {
            let mut other = key.clone().into_bytes();
            other[place] = if other[place] == b'A' { b'B' } else { b'A' };
            assert_eq!(PresentedKey::parse(&String::from_utf8(other).unwrap()), None, "byte {place}");
            assert_eq!(PresentedKey::parse(&key[..place]), None, "{place} bytes");
        }
        for other in [format!("{key}A"), format!(" {key}"), key.replace("_sk_", "_rt_")] {
            assert_eq!(PresentedKey::parse(&other), None, "{other}");
        }
        assert!(PresentedKey::is_meant_by("csgn_sk_") && !PresentedKey::is_meant_by("csgn_rt_"));
    }

    #[test]
    fn a_key_is_not_shown() {
        let (key, presented) = PlainServiceKey::generate(ID);
        let shown = format!("{key:?} {presented:?}");
        assert!(!shown.contains(&key.expose()[40..60]), "{shown}");
        assert!(!shown.contains(&hex::encode(presented.digest.as_bytes())), "{shown}");
    }

    #[test]
    fn one_request_of_one_account_makes_one_id() {
        let account = ServiceAccountId::from_bytes([1; 16]);
        let id = service_key_id_of_request(account, "a");
        assert_eq!(id, service_key_id_of_request(account, "a"));
        assert_ne!(id, service_key_id_of_request(account, "b"));
        assert_ne!(id, service_key_id_of_request(ServiceAccountId::from_bytes([2; 16]), "a"));
        assert_eq!(&id.to_string()[14..15], "8");
    }
}
