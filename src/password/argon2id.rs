//! Argon2id (RFC 9106) over memory that is used again, and its hashes as PHC strings.

use std::fmt;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize as _, Zeroizing};

use super::foreign::{Family, Tally, Unusable, Work};
use super::policy::Password;
use crate::model::PasswordHash;
use crate::secret::random;

/// The bytes of salt in a new hash (RFC 9106 §4).
pub const SALT_BYTES: usize = 16;
/// The bytes of tag in a new hash (RFC 9106 §4).
pub const TAG_BYTES: usize = 32;

/// Parameters that a hash must not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHashParameters {
    /// Too little to be Argon2, or more than a login may cost.
    #[error("memory must be at least 8 KiB for each lane and at most {} KiB", HashParameters::MAX_MEMORY_KIB)]
    Memory,
    /// None, or more than a login may cost.
    #[error("iterations must be 1 to {}", HashParameters::MAX_ITERATIONS)]
    Iterations,
    /// None, or more than any machine makes use of.
    #[error("parallelism must be 1 to {}", HashParameters::MAX_PARALLELISM)]
    Parallelism,
}

/// What one hash costs (RFC 9106 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashParameters {
    memory_kib: u32,
    iterations: u32,
    parallelism: u32,
}

impl HashParameters {
    /// The most memory, in KiB: 256 MiB. A hash that asks for more is refused unread, so that no row of a
    /// database can exhaust the machine.
    pub const MAX_MEMORY_KIB: u32 = 256 * 1024;
    /// The most passes over the memory.
    pub const MAX_ITERATIONS: u32 = 20;
    /// The most lanes.
    pub const MAX_PARALLELISM: u32 = 64;

    /// Memory in KiB, passes over it, lanes; each within its bounds, and at least 8 KiB for each lane.
    pub fn new(memory_kib: u32, iterations: u32, parallelism: u32) -> Result<Self, InvalidHashParameters> {
        if !(1..=Self::MAX_PARALLELISM).contains(&parallelism) {
            return Err(InvalidHashParameters::Parallelism);
        }
        if !(1..=Self::MAX_ITERATIONS).contains(&iterations) {
            return Err(InvalidHashParameters::Iterations);
        }
        if !(8 * parallelism..=Self::MAX_MEMORY_KIB).contains(&memory_kib) {
            return Err(InvalidHashParameters::Memory);
        }
        Ok(Self { memory_kib, iterations, parallelism })
    }

    /// Memory, in KiB.
    pub const fn memory_kib(self) -> u32 {
        self.memory_kib
    }

    /// Passes over the memory.
    pub const fn iterations(self) -> u32 {
        self.iterations
    }

    /// Lanes. They are computed one after the other: the pool's threads are the parallelism.
    pub const fn parallelism(self) -> u32 {
        self.parallelism
    }

    /// What a hash takes, in KiB that are filled: its time is in proportion to that.
    pub const fn work_kib(self) -> u64 {
        self.memory_kib as u64 * self.iterations as u64
    }

    /// The parameters of a hash that takes so much, in as many passes as these: the first pass over memory is not like the
    /// others. `None` when it is less than Argon2 can do, or more than a hash may take.
    #[must_use]
    pub fn of_work(self, kib: u64) -> Option<Self> {
        let memory_kib = u32::try_from(kib / u64::from(self.iterations)).ok()?;
        Self::new(memory_kib, self.iterations, self.parallelism).ok()
    }

    fn params(self, tag_bytes: usize) -> Params {
        Params::new(self.memory_kib, self.iterations, self.parallelism, Some(tag_bytes))
            .expect("our bounds lie within those of Argon2")
    }
}

impl Default for HashParameters {
    /// 19 MiB, two passes, one lane: the first choice of the OWASP Password Storage Cheat Sheet.
    fn default() -> Self {
        Self { memory_kib: 19_456, iterations: 2, parallelism: 1 }
    }
}

/// The memory that hashes are computed in. Kept from one hash to the next, because fresh pages cost a fifth of
/// the time of a hash; so it holds what the last password was turned into until the next hash or
/// [`WorkingMemory::wipe`] overwrites it, and is wiped when dropped.
pub struct WorkingMemory {
    blocks: Vec<Block>,
    dirty: bool,
    hashes: u64,
    tally: Tally,
}

impl WorkingMemory {
    /// As much as one hash with these parameters needs; grows when another asks for more.
    pub fn new(parameters: HashParameters) -> Self {
        let blocks = vec![Block::new(); parameters.params(TAG_BYTES).block_count()];
        Self { blocks, ..Self::default() }
    }

