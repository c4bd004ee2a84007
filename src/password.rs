//! Passwords: which ones may be set, how they are hashed, and the threads that do the hashing.
//!
//! A password is its exact bytes: never trimmed, normalised or case-folded on the way to the hash.

pub mod argon2id;
mod breached;
pub mod foreign;
pub mod policy;
pub mod pool;

pub use argon2id::{Argon2idHash, CorruptHash, HashParameters, InvalidHashParameters, WorkingMemory};
pub use breached::{BreachedPasswords, InvalidBreachedFile, InvalidBreachedList, build as build_breached};
pub use foreign::{Imported, Unusable};
pub use policy::{InvalidPassword, Password, PasswordPolicy, Unfit};
pub use pool::{AdoptError, HashingPool, PoolError, PoolOptions, PoolStats, Reservation, Verdict};
