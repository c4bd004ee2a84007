//! SHA-crypt: `$5$` and `$6$`, as Linux and passlib write them.

use zeroize::Zeroizing;

use super::text::{Named, encode, iterated};
use super::{Family, ForeignHash, Found, Recipe, Unusable, Work};
use crate::password::argon2id::WorkingMemory;

/// The digits of its base64, the lowest first.
const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// The rounds that may be written: fewer are never made, and more cost a second or so.
const ROUNDS: std::ops::RangeInclusive<u64> = 1000..=1_000_000;
/// The rounds where none are written.
const USUAL_ROUNDS: u64 = 5000;
/// With less than this a hash is wrapped.
const FAST_BELOW: u32 = 100_000;
/// The longest salt; what is beyond it counts for nothing.
const SALT_BYTES: usize = 16;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Sha256,
    Sha512,
}

impl Kind {
    const ALL: [(&'static str, Self); 2] = [("sha256-crypt", Self::Sha256), ("sha512-crypt", Self::Sha512)];

    const fn name(self) -> &'static str {
        Self::ALL[self as usize].0
    }
}

#[derive(Debug, Clone)]
struct ShaCrypt {
    kind: Kind,
    rounds: u32,
    salt: Vec<u8>,
}

impl Recipe for ShaCrypt {
    fn work(&self) -> Work {
        let family = match self.kind {
            Kind::Sha256 => Family::Sha256Crypt,
            Kind::Sha512 => Family::Sha512Crypt,
        };
        Work { family, units: self.rounds.into() }
    }

    fn is_fast(&self) -> bool {
        self.rounds < FAST_BELOW
    }

    fn written(&self) -> String {
        format!("{}$i={}${}", self.kind.name(), self.rounds, encode(&self.salt))
    }

    fn digest(&self, password: &[u8], _: &mut WorkingMemory) -> Option<Zeroizing<Vec<u8>>> {
        let (password, whole) = iterated(password);
        let digest = raw(self.kind, self.rounds, &self.salt, password);
        // In C a password ends at NUL.
        (whole && !password.contains(&0)).then_some(digest)
    }
}

fn raw(kind: Kind, rounds: u32, salt: &[u8], password: &[u8]) -> Zeroizing<Vec<u8>> {
    let params = sha_crypt::Params::new(rounds.max(sha_crypt::Params::ROUNDS_MIN)).unwrap_or_default();
    Zeroizing::new(match kind {
        Kind::Sha256 => sha_crypt::sha256_crypt(password, salt, params).to_vec(),
        Kind::Sha512 => sha_crypt::sha512_crypt(password, salt, params).to_vec(),
    })
}

/// So many rounds of SHA-256-crypt for nothing.
pub(super) fn rounds_256(rounds: u64, password: &[u8]) {
    for_nothing(Kind::Sha256, rounds, password);
}

/// So many rounds of SHA-512-crypt for nothing.
pub(super) fn rounds_512(rounds: u64, password: &[u8]) {
    for_nothing(Kind::Sha512, rounds, password);
}

fn for_nothing(kind: Kind, rounds: u64, password: &[u8]) {
    if let Ok(rounds @ 1..) = u32::try_from(rounds) {
        std::hint::black_box(raw(kind, rounds, b"for nothing", iterated(password).0));
    }
}

/// `$6$rounds=5000$salt$digest`, where the rounds may be left out.
pub(super) fn parse(text: &str) -> Found {
    let (kind, rest) = if let Some(rest) = text.strip_prefix("$6$") {
        (Kind::Sha512, rest)
    } else {
        (Kind::Sha256, text.strip_prefix("$5$")?)
    };
    Some(parse_crypt(kind, rest))
}

fn parse_crypt(kind: Kind, rest: &str) -> Result<ForeignHash, Unusable> {
    let format = Named(kind.name());
    let (rounds, rest) = match rest.strip_prefix("rounds=") {
        Some(rest) => {
            let (rounds, rest) = rest.split_once('$').ok_or_else(|| format.malformed("its rounds"))?;
            (format.cost(rounds, "the number of rounds", &ROUNDS)?, rest)
        }
        None => (USUAL_ROUNDS, rest),
    };
    let (salt, digest) = rest.split_once('$').ok_or_else(|| format.malformed("it needs salt and digest"))?;
    let salt =
        format.sized(salt.as_bytes().to_vec(), "the salt has at most 16 characters", 0..=SALT_BYTES)?;
    let tag = decode(kind, digest.as_bytes()).ok_or_else(|| format.malformed("its digest"))?;
    let rounds = u32::try_from(rounds).map_err(|_| format.malformed("its rounds"))?;
    Ok(ForeignHash::new(format.0, ShaCrypt { kind, rounds, salt }, tag))
}

/// The order in which the bytes of a digest are written: three and three, the last of each three in the lowest bits.
fn order(kind: Kind) -> Vec<usize> {
    // Each three moves on by one, and round; what is left over stands at the end.
    let (third, last, step): (usize, &[usize], _) = match kind {
        Kind::Sha256 => (10, &[31, 30], [2, 0, 1]),
        Kind::Sha512 => (21, &[63], [1, 2, 0]),
    };
    let mut order = Vec::new();
    let mut turn = 0;
    for row in 0..third {
        order.extend((0..3).map(|place| row + third * ((turn + place) % 3)));
        turn = step[turn];
    }
    order.extend_from_slice(last);
    order
}

fn decode(kind: Kind, text: &[u8]) -> Option<Vec<u8>> {
    let order = order(kind);
    if text.len() != (order.len() * 4).div_ceil(3) {
        return None;
    }
    let mut bytes = vec![0; order.len()];
    for (group, characters) in order.chunks(3).zip(text.chunks(4)) {
        let mut value = 0_usize;
        for (place, character) in characters.iter().enumerate() {
            value |= ALPHABET.iter().position(|digit| digit == character)? << (6 * place);
        }
        // The bits beyond the last byte are never set.
        if value >> (8 * group.len()) != 0 {
            return None;
        }
        for (place, index) in group.iter().rev().enumerate() {
            let [byte, ..] = (value >> (8 * place)).to_le_bytes();
            bytes[*index] = byte;
        }
    }
    Some(bytes)
}

/// Reads what [`Recipe::written`] has written.
pub(super) fn read(name: &str, parameters: &str, salt: &[u8]) -> Option<Result<Box<dyn Recipe>, Unusable>> {
    let (name, kind) = Kind::ALL.into_iter().find(|(known, _)| *known == name)?;
    let format = Named(name);
    let read = || -> Result<Box<dyn Recipe>, Unusable> {
        let bad = || format.malformed("its parameters");
        let rounds =
            format.cost(parameters.strip_prefix("i=").ok_or_else(bad)?, "the number of rounds", &ROUNDS)?;
        Ok(Box::new(ShaCrypt {
            kind,
            rounds: u32::try_from(rounds).map_err(|_| bad())?,
            salt: salt.to_vec(),
        }))
    };
    Some(read())
}
