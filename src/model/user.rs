//! A user, as the database knows them.

use std::fmt;

use countersign_verifier::{Epoch, UnixMillis, UserId};
use serde_json::{Map, Value};

use super::external_id::ExternalId;
use super::username::Username;

/// A user without the password hash: what may be shown.
#[derive(Debug, Clone, PartialEq)]
pub struct User {
    /// For ever theirs.
    pub id: UserId,
    /// What they log in with, normalised.
    pub username: Username,
    /// What they may do; the `roles` claim.
    pub roles: Vec<Role>,
    /// What else the access token says of them.
    pub claims: CustomClaims,
    /// What they are called in another system; the `ext` claim.
    pub external_id: Option<ExternalId>,
    /// A disabled user can neither log in nor refresh.
    pub disabled: bool,
    /// How many times all their sessions were revoked.
    pub epoch: Epoch,
    /// When they were created.
    pub created_at: UnixMillis,
    /// When the row was last changed.
    pub updated_at: UnixMillis,
}

/// A user together with the password hash, from one row, so that the epoch belongs to the hash.
#[derive(Debug, Clone, PartialEq)]
pub struct Credential {
    /// The user.
    pub user: User,
    /// What the password is checked against.
    pub password_hash: PasswordHash,
}

/// What is needed to create a user.
#[derive(Debug, Clone, PartialEq)]
pub struct NewUser {
    /// A fresh id.
    pub id: UserId,
    /// What they log in with.
    pub username: Username,
    /// The hash of their first password.
    pub password_hash: PasswordHash,
    /// What they may do.
    pub roles: Vec<Role>,
    /// What else the access token says of them.
    pub claims: CustomClaims,
    /// What they are called in another system.
    pub external_id: Option<ExternalId>,
}

/// A user who is brought from another system, with what that system knows of them beside.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportedUser {
    /// Whom to create.
    pub new: NewUser,
    /// Whether they are locked out.
    pub disabled: bool,
    /// When the other system created them; now where it does not tell.
    pub created_at: Option<UnixMillis>,
}

/// What tells one user from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The id.
    pub id: UserId,
    /// What they log in with.
    pub username: Username,
    /// What they are called in another system.
    pub external_id: Option<ExternalId>,
}

impl From<&NewUser> for Identity {
    fn from(new: &NewUser) -> Self {
        Self { id: new.id, username: new.username.clone(), external_id: new.external_id.clone() }
    }
}

/// A password hash as it is stored: a PHC string of Argon2id, or what a user was brought with from another system. Not a password, but not for anybody's eyes either: `Debug` shows none of it.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Takes the text as it is: whoever verifies with it parses it.
    pub const fn from_phc(phc: String) -> Self {
        Self(phc)
    }

    /// What is stored for a user who has no password: none that is typed is it.
    pub fn none() -> Self {
        Self(Self::NONE.to_owned())
    }

    /// Whether the user has no password.
    pub fn is_none(&self) -> bool {
        self.0 == Self::NONE
    }

    /// The text.
    pub fn as_phc(&self) -> &str {
        &self.0
    }

    const NONE: &str = "$none$";
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

/// Why a role, a set of claims or an external id was refused; the text is for whoever set it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidAttribute(String);

impl InvalidAttribute {
    pub(super) fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

/// The name of a role: 1 to 64 letters, digits, `.`, `_`, `:`, `/` or `-`, in ASCII.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Role(String);

impl Role {
    /// The most roles that a user may have.
    pub const MOST_PER_USER: usize = 64;
    /// The longest name, in bytes.
    pub const MAX_BYTES: usize = 64;

    /// Checks the name of one role.
    pub fn parse(name: &str) -> Result<Self, InvalidAttribute> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._:/-".contains(c);
        if name.is_empty() || name.len() > Self::MAX_BYTES || !name.chars().all(allowed) {
            return Err(InvalidAttribute(format!(
                "role {name:?}: a role is 1 to {} ASCII letters, digits or any of . _ : / -",
                Self::MAX_BYTES
            )));
        }
        Ok(Self(name.to_owned()))
    }