    /// Gives all of it back, wiped.
    pub fn release(&mut self) {
        self.wipe();
        self.blocks = Vec::new();
    }

    /// How much there is, in bytes.
    pub const fn bytes(&self) -> usize {
        size_of::<Block>() * self.blocks.len()
    }

    /// Overwrites what the last hash left behind, if there was one.
    pub fn wipe(&mut self) {
        if self.dirty {
            self.blocks.iter_mut().zeroize();
            self.dirty = false;
        }
    }

    /// Whether a hash was computed since the last [`WorkingMemory::wipe`].
    pub const fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// How many hashes were computed in it.
    pub const fn hashes(&self) -> u64 {
        self.hashes
    }

    /// What all of them took together.
    pub const fn tally(&self) -> Tally {
        self.tally
    }

    /// Notes a hash that was computed elsewhere than in this memory, as those of other kinds are.
    pub const fn note(&mut self, work: Work) {
        self.hashes += 1;
        self.tally.add(work);
    }

    /// Gives back what is more than these parameters need, so that one costly stored hash does not hold its
    /// memory for ever.
    pub fn shrink_to(&mut self, parameters: HashParameters) {
        let needed = parameters.params(TAG_BYTES).block_count();
        if self.blocks.len() > needed {
            self.wipe();
            self.blocks.truncate(needed);
            self.blocks.shrink_to_fit();
        }
    }

    fn blocks(&mut self, count: usize) -> &mut [Block] {
        if self.blocks.len() < count {
            // Wiped first: growing moves the blocks and leaves the old ones to the allocator.
            self.wipe();
            self.blocks.resize(count, Block::new());
        }
        self.dirty = true;
        &mut self.blocks
    }
}

impl Default for WorkingMemory {
    /// None as yet: it grows to what a hash needs.
    fn default() -> Self {
        Self { blocks: Vec::new(), dirty: false, hashes: 0, tally: Tally::default() }
    }
}

impl Drop for WorkingMemory {
    fn drop(&mut self) {
        self.wipe();
    }
}

impl fmt::Debug for WorkingMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WorkingMemory({} KiB)", self.blocks.len())
    }
}

