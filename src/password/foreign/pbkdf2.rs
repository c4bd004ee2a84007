//! PBKDF2 (RFC 8018) with HMAC-SHA-1, -256 and -512, and the way in which passlib writes it.

use std::num::NonZeroU32;

use aws_lc_rs::pbkdf2::{self, Algorithm};
use zeroize::Zeroizing;

use super::text::{Named, encode, parts};
use super::{Family, ForeignHash, Found, Recipe, Unusable, Work};
use crate::password::argon2id::WorkingMemory;

/// The most that one password may cost, in iterations for all blocks together.
const MOST_ITERATIONS: u64 = 4_000_000;
/// With less than this a hash is wrapped.
const FAST_BELOW: u64 = 100_000;
/// How long a derived key may be, in bytes: less is guessed by chance, and more costs as much again and proves no more.
pub(super) const TAG_BYTES: std::ops::RangeInclusive<usize> = 16..=64;

/// The function that is iterated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Prf {
    Sha1,
    Sha256,
    Sha512,
}

impl Prf {
    const ALL: [(&'static str, Self); 3] =
        [("pbkdf2-sha1", Self::Sha1), ("pbkdf2-sha256", Self::Sha256), ("pbkdf2-sha512", Self::Sha512)];

    pub(super) const fn name(self) -> &'static str {
        Self::ALL[self as usize].0
    }

    const fn algorithm(self) -> Algorithm {
        match self {
            Self::Sha1 => pbkdf2::PBKDF2_HMAC_SHA1,
            Self::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
            Self::Sha512 => pbkdf2::PBKDF2_HMAC_SHA512,
        }
    }

    /// The bytes of a block, which costs all iterations.
    pub(super) const fn block_bytes(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    const fn family(self) -> Family {
        match self {
            Self::Sha1 => Family::Pbkdf2Sha1,
            Self::Sha256 => Family::Pbkdf2Sha256,
            Self::Sha512 => Family::Pbkdf2Sha512,
        }
    }
}

/// PBKDF2 with its iterations and salt.
#[derive(Debug, Clone)]
pub(super) struct Pbkdf2 {
    prf: Prf,
    iterations: NonZeroU32,
    salt: Vec<u8>,
    tag_bytes: usize,
}

impl Pbkdf2 {
    /// Checks the iterations against what a login may cost.
    pub(super) fn new(
        format: Named,
        prf: Prf,
        iterations: u64,
        salt: Vec<u8>,
        tag_bytes: usize,
    ) -> Result<Self, Unusable> {
        let blocks = tag_bytes.div_ceil(prf.block_bytes()) as u64;
        let most = MOST_ITERATIONS / blocks.max(1);
        format.within(iterations, "the number of iterations", &(1..=most))?;
        let iterations = u32::try_from(iterations).ok().and_then(NonZeroU32::new);
        let iterations = iterations.ok_or_else(|| format.malformed("the number of iterations"))?;
        let salt = format.sized(salt, "the salt has at most 1024 bytes", 0..=1024)?;
        Ok(Self { prf, iterations, salt, tag_bytes })
    }

    /// The hash with this derived key.
    pub(super) fn with_tag(
        format: Named,
        prf: Prf,
        iterations: u64,
        salt: Vec<u8>,
        tag: Vec<u8>,
    ) -> Result<ForeignHash, Unusable> {
        let tag = format.tag(tag)?;
        Ok(ForeignHash::new(format.0, Self::new(format, prf, iterations, salt, tag.len())?, tag))
    }
}

impl Recipe for Pbkdf2 {
    fn work(&self) -> Work {
        let blocks = self.tag_bytes.div_ceil(self.prf.block_bytes()) as u64;
        Work { family: self.prf.family(), units: u64::from(self.iterations.get()) * blocks }
    }

    /// By the iterations of one block: whoever guesses needs no more of them.
    fn is_fast(&self) -> bool {
        u64::from(self.iterations.get()) < FAST_BELOW
    }

    fn written(&self) -> String {
        format!("{}$i={},l={}${}", self.prf.name(), self.iterations, self.tag_bytes, encode(&self.salt))
    }

    fn digest(&self, password: &[u8], _: &mut WorkingMemory) -> Option<Zeroizing<Vec<u8>>> {
        let mut tag = Zeroizing::new(vec![0; self.tag_bytes]);
        pbkdf2::derive(self.prf.algorithm(), self.iterations, &self.salt, password, &mut tag);
        Some(tag)
    }
}

/// So many iterations for nothing.
pub(super) fn iterate(prf: Prf, iterations: u64, password: &[u8]) {
    if let Some(iterations) = u32::try_from(iterations).ok().and_then(NonZeroU32::new) {
        let mut tag = [0; 20];
        pbkdf2::derive(prf.algorithm(), iterations, b"for nothing", password, &mut tag);
    }
}

/// passlib's `$pbkdf2$iterations$salt$digest`, `$pbkdf2-sha256$…` and `$pbkdf2-sha512$…`.
pub(super) fn parse(text: &str) -> Found {
    let (name, rest) = text.strip_prefix('$')?.split_once('$')?;
    let (format, prf) = match name {
        "pbkdf2" | "pbkdf2-sha1" => (Named("passlib-pbkdf2-sha1"), Prf::Sha1),
        "pbkdf2-sha256" => (Named("passlib-pbkdf2-sha256"), Prf::Sha256),
        "pbkdf2-sha512" => (Named("passlib-pbkdf2-sha512"), Prf::Sha512),
        _ => return None,
    };
    let read = || {
        let [iterations, salt, tag] =
            parts(rest, '$').ok_or_else(|| format.malformed("it needs iterations, salt and digest"))?;
        let iterations = format.number(iterations, "the number of iterations")?;
        let salt = format.adapted_base64(salt, "its salt", 0..=1024)?;
        let tag = format.adapted_base64(tag, "its digest", TAG_BYTES)?;
        Pbkdf2::with_tag(format, prf, iterations, salt, tag)
    };
    Some(read())
}

/// Reads what [`Recipe::written`] has written.
pub(super) fn read(name: &str, parameters: &str, salt: &[u8]) -> Option<Result<Box<dyn Recipe>, Unusable>> {
    let (name, prf) = Prf::ALL.into_iter().find(|(known, _)| *known == name)?;
    let format = Named(name);
    let read = || -> Result<Box<dyn Recipe>, Unusable> {
        let bad = || format.malformed("its parameters");
        let [i, l] = parts(parameters, ',').ok_or_else(bad)?;
        let iterations = format.number(i.strip_prefix("i=").ok_or_else(bad)?, "the number of iterations")?;
        let tag_bytes =
            format.cost(l.strip_prefix("l=").ok_or_else(bad)?, "the length of the digest", &(16..=64))?;
        let tag_bytes = usize::try_from(tag_bytes).map_err(|_| bad())?;
        Ok(Box::new(Pbkdf2::new(format, prf, iterations, salt.to_vec(), tag_bytes)?))
    };
    Some(read())
}
