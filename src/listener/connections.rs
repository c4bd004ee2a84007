//! How many connections a listener has.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// The connections of one listener, counted while it serves.
#[derive(Debug, Default)]
pub struct Connections {
    open: AtomicUsize,
    refused: AtomicU64,
}

impl Connections {
    /// How many are open now, TLS handshakes under way included.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// How many were closed since the start because there were as many as there may be.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// One more, which is open until the slot is dropped, unless there are `limit` of them.
    pub(super) fn admit(self: &Arc<Self>, limit: usize) -> Option<Slot> {
        let admitted = self
            .open
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |open| (open < limit).then_some(open + 1))
            .is_ok();
        if !admitted {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        admitted.then(|| Slot(Arc::clone(self)))
    }
}

/// A connection's place among those that there may be.
#[derive(Debug)]
pub(super) struct Slot(Arc<Connections>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_more_than_the_limit_is_refused_until_another_goes() {
        let connections = Arc::new(Connections::default());
        let first = connections.admit(2).unwrap();
        let second = connections.admit(2).unwrap();
        assert!(connections.admit(2).is_none());
        assert_eq!((connections.open(), connections.refused()), (2, 1));
        drop(first);
        let third = connections.admit(2).unwrap();
        assert_eq!((connections.open(), connections.refused()), (2, 1));
        drop((second, third));
        assert_eq!(connections.open(), 0);
    }
}
