//! How often the store is asked about service keys that turn out to be none. Nobody guesses a key of 256 random bits; this
//! is for the database, which somebody without any credential would otherwise make work.
//!
//! A look-up counts when it is admitted, and success takes it back, as with logins. A key that was good before is not
//! counted: a flood of bad ones holds up nobody who has a good one.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::auth::AuthError;
use crate::model::throttle::{Rate, Source, steady};
use crate::model::{Clock, ServiceKeyDigest, UnixMillis};
use crate::reason::Reason;

/// For one address: so many at once, then ten a second.
const OF_ONE_SOURCE: Rate =
    Rate { burst: NonZeroU32::new(200).unwrap(), interval: Duration::from_millis(100) };
/// For all addresses together: so many at once, then a hundred a second.
const OF_ALL: Rate = Rate { burst: NonZeroU32::new(1000).unwrap(), interval: Duration::from_millis(10) };
/// How many good keys are remembered; when there are more, all are forgotten, and each counts once again.
const REMEMBERED: usize = 10_000;
/// From so many sources on, those that have nothing against them are forgotten. [`OF_ALL`] bounds the others.
const SOURCES: usize = 4_096;

/// See the module.
pub(super) struct Guesses {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    sources: HashMap<Option<Source>, UnixMillis>,
    all: UnixMillis,
    good: HashSet<[u8; 32]>,
}

/// A look-up that was admitted.
pub(super) struct Guess<'g> {
    guesses: &'g Guesses,
    digest: ServiceKeyDigest,
    source: Option<Source>,
    counted: bool,
    outcome: Outcome,
}

/// What came of a look-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// The key is none.
    Wrong,
    /// The key is good.
    Right,
    /// The store did not answer, which is no news about the key.
    Unanswered,
}

impl Guesses {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, state: Mutex::default() }
    }

    /// Whether the store may be asked about a key. A guess that is dropped without a word was wrong.
    pub(super) fn admit(
        &self,
        digest: ServiceKeyDigest,
        peer: Option<IpAddr>,
    ) -> Result<Guess<'_>, AuthError> {
        let source = peer.map(Source::of);
        let mut state = self.lock();
        let counted = !state.good.contains(digest.as_bytes());
        if counted {
            let now = steady(self.clock.monotonic());
            let arrival = state.sources.get(&source).copied().unwrap_or_default();
            let wait = OF_ONE_SOURCE.wait(arrival, now).max(OF_ALL.wait(state.all, now));
            if !wait.is_zero() {
                return Err(AuthError::from(Reason::RateLimitExceeded).retry_after(wait));
            }
            if state.sources.len() >= SOURCES {
                state.sources.retain(|_, arrival| *arrival > now);
            }
            state.sources.insert(source, OF_ONE_SOURCE.take(arrival, now));
            state.all = OF_ALL.take(state.all, now);
        }
        Ok(Guess { guesses: self, digest, source, counted, outcome: Outcome::Wrong })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Guess<'_> {
    /// The key is good.
    pub(super) fn was_right(mut self) {
        self.outcome = Outcome::Right;
    }

    /// The store did not answer.
    pub(super) fn was_not_answered(mut self) {
        self.outcome = Outcome::Unanswered;
    }
}

impl Drop for Guess<'_> {
    fn drop(&mut self) {
        let mut state = self.guesses.lock();
        if self.outcome == Outcome::Wrong {
            state.good.remove(self.digest.as_bytes());
            return;
        }
        if self.counted {
            if let Some(arrival) = state.sources.get_mut(&self.source) {
                *arrival = OF_ONE_SOURCE.give_back(*arrival);
            }
            state.all = OF_ALL.give_back(state.all);
        }
        if self.outcome == Outcome::Right {
            if state.good.len() >= REMEMBERED {
                state.good.clear();
            }
            state.good.insert(*self.digest.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ManualClock;

    fn digest(byte: u8) -> ServiceKeyDigest {
        ServiceKeyDigest::from_bytes([byte; 32])
    }

    #[expect(clippy::unnecessary_wraps, reason = "as a call has it")]
    fn address(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, last]))
    }

    fn guesses() -> (Arc<ManualClock>, Guesses) {
        let clock = Arc::new(ManualClock::new(UnixMillis(0)));
        (clock.clone(), Guesses::new(clock))
    }

    /// How many bad keys are looked up before one is refused.
    fn bad(guesses: &Guesses, from: u8, most: usize) -> usize {
        (0..most).take_while(|_| guesses.admit(digest(0), address(from)).is_ok()).count()
    }

    #[test]
    fn bad_keys_of_one_address_are_bounded_and_cost_no_other_address_and_no_good_key() {
        let (clock, guesses) = guesses();
        guesses.admit(digest(1), address(1)).unwrap().was_right();
        assert_eq!(bad(&guesses, 1, 1000), 200);
        let refused = guesses.admit(digest(0), address(1)).err().unwrap();
        assert_eq!(refused.reason, Reason::RateLimitExceeded);
        assert!(refused.retry_delay().unwrap() <= Duration::from_millis(100));
        guesses.admit(digest(1), address(1)).unwrap().was_right();
        guesses.admit(digest(0), address(2)).unwrap();
        clock.advance(Duration::from_secs(1));
        assert_eq!(bad(&guesses, 1, 1000), 10);
    }

    #[test]
    fn bad_keys_of_all_addresses_together_are_bounded() {
        let (clock, guesses) = guesses();
        let admitted: usize = (0..=255).map(|from| bad(&guesses, from, 100)).sum();
        assert_eq!(admitted, 1000);
        clock.advance(Duration::from_secs(1));
        assert_eq!(bad(&guesses, 0, 1000), 100);
    }

    #[test]
    fn a_good_key_counts_for_nothing_until_it_is_bad() {
        let (_, guesses) = guesses();
        for _ in 0..1000 {
            guesses.admit(digest(1), address(1)).unwrap().was_right();
        }
        drop(guesses.admit(digest(1), address(1)).unwrap());
        let after = (0..1000).take_while(|_| guesses.admit(digest(1), address(1)).is_ok()).count();
        assert_eq!(after, 200, "the first one that was bad was not counted");
    }

    #[test]
    fn a_store_that_does_not_answer_counts_for_nothing() {
        let (_, guesses) = guesses();
        for _ in 0..1000 {
            guesses.admit(digest(1), address(1)).unwrap().was_not_answered();
        }
        guesses.admit(digest(1), address(1)).unwrap().was_right();
        guesses.admit(digest(1), address(1)).unwrap().was_not_answered();
        assert_eq!(bad(&guesses, 1, 1000), 200);
        guesses.admit(digest(1), address(1)).unwrap().was_right();
    }

    #[test]
    fn sources_that_have_nothing_against_them_are_forgotten() {
        let (clock, guesses) = guesses();
        for number in 0..10_000_u32 {
            let address = IpAddr::from(number.to_be_bytes());
            drop(guesses.admit(digest(0), Some(address)).unwrap());
            clock.advance(Duration::from_millis(200));
        }
        assert!(guesses.lock().sources.len() <= SOURCES);
    }
}
