//! bcrypt: `$2a$`, `$2b$`, `$2y$`, and what Django and `WordPress` put in front of it.
//!
//! bcrypt looks at the first 72 bytes of a password and no further; so does this, for as long as the hash is a bcrypt hash.
//! The password that its owner then logs in with is hashed anew as a whole.

use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::alphabet::BCRYPT;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::text::{Named, encode, loose};
use super::{Family, ForeignHash, Found, Recipe, Unusable, Work};
use crate::password::argon2id::WorkingMemory;

/// What bcrypt looks at of a password, in bytes.
const LONGEST: usize = 72;
/// What bcrypt stores, in bytes: it drops the last of 24.
const TAG_BYTES: usize = 23;
/// The least cost that there is, and the most that a login may have: a second or so.
const COST: std::ops::RangeInclusive<u64> = 4..=14;
/// With less than this a hash is wrapped, as OWASP's Password Storage Cheat Sheet asks for 10.
const FAST_BELOW: u32 = 10;

/// What becomes of a password before bcrypt looks at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Prehash {
    /// Nothing.
    None,
    /// SHA-256 in hexadecimal, as Django's `bcrypt_sha256`.
    Sha256Hex,
    /// HMAC-SHA-384 in base64, as `WordPress` 6.8.
    WordPress,
}

impl Prehash {
    const ALL: [(&'static str, Self); 3] =
        [("bcrypt", Self::None), ("bcrypt-sha256-hex", Self::Sha256Hex), ("bcrypt-wp", Self::WordPress)];

    const fn name(self) -> &'static str {
        Self::ALL[self as usize].0
    }

    fn apply(self, password: &[u8]) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(match self {
            Self::None => password.to_vec(),
            Self::Sha256Hex => hex::encode(digest::digest(&digest::SHA256, password)).into_bytes(),
            Self::WordPress => {
                let key = hmac::Key::new(hmac::HMAC_SHA384, b"wp-sha384");
                STANDARD.encode(hmac::sign(&key, php_trim(password))).into_bytes()
            }
        })
    }
}

/// What PHP's `trim()` leaves.
fn php_trim(text: &[u8]) -> &[u8] {
    let is_kept = |byte: &u8| !b" \t\n\r\0\x0b".contains(byte);
    let first = text.iter().position(is_kept).unwrap_or(text.len());
    let end = text.iter().rposition(is_kept).map_or(first, |last| last + 1);
    &text[first..end]
}

/// bcrypt with its cost and salt.
#[derive(Debug, Clone)]
struct Bcrypt {
    prehash: Prehash,
    cost: u32,
    salt: [u8; 16],
}

impl Recipe for Bcrypt {
    fn work(&self) -> Work {
        Work { family: Family::Bcrypt, units: 1 << self.cost }
    }

    fn is_fast(&self) -> bool {
        self.cost < FAST_BELOW
    }

    fn written(&self) -> String {
        format!("{}$c={}${}", self.prehash.name(), self.cost, encode(&self.salt))
    }

    fn digest(&self, password: &[u8], _: &mut WorkingMemory) -> Option<Zeroizing<Vec<u8>>> {
        let text = self.prehash.apply(password);
        let digest = raw(self.cost, self.salt, &text);
        // In C a password ends at NUL, and those who hash refuse one or cut it off there.
        (!text.contains(&0)).then(|| Zeroizing::new(digest[..TAG_BYTES].to_vec()))
    }
}

/// The first 72 bytes of the text and the NUL that ends it, where there is room for it.
fn raw(cost: u32, salt: [u8; 16], text: &[u8]) -> [u8; 24] {
    let mut key = Zeroizing::new(Vec::with_capacity(LONGEST + 1));
    key.extend_from_slice(&text[..text.len().min(LONGEST)]);
    key.push(0);
    key.truncate(LONGEST);
    ::bcrypt::bcrypt(cost, salt, &key)
}

/// Goes through so many rounds: each bit of the number is a hash of its own.
pub(super) fn do_rounds(rounds: u64, password: &[u8]) {
    for cost in (4..31_u32).filter(|bit| rounds >> bit & 1 == 1) {
        raw(cost, [0; 16], password);
    }
}

/// `$2b$12$…`, or `WordPress`'s `$wp$2y$12$…`.
pub(super) fn parse(text: &str) -> Found {
    if let Some(rest) = text.strip_prefix("$wp") {
        return rest.starts_with("$2y$").then(|| parse_mcf(rest, Prehash::WordPress, "wordpress-bcrypt"));
    }
    text.starts_with("$2").then(|| parse_mcf(text, Prehash::None, "bcrypt"))
}

/// A hash in the modular crypt format, with what comes before bcrypt.
pub(super) fn parse_mcf(text: &str, prehash: Prehash, name: &'static str) -> Result<ForeignHash, Unusable> {
    let format = Named(name);
    let [_, version, cost, rest] = super::text::parts(text, '$')
        .ok_or_else(|| format.malformed("it is `$2b$`, two digits, `$` and 53 characters"))?;
    match version {
        "2a" | "2b" | "2y" => {}
        "2x" => {
            let why = "`$2x$` hashes were made by a program that misread passwords with bytes above 127";
            return Err(Unusable::Unsupported { format: name, why });
        }
        _ => return Err(format.malformed("its version is 2a, 2b or 2y")),
    }
    if cost.len() != 2 || !cost.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(format.malformed("its cost has two digits"));
    }
    let cost = cost.parse().map_err(|_| format.malformed("its cost has two digits"))?;
    let cost = format.within(cost, "the cost", &COST)?;
    let halves = rest.split_at_checked(22).filter(|(_, tag)| tag.len() == 31);
    let (salt, tag) = halves.ok_or_else(|| format.malformed("salt and digest have 53 characters"))?;
    // Some programs leave bits in the last character that mean nothing.
    let alphabet = loose(&BCRYPT);
    let decode = |text: &str| {
        alphabet.decode(text).map_err(|_| format.malformed("it has a character of no bcrypt hash"))
    };
    let salt = decode(salt)?.try_into().map_err(|_| format.malformed("the salt has 16 bytes"))?;
    let tag = format.sized(decode(tag)?, "the digest has 23 bytes", TAG_BYTES..=TAG_BYTES)?;
    let cost = u32::try_from(cost).map_err(|_| format.malformed("its cost"))?;
    Ok(ForeignHash::new(name, Bcrypt { prehash, cost, salt }, tag))
}

/// Reads what [`Recipe::written`] has written.
pub(super) fn read(name: &str, parameters: &str, salt: &[u8]) -> Option<Result<Box<dyn Recipe>, Unusable>> {
    let (name, prehash) = Prehash::ALL.into_iter().find(|(known, _)| *known == name)?;
    let format = Named(name);
    let read = || -> Result<Box<dyn Recipe>, Unusable> {
        let bad = || format.malformed("its parameters");
        let cost = format.cost(parameters.strip_prefix("c=").ok_or_else(bad)?, "the cost", &COST)?;
        let salt = salt.try_into().map_err(|_| bad())?;
        Ok(Box::new(Bcrypt { prehash, cost: u32::try_from(cost).map_err(|_| bad())?, salt }))
    };
    Some(read())
}