    /// Checks a user's roles: sorted, each once, at most [`Role::MOST_PER_USER`].
    pub fn parse_all<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Vec<Self>, InvalidAttribute> {
        let roles: std::collections::BTreeSet<Self> =
            names.into_iter().map(Self::parse).collect::<Result<_, _>>()?;
        if roles.len() > Self::MOST_PER_USER {
            return Err(InvalidAttribute(format!("a user has at most {} roles", Self::MOST_PER_USER)));
        }
        Ok(roles.into_iter().collect())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What the names of roles begin with that Countersign itself gives a meaning.
    pub const RESERVED_PREFIX: &'static str = "countersign:";
    /// May call every administrative method, and is alone in giving, taking and changing reserved roles.
    pub const ADMIN: &'static str = "countersign:admin";
    /// May call every method of `UserService`.
    pub const USERS: &'static str = "countersign:users";
    /// May call every method of `SessionService`.
    pub const SESSIONS: &'static str = "countersign:sessions";
    /// May call the administrative methods that change nothing.
    pub const AUDITOR: &'static str = "countersign:auditor";
    /// Every role that begins with [`Self::RESERVED_PREFIX`].
    pub const RESERVED: [&'static str; 4] = [Self::ADMIN, Self::USERS, Self::SESSIONS, Self::AUDITOR];

    /// Whether Countersign itself gives it a meaning.
    pub fn is_reserved(&self) -> bool {
        self.0.starts_with(Self::RESERVED_PREFIX)
    }
}

/// Claims of the operator's own, carried in the access token beside the registered ones. A JSON object, bounded,
/// in which no name is one that Countersign or a standard gives a meaning to.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CustomClaims(Map<String, Value>);

impl CustomClaims {
    /// The largest size, in bytes of compact JSON.
    pub const MAX_BYTES: usize = 2048;
    /// The deepest nesting: the object itself counts as one.
    pub const MAX_DEPTH: usize = 5;

    /// Names that have a meaning of their own in an access token (RFC 7519 §4.1, RFC 9068 §2.2, RFC 8693 §4,
    /// RFC 7800 §3.1, OpenID Connect Core §2), or in Countersign.
    pub const RESERVED: [&str; 31] = [
        "iss",
        "sub",
        "aud",
        "exp",
        "nbf",
        "iat",
        "jti",
        "sid",
        "typ",
        "alg",
        "kid",
        "crit",
        "azp",
        "act",
        "may_act",
        "cnf",
        "client_id",
        "scope",
        "auth_time",
        "acr",
        "amr",
        "nonce",
        "at_hash",
        "c_hash",
        "roles",
        "groups",
        "entitlements",
        "username",
        "epoch",
        "sxp",
        "ext",
    ];

    /// Checks a JSON object.
    pub fn new(claims: Map<String, Value>) -> Result<Self, InvalidAttribute> {
        if let Some(name) = claims.keys().find(|name| Self::RESERVED.contains(&name.as_str())) {
            return Err(InvalidAttribute(format!("claim {name:?} is reserved")));
        }
        if claims.keys().any(String::is_empty) {
            return Err(InvalidAttribute("a claim's name must not be empty".to_owned()));
        }
        let claims = Value::Object(claims);
        check_value(&claims, 1)?;
        let bytes = claims.to_string().len();
        if bytes > Self::MAX_BYTES {
            return Err(InvalidAttribute(format!(
                "claims take {bytes} bytes of JSON; at most {} are allowed",
                Self::MAX_BYTES
            )));
        }
        match claims {
            Value::Object(claims) => Ok(Self(claims)),
            _ => Ok(Self::default()),
        }
    }

    /// Parses and checks the text of a JSON object.
    pub fn parse(json: &str) -> Result<Self, InvalidAttribute> {
        let claims = serde_json::from_str(json)
            .map_err(|error| InvalidAttribute(format!("claims must be a JSON object: {error}")))?;
        Self::new(claims)
    }

    /// Those of [`Self::RESERVED`] that a release before this one let in.
    const RESERVED_LATER: [&str; 1] = ["ext"];

    /// Parses what a store has. A name that an earlier version let in and that has a meaning of its own since is left
    /// out: it must not take the place of what it means now, and its user must still be able to log in.
    pub fn from_stored(json: &str) -> Result<Self, InvalidAttribute> {
        let mut claims: Map<String, Value> = serde_json::from_str(json)
            .map_err(|error| InvalidAttribute(format!("claims must be a JSON object: {error}")))?;
        for name in Self::RESERVED_LATER {
            claims.remove(name);
        }
        Self::new(claims)
    }

    /// The object.
    pub const fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }

    /// Compact JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string(&self.0).unwrap_or_else(|_| "{}".to_owned())
    }
}

