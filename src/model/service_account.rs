//! Service accounts: programs that administer, and the keys by which they prove who they are.

use std::fmt;
use std::str::FromStr;

use countersign_verifier::{Epoch, ParseIdError, UnixMillis, UserId};

use super::user::{InvalidAttribute, Role};

/// An id that is written as a UUID in lower case, in exactly one way.
macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; 16]);

        impl $name {
            /// The id with these 16 bytes.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The 16 bytes of the id, big-endian.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                uuid::Uuid::from_bytes(self.0).hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let id = Self(uuid::Uuid::try_parse(text).map_err(|_| ParseIdError)?.into_bytes());
                if id.to_string() == text { Ok(id) } else { Err(ParseIdError) }
            }
        }
    };
}

uuid_id! {
    /// Names a service account for as long as the service exists.
    ServiceAccountId
}

impl ServiceAccountId {
    /// The id as the subject of access tokens, and as the ledger has it. Users and service accounts have ids of one kind, drawn
    /// at random: none is both.
    pub const fn as_subject(self) -> UserId {
        UserId::from_bytes(self.0)
    }

    /// The account that is the subject of an access token for services.
    pub const fn of_subject(subject: UserId) -> Self {
        Self(*subject.as_bytes())
    }
}

uuid_id! {
    /// Names a service key. It is part of the key, and no secret.
    ServiceKeyId
}

/// The name of a service account: 1 to 64 lower-case ASCII letters, digits or any of `. _ -`, the first one a letter or a
/// digit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceAccountName(String);

impl ServiceAccountName {
    /// The longest name, in bytes.
    pub const MAX_BYTES: usize = 64;

    /// Checks a name.
    pub fn parse(name: &str) -> Result<Self, InvalidAttribute> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
        let begins = name.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric());
        if begins && name.len() <= Self::MAX_BYTES && name.bytes().all(allowed) {
            return Ok(Self(name.to_owned()));
        }
        Err(InvalidAttribute::new(format!(
            "a service account's name is 1 to {} lower-case ASCII letters, digits or any of . _ -, and begins with a \
             letter or a digit",
            Self::MAX_BYTES
        )))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What people write about a service account or a key: a bounded text without control characters, perhaps empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Note(String);

impl Note {
    /// The longest, in bytes.
    pub const MAX_BYTES: usize = 256;

    /// Checks a text.
    pub fn parse(text: &str) -> Result<Self, InvalidAttribute> {
        if text.len() > Self::MAX_BYTES || text.chars().any(char::is_control) {
            let what = format!("must have at most {} bytes, and no control characters", Self::MAX_BYTES);
            return Err(InvalidAttribute::new(what));
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A program that may call administrative methods, with a key.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceAccount {
    /// For ever its own.
    pub id: ServiceAccountId,
    /// What people call it.
    pub name: ServiceAccountName,
    /// What it is for.
    pub description: Note,
    /// What it may do.
    pub roles: Vec<Role>,
    /// The keys of a disabled account are refused.
    pub disabled: bool,
    /// Raised when the account is disabled or deleted: its access tokens of smaller ones are refused from then on.
    pub epoch: Epoch,
    /// When it was created.
    pub created_at: UnixMillis,
    /// When it was last changed; another time after every change.
    pub updated_at: UnixMillis,
}

/// What is needed to create a service account.
#[derive(Debug, Clone, PartialEq)]
pub struct NewServiceAccount {
    /// A fresh id.
    pub id: ServiceAccountId,
    /// What people call it.
    pub name: ServiceAccountName,
    /// What it is for.
    pub description: Note,
    /// What it may do.
    pub roles: Vec<Role>,
}

/// What a service account is to have from now on; what is `None` stays as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ServiceAccountChange {
    /// What it is for.
    pub description: Option<Note>,
    /// What it may do.
    pub roles: Option<Vec<Role>>,
    /// Whether its keys are refused.
    pub disabled: Option<bool>,
}

/// What may be known of a service key: everything but the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceKey {
    /// Which one.
    pub id: ServiceKeyId,
    /// Whose it is.
    pub account: ServiceAccountId,
    /// What people call it.
    pub label: Note,
    /// Who made it: an [`super::Actor`] as text.
    pub created_by: String,
    /// When it was made.
    pub created_at: UnixMillis,
    /// From when on it is refused.
    pub expires_at: UnixMillis,
}

/// What is stored of a service key to recognise it by: SHA-256 of the key, which is random enough that no slow hash is
/// needed. `Debug` shows none of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ServiceKeyDigest([u8; 32]);

impl ServiceKeyDigest {
    /// The digest with these bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for ServiceKeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServiceKeyDigest(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_spelling_and_is_bounded() {
        for good in ["a", "0", "shop-backend", "a.b_c-9", &"x".repeat(64)] {
            assert_eq!(ServiceAccountName::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "-a", ".a", "_a", "Shop", "a b", "ä", "a\0", "a/b", &"x".repeat(65)] {
            assert!(ServiceAccountName::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_note_is_bounded_and_has_no_control_characters() {
        assert_eq!(Note::parse("Für die Kasse ☎").unwrap().as_str(), "Für die Kasse ☎");
        assert!(Note::parse(&"x".repeat(256)).is_ok());
        for bad in ["a\nb", "a\0", "\u{85}", &"x".repeat(257)] {
            assert!(Note::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_id_has_one_spelling() {
        let id = ServiceKeyId::from_bytes([0xab; 16]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!(id.to_string().to_uppercase().parse::<ServiceKeyId>().is_err());
        assert_eq!(format!("{id:?}"), format!("ServiceKeyId({id})"));
    }

    #[test]
    fn a_digest_is_not_shown() {
        assert_eq!(format!("{:?}", ServiceKeyDigest::from_bytes([7; 32])), "ServiceKeyDigest(…)");
    }
}
