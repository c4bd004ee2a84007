//! What became of the calls of a transport: how many began, how they ended, how long they took. Everything is there
//! from the start, at zero, so that a first failure is a rise and not a series out of nowhere.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use countersign_verifier::{Clock, Monotonic};

use super::buckets::{self, BUCKETS, Histogram};
use super::cells::{Cells, Shard};
use super::exposition::{Exemplar, Exposition, Kind, Source};

/// The names of the three families, and of what they are broken down by.
#[derive(Debug, Clone, Copy)]
pub struct CallNames {
    /// How many calls began, without `_total`.
    pub started: &'static str,
    /// How many ended, by their code, without `_total`.
    pub handled: &'static str,
    /// How long they took.
    pub seconds: &'static str,
    /// The label that has the code.
    pub code: &'static str,
}

/// Names and values of the labels of one kind of calls.
pub type CallLabels = Vec<(&'static str, String)>;

const STARTED: usize = 0;
const NANOS: usize = 1;
const FIRST_BUCKET: usize = 2;
const FIRST_CODE: usize = FIRST_BUCKET + BUCKETS;

/// The calls of one transport.
pub struct Calls {
    names: CallNames,
    kinds: Vec<CallLabels>,
    codes: &'static [&'static str],
    cells: Cells,
    clock: Arc<dyn Clock>,
    exemplars: Mutex<BTreeMap<(usize, usize), Exemplar>>,
}

impl Calls {
    /// Counts of these kinds of calls, which end with one of these codes.
    pub fn new(
        names: CallNames,
        kinds: Vec<CallLabels>,
        codes: &'static [&'static str],
        clock: Arc<dyn Clock>,
    ) -> Self {
        let cells = Cells::new(kinds.len() * width(codes));
        Self { names, kinds, codes, cells, clock, exemplars: Mutex::default() }
    }

    /// A call of the `kind`-th kind begins now. Costs a reading of the clock and two atomics that no other thread
    /// is busy with.
    pub fn start(&self, kind: usize) -> Call {
        let row = kind * width(self.codes);
        let shard = Arc::clone(self.cells.mine());
        shard.add(row + STARTED, 1);
        Call { shard, row, begun: self.clock.monotonic() }
    }

    /// The time, as it stands in [`Calls::count`].
    pub fn now(&self) -> Monotonic {
        self.clock.monotonic()
    }

    /// A call of the `kind`-th kind has ended with the `code`-th code, having begun at `begun`: for what is known to be
    /// a call of its own only when it is over.
    pub fn count(&self, kind: usize, code: usize, begun: Monotonic) {
        let row = kind * width(self.codes);
        let shard = Arc::clone(self.cells.mine());
        shard.add(row + STARTED, 1);
        self.finish(&Call { shard, row, begun }, code, None);
    }

    /// The call has ended with the `code`-th code. `trace` is its trace where that is recorded.
    pub fn finish(&self, call: &Call, code: usize, trace: Option<&str>) {
        let took = self.clock.monotonic().since(call.begun);
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let bucket = buckets::bucket(nanos);
        // The same copy, even if the call has moved to another thread since: its line is warm, or soon will be.
        call.shard.add(call.row + NANOS, nanos);
        call.shard.add(call.row + FIRST_BUCKET + bucket, 1);
        call.shard.add(call.row + FIRST_CODE + code, 1);
        if let Some(trace_id) = trace {
            let at = Duration::from_millis(u64::try_from(self.clock.now().0).unwrap_or(0)).as_secs_f64();
            let exemplar = Exemplar { trace_id: trace_id.to_owned(), value: took.as_secs_f64(), at };
            let mut exemplars = self.exemplars.lock().unwrap_or_else(PoisonError::into_inner);
            exemplars.insert((call.row, bucket), exemplar);
        }
    }

    fn labels(&self, kind: usize) -> Vec<(&str, &str)> {
        self.kinds[kind].iter().map(|(name, value)| (*name, value.as_str())).collect()
    }
}

fn width(codes: &[&str]) -> usize {
    FIRST_CODE + codes.len()
}

/// A call that is under way.
pub struct Call {
    shard: Arc<Shard>,
    row: usize,
    begun: Monotonic,
}

impl Source for Calls {
    fn expose(&self, out: &mut Exposition) {
        let rows = || (0..self.kinds.len()).map(|kind| (self.labels(kind), kind * width(self.codes)));
        out.family(self.names.started, Kind::Counter, "Calls that have begun.");
        for (labels, row) in rows() {
            out.sample(&labels, self.cells.sum(row + STARTED));
        }
        out.family(self.names.handled, Kind::Counter, "Calls that have ended, by their code.");
        for (mut labels, row) in rows() {
            for (number, code) in self.codes.iter().enumerate() {
                labels.push((self.names.code, *code));
                out.sample(&labels, self.cells.sum(row + FIRST_CODE + number));
                labels.pop();
            }
        }
        out.family(self.names.seconds, Kind::Histogram, "How long calls took.");
        let exemplars = self.exemplars.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for (labels, row) in rows() {
            let histogram = Histogram {
                buckets: std::array::from_fn(|bucket| self.cells.sum(row + FIRST_BUCKET + bucket)),
                sum: Duration::from_nanos(self.cells.sum(row + NANOS)),
            };
            let here = exemplars.range((row, 0)..(row, BUCKETS));
            let here: Vec<_> = here.map(|((_, bucket), it)| (*bucket, it.clone())).collect();
            out.histogram(&labels, &histogram, &here);
        }
    }
}

impl fmt::Debug for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Calls").field("names", &self.names).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use countersign_verifier::{ManualClock, UnixMillis};

    use super::super::exposition::Format;
    use super::*;

    #[test]
    fn every_call_is_counted_where_it_belongs_and_all_others_stand_at_zero() {
        let clock = Arc::new(ManualClock::new(UnixMillis(1_247)));
        let names = CallNames { started: "a", handled: "b", seconds: "c", code: "code" };
        let kinds = vec![vec![("method", "One".to_owned())], vec![("method", "Two".to_owned())]];
        let calls = Calls::new(names, kinds, &["OK", "Internal"], clock.clone());
        let call = calls.start(1);
        clock.advance(Duration::from_millis(3));
        calls.finish(&call, 1, Some("abcd"));
        let mut out = Exposition::new(Format::OpenMetrics);
        calls.expose(&mut out);
        let text = out.finish();
        for line in [
            "a_total{method=\"One\"} 0",
            "a_total{method=\"Two\"} 1",
            "b_total{method=\"Two\",code=\"OK\"} 0",
            "b_total{method=\"Two\",code=\"Internal\"} 1",
            "c_bucket{method=\"Two\",le=\"0.0025\"} 0",
            "c_bucket{method=\"Two\",le=\"0.005\"} 1 # {trace_id=\"abcd\"} 0.003 1.25",
            "c_count{method=\"One\"} 0",
        ] {
            assert!(text.lines().any(|it| it == line), "{line} is not in\n{text}");
        }
    }
}