fn check_value(value: &Value, depth: usize) -> Result<(), InvalidAttribute> {
    // protobuf's Struct and JavaScript both hold numbers as doubles: a larger integer would arrive as another.
    const LARGEST_EXACT: u64 = 1 << 53;
    match value {
        Value::Object(_) | Value::Array(_) if depth > CustomClaims::MAX_DEPTH => {
            Err(InvalidAttribute(format!("claims are nested deeper than {} levels", CustomClaims::MAX_DEPTH)))
        }
        Value::Object(map) => map.values().try_for_each(|value| check_value(value, depth + 1)),
        Value::Array(list) => list.iter().try_for_each(|value| check_value(value, depth + 1)),
        Value::Number(number)
            if number.as_u64().is_some_and(|n| n > LARGEST_EXACT)
                || number.as_i64().is_some_and(|n| n.unsigned_abs() > LARGEST_EXACT) =>
        {
            Err(InvalidAttribute(format!("{number} is not exact in a double; write it as a string")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_sorted_and_each_stands_once() {
        let roles = Role::parse_all(["ops", "admin", "ops"]).unwrap();
        assert_eq!(roles.iter().map(Role::as_str).collect::<Vec<_>>(), ["admin", "ops"]);
        for bad in ["", "with space", "näh", "a,b", &"x".repeat(65)] {
            assert!(Role::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn claims_are_bounded_and_no_reserved_name_gets_in() {
        assert!(CustomClaims::parse(r#"{"tenant":"acme","limits":{"seats":[1,2]}}"#).is_ok());
        for reserved in CustomClaims::RESERVED {
            let error = CustomClaims::parse(&format!(r#"{{"{reserved}":1}}"#)).unwrap_err();
            assert!(error.to_string().contains(reserved), "{error}");
        }
        for bad in [
            "[]",
            "1",
            "",
            r#"{"":1}"#,
            r#"{"a":{"b":{"c":{"d":{"e":{}}}}}}"#,
            r#"{"n":9007199254740993}"#,
            r#"{"n":-9007199254740993}"#,
            &format!(r#"{{"a":"{}"}}"#, "x".repeat(CustomClaims::MAX_BYTES)),
        ] {
            assert!(CustomClaims::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_stored_claim_whose_name_is_reserved_by_now_is_left_out() {
        let stored = CustomClaims::from_stored(r#"{"ext":{"a":1},"tenant":"acme"}"#).unwrap();
        assert_eq!(stored.to_json(), r#"{"tenant":"acme"}"#);
        assert!(CustomClaims::from_stored("[]").is_err());
        assert!(CustomClaims::from_stored(r#"{"sub":"x"}"#).is_err(), "no release has stored it");
    }

    #[test]
    fn a_password_hash_is_not_shown() {
        let hash = PasswordHash::from_phc("$argon2id$v=19$secret".to_owned());
        assert!(!format!("{hash:?}").contains("secret"));
    }
}
