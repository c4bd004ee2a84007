//! What is known of a server that does not answer. Without it, every call would wait for its whole deadline only to
//! learn what the last one has learnt.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::dialect::Dialect;
use crate::model::Monotonic;

/// Whether a server is silent, and whether somebody is finding out.
#[derive(Debug, Default)]
pub(super) struct Silence {
    known: AtomicBool,
    asking: AtomicBool,
    /// Until when not to ask again, in ms on the local clock: a server that is merely slow is not greeted all the time.
    rest_until: AtomicU64,
}

impl Silence {
    pub(super) fn is_known(&self) -> bool {
        self.known.load(Ordering::Acquire)
    }

    /// Whether the caller is the one to ask; another one will be so after `rest` at the earliest.
    pub(super) fn begin_to_ask(&self, now: Monotonic, rest: Duration) -> bool {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        if millis(now.0) < self.rest_until.load(Ordering::Relaxed) || self.asking.swap(true, Ordering::AcqRel)
        {
            return false;
        }
        self.rest_until.store(millis(now.0 + rest), Ordering::Relaxed);
        true
    }

    /// There was no answer.
    pub(super) fn found<D: Dialect>(&self) {
        if !self.known.swap(true, Ordering::AcqRel) {
            tracing::warn!(store = D::NAME, "the server is silent; calls are refused until it answers");
        }
    }

    /// There was one, or nobody wants to know any more.
    pub(super) fn ended<D: Dialect>(&self) {
        if self.known.swap(false, Ordering::AcqRel) {
            tracing::info!(store = D::NAME, "the server answers again");
        }
        self.asking.store(false, Ordering::Release);
    }
}
