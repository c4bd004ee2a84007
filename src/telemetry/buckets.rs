//! Durations, counted in buckets: from a Verify's microseconds to a Login's deadline.

use std::time::Duration;

/// The upper bounds of the buckets in nanoseconds; one more has no bound.
pub const BOUNDS: [u64; 17] = [
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
];

/// How many buckets there are.
pub const BUCKETS: usize = BOUNDS.len() + 1;

/// The bucket that so many nanoseconds fall into.
pub fn bucket(nanos: u64) -> usize {
    BOUNDS.iter().position(|bound| nanos <= *bound).unwrap_or(BOUNDS.len())
}

/// What was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Histogram {
    /// How many fell into each bucket, and into no smaller one.
    pub buckets: [u64; BUCKETS],
    /// All of them together.
    pub sum: Duration,
}

impl Histogram {
    /// Counts one more.
    pub fn observe(&mut self, took: Duration) {
        self.buckets[bucket(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX))] += 1;
        self.sum = self.sum.saturating_add(took);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_own_bucket() {
        assert_eq!([bucket(0), bucket(25_000), bucket(25_001), bucket(u64::MAX)], [0, 0, 1, 17]);
        let mut histogram = Histogram::default();
        histogram.observe(Duration::from_millis(2));
        assert_eq!((histogram.buckets[6], histogram.sum), (1, Duration::from_millis(2)));
    }
}
