//! Identifiers that the server makes.

use std::fmt;
use std::str::FromStr;

use countersign_verifier::{ParseIdError, UserId};

use super::service_account::{ServiceAccountId, ServiceKeyId};

/// A new user id.
pub fn new_user_id() -> UserId {
    UserId::from_bytes(new_uuid())
}

/// The id of a new service account.
pub fn new_service_account_id() -> ServiceAccountId {
    ServiceAccountId::from_bytes(new_uuid())
}

/// The id of a new service key.
pub fn new_service_key_id() -> ServiceKeyId {
    ServiceKeyId::from_bytes(new_uuid())
}

/// A `UUIDv7` (RFC 9562 §5.7), so that ids made one after the other lie side by side in an index.
#[expect(clippy::disallowed_methods, reason = "this is the one place that makes such ids")]
fn new_uuid() -> [u8; 16] {
    uuid::Uuid::now_v7().into_bytes()
}

/// Names the MAC key that a refresh token was made with: four bytes inside the token, eight hexadecimal digits
/// in a file's name.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MacKeyId([u8; 4]);

impl MacKeyId {
    /// The id with these four bytes.
    pub const fn from_bytes(bytes: [u8; 4]) -> Self {
        Self(bytes)
    }

    /// The four bytes as they stand in the token.
    pub const fn to_bytes(self) -> [u8; 4] {
        self.0
    }
}

impl fmt::Display for MacKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for MacKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MacKeyId({self})")
    }
}

impl FromStr for MacKeyId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let mut bytes = [0; 4];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| ParseIdError)?;
        Ok(Self(bytes))
    }
}
