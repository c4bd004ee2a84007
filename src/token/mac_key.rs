//! The keys that refresh tokens are made and recognised with.

use std::collections::BTreeMap;
use std::fmt;

use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use super::pem_block::{self, InvalidPem};
use super::schedule::{Activation, InvalidSchedule, Schedule, Scheduled};
use crate::model::{MacKeyId, UnixMillis};
use crate::secret::Secret;

/// The length of a MAC key, in bytes: that of the hash's output, as RFC 2104 §3 advises.
const KEY_LEN: usize = 32;

/// Why a MAC key's file was refused; says nothing of the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMacKey {
    /// Not a PEM file with one `COUNTERSIGN MAC KEY` block.
    #[error(transparent)]
    Pem(#[from] InvalidPem),
    /// Too short or too long.
    #[error("a MAC key has {KEY_LEN} bytes")]
    Length,
}

/// A key for HMAC-SHA-256 (RFC 2104).
#[derive(Clone)]
pub struct MacKey {
    id: MacKeyId,
    key: hmac::Key,
    activation: Activation,
}

impl MacKey {
    /// The key with these bytes, in use since ever unless [`Self::active_from`] says otherwise.
    pub fn new(id: MacKeyId, secret: &Secret<KEY_LEN>) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose());
        Self { id, key, activation: Activation::Always }
    }

    /// Reads the PEM text of a `COUNTERSIGN MAC KEY`.
    pub fn from_pem(id: MacKeyId, pem: &str) -> Result<Self, InvalidMacKey> {
        let bytes = pem_block::decode(pem, pem_block::MAC_KEY)?;
        let bytes = <[u8; KEY_LEN]>::try_from(bytes.as_slice()).map_err(|_| InvalidMacKey::Length)?;
        Ok(Self::new(id, &Secret::new(bytes)))
    }

    /// The same key, in use from then on.
    #[must_use]
    pub fn active_from(self, activation: Activation) -> Self {
        Self { activation, ..self }
    }

    /// Names the key inside a token.
    pub const fn id(&self) -> MacKeyId {
        self.id
    }

    /// From when on it is in use.
    pub const fn activation(&self) -> Activation {
        self.activation
    }

    /// The MAC over these parts, one after the other.
    pub(super) fn tag(&self, parts: &[&[u8]]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.key);
        for part in parts {
            context.update(part);
        }
        context.sign()
    }
}

/// The PEM text of a new MAC key.
pub(super) fn generate_pem() -> Zeroizing<String> {
    pem_block::encode(pem_block::MAC_KEY, Secret::<KEY_LEN>::generate().expose())
}

impl Scheduled for MacKey {
    fn name(&self) -> String {
        self.id.to_string()
    }

    fn activation(&self) -> Activation {
        self.activation
    }
}

impl fmt::Debug for MacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MacKey")
            .field("id", &self.id)
            .field("activation", &self.activation)
            .finish_non_exhaustive()
    }
}

/// Why MAC keys cannot be used together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMacKeys {
    /// It cannot be told which one is in use.
    #[error(transparent)]
    Schedule(#[from] InvalidSchedule),
    /// It cannot be told which one a token was made with.
    #[error("two MAC keys are called {0}")]
    Duplicate(MacKeyId),
}

/// A session was refreshed with a MAC key that is gone: it was taken away before the sessions that need it
/// ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no MAC key {0}; put its file back until the sessions that were made with it have ended")]
pub struct UnknownMacKey(pub MacKeyId);

/// Every MAC key that refresh tokens are recognised with, one of which new ones are made with.
#[derive(Debug)]
pub struct MacKeys {
    schedule: Schedule<MacKey>,
    by_id: BTreeMap<MacKeyId, MacKey>,
}

impl MacKeys {
    /// At least one key; no two of one id, and no two that come into use at once.
    pub fn new(keys: Vec<MacKey>) -> Result<Self, InvalidMacKeys> {
        let mut by_id = BTreeMap::new();
        for key in &keys {
            if by_id.insert(key.id, key.clone()).is_some() {
                return Err(InvalidMacKeys::Duplicate(key.id));
            }
        }
        Ok(Self { schedule: Schedule::new(keys)?, by_id })
    }

    /// The key to make new tokens with.
    pub fn active(&self, now: UnixMillis) -> MacKeyId {
        self.schedule.active(now).id
    }

    /// The key of this name.
    pub fn get(&self, id: MacKeyId) -> Option<&MacKey> {
        self.by_id.get(&id)
    }

    /// Every key, in the order in which they come into use.
    pub fn iter(&self) -> impl Iterator<Item = &MacKey> {
        self.schedule.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: u8, activation: Activation) -> MacKey {
        MacKey::new(MacKeyId::from_bytes([id; 4]), &Secret::generate()).active_from(activation)
    }

    #[test]
    fn the_mac_is_hmac_sha_256() {
        // RFC 4231 §4.4 (test case 3) has a key of 20 bytes, which HMAC pads with zeros.
        let mut secret = [0; KEY_LEN];
        secret[..20].fill(0xaa);
        let key = MacKey::new(MacKeyId::from_bytes([0; 4]), &Secret::new(secret));
        let tag = key.tag(&[&[0xdd; 20], &[0xdd; 30]]);
        let expected = "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe";
        assert_eq!(hex::encode(tag.as_ref()), expected);
    }

    #[test]
    fn every_key_is_found_and_the_latest_is_in_use() {
        let keys =
            MacKeys::new(vec![key(2, Activation::At(UnixMillis(5))), key(1, Activation::Always)]).unwrap();
        assert_eq!(keys.active(UnixMillis(4)), MacKeyId::from_bytes([1; 4]));
        assert_eq!(keys.active(UnixMillis(5)), MacKeyId::from_bytes([2; 4]));
        assert!(keys.get(MacKeyId::from_bytes([1; 4])).is_some());
        assert!(keys.get(MacKeyId::from_bytes([3; 4])).is_none());
    }

    #[test]
    fn keys_that_cannot_be_told_apart_are_refused() {
        let twice = vec![key(1, Activation::Always), key(1, Activation::At(UnixMillis(5)))];
        let one = MacKeyId::from_bytes([1; 4]);
        assert_eq!(MacKeys::new(twice).unwrap_err(), InvalidMacKeys::Duplicate(one));
        let tied = vec![key(1, Activation::Always), key(2, Activation::Always)];
        assert!(matches!(MacKeys::new(tied), Err(InvalidMacKeys::Schedule(_))));
    }

    #[test]
    fn a_file_reads_as_it_was_written_and_only_with_the_right_length() {
        let id = MacKeyId::from_bytes([1; 4]);
        let pem = generate_pem();
        assert!(MacKey::from_pem(id, &pem).is_ok());
        let short = pem_block::encode(pem_block::MAC_KEY, &[0; 31]);
        assert_eq!(MacKey::from_pem(id, &short).unwrap_err(), InvalidMacKey::Length);
    }

    #[test]
    fn a_key_is_not_shown() {
        let shown = format!("{:?}", MacKey::new(MacKeyId::from_bytes([1; 4]), &Secret::new([0x41; 32])));
        assert_eq!(shown, "MacKey { id: MacKeyId(01010101), activation: Always, .. }");
    }
}
