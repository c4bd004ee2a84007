//! The keys that access tokens are signed and verified with.

use std::sync::Arc;

use countersign_verifier::{DuplicateKeyId, KeySet, VerifyingKey};

use super::schedule::{InvalidSchedule, Schedule};
use super::signing_key::SigningKey;
use crate::model::UnixMillis;

/// Why keys cannot be used together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSigningKeys {
    /// It cannot be told which one signs.
    #[error(transparent)]
    Schedule(#[from] InvalidSchedule),
    /// It cannot be told which one a token means.
    #[error(transparent)]
    Duplicate(#[from] DuplicateKeyId),
}

/// One key that signs, and every key that verifies.
#[derive(Debug)]
pub struct SigningKeys {
    schedule: Schedule<SigningKey>,
    key_set: Arc<KeySet>,
}

impl SigningKeys {
    /// `signing` sign, each in its time, and always verify: a key that is to sign later is announced by that.
    /// `verifying` only verify.
    pub fn new(
        signing: Vec<SigningKey>,
        verifying: impl IntoIterator<Item = VerifyingKey>,
    ) -> Result<Self, InvalidSigningKeys> {
        let public_halves: Vec<_> = signing.iter().map(|key| Arc::clone(key.verifying_key())).collect();
        let others = verifying.into_iter().map(Arc::new);
        let key_set = Arc::new(KeySet::new(public_halves.into_iter().chain(others))?);
        Ok(Self { schedule: Schedule::new(signing)?, key_set })
    }

    /// The key that signs now: the one that came into use last.
    pub fn signer(&self, now: UnixMillis) -> &SigningKey {
        self.schedule.active(now)
    }

    /// Every key that tokens are accepted from.
    pub fn key_set(&self) -> Arc<KeySet> {
        Arc::clone(&self.key_set)
    }

    /// Every key that signs now, did or will, in the order in which they come into use.
    pub fn signing(&self) -> impl Iterator<Item = &SigningKey> {
        self.schedule.iter()
    }
}

#[cfg(test)]
mod tests {
    use countersign_verifier::{Algorithm, KeyId};

    use super::super::schedule::Activation;
    use super::*;

    fn key(id: &str, activation: Activation) -> SigningKey {
        let id = KeyId::parse(id).unwrap();
        SigningKey::generate(id, Algorithm::EdDSA).active_from(activation)
    }

    #[test]
    fn a_key_verifies_before_it_signs_and_after() {
        let upcoming = key("upcoming", Activation::At(UnixMillis(10)));
        let retired = key("retired", Activation::Always);
        let public = key("public", Activation::Always);
        let public = VerifyingKey::clone(public.verifying_key());
        let keys = SigningKeys::new(vec![upcoming, retired], [public]).unwrap();
        assert_eq!(keys.signer(UnixMillis(9)).id().as_str(), "retired");
        assert_eq!(keys.signer(UnixMillis(10)).id().as_str(), "upcoming");
        for id in ["upcoming", "retired", "public"] {
            assert!(keys.key_set().get(id).is_some(), "{id}");
        }
    }

    #[test]
    fn keys_that_cannot_be_told_apart_are_refused() {
        let twice = vec![key("a", Activation::Always), key("a", Activation::At(UnixMillis(1)))];
        assert!(matches!(SigningKeys::new(twice, []), Err(InvalidSigningKeys::Duplicate(_))));
        let tied = vec![key("a", Activation::Always), key("b", Activation::Always)];
        assert!(matches!(
            SigningKeys::new(tied, []),
            Err(InvalidSigningKeys::Schedule(InvalidSchedule::Tied { .. }))
        ));
        assert!(matches!(
            SigningKeys::new(vec![], []),
            Err(InvalidSigningKeys::Schedule(InvalidSchedule::Empty))
        ));
    }
}
