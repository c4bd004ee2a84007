//! Password hashes that other systems have made: how they are written, what they cost, and how a password is checked
//! against one.
//!
//! A [`Recipe`] turns a password into the bytes that its system stored; there is one file for each family of them. Files
//! such as `django.rs` know how one system writes its hashes, and make recipes of them. A hash that could be guessed
//! quickly is never stored as it came: its digest is the password of an Argon2id hash, see [`Wrapped`]. Whatever it is, it
//! becomes an ordinary Argon2id hash when its owner logs in.

use std::fmt;

use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::argon2id::{Argon2idHash, CorruptHash, HashParameters, SALT_BYTES, WorkingMemory};
use super::policy::{InvalidPassword, Password};
use crate::model::PasswordHash;

mod argon2;
mod aspnet;
mod bcrypt;
mod crypt;
mod digest;
mod django;
mod keycloak;
mod ldap;
mod pbkdf2;
mod phpass;
mod scrypt;
mod spring;
mod text;
mod unusable;
mod werkzeug;
pub mod work;
mod wrapped;

pub use unusable::Unusable;
pub use work::{Family, Tally, Work};
pub use wrapped::Wrapped;

/// The longest text of a hash, in bytes: far more than any of these systems writes.
pub const MAX_HASH_BYTES: usize = 2048;

/// Turns a password into the bytes that another system has stored of it.
trait Recipe: Send + Sync {
    /// What one password costs.
    fn work(&self) -> Work;

    /// Whether so many passwords can be tried in a second that whoever reads the database would find this one.
    fn is_fast(&self) -> bool;

    /// The recipe as text, with the salt and without the digest: `name$parameters$salt`. The family's file reads it again.
    fn written(&self) -> String;

    /// The bytes. Does the whole work whatever the password; `None` when the other system would have taken none like it.
    fn digest(&self, password: &[u8], memory: &mut WorkingMemory) -> Option<Zeroizing<Vec<u8>>>;
}

/// A hash that another system has made.
pub struct ForeignHash {
    format: &'static str,
    recipe: Box<dyn Recipe>,
    tag: Vec<u8>,
}

impl ForeignHash {
    fn new(format: &'static str, recipe: impl Recipe + 'static, tag: Vec<u8>) -> Self {
        Self { format, recipe: Box::new(recipe), tag }
    }

    /// Whose format it is: `bcrypt`, `django-pbkdf2-sha256`.
    pub const fn format(&self) -> &'static str {
        self.format
    }

    /// The same under another name.
    const fn called(mut self, format: &'static str) -> Self {
        self.format = format;
        self
    }

    /// Whether it must not be stored as it is.
    pub fn is_fast(&self) -> bool {
        self.recipe.is_fast()
    }

    /// What checking one password costs.
    pub fn work(&self) -> Work {
        self.recipe.work()
    }

    /// Whether this is a hash of the password. Takes the same time whatever the answer.
    pub fn matches(&self, password: &Password, memory: &mut WorkingMemory) -> bool {
        let digest = digest(self.recipe.as_ref(), password, memory);
        digest.is_some_and(|digest| digest.ct_eq(&self.tag).into())
    }

    /// The hash inside an Argon2id hash, as it is stored when it [`Self::is_fast`].
    pub fn wrap(
        self,
        salt: [u8; SALT_BYTES],
        parameters: HashParameters,
        memory: &mut WorkingMemory,
    ) -> Wrapped {
        let outer = Argon2idHash::compute_bytes(&self.tag, salt, parameters, memory);
        Wrapped { recipe: self.recipe, outer }
    }
}

impl fmt::Debug for ForeignHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForeignHash").field("format", &self.format).finish_non_exhaustive()
    }
}

fn digest(
    recipe: &dyn Recipe,
    password: &Password,
    memory: &mut WorkingMemory,
) -> Option<Zeroizing<Vec<u8>>> {
    let digest = recipe.digest(password.expose().as_bytes(), memory);
    let work = recipe.work();
    // Argon2 notes by itself what it has filled.
    if work.family != Family::Argon2 {
        memory.note(work);
    }
    digest
}

/// What somebody's table has in the place of a password.
#[derive(Debug)]
pub enum Imported {
    /// A hash of our own kind.
    Own(Argon2idHash),
    /// A hash of another system.
    Foreign(ForeignHash),
    /// A hash of another system that was wrapped here before: from an export.
    Wrapped(Wrapped),
    /// The password itself.
    Plain(Password),
}

impl Imported {
    /// Reads it in whichever of the formats it is written.
    pub fn parse(text: &str) -> Result<Self, Unusable> {
        if text.len() > MAX_HASH_BYTES {
            return Err(Unusable::TooLong);
        }
        if let Some(plain) = plain(text) {
            return plain.map(Self::Plain);
        }
        if let Ok(own) = Argon2idHash::parse(&PasswordHash::from_phc(text.to_owned()))
            && !argon2::is_fast(own.parameters())
            && own.parameters().work_kib() <= argon2::MOST_WORK_KIB
        {
            return Ok(Self::Own(own));
        }
        if let Some(wrapped) = Wrapped::parse(text) {
            return wrapped::from_elsewhere(wrapped).map(Self::Wrapped);
        }
        parse_foreign(text).map(Self::Foreign)
    }

