//! What time it is by the stores' clock, told without asking a store.
//!
//! The ledger's database says its time whenever the ledger is loaded, and every half minute; in between the local
//! monotonic clock goes on from there. So a replica whose own wall clock is wrong judges the life of a session as the
//! stores do. An embedded database has no clock but the machine's: there, and should a database's clock be set, what
//! counts is also what the time was before it stepped.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use countersign_verifier::CLOCK_STEP;

use crate::model::{Monotonic, UnixMillis};

/// For so long after a step the time before it counts, too: a clock that was set wrong is usually put right by then.
pub const DOUBTED_FOR: Duration = Duration::from_hours(1);

/// See the module.
#[derive(Debug, Default)]
pub struct StoreTime(Mutex<Option<Samples>>);

/// By how many ms a clock is ahead of the local monotonic one.
type Offset = i64;

#[derive(Debug, Clone, Copy)]
struct Samples {
    /// As last learned.
    latest: Offset,
    /// As it was before the clock stepped, if it has in the last hour; else the same.
    steady: Offset,
    /// When it last stepped.
    stepped_at: Option<Monotonic>,
}

/// The stores' time, and how sure that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// The time by the stores' clock.
    pub now: UnixMillis,
    /// Earlier than `now` where the clock has stepped ahead within the last hour: what the time was by then, and how long
    /// that is ago.
    pub at_least: UnixMillis,
}

impl Reading {
    /// The time of a clock that is not doubted.
    pub const fn certain(now: UnixMillis) -> Self {
        Self { now, at_least: now }
    }

    /// Whether the clock has stepped ahead, and may have to be put right.
    pub fn is_doubted(&self) -> bool {
        self.now.since(self.at_least) > CLOCK_STEP
    }
}

impl StoreTime {
    /// A store that was asked at `asked` has said its time.
    pub fn learn(&self, asked: Monotonic, time: UnixMillis) {
        let latest = time.0.saturating_sub(millis(asked));
        let mut samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut known = samples.unwrap_or(Samples { latest, steady: latest, stepped_at: None });
        if differ(latest, known.latest) {
            known.stepped_at = Some(asked);
        }
        let is_settled = known.stepped_at.is_none_or(|stepped_at| asked.since(stepped_at) >= DOUBTED_FOR);
        if is_settled || !differ(latest, known.steady) {
            (known.steady, known.stepped_at) = (latest, None);
        }
        *samples = Some(Samples { latest, ..known });
    }

    /// The time at a moment of the local clock; `None` before the first was learned.
    pub fn read(&self, monotonic: Monotonic) -> Option<Reading> {
        let Samples { latest, steady, .. } = (*self.0.lock().unwrap_or_else(PoisonError::into_inner))?;
        let at = |offset: Offset| UnixMillis(offset.saturating_add(millis(monotonic)));
        Some(Reading { now: at(latest), at_least: at(latest.min(steady)) })
    }
}

fn differ(one: Offset, other: Offset) -> bool {
    Duration::from_millis(one.abs_diff(other)) > CLOCK_STEP
}

fn millis(monotonic: Monotonic) -> i64 {
    i64::try_from(monotonic.0.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: UnixMillis = UnixMillis::from_secs(1_000_000_000);
    const YEAR: Duration = Duration::from_hours(400 * 24);

    fn at(seconds: u64) -> Monotonic {
        Monotonic(Duration::from_secs(seconds))
    }

    fn after(seconds: u64) -> UnixMillis {
        START + Duration::from_secs(seconds)
    }

    #[test]
    fn the_time_goes_on_from_where_it_was_learned() {
        let time = StoreTime::default();
        assert_eq!(time.read(at(0)), None);
        time.learn(at(5), after(5));
        assert_eq!(time.read(at(65)), Some(Reading::certain(after(65))));
        time.learn(at(70), after(73));
        assert_eq!(
            time.read(at(71)),
            Some(Reading::certain(after(74))),
            "a small correction is none to doubt"
        );
    }

    #[test]
    fn a_clock_that_stepped_ahead_is_doubted_until_it_is_put_right_or_an_hour_has_passed() {
        let time = StoreTime::default();
        time.learn(at(0), START);
        time.learn(at(10), after(10) + YEAR);
        let reading = time.read(at(20)).unwrap();
        assert_eq!((reading.now, reading.at_least), (after(20) + YEAR, after(20)));
        assert!(reading.is_doubted());
        time.learn(at(30), after(30));
        assert_eq!(time.read(at(31)), Some(Reading::certain(after(31))));

        time.learn(at(40), after(40) + YEAR);
        time.learn(at(3639), after(3639) + YEAR);
        assert!(time.read(at(3639)).unwrap().is_doubted());
        time.learn(at(3640), after(3640) + YEAR);
        assert_eq!(time.read(at(3641)), Some(Reading::certain(after(3641) + YEAR)));
    }

    #[test]
    fn by_a_clock_that_stepped_back_nothing_expires_early() {
        let time = StoreTime::default();
        time.learn(at(0), START);
        time.learn(at(10), after(10) - YEAR);
        assert_eq!(time.read(at(20)), Some(Reading::certain(after(20) - YEAR)));
    }
}
