use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

/// The first pause, before chance has its say.
const FIRST: Duration = Duration::from_millis(100);

/// Pauses that double, each drawn at random from the upper half of what it may be.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
    longest: Duration,
}

impl Backoff {
    pub(super) fn new(longest: Duration) -> Self {
        Self { next: FIRST.min(longest), longest }
    }

    /// Begins anew: things go well.
    pub(super) fn reset(&mut self) {
        self.next = FIRST.min(self.longest);
    }

    /// How long to pause now.
    pub(super) fn pause(&mut self) -> Duration {
        let upper = self.next;
        self.next = (self.next * 2).min(self.longest);
        upper.mul_f64(0.5 + 0.5 * chance())
    }
}

/// Anything from 0 to 1. Good enough to part clients from each other, and for nothing else.
pub(super) fn chance() -> f64 {
    let drawn = RandomState::new().hash_one(0);
    f64::from(u32::try_from(drawn >> 32).unwrap_or(0)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound_and_differ() {
        let mut backoff = Backoff::new(Duration::from_millis(700));
        let upper = [100, 200, 400, 700, 700].map(Duration::from_millis);
        for upper in upper {
            let pause = backoff.pause();
            assert!((upper / 2..=upper).contains(&pause), "{pause:?}");
        }
        backoff.reset();
        let first: Vec<_> = std::iter::repeat_with(|| Backoff::new(FIRST).pause()).take(9).collect();
        assert!(first.iter().any(|pause| *pause != first[0]), "{first:?}");
        assert!(backoff.pause() <= FIRST);
    }
}
