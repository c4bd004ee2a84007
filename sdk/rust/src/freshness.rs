use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use crate::{Clock, Monotonic, RevocationIndex, UnixMillis};

/// How old the view of the ledger may be. It is proven by a request that was answered and never by a message
/// that arrived: counted from when the last successful request was *sent*, on the local monotonic clock, less the
/// age that the answer itself had.
#[derive(Debug)]
pub struct Freshness {
    /// What everything is known up to: nanoseconds on the monotonic clock since [`ORIGIN`] before its own origin;
    /// zero before the first.
    known_up_to: AtomicU64,
    /// By how many milliseconds the wall clock was ahead of the monotonic one when loading began; [`UNANCHORED`] before.
    offset: AtomicI64,
}

/// No load has begun.
const UNANCHORED: i64 = i64::MIN;

/// By how much the wall clock may differ from where the monotonic one says that it should be before nothing is known any
/// more. Revocations are remembered for longer than they matter by more than this, so a smaller step harms nothing.
pub const CLOCK_STEP: Duration = Duration::from_secs(10);

/// What was known by another may be older than this process: times before the clock's origin must be told from
/// one another. In nanoseconds, some 146 years.
const ORIGIN: u64 = 1 << 62;

impl Default for Freshness {
    fn default() -> Self {
        Self::new()
    }
}

impl Freshness {
    /// Nothing was loaded yet.
    pub const fn new() -> Self {
        Self { known_up_to: AtomicU64::new(0), offset: AtomicI64::new(UNANCHORED) }
    }

    /// A poll of the ledger that was sent at `at` has been answered, and what it brought is in the index. An
    /// earlier poll whose answer came later takes nothing back.
    pub fn record_poll_sent(&self, at: Monotonic) {
        self.record_answer(at, Duration::ZERO);
    }

    /// A question that was sent at `sent` has been answered by somebody whose own view was at most `age` old, and
    /// what they knew is in the index. Takes nothing back either.
    pub fn record_answer(&self, sent: Monotonic, age: Duration) {
        let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let up_to = ORIGIN.saturating_add(nanos(sent.0)).saturating_sub(nanos(age));
        self.known_up_to.fetch_max(up_to, Ordering::Release);
    }

    /// Loading begins, at this moment of both clocks. What is left out of what is loaded, and what is forgotten later,
    /// is decided by the wall clock, so both hold for as long as it goes on from here without a step.
    pub fn anchor(&self, wall: UnixMillis, monotonic: Monotonic) {
        self.offset.store(offset(wall, monotonic), Ordering::Release);
    }

    /// By how much the wall clock differs from where it should be by the monotonic one since loading began; zero before.
    pub fn clock_drift(&self, wall: UnixMillis, monotonic: Monotonic) -> Duration {
        match self.offset.load(Ordering::Acquire) {
            UNANCHORED => Duration::ZERO,
            anchored => Duration::from_millis(offset(wall, monotonic).abs_diff(anchored)),
        }
    }

    /// Everything must be loaded again: the ledger is another one, or the clock has stepped.
    pub fn invalidate(&self) {
        self.known_up_to.store(0, Ordering::Release);
    }

    /// How old the view is at most; `None` when nothing was loaded.
    pub fn staleness(&self, now: Monotonic) -> Option<Duration> {
        let up_to = match self.known_up_to.load(Ordering::Acquire) {
            0 => return None,
            up_to => Duration::from_nanos(up_to),
        };
        Some((now.0 + Duration::from_nanos(ORIGIN)).saturating_sub(up_to))
    }
}

/// Saturates: no clock that is so far off is of use.
fn offset(wall: UnixMillis, monotonic: Monotonic) -> i64 {
    wall.0.saturating_sub(i64::try_from(monotonic.0.as_millis()).unwrap_or(i64::MAX)).max(UNANCHORED + 1)
}

/// What is known of revocations, and how old that knowledge is at most.
#[derive(Debug, Default)]
pub struct RevocationView {
    /// What is revoked.
    pub index: RevocationIndex,
    /// As of when.
    pub freshness: Freshness,
}