/// A stored hash that cannot be verified against. Says nothing of the hash itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CorruptHash {
    /// Another algorithm, or another version of Argon2 than 19.
    #[error("the stored hash is not Argon2id version 19")]
    OtherAlgorithm,
    /// Not `$argon2id$v=19$m=…,t=…,p=…$salt$tag`, or salt or tag of a length that nobody makes.
    #[error("the stored hash is not a well-formed PHC string")]
    Malformed,
    /// It asks for more than any login may cost, or for less than Argon2 can do.
    #[error("the stored hash has parameters out of bounds: {0}")]
    Parameters(#[from] InvalidHashParameters),
    /// It is the hash of another system, and cannot be taken.
    #[error("the stored hash cannot be used: {0}")]
    Foreign(#[from] Unusable),
}

/// A hash of a password, in its parts.
#[derive(Clone)]
pub struct Argon2idHash {
    parameters: HashParameters,
    salt: Vec<u8>,
    tag: Vec<u8>,
}

impl Argon2idHash {
    /// Hashes the exact bytes of a password.
    pub fn compute(
        password: &Password,
        salt: [u8; SALT_BYTES],
        parameters: HashParameters,
        memory: &mut WorkingMemory,
    ) -> Self {
        Self::compute_bytes(password.expose().as_bytes(), salt, parameters, memory)
    }

    /// Hashes bytes that are no password, but stand for one.
    pub fn compute_bytes(
        bytes: &[u8],
        salt: [u8; SALT_BYTES],
        parameters: HashParameters,
        memory: &mut WorkingMemory,
    ) -> Self {
        let mut tag = vec![0; TAG_BYTES];
        fill_tag(OURS, bytes, &salt, parameters, memory, &mut tag);
        Self { parameters, salt: salt.to_vec(), tag }
    }

    /// A hash of nothing: no password matches it, and trying one costs what any hash with these parameters
    /// costs.
    pub fn decoy(parameters: HashParameters) -> Self {
        Self { parameters, salt: random::<SALT_BYTES>().to_vec(), tag: random::<TAG_BYTES>().to_vec() }
    }

    /// Reads a PHC string. Strict: one hash has one spelling, the one that the reference implementation writes.
    pub fn parse(hash: &PasswordHash) -> Result<Self, CorruptHash> {
        let mut fields = hash.as_phc().split('$');
        let mut field = || fields.next().ok_or(CorruptHash::Malformed);
        if !field()?.is_empty() {
            return Err(CorruptHash::Malformed);
        }
        if (field()?, field()?) != ("argon2id", "v=19") {
            return Err(CorruptHash::OtherAlgorithm);
        }
        let parameters = parse_parameters(field()?)?;
        let salt = decode(field()?, 8..=64)?;
        let tag = decode(field()?, 16..=64)?;
        match fields.next() {
            None => Ok(Self { parameters, salt, tag }),
            Some(_) => Err(CorruptHash::Malformed),
        }
    }

    /// The PHC string.
    pub fn to_phc(&self) -> PasswordHash {
        let HashParameters { memory_kib, iterations, parallelism } = self.parameters;
        let (salt, tag) = (STANDARD_NO_PAD.encode(&self.salt), STANDARD_NO_PAD.encode(&self.tag));
        PasswordHash::from_phc(format!(
            "$argon2id$v=19$m={memory_kib},t={iterations},p={parallelism}${salt}${tag}"
        ))
    }

    /// Whether this is a hash of the password. Takes the time of one hash, whatever the answer.
    pub fn matches(&self, password: &Password, memory: &mut WorkingMemory) -> bool {
        self.matches_bytes(password.expose().as_bytes(), memory)
    }

    /// The same for bytes that are no password, but stand for one.
    pub fn matches_bytes(&self, bytes: &[u8], memory: &mut WorkingMemory) -> bool {
        let mut tag = Zeroizing::new(vec![0; self.tag.len()]);
        fill_tag(OURS, bytes, &self.salt, self.parameters, memory, &mut tag);
        tag.ct_eq(&self.tag).into()
    }

    /// What it was made with.
    pub const fn parameters(&self) -> HashParameters {
        self.parameters
    }

    /// Whether a hash made today, with the parameters wanted, would be another kind of hash.
    pub fn needs_rehash(&self, wanted: HashParameters) -> bool {
        self.parameters != wanted || self.salt.len() != SALT_BYTES || self.tag.len() != TAG_BYTES
    }
}

impl fmt::Debug for Argon2idHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Argon2idHash").field("parameters", &self.parameters).finish_non_exhaustive()
    }
}

/// The variant and the version of every hash that is made here.
const OURS: (Algorithm, Version) = (Algorithm::Argon2id, Version::V0x13);

/// Computes the digest of one hash, of any variant and version.
pub(super) fn fill_tag(
    (algorithm, version): (Algorithm, Version),
    password: &[u8],
    salt: &[u8],
    parameters: HashParameters,
    memory: &mut WorkingMemory,
    tag: &mut [u8],
) {
    let params = parameters.params(tag.len());
    let blocks = memory.blocks(params.block_count());
    Argon2::new(algorithm, version, params)
        .hash_password_into_with_memory(password, salt, tag, blocks)
        .expect("salt, tag and memory have lengths that Argon2 takes");
    memory.note(Work { family: Family::Argon2, units: parameters.work_kib() });
}

fn parse_parameters(field: &str) -> Result<HashParameters, CorruptHash> {
    let mut pairs = field.split(',');
    let mut number = |prefix| {
        let digits = pairs.next().and_then(|pair| pair.strip_prefix(prefix)).ok_or(CorruptHash::Malformed)?;
        if digits.starts_with(['0', '+']) {
            return Err(CorruptHash::Malformed);
        }
        digits.parse::<u32>().map_err(|_| CorruptHash::Malformed)
    };
    let (memory_kib, iterations, parallelism) = (number("m=")?, number("t=")?, number("p=")?);
    if pairs.next().is_some() {
        return Err(CorruptHash::Malformed);
    }
    Ok(HashParameters::new(memory_kib, iterations, parallelism)?)
}

fn decode(field: &str, length: std::ops::RangeInclusive<usize>) -> Result<Vec<u8>, CorruptHash> {
    // Looked at before anything is decoded, so that an absurd field costs nothing.
    if field.len() > length.end() * 2 {
        return Err(CorruptHash::Malformed);
    }
    let bytes = STANDARD_NO_PAD.decode(field).map_err(|_| CorruptHash::Malformed)?;
    if length.contains(&bytes.len()) { Ok(bytes) } else { Err(CorruptHash::Malformed) }
}

#[cfg(test)]
mod tests;
