//! How far this replica has followed the ledger, and the wait for a position of it.
//!
//! A position names one row by its number and its mark. The rows that the follower has read lately are remembered, so that
//! whether a position belongs to this ledger can be told from memory; an older one takes a read of the ledger.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, watch};

use crate::model::Position;
use crate::store::{Ledger, LedgerPoll, StoreError};

/// How many of the last rows are remembered: 1 MiB.
const REMEMBERED: usize = 65_536;
/// How many older positions that were found in the ledger are remembered.
const CONFIRMED: usize = 256;
/// How many older positions are looked up at once: what callers ask for must not take every connection of the ledger.
const LOOKUPS: usize = 4;
/// The least time between two polls where callers wait for a position: they share one poll.
pub(super) const POLLS_APART: Duration = Duration::from_millis(10);

/// What is known of a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    /// Everything up to it is known here.
    Reached,
    /// The ledger that is known here does not go as far.
    NotYet,
    /// Another row has its number: it is a position of another incarnation.
    Elsewhere,
    /// It is older than what is remembered.
    Forgotten,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Progress {
    rows: Mutex<Rows>,
    /// How many polls have begun. A poll has the number of those that began up to it.
    begun: AtomicU64,
    /// The number of the last poll that succeeded.
    succeeded: watch::Sender<u64>,
    wanted: Notify,
    lookups: Semaphore,
}

#[derive(Debug, Default)]
struct Rows {
    /// Everything up to here is known; 0 before the ledger was loaded.
    up_to: u64,
    /// In the order of their numbers.
    read: VecDeque<Position>,
    confirmed: VecDeque<Position>,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            rows: Mutex::default(),
            begun: AtomicU64::new(0),
            succeeded: watch::Sender::new(0),
            wanted: Notify::new(),
            lookups: Semaphore::new(LOOKUPS),
        }
    }
}

impl Progress {
    /// A poll is about to be sent, or the loading of the ledger is about to begin. Returns its number.
    pub(super) fn begin(&self) -> u64 {
        self.begun.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// The ledger is loaded anew: what was read of it before says nothing of what it is now.
    pub(super) fn start_over(&self) {
        *self.rows() = Rows::default();
    }

    /// A row was read, with none left out before it since the last one, and is in the view.
    pub(super) fn read(&self, row: Position) {
        let mut rows = self.rows();
        if rows.read.back().is_some_and(|last| last.seq >= row.seq) {
            return;
        }
        if rows.read.len() == REMEMBERED {
            rows.read.pop_front();
        }
        rows.read.push_back(row);
    }

    /// The poll has brought everything up to this position.
    pub(super) fn succeed(&self, poll: u64, up_to: Position) {
        self.read(up_to);
        self.rows().up_to = up_to.seq;
        self.succeeded.send_replace(poll);
    }

    /// The number of the last row up to which everything is known; 0 before the ledger was loaded.
    pub(super) fn sequence(&self) -> u64 {
        self.rows().up_to
    }

    /// Returns as soon as a caller waits for a poll.
    pub(super) async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// Whether everything up to a position is known here, now or after the next poll. `false`: it is a position of another
    /// ledger, or of another incarnation of this one, or its row has been purged. Waits for as long as the ledger cannot be
    /// polled: give it a deadline.
    pub(super) async fn reach(&self, position: Position, ledger: &dyn Ledger) -> Result<bool, StoreError> {
        // Whoever was told a position was told it after the commit, so that a poll that begins from now on finds it.
        let asked = self.begun.load(Ordering::SeqCst);
        let mut succeeded = self.succeeded.subscribe();
        loop {
            let polled = *succeeded.borrow_and_update() > asked;
            match self.look(position) {
                Known::Reached => return Ok(true),
                Known::Elsewhere => return Ok(false),
                Known::Forgotten => return self.look_up(position, ledger).await,
                Known::NotYet if polled => return Ok(false),
                Known::NotYet => {}
            }
            self.wanted.notify_one();
            // The sender lives as long as this.
            let _ = succeeded.changed().await;
        }
    }

    /// Returns when a poll has succeeded that begins from now on.
    #[cfg(feature = "test-server")]
    pub(super) async fn poll(&self) {
        let asked = self.begun.load(Ordering::SeqCst);
        let mut succeeded = self.succeeded.subscribe();
        self.wanted.notify_one();
        // The sender lives as long as this.
        let _ = succeeded.wait_for(|polled| *polled > asked).await;
    }

    fn look(&self, position: Position) -> Known {
        let rows = self.rows();
        if position.seq > rows.up_to || rows.read.is_empty() {
            return Known::NotYet;
        }
        match rows.read.binary_search_by_key(&position.seq, |row| row.seq) {
            Ok(place) if rows.read[place] == position => Known::Reached,
            Ok(_) => Known::Elsewhere,
            Err(_) if rows.confirmed.contains(&position) => Known::Reached,
            Err(_) => Known::Forgotten,
        }
    }

    /// Asks the ledger whether it has this row.
    async fn look_up(&self, position: Position, ledger: &dyn Ledger) -> Result<bool, StoreError> {
        let Ok(_turn) = self.lookups.acquire().await else { return Ok(false) };
        match ledger.poll(position, 1).await? {
            LedgerPoll::AnotherIncarnation => Ok(false),
            LedgerPoll::Rows(..) => {
                let confirmed = &mut self.rows().confirmed;
                if confirmed.len() == CONFIRMED {
                    confirmed.pop_front();
                }
                confirmed.push_back(position);
                Ok(true)
            }
        }
    }

    /// Nothing panics half way through a change of them.
    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
