//! The keys in use, replaceable while calls are under way.

use std::sync::Arc;

use arc_swap::ArcSwap;
use countersign_verifier::{KeySet, TrustedKeys};
use tokio::sync::watch;

use super::LoadedKeys;

/// Holds the keys that were loaded last. A call takes them once and works with those to its end.
#[derive(Debug)]
pub struct Keyring {
    current: ArcSwap<LoadedKeys>,
    trusted: Arc<TrustedKeys>,
    announced: watch::Sender<Arc<KeySet>>,
}

impl Keyring {
    /// Starts with these.
    pub fn new(keys: LoadedKeys) -> Self {
        let set = keys.signing.key_set();
        Self {
            current: ArcSwap::from_pointee(keys),
            trusted: Arc::new(TrustedKeys::new(set.clone())),
            announced: watch::Sender::new(set),
        }
    }

    /// The keys as they are now.
    pub fn current(&self) -> Arc<LoadedKeys> {
        self.current.load_full()
    }

    /// The keys that access tokens are accepted from.
    pub const fn trusted(&self) -> &Arc<TrustedKeys> {
        &self.trusted
    }

    /// The same, for whoever passes them on: each set that is loaded, or the newest when several came at once.
    pub fn announced(&self) -> watch::Receiver<Arc<KeySet>> {
        self.announced.subscribe()
    }

    /// Calls that begin from now on use these. What is trusted comes first: no token is signed with a key that
    /// this replica would refuse.
    pub fn replace(&self, keys: LoadedKeys) {
        let set = keys.signing.key_set();
        self.trusted.replace(set.clone());
        self.current.store(Arc::new(keys));
        self.announced.send_if_modified(|announced| {
            let changed = !announced.has_the_keys_of(&set);
            *announced = set;
            changed
        });
    }
}
