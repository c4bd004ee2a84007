//! Plain and salted MD5, SHA-1, SHA-256 and SHA-512. Which is hashed with what cannot be seen from a digest, so it is
//! stated: `md5:password+salt:SALT:DIGEST`.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA512, digest};
use md5::{Digest as _, Md5};
use zeroize::Zeroizing;

use super::text::{Named, encode};
use super::{Family, ForeignHash, Found, Recipe, Unusable, Work};
use crate::password::argon2id::WorkingMemory;

/// The longest salt, in bytes.
const SALT_BYTES: usize = 256;
/// The most times that a digest is computed: Spring Security's `StandardPasswordEncoder` does so 1024 times.
const TIMES: std::ops::RangeInclusive<u64> = 1..=1024;

/// A hash function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Md5,
    Sha1,
    Sha256,
    Sha512,
}

impl Function {
    const ALL: [(&'static str, Self); 4] =
        [("md5", Self::Md5), ("sha1", Self::Sha1), ("sha256", Self::Sha256), ("sha512", Self::Sha512)];

    pub(super) const fn name(self) -> &'static str {
        Self::ALL[self as usize].0
    }

    /// The bytes of its digest.
    pub(super) const fn bytes(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    fn of(self, text: &[u8]) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(match self {
            Self::Md5 => Md5::digest(text).to_vec(),
            Self::Sha1 => digest(&SHA1_FOR_LEGACY_USE_ONLY, text).as_ref().to_vec(),
            Self::Sha256 => digest(&SHA256, text).as_ref().to_vec(),
            Self::Sha512 => digest(&SHA512, text).as_ref().to_vec(),
        })
    }
}

/// What is hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Composition {
    Password,
    PasswordSalt,
    SaltPassword,
    SaltPasswordSalt,
    /// The lower-case hexadecimal digest of the password.
    HexPassword,
    /// That, and then the salt.
    HexPasswordSalt,
    SaltHexPassword,
}

impl Composition {
    const ALL: [(&'static str, Self); 7] = [
        ("password", Self::Password),
        ("password+salt", Self::PasswordSalt),
        ("salt+password", Self::SaltPassword),
        ("salt+password+salt", Self::SaltPasswordSalt),
        ("hex(password)", Self::HexPassword),
        ("hex(password)+salt", Self::HexPasswordSalt),
        ("salt+hex(password)", Self::SaltHexPassword),
    ];

    const fn name(self) -> &'static str {
        Self::ALL[self as usize].0
    }

    const fn has_salt(self) -> bool {
        !matches!(self, Self::Password | Self::HexPassword)
    }
}

/// A digest of a composition, perhaps of that digest again and again.
#[derive(Debug, Clone)]
pub(super) struct Digest {
    pub(super) function: Function,
    pub(super) composition: Composition,
    pub(super) times: u64,
    pub(super) salt: Vec<u8>,
}

impl Digest {
    /// The hash with this digest, which has the right length.
    pub(super) fn with_tag(
        name: &'static str,
        function: Function,
        composition: Composition,
        salt: Vec<u8>,
        tag: Vec<u8>,
    ) -> ForeignHash {
        ForeignHash::new(name, Self { function, composition, times: 1, salt }, tag)
    }
}

impl Recipe for Digest {
    fn work(&self) -> Work {
        Work { family: Family::Digest, units: self.times }
    }

    fn is_fast(&self) -> bool {
        true
    }

    fn written(&self) -> String {
        let (function, composition) = (self.function.name(), self.composition.name());
        format!("{function}$c={composition},i={}${}", self.times, encode(&self.salt))
    }

    fn digest(&self, password: &[u8], _: &mut WorkingMemory) -> Option<Zeroizing<Vec<u8>>> {
        let hex = || Zeroizing::new(hex::encode(self.function.of(password)).into_bytes());
        let text = Zeroizing::new(match self.composition {
            Composition::Password => password.to_vec(),
            Composition::PasswordSalt => [password, &self.salt].concat(),
            Composition::SaltPassword => [&self.salt, password].concat(),
            Composition::SaltPasswordSalt => [&self.salt, password, &self.salt].concat(),
            Composition::HexPassword => hex().to_vec(),
            Composition::HexPasswordSalt => [&hex()[..], &self.salt].concat(),
            Composition::SaltHexPassword => [&self.salt, &hex()[..]].concat(),
        });
        let first = self.function.of(&text);
        Some((1..self.times).fold(first, |last, _| self.function.of(&last)))
    }
}

/// So many digests for nothing.
pub(super) fn rounds(times: u64, password: &[u8]) {
    let mut last = Zeroizing::new(password.to_vec());
    for _ in 0..times {
        last = Function::Sha256.of(&last);
    }
    std::hint::black_box(last);
}

/// `sha256:salt+password:SALT:DIGEST`, the digest in hexadecimal or base64; the salt may have colons in it.
pub(super) fn parse(text: &str) -> Found {
    let Some((name, rest)) = text.split_once(':') else { return bare(text) };
    let (name, function) = Function::ALL.into_iter().find(|(known, _)| *known == name)?;
    Some(parse_stated(Named(name), function, rest))
}

fn parse_stated(format: Named, function: Function, rest: &str) -> Result<ForeignHash, Unusable> {
    let (composition, rest) = rest.split_once(':').ok_or_else(|| {
        format.malformed("it is function, composition, salt and digest, with colons between")
    })?;
    let (_, composition) = Composition::ALL
        .into_iter()
        .find(|(known, _)| *known == composition)
        .ok_or_else(|| format.malformed("its composition is none of those that are documented"))?;
    let (salt, digest) = rest.rsplit_once(':').ok_or_else(|| format.malformed("it needs salt and digest"))?;
    if composition.has_salt() == salt.is_empty() {
        return Err(format.malformed("a composition with `salt` has one, and no other has"));
    }
    let salt = format.sized(salt.as_bytes().to_vec(), "the salt has at most 256 bytes", 0..=SALT_BYTES)?;
    let bytes = function.bytes();
    let tag = if digest.len() == 2 * bytes {
        format.hex(digest, "its digest", bytes..=bytes)?
    } else {
        format.base64(digest, "its digest", bytes..=bytes)?
    };
    Ok(Digest::with_tag(format.0, function, composition, salt, tag))
}

/// A digest by itself, of which it cannot be known what was hashed.
fn bare(text: &str) -> Found {
    let is_one = [32, 40, 64, 128].contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let why = "a digest alone does not say what was hashed; write for example md5:password::DIGEST";
    is_one.then_some(Err(Unusable::Unsupported { format: "digest", why }))
}

/// Reads what [`Recipe::written`] has written.
pub(super) fn read(name: &str, parameters: &str, salt: &[u8]) -> Option<Result<Box<dyn Recipe>, Unusable>> {
    let (name, function) = Function::ALL.into_iter().find(|(known, _)| *known == name)?;
    let format = Named(name);
    let read = || -> Result<Box<dyn Recipe>, Unusable> {
        let bad = || format.malformed("its parameters");
        let stated = parameters.strip_prefix("c=").and_then(|text| text.split_once(",i="));
        let (composition, times) = stated.ok_or_else(bad)?;
        let composition =
            Composition::ALL.into_iter().find(|(known, _)| *known == composition).ok_or_else(bad)?;
        let times = format.cost(times, "the number of digests", &TIMES)?;
        Ok(Box::new(Digest { function, composition: composition.1, times, salt: salt.to_vec() }))
    };
    Some(read())
}
