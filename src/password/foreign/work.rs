//! What checking a password costs, counted in a way that does not depend on the machine.
//!
//! Hashes of one family do the same thing more or less often, so what one of them lacks to another can be done for
//! nothing. A refused login does so for every family: see `pool/worker.rs`.

use super::{bcrypt, crypt, digest, pbkdf2, phpass, scrypt};
use crate::password::argon2id::{Argon2idHash, HashParameters, WorkingMemory};

/// Hashes that differ in nothing but how much of the same they do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Argon2, in KiB that are filled.
    Argon2,
    /// bcrypt, in rounds of its key schedule.
    Bcrypt,
    /// scrypt, in KiB that are filled.
    Scrypt,
    /// PBKDF2 with HMAC-SHA-1, in iterations for all blocks together.
    Pbkdf2Sha1,
    /// PBKDF2 with HMAC-SHA-256.
    Pbkdf2Sha256,
    /// PBKDF2 with HMAC-SHA-512.
    Pbkdf2Sha512,
    /// phpass, in rounds of MD5.
    Phpass,
    /// Drupal 7, in rounds of SHA-512.
    Drupal,
    /// SHA-256-crypt, in rounds.
    Sha256Crypt,
    /// SHA-512-crypt, in rounds.
    Sha512Crypt,
    /// A plain digest, in the number of times that it is computed.
    Digest,
}

impl Family {
    /// Every family.
    pub const ALL: [Self; 11] = [
        Self::Argon2,
        Self::Bcrypt,
        Self::Scrypt,
        Self::Pbkdf2Sha1,
        Self::Pbkdf2Sha256,
        Self::Pbkdf2Sha512,
        Self::Phpass,
        Self::Drupal,
        Self::Sha256Crypt,
        Self::Sha512Crypt,
        Self::Digest,
    ];
}

/// An amount of work in one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    /// Of what.
    pub family: Family,
    /// How much, in the family's unit.
    pub units: u64,
}

/// How much was done in each family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally([u64; Family::ALL.len()]);

impl Tally {
    /// How much of this family.
    pub const fn of(&self, family: Family) -> u64 {
        self.0[family as usize]
    }

    /// Adds some.
    pub const fn add(&mut self, work: Work) {
        self.0[work.family as usize] += work.units;
    }

    /// Adds all of another.
    pub fn add_all(&mut self, other: &Self) {
        for (ours, theirs) in self.0.iter_mut().zip(other.0) {
            *ours += theirs;
        }
    }

    /// What was done between `earlier` and this.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self(std::array::from_fn(|family| self.0[family] - earlier.0[family]))
    }

    /// The same, but no more Argon2 than a hash of another system may take: one that was made here with dearer parameters does
    /// not slow down everybody else.
    #[must_use]
    pub fn within_a_login(mut self) -> Self {
        let argon2 = &mut self.0[Family::Argon2 as usize];
        *argon2 = (*argon2).min(super::argon2::MOST_WORK_KIB);
        self
    }

    /// The larger of the two, family by family.
    pub fn raise_to(&mut self, other: &Self) {
        for (ours, theirs) in self.0.iter_mut().zip(other.0) {
            *ours = (*ours).max(theirs);
        }
    }
}

/// Does so much work, and nothing with it. `argon2` is the cost of the hashes that new passwords get.
pub fn do_for_nothing(work: Work, password: &[u8], argon2: HashParameters, memory: &mut WorkingMemory) {
    let Work { family, units } = work;
    match family {
        Family::Argon2 => fill_for_nothing(units, password, argon2, memory),
        Family::Bcrypt => bcrypt::do_rounds(units, password),
        Family::Scrypt => scrypt::fill(units, password),
        Family::Pbkdf2Sha1 => pbkdf2::iterate(pbkdf2::Prf::Sha1, units, password),
        Family::Pbkdf2Sha256 => pbkdf2::iterate(pbkdf2::Prf::Sha256, units, password),
        Family::Pbkdf2Sha512 => pbkdf2::iterate(pbkdf2::Prf::Sha512, units, password),
        Family::Phpass => phpass::md5_rounds(units, password),
        Family::Drupal => phpass::sha512_rounds(units, password),
        Family::Sha256Crypt => crypt::rounds_256(units, password),
        Family::Sha512Crypt => crypt::rounds_512(units, password),
        Family::Digest => digest::rounds(units, password),
    }
    // Argon2 notes by itself what it has filled.
    if family != Family::Argon2 {
        memory.note(work);
    }
}

/// Whole hashes as new passwords get them, and the rest as one with less memory and as many passes: the first pass over
/// memory is not like the others.
fn fill_for_nothing(mut kib: u64, password: &[u8], argon2: HashParameters, memory: &mut WorkingMemory) {
    while kib >= argon2.work_kib() {
        Argon2idHash::decoy(argon2).matches_bytes(password, memory);
        kib -= argon2.work_kib();
    }
    if let Some(rest) = argon2.of_work(kib) {
        Argon2idHash::decoy(rest).matches_bytes(password, memory);
    }
}
