//! Verification of Countersign access tokens, without a call to the server.
//!
//! The server's own `VerifyAccessToken` runs on this crate, so that there is one implementation of the rules
//! and not two. It knows nothing of stores, configuration or gRPC: keys and revocations are handed to it, unless
//! the feature `client` fetches them.

mod cache;
mod claims;
#[cfg(feature = "client")]
pub mod client;
mod clock;
mod freshness;
mod id;
mod invalid;
mod json;
mod jws;
mod key;
mod memo;
mod revocation;
mod tally;
#[cfg(feature = "testing")]
pub mod testing;
mod trusted_keys;
mod verifier;
mod verify;

pub use claims::{Claims, SubjectKind};
pub use clock::{Clock, ManualClock, Monotonic, SystemClock, UnixMillis};
pub use freshness::{CLOCK_STEP, Freshness, RevocationView};
pub use id::{Epoch, ParseIdError, SessionId, UserId};
pub use invalid::InvalidReason;
pub use key::{
    Algorithm, DuplicateKeyId, InvalidKey, InvalidKeyId, KeyId, KeySet, UnknownAlgorithm, VerifyingKey,
};
pub use memo::Memo;
pub use revocation::{Reload, RevocationIndex, Revoked};
pub use tally::CacheStats;
pub use trusted_keys::TrustedKeys;
pub use verifier::Verifier;
pub use verify::{Rules, VerifiedToken, authenticate, verify};
