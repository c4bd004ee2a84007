//! Callers who find everything in use and wait for their turn.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::model::{Clock as _, Monotonic, SystemClock};

/// How many wait and have waited for a place, and for how long. Whoever finds one free costs nothing here.
#[derive(Debug)]
pub(in crate::store) struct Waits {
    now: AtomicU64,
    ever: AtomicU64,
    nanos: AtomicU64,
    clock: SystemClock,
}

impl Waits {
    pub(in crate::store) fn new() -> Self {
        let [now, ever, nanos] = [0; 3].map(AtomicU64::new);
        Self { now, ever, nanos, clock: SystemClock::new() }
    }

    /// Somebody waits from now on, until the guard is dropped: because there is a place, or because there is no more time.
    pub(in crate::store) fn begin(&self) -> Waiting<'_> {
        self.now.fetch_add(1, Ordering::Relaxed);
        self.ever.fetch_add(1, Ordering::Relaxed);
        Waiting { waits: self, since: self.clock.monotonic() }
    }

    /// How many wait now.
    pub(in crate::store) fn now(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    /// How many have waited since the start, those of now included.
    pub(in crate::store) fn ever(&self) -> u64 {
        self.ever.load(Ordering::Relaxed)
    }

    /// How long all who wait no more have waited together.
    pub(in crate::store) fn waited(&self) -> Duration {
        Duration::from_nanos(self.nanos.load(Ordering::Relaxed))
    }
}

/// One who waits.
#[must_use]
pub(in crate::store) struct Waiting<'a> {
    waits: &'a Waits,
    since: Monotonic,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let took = self.waits.clock.monotonic().since(self.since);
        self.waits.nanos.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.waits.now.fetch_sub(1, Ordering::Relaxed);
    }
}