    /// Whether something must be hashed to take it over: it is never stored as it came.
    pub fn takes_hashing(&self) -> bool {
        match self {
            Self::Own(_) | Self::Wrapped(_) => false,
            Self::Foreign(hash) => hash.is_fast(),
            Self::Plain(_) => true,
        }
    }

    /// Whether this is the password, or a hash of it. Takes the same time whatever the answer.
    pub fn matches(&self, password: &Password, memory: &mut WorkingMemory) -> bool {
        match self {
            Self::Own(hash) => hash.matches(password, memory),
            Self::Foreign(hash) => hash.matches(password, memory),
            Self::Wrapped(hash) => hash.matches(password, memory),
            Self::Plain(plain) => plain.expose().as_bytes().ct_eq(password.expose().as_bytes()).into(),
        }
    }

    /// Whose format it is.
    pub const fn format(&self) -> &'static str {
        match self {
            Self::Own(_) => "argon2id",
            Self::Wrapped(_) => "wrapped",
            Self::Foreign(hash) => hash.format(),
            Self::Plain(_) => "plain",
        }
    }
}

fn plain(text: &str) -> Option<Result<Password, Unusable>> {
    let stripped = |prefix: &str| {
        let head = text.get(..prefix.len())?;
        head.eq_ignore_ascii_case(prefix).then(|| &text[prefix.len()..])
    };
    let password = ["plain:", "{noop}", "{cleartext}"].into_iter().find_map(stripped)?;
    if password.is_empty() {
        return Some(Err(Unusable::Malformed { format: "plain", what: "the password is empty" }));
    }
    Some(Password::new(password.to_owned()).map_err(|error| match error {
        InvalidPassword::TooLong => Unusable::TooLong,
        _ => Unusable::Malformed { format: "plain", what: "it is no password" },
    }))
}

/// What a format makes of a text: nothing when it is not its own.
type Found = Option<Result<ForeignHash, Unusable>>;

/// Every way to write a hash; the first that takes a text for its own decides.
const FORMATS: [fn(&str) -> Found; 13] = [
    argon2::parse,
    bcrypt::parse,
    scrypt::parse,
    scrypt::parse_firebase,
    pbkdf2::parse,
    phpass::parse,
    crypt::parse,
    django::parse,
    werkzeug::parse,
    keycloak::parse,
    spring::parse,
    ldap::parse,
    digest::parse,
];

fn parse_foreign(text: &str) -> Result<ForeignHash, Unusable> {
    let found = FORMATS.iter().find_map(|format| format(text));
    // Last, because it has no mark of its own but its first byte.
    found.or_else(|| aspnet::parse(text)).unwrap_or(Err(Unusable::UnknownFormat))
}

/// A hash as it is stored.
#[derive(Debug)]
pub enum Stored {
    /// None: the user has no password.
    Nothing,
    /// Argon2id, as every new hash is.
    Own(Argon2idHash),
    /// As another system has made it.
    Foreign(ForeignHash),
    /// As another system has made it, inside of Argon2id.
    Wrapped(Wrapped),
}

impl Stored {
    /// Reads what the database has.
    pub fn parse(hash: &PasswordHash) -> Result<Self, CorruptHash> {
        let text = hash.as_phc();
        if hash.is_none() {
            return Ok(Self::Nothing);
        }
        if text.starts_with("$argon2id$v=19$") {
            return Argon2idHash::parse(hash).map(Self::Own);
        }
        if let Some(wrapped) = Wrapped::parse(text) {
            return wrapped.map(Self::Wrapped);
        }
        if text.len() > MAX_HASH_BYTES {
            return Err(Unusable::TooLong.into());
        }
        let foreign = parse_foreign(text)?;
        if foreign.is_fast() {
            return Err(Unusable::NotWrapped { format: foreign.format() }.into());
        }
        Ok(Self::Foreign(foreign))
    }

    /// Whether this is a hash of the password. Takes the same time whatever the answer; where there is none, none.
    pub fn matches(&self, password: &Password, memory: &mut WorkingMemory) -> bool {
        match self {
            Self::Nothing => false,
            Self::Own(hash) => hash.matches(password, memory),
            Self::Foreign(hash) => hash.matches(password, memory),
            Self::Wrapped(hash) => hash.matches(password, memory),
        }
    }

    /// Whether a hash made today, with these parameters, would be another kind of hash.
    pub fn needs_rehash(&self, wanted: HashParameters) -> bool {
        match self {
            Self::Nothing => false,
            Self::Own(hash) => hash.needs_rehash(wanted),
            Self::Foreign(_) | Self::Wrapped(_) => true,
        }
    }

    /// What checking one password costs, in each family.
    pub fn work(&self) -> Tally {
        let mut tally = Tally::default();
        let argon2 =
            |hash: &Argon2idHash| Work { family: Family::Argon2, units: hash.parameters().work_kib() };
        match self {
            Self::Nothing => {}
            Self::Own(hash) => tally.add(argon2(hash)),
            Self::Foreign(hash) => tally.add(hash.work()),
            Self::Wrapped(hash) => {
                tally.add(hash.recipe.work());
                tally.add(argon2(&hash.outer));
            }
        }
        tally
    }
}

#[cfg(test)]
mod tests;
