//! Counts that threads add to without getting in each other's way: each thread has a copy of its own (or shares it
//! with few others), and whoever reads adds the copies up.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// The most copies; more threads than that share.
const MOST_SHARDS: usize = 16;
const LINE: usize = 8;

/// As many counts as a cache line holds, so that no two copies share one.
#[derive(Default)]
#[repr(align(64))]
struct Line([AtomicU64; LINE]);

/// One copy.
pub(super) struct Shard(Box<[Line]>);

impl Shard {
    fn new(cells: usize) -> Self {
        Self(std::iter::repeat_with(Line::default).take(cells.div_ceil(LINE)).collect())
    }

    fn cell(&self, cell: usize) -> Option<&AtomicU64> {
        self.0.get(cell / LINE).map(|line| &line.0[cell % LINE])
    }

    /// Adds to a count: one relaxed atomic. A cell that is not there is counted nowhere.
    pub(super) fn add(&self, cell: usize, amount: u64) {
        if let Some(cell) = self.cell(cell) {
            cell.fetch_add(amount, Ordering::Relaxed);
        }
    }
}

/// So many counts, in copies.
pub(super) struct Cells(Box<[Arc<Shard>]>);

impl Cells {
    pub(super) fn new(cells: usize) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let shards = threads.next_power_of_two().min(MOST_SHARDS);
        Self(std::iter::repeat_with(|| Arc::new(Shard::new(cells))).take(shards).collect())
    }

    /// The copy of the thread that asks.
    pub(super) fn mine(&self) -> &Arc<Shard> {
        // Their number is a power of two.
        &self.0[thread_number() & (self.0.len() - 1)]
    }

    /// Adds to a count.
    pub(super) fn add(&self, cell: usize, amount: u64) {
        self.mine().add(cell, amount);
    }

    /// A count, of all copies together.
    pub(super) fn sum(&self, cell: usize) -> u64 {
        let cells = self.0.iter().filter_map(|shard| shard.cell(cell));
        cells.map(|cell| cell.load(Ordering::Relaxed)).fold(0, u64::wrapping_add)
    }
}

impl fmt::Debug for Cells {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cells").field("shards", &self.0.len()).finish_non_exhaustive()
    }
}

/// The how many-th thread it is that counts anything.
fn thread_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static NUMBER: usize = NEXT.fetch_add(1, Ordering::Relaxed);
    }
    NUMBER.with(|number| *number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_many_threads_count_adds_up() {
        let cells = Cells::new(9);
        std::thread::scope(|scope| {
            for _ in 0..20 {
                scope.spawn(|| (0..1000).for_each(|_| cells.add(8, 2)));
            }
        });
        assert_eq!((cells.sum(8), cells.sum(7)), (40_000, 0));
        cells.add(99, 1);
        assert_eq!(cells.sum(99), 0, "no such cell");
    }
}
