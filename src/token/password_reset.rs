//! Tokens by which somebody who cannot log in sets another password: computed and not stored, so that a dump of the database
//! holds none.
//!
//! A token is the prefix `csgn_pr_` and 80 characters of base64url (RFC 4648 §5) for 60 bytes, big-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 4 | the id of the MAC key |
//! | 16 | the user's id |
//! | 8 | the user's epoch: whatever ends every session of theirs spends the token, a change of the password above all |
//! | 8 | when it expires, in milliseconds |
//! | 24 | the MAC over the prefix and every byte before it |

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroize as _;

use super::mac_key::{MacKey, MacKeys, UnknownMacKey};
use crate::model::{Epoch, MacKeyId, UnixMillis, UserId};

/// What every token begins with, for ever: secret scanners look for it.
const PREFIX: &str = "csgn_pr_";
/// Separates the MAC from that of refresh tokens, which the same keys make.
const MAC_DOMAIN: &[u8] = b"countersign password reset v1\0";

const MAC_LEN: usize = 24;
const PAYLOAD_LEN: usize = 4 + 16 + 8 + 8;
const TOKEN_LEN: usize = PAYLOAD_LEN + MAC_LEN;
const ENCODED_LEN: usize = TOKEN_LEN / 3 * 4;

/// A token in plain text. Shown nowhere, and wiped from memory when dropped.
#[derive(Clone)]
pub struct PasswordReset(String);

impl PasswordReset {
    /// The length of every token, in bytes.
    pub const LEN: usize = PREFIX.len() + ENCODED_LEN;

    /// The text, for whoever asked for it and nobody else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordReset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordReset(…)")
    }
}

impl Drop for PasswordReset {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// What a token is good for. An authentic one may have expired, or be spent: that is for the caller to judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResetClaims {
    /// Whose password may be set.
    pub user: UserId,
    /// In which epoch.
    pub epoch: Epoch,
    /// Until when, by the store's clock.
    pub expires_at: UnixMillis,
}

impl MacKeys {
    /// Makes a token with this key. The same arguments always make the same one.
    pub fn mint_reset(
        &self,
        mac_key: MacKeyId,
        claims: &ResetClaims,
    ) -> Result<PasswordReset, UnknownMacKey> {
        let key = self.get(mac_key).ok_or(UnknownMacKey(mac_key))?;
        let mut token = Vec::with_capacity(TOKEN_LEN);
        token.extend_from_slice(&mac_key.to_bytes());
        token.extend_from_slice(claims.user.as_bytes());
        token.extend_from_slice(&claims.epoch.0.to_be_bytes());
        token.extend_from_slice(&claims.expires_at.0.to_be_bytes());
        let mac = mac_of(key, &token);
        token.extend_from_slice(&mac);
        let mut text = String::with_capacity(PasswordReset::LEN);
        text.push_str(PREFIX);
        URL_SAFE_NO_PAD.encode_string(&token, &mut text);
        token.zeroize();
        Ok(PasswordReset(text))
    }

    /// Reads a token, if one of these keys made it. A token has exactly one spelling.
    pub fn open_reset(&self, presented: &str) -> Option<ResetClaims> {
        let encoded = presented.strip_prefix(PREFIX).filter(|encoded| encoded.len() == ENCODED_LEN)?;
        let token = URL_SAFE_NO_PAD.decode(encoded).ok()?;
        let (payload, mac) = token.split_at_checked(PAYLOAD_LEN)?;
        let (&mac_key, rest) = payload.split_first_chunk()?;
        let key = self.get(MacKeyId::from_bytes(mac_key))?;
        if !bool::from(mac_of(key, payload).ct_eq(mac)) {
            return None;
        }
        let (&user, rest) = rest.split_first_chunk()?;
        let (&epoch, rest) = rest.split_first_chunk()?;
        let expires_at = rest.try_into().ok()?;
        Some(ResetClaims {
            user: UserId::from_bytes(user),
            epoch: Epoch(u64::from_be_bytes(epoch)),
            expires_at: UnixMillis(i64::from_be_bytes(expires_at)),
        })
    }
}

fn mac_of(key: &MacKey, payload: &[u8]) -> [u8; MAC_LEN] {
    let tag = key.tag(&[MAC_DOMAIN, PREFIX.as_bytes(), payload]);
    let mut mac = [0; MAC_LEN];
    mac.copy_from_slice(&tag.as_ref()[..MAC_LEN]);
    mac
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    const CLAIMS: ResetClaims =
        ResetClaims { user: UserId::from_bytes([7; 16]), epoch: Epoch(3), expires_at: UnixMillis(1_000) };

    fn keys(id: u8) -> (MacKeyId, MacKeys) {
        let id = MacKeyId::from_bytes([id; 4]);
        (id, MacKeys::new(vec![MacKey::new(id, &Secret::generate())]).unwrap())
    }

    #[test]
    fn what_is_made_is_read_again_and_by_no_other_key() {
        let (id, keys) = keys(1);
        let token = keys.mint_reset(id, &CLAIMS).unwrap();
        assert_eq!(token.expose().len(), PasswordReset::LEN);
        assert_eq!(keys.open_reset(token.expose()), Some(CLAIMS));
        assert_eq!(self::keys(1).1.open_reset(token.expose()), None, "another key of that name");
        assert_eq!(self::keys(2).1.open_reset(token.expose()), None);
        assert!(keys.open(token.expose()).is_err(), "no refresh token");
        assert!(!format!("{token:?}").contains(&token.expose()[8..20]));
    }

    #[test]
    fn no_other_text_is_a_token() {
        let (id, keys) = keys(1);
        let token = keys.mint_reset(id, &CLAIMS).unwrap().expose().to_owned();
        for place in 0..token.len() {
            let mut other = token.clone().into_bytes();
            other[place] = if other[place] == b'A' { b'B' } else { b'A' };
            assert_eq!(keys.open_reset(&String::from_utf8(other).unwrap()), None, "byte {place}");
            assert_eq!(keys.open_reset(&token[..place]), None, "{place} bytes");
        }
        for other in [format!("{token}A"), format!(" {token}"), token.replace("_pr_", "_rt_")] {
            assert_eq!(keys.open_reset(&other), None, "{other}");
        }
    }
}
