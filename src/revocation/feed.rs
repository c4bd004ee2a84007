//! What becomes known here, for those who keep an index of their own: every change of this replica's index has a
//! number, and the last of them are kept, so that who has read up to a number can read on from it.
//!
//! Nothing is kept for a reader. One that comes back later than the feed remembers is told so, and begins anew with
//! a snapshot.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use countersign_verifier::{RevocationIndex, Revoked};
use tokio::sync::watch;

use crate::secret;

/// How many changes are kept: a minute of a thousand logouts a second, in some 3 MiB.
const KEPT: usize = 65_536;

/// See the module.
#[derive(Debug)]
pub struct Feed {
    incarnation: u64,
    recent: Mutex<Recent>,
    head: watch::Sender<u64>,
    snapshot: Mutex<Weak<Snapshot>>,
}

#[derive(Debug, Default)]
struct Recent {
    /// The last of these has the number `head`.
    changes: VecDeque<Revoked>,
    head: u64,
}

impl Recent {
    /// The number before the oldest that is kept: who has read up to here can read on.
    fn tail(&self) -> u64 {
        self.head - self.changes.len() as u64
    }
}

/// Everything that was revoked up to a number, and perhaps some of what came after it.
#[derive(Debug)]
pub struct Snapshot {
    /// The number to read on from.
    pub head: u64,
    /// In no order.
    pub entries: Vec<Revoked>,
}

/// The feed no longer has what the reader has not read, or never had what it says it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the reader must begin anew")]
pub struct LeftBehind;

impl Default for Feed {
    fn default() -> Self {
        Self::new()
    }
}

impl Feed {
    /// A feed on which nothing was told yet.
    pub fn new() -> Self {
        Self {
            incarnation: u64::from_ne_bytes(secret::random()),
            recent: Mutex::default(),
            head: watch::Sender::new(0),
            snapshot: Mutex::default(),
        }
    }

    /// Names what the numbers count: drawn at random, so that no other feed's numbers are taken for this one's.
    pub const fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// Takes something into the index and, where it was news, tells it. Both under one lock: who finds the feed
    /// at a number finds everything in the index that came before, and who is told that something is no news
    /// finds it on the feed.
    pub(super) fn tell(&self, index: &RevocationIndex, revoked: &Revoked) {
        let mut recent = lock(&self.recent);
        if !index.apply(revoked) {
            return;
        }
        if recent.changes.len() == KEPT {
            recent.changes.pop_front();
        }
        recent.changes.push_back(*revoked);
        recent.head += 1;
        self.head.send_replace(recent.head);
    }

    /// How many changes were told.
    pub fn head(&self) -> u64 {
        lock(&self.recent).head
    }

    /// Wakes when something is told.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.head.subscribe()
    }

    /// At most `most` changes after the number, in order. None: there is nothing more.
    pub fn read(&self, after: u64, most: usize) -> Result<Vec<Revoked>, LeftBehind> {
        let recent = lock(&self.recent);
        if !(recent.tail()..=recent.head).contains(&after) {
            return Err(LeftBehind);
        }
        let skipped = usize::try_from(after - recent.tail()).map_err(|_| LeftBehind)?;
        Ok(recent.changes.iter().skip(skipped).take(most).copied().collect())
    }

    /// Everything that is revoked. Readers that come together share one, so that a hundred of them do not need a
    /// hundred times the memory. Takes time in proportion to the index: not for an async thread.
    pub(super) fn snapshot(&self, index: &RevocationIndex) -> Arc<Snapshot> {
        let mut shared = lock(&self.snapshot);
        let (head, tail) = {
            let recent = lock(&self.recent);
            (recent.head, recent.tail())
        };
        // Half of what is kept is left to whoever takes its time over the snapshot.
        let recent_enough =
            |snapshot: &Arc<Snapshot>| snapshot.head >= tail && head - snapshot.head <= KEPT as u64 / 2;
        if let Some(snapshot) = shared.upgrade().filter(recent_enough) {
            return snapshot;
        }
        let snapshot = Arc::new(Snapshot { head, entries: index.entries() });
        *shared = Arc::downgrade(&snapshot);
        snapshot
    }
}

/// Nothing panics half way through a change of what these guard.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use countersign_verifier::{SessionId, UnixMillis};

    use super::*;

    fn session(number: usize) -> Revoked {
        let mut bytes = [0; 16];
        bytes[8..].copy_from_slice(&number.to_be_bytes());
        Revoked::Session { session: SessionId::from_bytes(bytes), forget_at: UnixMillis(9) }
    }

    #[test]
    fn what_is_news_is_told_once_and_in_order() {
        let (feed, index) = (Feed::new(), RevocationIndex::new());
        let woken = feed.subscribe();
        for number in [1, 2, 1, 3] {
            feed.tell(&index, &session(number));
        }
        assert_eq!(feed.read(0, 9), Ok(vec![session(1), session(2), session(3)]));
        assert_eq!(feed.read(1, 1), Ok(vec![session(2)]));
        assert_eq!(feed.read(3, 9), Ok(vec![]));
        assert_eq!(feed.read(4, 9), Err(LeftBehind), "what was never told cannot have been read");
        assert_eq!((feed.head(), *woken.borrow()), (3, 3));
    }

    #[test]
    fn a_reader_is_told_when_it_is_left_behind() {
        let (feed, index) = (Feed::new(), RevocationIndex::new());
        (0..=KEPT).for_each(|number| feed.tell(&index, &session(number)));
        assert_eq!(feed.read(0, 1), Err(LeftBehind));
        assert_eq!(feed.read(1, 1), Ok(vec![session(1)]));
    }

    #[test]
    fn a_snapshot_is_shared_for_as_long_as_the_feed_can_continue_it() {
        let (feed, index) = (Feed::new(), RevocationIndex::new());
        feed.tell(&index, &session(0));
        let first = feed.snapshot(&index);
        assert_eq!((first.head, first.entries.as_slice()), (1, &[session(0)][..]));
        feed.tell(&index, &session(1));
        assert!(Arc::ptr_eq(&first, &feed.snapshot(&index)), "what has come since is on the feed");
        (2..=KEPT).for_each(|number| feed.tell(&index, &session(number)));
        assert_eq!(feed.snapshot(&index).entries.len(), KEPT + 1, "too much has come since");
    }
}
