//! A row of another system's table: as it was read, as it was checked, and why it is refused.

use aws_lc_rs::digest::{SHA256, digest};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value};

use crate::model::{
    CustomClaims, ExternalId, Identity, InvalidAttribute, Role, UnixMillis, User, UserId, Username,
};
use crate::password::{Imported, Password, Unusable};
use crate::token::access::AccessTokenIssuer;

/// The longest description of a refusal, in bytes: some errors repeat what was written.
const MOST_DESCRIBED: usize = 300;
/// The end of 9999, the last year that RFC 3339 can write.
const LAST_TIME: UnixMillis = UnixMillis(253_402_300_799_999);

/// How the user of a row proves that it is them.
#[derive(Debug)]
pub enum RawCredential {
    /// With the password that the other system has made this hash of.
    Hash(SecretString),
    /// With this password, which the other system had in plain text.
    Password(SecretString),
    /// With none, until one is set.
    Nothing,
}

/// A row as it was read: nothing of it has been checked. A text that is empty is missing.
#[derive(Debug)]
pub struct RawRow {
    /// What they log in with.
    pub username: String,
    /// How they prove that it is them.
    pub credential: RawCredential,
    /// What they may do.
    pub roles: Vec<String>,
    /// What else their access tokens say.
    pub claims: Map<String, Value>,
    /// The id, where the file chooses it; otherwise it is made from the username.
    pub user_id: String,
    /// What they are called in the other system.
    pub external_id: String,
    /// Whether they are locked out.
    pub disabled: bool,
    /// When the other system created them.
    pub created_at: Option<UnixMillis>,
}

/// Why a row is refused, as programs are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RefusalReason {
    /// A field cannot be what it is.
    InvalidField,
    /// The password hash cannot be used.
    PasswordHashRefused,
    /// Another user has the username.
    UsernameTaken,
    /// Another user has the id.
    UserIdTaken,
    /// Another user has the external id.
    ExternalIdTaken,
    /// The user is there, and is not as the row says.
    UserDiffers,
    /// Only an administrator may give one of the roles.
    RoleNotAllowed,
}

impl RefusalReason {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::InvalidField,
        Self::PasswordHashRefused,
        Self::UsernameTaken,
        Self::UserIdTaken,
        Self::ExternalIdTaken,
        Self::UserDiffers,
        Self::RoleNotAllowed,
    ];

    /// The name that programs are told.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidField => "INVALID_FIELD",
            Self::PasswordHashRefused => "PASSWORD_HASH_REFUSED",
            Self::UsernameTaken => "USERNAME_TAKEN",
            Self::UserIdTaken => "USER_ID_TAKEN",
            Self::ExternalIdTaken => "EXTERNAL_ID_TAKEN",
            Self::UserDiffers => "USER_DIFFERS",
            Self::RoleNotAllowed => "ROLE_NOT_ALLOWED",
        }
    }
}

/// Why a row is refused. Never quotes a password or a hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowRefusal {
    /// Why.
    pub reason: RefusalReason,
    /// The fields that are meant; none where it is the row as a whole.
    pub fields: Vec<&'static str>,
    /// What is wrong, in a sentence for people.
    pub description: String,
    /// What is wrong with the password hash: [`Unusable::name`].
    pub hash_problem: Option<&'static str>,
}

impl RowRefusal {
    /// A refusal for one field.
    pub fn of(reason: RefusalReason, field: &'static str, description: impl Into<String>) -> Self {
        let mut description = description.into();
        description.truncate(description.floor_char_boundary(MOST_DESCRIBED));
        Self { reason, fields: vec![field], description, hash_problem: None }
    }

    /// A field cannot be what it is.
    pub fn invalid(field: &'static str, description: impl Into<String>) -> Self {
        Self::of(RefusalReason::InvalidField, field, description)
    }

    /// The row as a whole cannot be read.
    pub fn unreadable(description: impl Into<String>) -> Self {
        Self { fields: Vec::new(), ..Self::invalid("", description) }
    }

    pub(super) fn hash(error: Unusable) -> Self {
        let refused = Self::of(RefusalReason::PasswordHashRefused, "password_hash", error.to_string());
        Self { hash_problem: Some(error.name()), ..refused }
    }
}

/// A row that can become a user, if nobody is in its way and the caller may.
#[derive(Debug)]
pub(super) struct ImportUser {
    pub(super) identity: Identity,
    /// What was read of the password hash, and the text that it was read from; `None` where there is no password.
    pub(super) credential: Option<(Imported, SecretString)>,
    pub(super) roles: Vec<Role>,
    pub(super) claims: CustomClaims,
    pub(super) disabled: bool,
    pub(super) created_at: Option<UnixMillis>,
}

