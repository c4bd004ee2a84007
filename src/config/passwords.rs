//! `[passwords]`

use std::num::NonZeroUsize;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::bounds;
use super::error::Problem;

/// The least that NIST SP 800-63B-4 §3.1.1.2 asks for.
const MIN_LENGTH: usize = 8;

/// What an Argon2id hash (RFC 9106) costs, and how many are made at once; and what may become a password. Changed costs hold
/// for a user from their next login on, the rest from the next time that a password is set.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Passwords {
    /// m: the memory of one hash in KiB; 8 for each lane to 1048576. `COUNTERSIGN__PASSWORDS__MEMORY_KIB`
    pub memory_kib: u32,
    /// t: the passes over the memory; 1 to 100. `COUNTERSIGN__PASSWORDS__ITERATIONS`
    pub iterations: u32,
    /// p: the lanes; 1 to 16. `COUNTERSIGN__PASSWORDS__PARALLELISM`
    pub parallelism: u32,
    /// How many hashes are made at once, each in memory of its own; at most 1024, 0 is one for each processor.
    /// `COUNTERSIGN__PASSWORDS__THREADS`
    pub threads: usize,
    /// How many logins may wait for a thread, 1 to 100000; one more is refused as `LOGIN_OVERLOADED`.
    /// `COUNTERSIGN__PASSWORDS__QUEUE`
    pub queue: usize,
    /// The shortest password that may be set, in bytes of UTF-8; 8 to 64. `COUNTERSIGN__PASSWORDS__MIN_LENGTH`
    pub min_length: usize,
    /// The file of passwords that are known from breaches and may not be set, made by `countersign passwords
    /// build-breached`; none when empty. `COUNTERSIGN__PASSWORDS__BREACHED_FILE`
    pub breached_file: PathBuf,
}

impl Default for Passwords {
    fn default() -> Self {
        Self {
            memory_kib: 19_456,
            iterations: 2,
            parallelism: 1,
            threads: 0,
            queue: 256,
            min_length: MIN_LENGTH,
            breached_file: PathBuf::new(),
        }
    }
}

impl Passwords {
    /// How many threads hash: as configured, or as many as this process may use processors.
    pub fn threads(&self) -> NonZeroUsize {
        NonZeroUsize::new(self.threads)
            .or_else(|| std::thread::available_parallelism().ok())
            .unwrap_or(NonZeroUsize::MIN)
    }

    pub(super) fn check(&self) -> Result<(), Problem> {
        bounds::number("passwords.parallelism", self.parallelism, &(1..=16))?;
        bounds::number("passwords.memory_kib", self.memory_kib, &(8 * self.parallelism..=1_048_576))?;
        bounds::number("passwords.iterations", self.iterations, &(1..=100))?;
        bounds::number("passwords.threads", self.threads, &(0..=1024))?;
        bounds::number("passwords.queue", self.queue, &(1..=100_000))?;
        bounds::number("passwords.min_length", self.min_length, &(MIN_LENGTH..=64))
    }
}
