use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Text that is not the canonical form of the identifier that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a well-formed identifier")]
pub struct ParseIdError;

/// Names a user for as long as the service exists: the `sub` claim (RFC 7519 §4.1.2). Written as a lower-case
/// hyphenated UUID; never reused, not even after the user is deleted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId([u8; 16]);

impl UserId {
    /// The user with these 16 bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes of the identifier, big-endian.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        uuid::Uuid::from_bytes(self.0).hyphenated().fmt(f)
    }
}

impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserId({self})")
    }
}

impl FromStr for UserId {
    type Err = ParseIdError;

    /// Accepts the canonical form only, so that one user has one spelling.
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let id = Self(uuid::Uuid::try_parse(text).map_err(|_| ParseIdError)?.into_bytes());
        if id.to_string() == text { Ok(id) } else { Err(ParseIdError) }
    }
}

/// Names a session in public: the `sid` claim, the key in the session store, what people see in a list.
/// Derived one way from the session's secret, so that knowing it gives no refresh token.
/// Written as 22 characters of base64url (RFC 4648 §5) without padding.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId([u8; 16]);

impl SessionId {
    /// The session with these 16 bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes of the identifier.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({self})")
    }
}

impl FromStr for SessionId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| ParseIdError)?;
        bytes.try_into().map(Self).map_err(|_| ParseIdError)
    }
}

/// How many times all sessions of a user have been revoked. An access token carries the epoch its session began
/// in, and is refused once the user's epoch is greater. A counter and not a time: two events in one second, or
/// two clocks, cannot confuse it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The epoch after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_one_spelling() {
        let user = UserId::from_bytes([0xAB; 16]);
        assert_eq!(user.to_string().parse(), Ok(user));
        assert_eq!(user.to_string().to_uppercase().parse::<UserId>(), Err(ParseIdError));
        assert_eq!(user.to_string().replace('-', "").parse::<UserId>(), Err(ParseIdError));

        let session = SessionId::from_bytes([0xFF; 16]);
        assert_eq!(session.to_string(), "_____________________w");
        assert_eq!(session.to_string().parse(), Ok(session));
        assert_eq!("______________________".parse::<SessionId>(), Err(ParseIdError), "trailing bits");
        assert_eq!("_____________________w==".parse::<SessionId>(), Err(ParseIdError), "padding");
        assert_eq!("".parse::<SessionId>(), Err(ParseIdError));
    }
}