impl RevocationView {
    /// An empty view, of which nothing was loaded yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// How old it is at most; `None`, which is older than any bound, when nothing was loaded.
    ///
    /// Ask before the index is looked at: what is taken in between the two makes the answer better than was said,
    /// and never worse.
    pub fn staleness(&self, clock: &dyn Clock) -> Option<Duration> {
        self.staleness_at(clock.now(), clock.monotonic())
    }

    /// The same, for those who have read both clocks. `None`, too, when the wall clock has stepped by more than
    /// [`CLOCK_STEP`] since loading began: what was forgotten, or never loaded, by the old time may matter by the new
    /// one.
    pub fn staleness_at(&self, wall: UnixMillis, monotonic: Monotonic) -> Option<Duration> {
        let staleness = self.freshness.staleness(monotonic)?;
        (self.freshness.clock_drift(wall, monotonic) <= CLOCK_STEP).then_some(staleness)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ManualClock, UnixMillis};

    #[test]
    fn freshness_counts_from_the_sending_of_the_last_answered_poll() {
        let (view, clock) = (RevocationView::new(), ManualClock::new(UnixMillis(0)));
        assert_eq!(view.staleness(&clock), None);
        let first = clock.monotonic();
        clock.advance(Duration::from_secs(3));
        let second = clock.monotonic();
        clock.advance(Duration::from_secs(1));
        view.freshness.record_poll_sent(second);
        view.freshness.record_poll_sent(first);
        clock.set_wall(UnixMillis(-1_000_000));
        assert_eq!(view.staleness(&clock), Some(Duration::from_secs(1)));
        view.freshness.invalidate();
        assert_eq!(view.staleness(&clock), None);
    }

    #[test]
    fn a_wall_clock_that_steps_either_way_makes_the_view_stale_until_it_is_loaded_anew() {
        for step in [-600_i64, -11, 11, 600, 400 * 86_400] {
            let start = UnixMillis::from_secs(1_000_000_000);
            let (view, clock) = (RevocationView::new(), ManualClock::new(start));
            view.freshness.anchor(clock.now(), clock.monotonic());
            view.freshness.record_poll_sent(clock.monotonic());
            clock.advance(Duration::from_hours(1));
            assert_eq!(view.staleness(&clock), Some(Duration::from_hours(1)), "time that passes is no step");
            clock.set_wall(UnixMillis(clock.now().0 + step * 1000));
            assert_eq!(view.staleness(&clock), None, "{step} s");
            view.freshness.anchor(clock.now(), clock.monotonic());
            assert!(view.staleness(&clock).is_some());
        }
        let (view, clock) = (RevocationView::new(), ManualClock::new(UnixMillis(0)));
        view.freshness.anchor(clock.now(), clock.monotonic());
        view.freshness.record_poll_sent(clock.monotonic());
        clock.set_wall(UnixMillis(9_000));
        assert!(
            view.staleness(&clock).is_some(),
            "what revocations are remembered for beyond their time covers it"
        );
    }

    #[test]
    fn an_answer_is_as_old_as_whoever_gave_it_knew() {
        let (freshness, clock) = (Freshness::new(), ManualClock::new(UnixMillis(0)));
        clock.advance(Duration::from_secs(1));
        let sent = clock.monotonic();
        clock.advance(Duration::from_secs(2));
        freshness.record_answer(sent, Duration::from_secs(30));
        assert_eq!(
            freshness.staleness(clock.monotonic()),
            Some(Duration::from_secs(32)),
            "older than the clock"
        );
        freshness.record_answer(sent, Duration::from_millis(500));
        freshness.record_answer(sent, Duration::from_secs(9));
        assert_eq!(
            freshness.staleness(clock.monotonic()),
            Some(Duration::from_millis(2500)),
            "the best counts"
        );
        freshness.record_answer(Monotonic::default(), Duration::MAX);
        assert_eq!(freshness.staleness(clock.monotonic()), Some(Duration::from_millis(2500)));
    }
}
