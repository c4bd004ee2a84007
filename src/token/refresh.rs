//! Refresh tokens (design §4): deterministic, so that one that got lost can be made again from what the session
//! store holds and the secret that only its predecessor carries.
//!
//! A token is the prefix `csgn_rt_` and 96 characters of base64url (RFC 4648 §5) for 72 bytes, big-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 4 | the id of the MAC key |
//! | 16 | the user's id |
//! | 16 | the session's secret |
//! | 4 | the generation |
//! | 8 | issued at, in milliseconds |
//! | 8 | the session's absolute end, in milliseconds |
//! | 16 | the MAC over the prefix and every byte before it |

use std::fmt;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize as _, Zeroizing};

use super::mac_key::{MacKey, MacKeys, UnknownMacKey};
use crate::model::{Generation, MacKeyId, Presented, SessionId, UnixMillis, UserId};
use crate::secret::Secret;

/// What every refresh token begins with, for ever: secret scanners look for it.
const PREFIX: &str = "csgn_rt_";
/// Separates the MAC from whatever else might one day be made with the same key.
const MAC_DOMAIN: &[u8] = b"countersign refresh token v1\0";
/// Separates the session's id from whatever else might be derived from its secret.
const SESSION_ID_DOMAIN: &[u8] = b"countersign session id v1\0";

const MAC_LEN: usize = 16;
const PAYLOAD_LEN: usize = 4 + 16 + 16 + 4 + 8 + 8;
const TOKEN_LEN: usize = PAYLOAD_LEN + MAC_LEN;
const ENCODED_LEN: usize = TOKEN_LEN / 3 * 4;

/// What a session's refresh tokens are made from, beside the server's key. Only the tokens carry it: no store
/// ever sees it.
#[derive(Debug, Clone)]
pub struct SessionSecret(Secret<16>);

impl SessionSecret {
    /// The secret of a new session.
    pub fn generate() -> Self {
        Self(Secret::generate())
    }

    /// The session's public name: the first 16 bytes of a SHA-256, from which there is no way back.
    pub fn session_id(&self) -> SessionId {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(SESSION_ID_DOMAIN);
        context.update(self.0.expose());
        let digest = context.finish();
        let mut id = [0; 16];
        id.copy_from_slice(&digest.as_ref()[..16]);
        SessionId::from_bytes(id)
    }
}

/// A refresh token in plain text. Shown nowhere, and wiped from memory when dropped.
#[derive(Clone)]
pub struct RefreshToken(String);

impl RefreshToken {
    /// What every refresh token begins with.
    pub const PREFIX: &'static str = PREFIX;
    /// The length of every refresh token, in bytes.
    pub const LEN: usize = PREFIX.len() + ENCODED_LEN;

    /// The text, for the answer to its owner and nothing else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefreshToken(…)")
    }
}

impl Drop for RefreshToken {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// What an authentic refresh token says. It may have expired, and be of any place in its line: that is for the
/// caller to judge.
#[derive(Debug, Clone)]
pub struct RefreshClaims {
    /// The key that it was made with.
    pub mac_key: MacKeyId,
    /// Whose it is.
    pub user: UserId,
    /// Its place in the session's line.
    pub presented: Presented,
    /// The session's absolute end.
    pub expires_at: UnixMillis,
    secret: SessionSecret,
}

impl RefreshClaims {
    /// The session that it belongs to.
    pub fn session(&self) -> SessionId {
        self.secret.session_id()
    }

