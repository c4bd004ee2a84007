//! How often logins have failed of late, by account and by address. Each replica counts for itself.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::model::{Monotonic, Username};

/// The most that is remembered. When there is more, everybody is asked for a captcha until it is less.
const MOST: usize = 100_000;

/// A login: of which account, from where.
#[derive(Debug, Clone)]
pub(in crate::http) struct Attempt {
    account: String,
    pub(super) address: Option<IpAddr>,
}

impl Attempt {
    /// All spellings of a username are one account; what is no username is one by itself.
    pub(in crate::http) fn new(address: Option<IpAddr>, username: &str) -> Self {
        let account =
            Username::parse(username).map_or_else(|_| String::new(), |name| name.as_str().to_owned());
        Self { account, address }
    }
}

/// An account is remembered by a keyed hash: people type passwords into the wrong field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Account(u64),
    Address(IpAddr),
}

#[derive(Debug, Clone, Copy)]
struct Count {
    failures: u32,
    since: Monotonic,
}

/// The counts.
#[derive(Debug, Default)]
pub(super) struct Failures {
    hasher: RandomState,
    counts: Mutex<HashMap<Key, Count>>,
}

impl Failures {
    fn account(&self, attempt: &Attempt) -> Key {
        Key::Account(self.hasher.hash_one(&attempt.account))
    }

    /// What is counted of an attempt: its account, and its network.
    pub(super) fn keys(&self, attempt: &Attempt) -> impl Iterator<Item = Key> + use<> {
        let address = attempt.address.map(|address| Key::Address(super::network(address)));
        [Some(self.account(attempt)), address].into_iter().flatten()
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<Key, Count>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the account or the address has failed as often within the window.
    pub(super) fn reached(&self, attempt: &Attempt, limit: u32, window: Duration, now: Monotonic) -> bool {
        let counts = self.counts();
        let reached = |key: Key| {
            counts.get(&key).is_some_and(|count| count.failures >= limit && now.since(count.since) < window)
        };
        counts.len() >= MOST || self.keys(attempt).any(reached)
    }

    /// How many failures are counted there within the window.
    pub(super) fn number(&self, key: &Key, window: Duration, now: Monotonic) -> u32 {
        let counts = self.counts();
        counts.get(key).filter(|count| now.since(count.since) < window).map_or(0, |count| count.failures)
    }

    /// Counts a failure.
    pub(super) fn count(&self, attempt: &Attempt, window: Duration, now: Monotonic) {
        let keys = self.keys(attempt);
        let mut counts = self.counts();
        if counts.len() >= MOST {
            counts.retain(|_, count| now.since(count.since) < window);
        }
        for key in keys {
            if counts.len() >= MOST && !counts.contains_key(&key) {
                continue;
            }
            let count = counts.entry(key).or_insert(Count { failures: 0, since: now });
            if now.since(count.since) >= window {
                *count = Count { failures: 0, since: now };
            }
            count.failures = count.failures.saturating_add(1);
        }
    }

    /// Starts anew for the account.
    pub(super) fn forget_account(&self, attempt: &Attempt) {
        let account = self.account(attempt);
        self.counts().remove(&account);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_mins(10);

    fn attempt(address: &str, username: &str) -> Attempt {
        Attempt::new(Some(address.parse().unwrap()), username)
    }

    fn at(seconds: u64) -> Monotonic {
        Monotonic(Duration::from_secs(seconds))
    }

    #[test]
    fn an_account_is_counted_in_every_spelling_and_from_everywhere() {
        let failures = Failures::default();
        failures.count(&attempt("192.0.2.1", "ada"), WINDOW, at(0));
        failures.count(&attempt("192.0.2.2", "ADA"), WINDOW, at(1));
        assert!(failures.reached(&attempt("192.0.2.3", "Ａda"), 2, WINDOW, at(2)));
        assert!(!failures.reached(&attempt("192.0.2.3", "bob"), 2, WINDOW, at(2)));
        assert!(!failures.reached(&attempt("192.0.2.3", "ada"), 2, WINDOW, at(600)), "the window is over");

        failures.forget_account(&attempt("192.0.2.2", "ada"));
        assert!(!failures.reached(&attempt("192.0.2.3", "ada"), 1, WINDOW, at(2)));
        assert!(
            failures.reached(&attempt("192.0.2.2", "ada"), 1, WINDOW, at(2)),
            "the address is not forgiven"
        );
    }

    #[test]
    fn a_network_is_one_client() {
        let failures = Failures::default();
        failures.count(&attempt("2001:db8::1", "ada"), WINDOW, at(0));
        failures.count(&attempt("2001:db8::2", "bob"), WINDOW, at(0));
        assert!(failures.reached(&attempt("2001:db8::3", "eve"), 2, WINDOW, at(0)));
        assert!(!failures.reached(&attempt("2001:db8:0:1::3", "eve"), 2, WINDOW, at(0)));
    }

    #[test]
    fn a_flood_makes_everybody_solve_and_ends_with_its_window() {
        let failures = Failures::default();
        for number in 0..u32::try_from(MOST).unwrap() {
            let address = std::net::Ipv4Addr::from_bits(number).to_string();
            failures.count(&attempt(&address, "ada"), WINDOW, at(0));
        }
        assert_eq!(failures.counts().len(), MOST, "bounded");
        assert!(failures.reached(&attempt("192.0.2.3", "bob"), 9, WINDOW, at(1)));
        failures.count(&attempt("192.0.2.3", "bob"), WINDOW, at(601));
        assert!(!failures.reached(&attempt("192.0.2.3", "bob"), 9, WINDOW, at(601)));
    }
}
