//! A world's clock: this machine's, and ahead of it by as much as a test says.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::model::{Clock, Monotonic, UnixMillis};

/// Goes on as this machine's clock does. Both of its times are ahead by the same, so that time that was skipped is no step.
pub struct WorldClock {
    machine: Arc<dyn Clock>,
    ahead_millis: AtomicU64,
}

/// A clock cannot be moved by so much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 ms to 36500 days, and no more in all")]
pub struct ClockTooFar;

impl WorldClock {
    /// The furthest that it goes ahead.
    pub const FURTHEST: Duration = Duration::from_hours(24 * 36_500);

    /// Shows the machine's time.
    pub fn new(machine: Arc<dyn Clock>) -> Self {
        Self { machine, ahead_millis: AtomicU64::new(0) }
    }

    /// By how much it is ahead.
    pub fn ahead(&self) -> Duration {
        Duration::from_millis(self.ahead_millis.load(Ordering::SeqCst))
    }

    /// Moves it forward, by whole milliseconds.
    pub fn advance(&self, by: Duration) -> Result<(), ClockTooFar> {
        let furthest = millis(Self::FURTHEST);
        let by = millis(by);
        let moved = |ahead: u64| ahead.checked_add(by).filter(|ahead| by > 0 && *ahead <= furthest);
        let moved = self.ahead_millis.fetch_update(Ordering::SeqCst, Ordering::SeqCst, moved);
        moved.map(drop).map_err(|_| ClockTooFar)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Clock for WorldClock {
    fn now(&self) -> UnixMillis {
        self.machine.now() + self.ahead()
    }

    fn monotonic(&self) -> Monotonic {
        Monotonic(self.machine.monotonic().0 + self.ahead())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ManualClock;

    #[test]
    fn both_times_go_ahead_alike_and_never_back_or_out_of_bounds() {
        let machine = Arc::new(ManualClock::new(UnixMillis(1000)));
        let clock = WorldClock::new(machine.clone());
        clock.advance(Duration::from_mins(1)).unwrap();
        machine.advance(Duration::from_secs(1));
        assert_eq!((clock.now(), clock.monotonic().0), (UnixMillis(62_000), Duration::from_secs(61)));
        for refused in [Duration::ZERO, Duration::from_micros(1), WorldClock::FURTHEST, Duration::MAX] {
            assert_eq!(clock.advance(refused), Err(ClockTooFar), "{refused:?}");
        }
        assert_eq!(clock.ahead(), Duration::from_mins(1));
    }
}