    /// What the session's other tokens can be made from.
    pub const fn secret(&self) -> &SessionSecret {
        &self.secret
    }
}

/// The text is no refresh token of ours. Callers are told no more than that; [`Self::defect`] is for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a refresh token of this service")]
pub struct RefreshTokenError(#[source] RefreshTokenDefect);

/// What is wrong with a refresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum RefreshTokenDefect {
    /// It has another length, another prefix, or characters that do not belong there.
    #[error("malformed")]
    Malformed,
    /// It says that it was made with a key that is not there. When a key was taken away too early, its tokens
    /// are told as this.
    #[error("made with the MAC key {0}, which is not there")]
    UnknownMacKey(MacKeyId),
    /// Its MAC is wrong.
    #[error("its MAC is wrong")]
    Forged,
}

impl RefreshTokenError {
    /// What is wrong, for the log.
    pub const fn defect(self) -> RefreshTokenDefect {
        self.0
    }
}

impl From<RefreshTokenDefect> for RefreshTokenError {
    fn from(defect: RefreshTokenDefect) -> Self {
        Self(defect)
    }
}

impl MacKeys {
    /// Reads a refresh token, if one of these keys made it. Touches no store; takes the same time whatever is
    /// wrong with the MAC. A token has exactly one spelling.
    pub fn open(&self, presented: &str) -> Result<RefreshClaims, RefreshTokenError> {
        let token = decode(presented).ok_or(RefreshTokenDefect::Malformed)?;
        let (payload, mac) = token.split_at(PAYLOAD_LEN);
        let payload = Payload(payload);
        let mac_key = payload.mac_key().ok_or(RefreshTokenDefect::Malformed)?;
        let key = self.get(mac_key).ok_or(RefreshTokenDefect::UnknownMacKey(mac_key))?;
        if !bool::from(mac_of(key, payload.0).ct_eq(mac)) {
            return Err(RefreshTokenDefect::Forged.into());
        }
        Ok(payload.claims().ok_or(RefreshTokenDefect::Malformed)?)
    }

    /// Makes a refresh token. The same arguments always make the same one.
    pub fn mint(
        &self,
        secret: &SessionSecret,
        user: UserId,
        mac_key: MacKeyId,
        presented: Presented,
        expires_at: UnixMillis,
    ) -> Result<RefreshToken, UnknownMacKey> {
        let key = self.get(mac_key).ok_or(UnknownMacKey(mac_key))?;
        let mut token = Zeroizing::new(Vec::with_capacity(TOKEN_LEN));
        token.extend_from_slice(&mac_key.to_bytes());
        token.extend_from_slice(user.as_bytes());
        token.extend_from_slice(secret.0.expose());
        token.extend_from_slice(&presented.generation.0.to_be_bytes());
        token.extend_from_slice(&presented.issued_at.0.to_be_bytes());
        token.extend_from_slice(&expires_at.0.to_be_bytes());
        let mac = mac_of(key, &token);
        token.extend_from_slice(&mac);

        // Of full size from the start: growing would leave a copy behind that nobody wipes.
        let mut text = String::with_capacity(RefreshToken::LEN);
        text.push_str(PREFIX);
        URL_SAFE_NO_PAD.encode_string(token.as_slice(), &mut text);
        Ok(RefreshToken(text))
    }
}

fn mac_of(key: &MacKey, payload: &[u8]) -> [u8; MAC_LEN] {
    let tag = key.tag(&[MAC_DOMAIN, PREFIX.as_bytes(), payload]);
    let mut mac = [0; MAC_LEN];
    mac.copy_from_slice(&tag.as_ref()[..MAC_LEN]);
    mac
}

fn decode(presented: &str) -> Option<Zeroizing<[u8; TOKEN_LEN]>> {
    let encoded = presented.strip_prefix(PREFIX).filter(|encoded| encoded.len() == ENCODED_LEN)?;
    let mut token = Zeroizing::new([0; TOKEN_LEN]);
    let length = URL_SAFE_NO_PAD.decode_slice(encoded, token.as_mut_slice()).ok()?;
    (length == TOKEN_LEN).then_some(token)
}

/// The bytes of a token before its MAC.
struct Payload<'a>(&'a [u8]);

impl Payload<'_> {
    fn mac_key(&self) -> Option<MacKeyId> {
        self.0.first_chunk().copied().map(MacKeyId::from_bytes)
    }

    fn claims(&self) -> Option<RefreshClaims> {
        let (&mac_key, rest) = self.0.split_first_chunk()?;
        let (&user, rest) = rest.split_first_chunk()?;
        let (&secret, rest) = rest.split_first_chunk()?;
        let (&generation, rest) = rest.split_first_chunk()?;
        let (&issued_at, rest) = rest.split_first_chunk()?;
        let expires_at = rest.try_into().ok()?;
        Some(RefreshClaims {
            mac_key: MacKeyId::from_bytes(mac_key),
            user: UserId::from_bytes(user),
            presented: Presented {
                generation: Generation(u32::from_be_bytes(generation)),
                issued_at: UnixMillis(i64::from_be_bytes(issued_at)),
            },
            expires_at: UnixMillis(i64::from_be_bytes(expires_at)),
            secret: SessionSecret(Secret::new(secret)),
        })
    }
}

#[cfg(test)]
mod tests;
