use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use crate::KeySet;

/// The key set in force, replaceable while tokens are being verified.
#[derive(Debug, Default)]
pub struct TrustedKeys {
    set: ArcSwap<KeySet>,
    /// Twice as many as the times that keys were withdrawn, and one more while the set is being exchanged for it. Raised
    /// before: whoever sees that a key is gone sees that it was withdrawn. Raised again after: what was verified in
    /// between, perhaps with the old keys, is not good by the number that is read from then on.
    withdrawals: AtomicU64,
    replacing: Mutex<()>,
}

impl TrustedKeys {
    /// Trusts these keys.
    pub fn new(set: impl Into<Arc<KeySet>>) -> Self {
        Self { set: ArcSwap::new(set.into()), ..Self::default() }
    }

    /// The keys as they are now.
    pub fn current(&self) -> Arc<KeySet> {
        self.set.load_full()
    }

    /// Trusts these keys and no others. Says whether a key was withdrawn by it, as one is too whose name another
    /// key has now; then no token is accepted for having been verified before.
    pub fn replace(&self, set: impl Into<Arc<KeySet>>) -> bool {
        self.exchange(set.into(), || ())
    }

    /// `meanwhile` is what others may do just before the set is exchanged, and just after.
    fn exchange(&self, set: Arc<KeySet>, meanwhile: impl Fn()) -> bool {
        let _one_at_a_time = self.replacing.lock().unwrap_or_else(PoisonError::into_inner);
        let withdrawn = self.set.load().iter().any(|key| !set.trusts(key));
        let raise = || {
            if withdrawn {
                self.withdrawals.fetch_add(1, Ordering::AcqRel);
            }
        };
        raise();
        meanwhile();
        self.set.store(set);
        meanwhile();
        raise();
        withdrawn
    }

    /// By which number a token was verified, if its keys are read after it; none while keys are being withdrawn, when
    /// nothing that was verified before may be used.
    pub(crate) fn withdrawals(&self) -> Option<u64> {
        Some(self.withdrawals.load(Ordering::Acquire)).filter(|number| number % 2 == 0)
    }

    pub(crate) fn load(&self) -> arc_swap::Guard<Arc<KeySet>> {
        self.set.load()
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};

    use super::*;
    use crate::{Algorithm, KeyId, VerifyingKey};

    fn key(name: &str) -> VerifyingKey {
        let pair = Ed25519KeyPair::generate().unwrap();
        // SubjectPublicKeyInfo of an Ed25519 key (RFC 8410 §4).
        let head = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
        let der = [&head[..], pair.public_key().as_ref()].concat();
        VerifyingKey::from_spki_der(KeyId::parse(name).unwrap(), Algorithm::EdDSA, &der).unwrap()
    }

    #[test]
    fn nothing_that_was_verified_before_is_good_while_a_key_is_withdrawn_nor_what_is_verified_meanwhile_after()
     {
        let keys = TrustedKeys::new(KeySet::new([key("a")]).unwrap());
        let before = keys.withdrawals();
        assert!(before.is_some());
        let withdrawn = keys.exchange(Arc::default(), || assert_eq!(keys.withdrawals(), None));
        assert!(withdrawn);
        assert!(keys.withdrawals().is_some_and(|after| Some(after) != before));
    }

    #[test]
    fn a_key_that_is_added_spoils_nothing() {
        let keys = TrustedKeys::new(KeySet::default());
        let before = keys.withdrawals();
        let added = Arc::new(KeySet::new([key("a")]).unwrap());
        assert!(!keys.exchange(added, || assert_eq!(keys.withdrawals(), before)));
        assert_eq!(keys.withdrawals(), before);
    }
}
