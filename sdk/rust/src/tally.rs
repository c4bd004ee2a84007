//! How often the cache knew a token. Threads count apart from each other, so that nobody waits for a cache line.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

const SHARDS: usize = 16;

/// What a [`Verifier`](crate::Verifier)'s cache has done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CacheStats {
    /// Tokens that were remembered, and so cost no signature.
    pub hits: u64,
    /// Tokens that had to be verified.
    pub misses: u64,
}

#[derive(Default)]
#[repr(align(64))]
struct Shard {
    hits: AtomicU64,
    misses: AtomicU64,
}

#[derive(Default)]
pub(crate) struct Tally([Shard; SHARDS]);

impl Tally {
    pub(crate) fn hit(&self) {
        self.mine().hits.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn miss(&self) {
        self.mine().misses.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn stats(&self) -> CacheStats {
        let sum = |count: fn(&Shard) -> &AtomicU64| {
            self.0.iter().map(|shard| count(shard).load(Ordering::Relaxed)).sum()
        };
        CacheStats { hits: sum(|shard| &shard.hits), misses: sum(|shard| &shard.misses) }
    }

    fn mine(&self) -> &Shard {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static NUMBER: usize = NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS;
        }
        &self.0[NUMBER.with(|number| *number)]
    }
}
