use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use crate::KeySet;

/// The key set in force, replaceable while tokens are being verified.
#[derive(Debug, Default)]
pub struct TrustedKeys {
    set: ArcSwap<KeySet>,
    /// How many times a key was withdrawn. Raised after the set was exchanged: a token that was verified with
    /// keys read *after* this number was read is at least as good as the number says.
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
    /// key has now; then no token is accepted for
    /// having been verified before.
    pub fn replace(&self, set: impl Into<Arc<KeySet>>) -> bool {
        let set = set.into();
        let _one_at_a_time = self.replacing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.set.swap(set.clone());
        let withdrawn = before.iter().any(|key| !set.trusts(key));
        if withdrawn {
            self.withdrawals.fetch_add(1, Ordering::Release);
        }
        withdrawn
    }

    /// See [`TrustedKeys::withdrawals`].
    pub(crate) fn withdrawals(&self) -> u64 {
        self.withdrawals.load(Ordering::Acquire)
    }

    pub(crate) fn load(&self) -> arc_swap::Guard<Arc<KeySet>> {
        self.set.load()
    }
}
