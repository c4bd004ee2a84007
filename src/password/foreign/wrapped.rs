//! A fast hash inside a slow one: Argon2id of the bytes that another system has stored.

use std::fmt;

use super::{Recipe, Unusable, argon2, bcrypt, crypt, digest, pbkdf2, phpass, scrypt};
use crate::model::PasswordHash;
use crate::password::argon2id::{Argon2idHash, CorruptHash, WorkingMemory};
use crate::password::policy::Password;

/// What a wrapped hash begins with.
const PREFIX: &str = "$wrapped$v=1$";

/// `$wrapped$v=1$` recipe, parameters, salt `$argon2id$v=19$…`. Of the digest that the other system has stored there is
/// nothing in it: whoever reads it must compute an Argon2id hash for each guess.
pub struct Wrapped {
    pub(super) recipe: Box<dyn Recipe>,
    pub(super) outer: Argon2idHash,
}

impl Wrapped {
    /// Reads one; `None` when it is something else.
    pub(super) fn parse(text: &str) -> Option<Result<Self, CorruptHash>> {
        let text = text.strip_prefix(PREFIX)?;
        Some(read(text))
    }

    /// As it is stored.
    pub fn to_stored(&self) -> PasswordHash {
        let (recipe, outer) = (self.recipe.written(), self.outer.to_phc());
        PasswordHash::from_phc(format!("{PREFIX}{recipe}{}", outer.as_phc()))
    }

    /// Whether this is a hash of the password. Takes the same time whatever the answer.
    pub fn matches(&self, password: &Password, memory: &mut WorkingMemory) -> bool {
        let inner = super::digest(self.recipe.as_ref(), password, memory);
        let matches = self.outer.matches_bytes(inner.as_ref().map_or(&[], |inner| inner), memory);
        inner.is_some() && matches
    }
}

impl fmt::Debug for Wrapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wrapped").field("outer", &self.outer).finish_non_exhaustive()
    }
}

/// One that was read from an export: it may not cost a login more than any other hash.
pub(super) fn from_elsewhere(wrapped: Result<Wrapped, CorruptHash>) -> Result<Wrapped, Unusable> {
    let wrapped = wrapped.map_err(|_| MALFORMED)?;
    let (given, most) = (wrapped.outer.parameters().work_kib(), argon2::MOST_WORK_KIB);
    if given > most {
        return Err(Unusable::TooCostly { format: "wrapped", what: "m × t in KiB", given, most });
    }
    if argon2::is_fast(wrapped.outer.parameters()) {
        return Err(Unusable::TooLittle {
            format: "wrapped",
            what: "m × t in KiB",
            given,
            least: argon2::FAST_BELOW_KIB,
        });
    }
    Ok(wrapped)
}

const MALFORMED: Unusable =
    Unusable::Malformed { format: "wrapped", what: "its parts are not as they were written" };

fn read(text: &str) -> Result<Wrapped, CorruptHash> {
    const OUTER: &str = "$argon2id$v=19$";
    let malformed = MALFORMED;
    let place = text.rfind(OUTER).ok_or(malformed)?;
    let outer = Argon2idHash::parse(&PasswordHash::from_phc(text[place..].to_owned()))?;
    let (name, rest) = text[..place].split_once('$').ok_or(malformed)?;
    let (parameters, salt) = rest.rsplit_once('$').ok_or(malformed)?;
    let salt = super::text::Named("wrapped").base64(salt, "salt", 0..=1024)?;
    let readers =
        [argon2::read, bcrypt::read, scrypt::read, pbkdf2::read, phpass::read, crypt::read, digest::read];
    let recipe = readers.iter().find_map(|read| read(name, parameters, &salt)).ok_or(malformed)?;
    Ok(Wrapped { recipe: recipe?, outer })
}