impl ImportUser {
    /// Checks everything that can be checked without asking anybody.
    pub(super) fn read(raw: RawRow) -> Result<Self, RowRefusal> {
        let refused = |field: &'static str| {
            move |error: InvalidAttribute| RowRefusal::invalid(field, error.to_string())
        };
        let username = Username::parse(&raw.username)
            .map_err(|error| RowRefusal::invalid("username", error.to_string()))?;
        let id = match raw.user_id.as_str() {
            "" => id_of(&username),
            id => id.parse().map_err(|_| RowRefusal::invalid("user_id", "an id is a UUID in lower case"))?,
        };
        let external_id = match raw.external_id.as_str() {
            "" => None,
            id => Some(ExternalId::parse(id).map_err(refused("external_id"))?),
        };
        let roles = Role::parse_all(raw.roles.iter().map(String::as_str)).map_err(refused("roles"))?;
        let claims = CustomClaims::new(raw.claims).map_err(refused("custom_claims"))?;
        AccessTokenIssuer::check_attributes(&roles, &claims, external_id.as_ref())
            .map_err(|error| RowRefusal::invalid("roles", error.to_string()))?;
        if raw.created_at.is_some_and(|time| !(UnixMillis(0)..=LAST_TIME).contains(&time)) {
            return Err(RowRefusal::invalid("created_at", "a time lies between 1970 and 9999"));
        }
        let credential = credential(raw.credential)?;
        let identity = Identity { id, username, external_id };
        let (disabled, created_at) = (raw.disabled, raw.created_at);
        Ok(Self { identity, credential, roles, claims, disabled, created_at })
    }

    /// Whether a password must be hashed before it can be stored.
    pub(super) fn takes_hashing(&self) -> bool {
        self.credential.as_ref().is_some_and(|(hash, _)| hash.takes_hashing())
    }

    /// What the row says otherwise than the user is. The password is not looked at: of one that was hashed here nobody can
    /// say whether it is the same, and a user may have changed theirs. Nor is the time of creation.
    pub(super) fn differences(&self, user: &User) -> Vec<&'static str> {
        let same = [
            ("external_id", self.identity.external_id == user.external_id),
            ("roles", self.roles == user.roles),
            ("custom_claims", self.claims == user.claims),
            ("disabled", self.disabled == user.disabled),
        ];
        same.into_iter().filter(|(_, same)| !same).map(|(field, _)| field).collect()
    }
}

fn credential(raw: RawCredential) -> Result<Option<(Imported, SecretString)>, RowRefusal> {
    match raw {
        RawCredential::Nothing => Ok(None),
        RawCredential::Hash(text) => {
            let hash = Imported::parse(text.expose_secret()).map_err(RowRefusal::hash)?;
            Ok(Some((hash, text)))
        }
        RawCredential::Password(text) => {
            let bytes = text.expose_secret().len();
            if !(1..=Password::MAX_BYTES).contains(&bytes) {
                let what = format!("a password has 1 to {} bytes of UTF-8", Password::MAX_BYTES);
                return Err(RowRefusal::invalid("password", what));
            }
            let password = Password::new(text.expose_secret().to_owned())
                .map_err(|error| RowRefusal::invalid("password", error.to_string()))?;
            Ok(Some((Imported::Plain(password), SecretString::default())))
        }
    }
}

/// The id of a user whose row has none: always the same one for a username, so that the same row finds the user that it has
/// made, and nobody else. A UUID of version 8 (RFC 9562 §5.8).
fn id_of(username: &Username) -> UserId {
    let digest = digest(&SHA256, format!("countersign import\n{}", username.as_str()).as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest.as_ref()[..16]);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    UserId::from_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw() -> RawRow {
        RawRow {
            username: "Ada".to_owned(),
            credential: RawCredential::Nothing,
            roles: Vec::new(),
            claims: Map::new(),
            user_id: String::new(),
            external_id: String::new(),
            disabled: false,
            created_at: None,
        }
    }

    #[test]
    fn the_id_is_made_from_the_normal_form_of_the_username() {
        let id = |username: &str| {
            ImportUser::read(RawRow { username: username.to_owned(), ..raw() }).unwrap().identity.id
        };
        assert_eq!(id("Ada"), id("ada"));
        assert_ne!(id("ada"), id("ada2"));
        // Pinned: another id would not find the users of an import before.
        assert_eq!(id("ada").to_string(), "adee2c89-d1a9-8fbe-bca5-755d188c5c35");
    }

    #[test]
    fn a_refusal_is_bounded_and_names_its_field() {
        let long = "x".repeat(100_000);
        for (row, field) in [
            (RawRow { username: String::new(), ..raw() }, "username"),
            (RawRow { user_id: "7".to_owned(), ..raw() }, "user_id"),
            (RawRow { external_id: " 7".to_owned(), ..raw() }, "external_id"),
            (RawRow { roles: vec![long], ..raw() }, "roles"),
            (RawRow { created_at: Some(UnixMillis(-1)), ..raw() }, "created_at"),
            (RawRow { credential: RawCredential::Password("".into()), ..raw() }, "password"),
            (RawRow { credential: RawCredential::Password("x".repeat(1025).into()), ..raw() }, "password"),
            (RawRow { credential: RawCredential::Hash("$x$".into()), ..raw() }, "password_hash"),
        ] {
            let refused = ImportUser::read(row).unwrap_err();
            assert_eq!(refused.fields, [field]);
            assert!(refused.description.len() <= MOST_DESCRIBED && !refused.description.is_empty());
        }
    }
}
