//! phpass's portable hashes (`$P$`, `$H$`: `WordPress`, `phpBB`) and Drupal 7's (`$S$`, `U$S$`), which differ in the digest.

use aws_lc_rs::digest::{SHA512, digest};
use md5::{Digest as _, Md5};
use zeroize::Zeroizing;

use super::text::{Named, encode, iterated};
use super::{Family, ForeignHash, Found, Recipe, Unusable, Work};
use crate::password::argon2id::WorkingMemory;

/// The digits of this base64, the lowest first.
const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// The rounds that are written, as binary logarithms.
const LOG_ROUNDS: std::ops::RangeInclusive<u64> = 7..=20;
/// The characters of salt.
const SALT_CHARACTERS: usize = 8;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Phpass,
    Drupal,
    /// Drupal's of the MD5 that Drupal 6 had stored.
    DrupalOfMd5,
}

impl Kind {
    const ALL: [(&'static str, Self); 3] =
        [("phpass", Self::Phpass), ("drupal7", Self::Drupal), ("drupal7-md5", Self::DrupalOfMd5)];

    const fn name(self) -> &'static str {
        Self::ALL[self as usize].0
    }

    /// The characters of digest that are stored: Drupal cuts its hashes off at 55.
    const fn tag_characters(self) -> usize {
        match self {
            Self::Phpass => 22,
            Self::Drupal | Self::DrupalOfMd5 => 43,
        }
    }
}

#[derive(Debug, Clone)]
struct Phpass {
    kind: Kind,
    log_rounds: u8,
    salt: Vec<u8>,
}

impl Phpass {
    const fn rounds(&self) -> u64 {
        1 << self.log_rounds
    }
}

impl Recipe for Phpass {
    fn work(&self) -> Work {
        let family = if self.kind == Kind::Phpass { Family::Phpass } else { Family::Drupal };
        Work { family, units: self.rounds() }
    }

    fn is_fast(&self) -> bool {
        true
    }

    fn written(&self) -> String {
        format!("{}$i={}${}", self.kind.name(), self.log_rounds, encode(&self.salt))
    }

    fn digest(&self, password: &[u8], _: &mut WorkingMemory) -> Option<Zeroizing<Vec<u8>>> {
        let (password, whole) = iterated(password);
        let mut text = match self.kind {
            Kind::Phpass => encode64(iterate_md5(&self.salt, password, self.rounds()).as_ref()),
            Kind::Drupal => encode64(&iterate_sha512(&self.salt, password, self.rounds())),
            Kind::DrupalOfMd5 => {
                let inner = Zeroizing::new(hex::encode(Md5::digest(password)));
                encode64(&iterate_sha512(&self.salt, inner.as_bytes(), self.rounds()))
            }
        };
        text.truncate(self.kind.tag_characters());
        whole.then_some(text)
    }
}

fn iterate_md5(salt: &[u8], password: &[u8], rounds: u64) -> Zeroizing<[u8; 16]> {
    let hash = |first: &[u8]| {
        Zeroizing::new(Md5::new().chain_update(first).chain_update(password).finalize().into())
    };
    let mut digest: Zeroizing<[u8; 16]> = hash(salt);
    for _ in 0..rounds {
        digest = hash(digest.as_ref());
    }
    digest
}

fn iterate_sha512(salt: &[u8], password: &[u8], rounds: u64) -> Zeroizing<Vec<u8>> {
    let hash = |first: &[u8]| digest(&SHA512, &Zeroizing::new([first, password].concat()));
    let mut last = hash(salt);
    for _ in 0..rounds {
        last = hash(last.as_ref());
    }
    Zeroizing::new(last.as_ref().to_vec())
}

/// So many rounds of phpass for nothing.
pub(super) fn md5_rounds(rounds: u64, password: &[u8]) {
    std::hint::black_box(iterate_md5(b"for nothing", iterated(password).0, rounds));
}

/// So many rounds of Drupal's for nothing.
pub(super) fn sha512_rounds(rounds: u64, password: &[u8]) {
    std::hint::black_box(iterate_sha512(b"for nothing", iterated(password).0, rounds));
}

/// Six bits a character, the lowest first, across the bytes as they come.
fn encode64(bytes: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut text = Zeroizing::new(Vec::with_capacity(bytes.len() * 4 / 3 + 4));
    for group in bytes.chunks(3) {
        let value = group.iter().rev().fold(0_usize, |value, byte| value << 8 | usize::from(*byte));
        text.extend((0..=group.len()).map(|place| ALPHABET[value >> (6 * place) & 63]));
    }
    text
}

/// `$P$B12345678…` or `$S$D12345678…`: a character for the rounds, eight of salt, the digest.
pub(super) fn parse(text: &str) -> Found {
    let (kind, rest) = if let Some(rest) = text.strip_prefix("$P$").or_else(|| text.strip_prefix("$H$")) {
        (Kind::Phpass, rest)
    } else if let Some(rest) = text.strip_prefix("U$S$") {
        (Kind::DrupalOfMd5, rest)
    } else {
        (Kind::Drupal, text.strip_prefix("$S$")?)
    };
    Some(parse_portable(kind, rest.as_bytes()))
}

fn parse_portable(kind: Kind, rest: &[u8]) -> Result<ForeignHash, Unusable> {
    let format = Named(kind.name());
    if rest.len() != 1 + SALT_CHARACTERS + kind.tag_characters() {
        return Err(format.malformed("its length"));
    }
    let place = |byte: &u8| ALPHABET.iter().position(|digit| digit == byte);
    let log_rounds = place(&rest[0]).ok_or_else(|| format.malformed("the character for its rounds"))? as u64;
    let log_rounds = format.within(log_rounds, "the logarithm of its rounds", &LOG_ROUNDS)?;
    let (salt, tag) = rest[1..].split_at(SALT_CHARACTERS);
    if !tag.iter().all(|byte| place(byte).is_some()) {
        return Err(format.malformed("it has a character of no such digest"));
    }
    let log_rounds = u8::try_from(log_rounds).map_err(|_| format.malformed("its rounds"))?;
    Ok(ForeignHash::new(format.0, Phpass { kind, log_rounds, salt: salt.to_vec() }, tag.to_vec()))
}

/// Reads what [`Recipe::written`] has written.
pub(super) fn read(name: &str, parameters: &str, salt: &[u8]) -> Option<Result<Box<dyn Recipe>, Unusable>> {
    let (name, kind) = Kind::ALL.into_iter().find(|(known, _)| *known == name)?;
    let format = Named(name);
    let read = || -> Result<Box<dyn Recipe>, Unusable> {
        let bad = || format.malformed("its parameters");
        let digits = parameters.strip_prefix("i=").ok_or_else(bad)?;
        let log_rounds = format.cost(digits, "the logarithm of its rounds", &LOG_ROUNDS)?;
        let log_rounds = u8::try_from(log_rounds).map_err(|_| bad())?;
        Ok(Box::new(Phpass { kind, log_rounds, salt: salt.to_vec() }))
    };
    Some(read())
}
