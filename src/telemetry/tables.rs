//! Counters and durations with a fixed list of label values each.

use std::time::Duration;

use super::buckets::{self, BUCKETS, Histogram};
use super::cells::Cells;
use super::exposition::{Exposition, Kind, Source};

/// A counter for each of some values of one label.
#[derive(Debug)]
pub struct Counters {
    name: &'static str,
    help: &'static str,
    label: &'static str,
    values: Vec<&'static str>,
    cells: Cells,
}

impl Counters {
    /// All at zero. `name` is without `_total`.
    pub fn new(
        name: &'static str,
        help: &'static str,
        label: &'static str,
        values: impl IntoIterator<Item = &'static str>,
    ) -> Self {
        let values: Vec<_> = values.into_iter().collect();
        let cells = Cells::new(values.len());
        Self { name, help, label, values, cells }
    }

    /// Counts one more of the value with this number: one relaxed atomic.
    pub fn count(&self, number: usize) {
        self.cells.add(number, 1);
    }

    /// Counts so many more of a value, which is looked for in the list; one that is not in it is not counted.
    pub fn count_named(&self, value: &str, amount: u64) {
        if let Some(number) = self.values.iter().position(|known| *known == value) {
            self.cells.add(number, amount);
        }
    }

    /// How many there were of the value with this number.
    pub fn get(&self, number: usize) -> u64 {
        self.cells.sum(number)
    }
}

impl Source for Counters {
    fn expose(&self, out: &mut Exposition) {
        out.family(self.name, Kind::Counter, self.help);
        for (number, value) in self.values.iter().enumerate() {
            out.sample(&[(self.label, value)], self.cells.sum(number));
        }
    }
}

/// How long each operation of the stores takes, and how often it fails.
#[derive(Debug)]
pub struct StoreTimings {
    operations: Vec<(&'static str, &'static str)>,
    cells: Cells,
}

const NANOS: usize = 0;
const FAILURES: usize = 1;
const FIRST_BUCKET: usize = 2;
const WIDTH: usize = FIRST_BUCKET + BUCKETS;

impl StoreTimings {
    /// For operations of stores, each with its store's name.
    pub fn new(operations: Vec<(&'static str, &'static str)>) -> Self {
        let cells = Cells::new(operations.len() * WIDTH);
        Self { operations, cells }
    }

    /// The operation with this number took so long.
    pub fn observe(&self, operation: usize, took: Duration, failed: bool) {
        let (row, nanos) = (operation * WIDTH, u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
        self.cells.add(row + NANOS, nanos);
        self.cells.add(row + FIRST_BUCKET + buckets::bucket(nanos), 1);
        if failed {
            self.cells.add(row + FAILURES, 1);
        }
    }
}

impl Source for StoreTimings {
    fn expose(&self, out: &mut Exposition) {
        out.family("countersign_store_seconds", Kind::Histogram, "How long operations of the stores took.");
        for (number, (store, operation)) in self.operations.iter().enumerate() {
            let row = number * WIDTH;
            let histogram = Histogram {
                buckets: std::array::from_fn(|bucket| self.cells.sum(row + FIRST_BUCKET + bucket)),
                sum: Duration::from_nanos(self.cells.sum(row + NANOS)),
            };
            out.histogram(&[("store", store), ("operation", operation)], &histogram, &[]);
        }
        out.family(
            "countersign_store_failures",
            Kind::Counter,
            "Operations of the stores that failed or were too late.",
        );
        for (number, (store, operation)) in self.operations.iter().enumerate() {
            let labels = [("store", *store), ("operation", *operation)];
            out.sample(&labels, self.cells.sum(number * WIDTH + FAILURES));
        }
    }
}
