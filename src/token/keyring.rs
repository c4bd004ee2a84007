//! The keys in use, replaceable while calls are under way.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::LoadedKeys;

/// Holds the keys that were loaded last. A call takes them once and works with those to its end.
#[derive(Debug)]
pub struct Keyring {
    current: ArcSwap<LoadedKeys>,
}

impl Keyring {
    /// Starts with these.
    pub fn new(keys: LoadedKeys) -> Self {
        Self { current: ArcSwap::from_pointee(keys) }
    }

    /// The keys as they are now.
    pub fn current(&self) -> Arc<LoadedKeys> {
        self.current.load_full()
    }

    /// Calls that begin from now on use these.
    pub fn replace(&self, keys: LoadedKeys) {
        self.current.store(Arc::new(keys));
    }
}
