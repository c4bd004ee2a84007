//! What the server's clock shows, well enough to tell it when not to execute a script any more.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::model::{Clock as _, Monotonic, SystemClock};

/// By how much the server's clock is ahead of the local monotonic one, in ms; not known before the first answer.
pub(super) struct ServerTime {
    clock: SystemClock,
    ahead: AtomicI64,
}

const UNKNOWN: i64 = i64::MIN;

impl ServerTime {
    pub(super) fn new() -> Self {
        Self { clock: SystemClock::new(), ahead: AtomicI64::new(UNKNOWN) }
    }

    /// When something is asked, and the server's time until which it may be executed; no bound while nothing is
    /// known of that.
    pub(super) fn bound(&self, patience: Duration) -> (Monotonic, String) {
        let asked = self.clock.monotonic();
        let bound = match self.ahead.load(Ordering::Relaxed) {
            UNKNOWN => String::new(),
            ahead => ahead.saturating_add(millis(asked.0 + patience)).to_string(),
        };
        (asked, bound)
    }

    /// How long ago something was asked.
    pub(super) fn since(&self, asked: Monotonic) -> Duration {
        self.clock.monotonic().since(asked)
    }

    /// Takes note of the server's time in an answer. It was read after the asking, so that the bounds made from
    /// it are never too early, and too late by no more than this answer took.
    pub(super) fn learn(&self, asked: Monotonic, server: i64) {
        self.ahead.store(server.saturating_sub(millis(asked.0)), Ordering::Relaxed);
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
