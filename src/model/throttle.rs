//! How many logins may be tried: the rules, as pure functions over the little state that they need.
//!
//! Four bounds hold at once. The first is for one account from one source, and grows with every failure, so that
//! guessing one password gets slow while the owner, who comes from elsewhere, is not kept out. The second is for one
//! account from all sources together, for guesses that come from a thousand of them. The third is for one source, whatever
//! accounts it tries. The fourth is for all together. An attempt counts when it is admitted,
//! before its password is looked at: a thousand guesses at once are no more than a few. Success takes it back.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use aws_lc_rs::digest;
use countersign_verifier::{Monotonic, UnixMillis};

use super::username::Username;

/// An account as throttling knows it: a digest, so that no username stands in any key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AccountDigest([u8; 16]);

impl AccountDigest {
    /// The digest of a username, whether or not there is such a user.
    pub fn of(username: &Username) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(b"countersign login throttle\0");
        context.update(username.as_str().as_bytes());
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&context.finish().as_ref()[..16]);
        Self(bytes)
    }

    /// The bytes of the digest.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// Where attempts come from: an IPv4 address, or the /64 of an IPv6 address, since whoever has one address of it
/// has all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// An IPv4 address.
    V4([u8; 4]),
    /// The first half of an IPv6 address.
    V6([u8; 8]),
}

impl Source {
    /// The source that an address belongs to. An IPv4 address in IPv6 clothes (RFC 4291 §2.5.5.2) is one.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.octets()),
            IpAddr::V6(address) => {
                let mut network = [0; 8];
                network.copy_from_slice(&address.octets()[..8]);
                Self::V6(network)
            }
        }
    }

    /// The bytes that tell it from others; the two kinds differ in length.
    pub const fn as_bytes(&self) -> &[u8] {
        match self {
            Self::V4(bytes) => bytes,
            Self::V6(bytes) => bytes,
        }
    }
}

/// Somebody wants to log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LoginAttempt {
    /// As whom.
    pub account: AccountDigest,
    /// From where.
    pub source: Source,
}

/// Whether the attempt may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It may, and has been counted.
    Admitted,
    /// It may not, and was not counted.
    Refused {
        /// When to ask again; by then others may have come first.
        retry_after: Duration,
    },
}

/// The time by which a process remembers attempts in its own memory: that of the monotonic clock, which no step of the wall
/// clock moves, as if it had begun a long time after 1970.
pub fn steady(now: Monotonic) -> UnixMillis {
    UnixMillis::from_secs(1 << 31) + now.0
}

/// What is allowed. Times count in whole milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThrottlePolicy {
    /// For one account from one source.
    pub account: BackOff,
    /// For one account from all sources together (NIST SP 800-63B-4 §3.2.2); does not hold up an account that [`is_known`]
    /// at its source, so that its owner is not locked out where they have logged in before.
    pub account_total: BackOff,
    /// For one source.
    pub source: Rate,
    /// For all together; does not hold up an account that [`is_known`] at its source.
    pub global: Rate,
}

/// After a login an account is known at its source for so long: there the bound for all together does not hold it up.
pub const KNOWN_FOR: Duration = Duration::from_hours(30 * 24);

/// Whether an account that last succeeded at a source then is known there now. Whoever floods all other accounts from a
/// thousand sources fills the bound for all together, and must not thereby lock out those who come from where they always
/// come from; the other two bounds hold for them too, so that being known is no licence to guess.
pub fn is_known(succeeded: Option<UnixMillis>, now: UnixMillis) -> bool {
    succeeded.is_some_and(|at| now.since(at) < KNOWN_FOR)
}

/// So many at once, and then one after each interval (GCRA, ITU-T I.371 Annex A).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many at once.
    pub burst: NonZeroU32,
    /// How long it takes until one more is allowed.
    pub interval: Duration,
}

impl Rate {
    /// How long to wait, by the bucket's theoretical arrival time.
    pub fn wait(&self, arrival: UnixMillis, now: UnixMillis) -> Duration {
        let tolerance = millis(self.interval).saturating_mul(i64::from(self.burst.get()));
        let arrival = self.bounded(arrival, now).saturating_add(millis(self.interval));
        UnixMillis(arrival).since(UnixMillis(now.0.saturating_add(tolerance)))
    }

    /// The bucket after one more.
    pub fn take(&self, arrival: UnixMillis, now: UnixMillis) -> UnixMillis {
        UnixMillis(self.bounded(arrival, now).saturating_add(millis(self.interval)))
    }

    /// The bucket after one has been taken back.
    pub fn give_back(&self, arrival: UnixMillis) -> UnixMillis {
        arrival - self.interval
    }

    /// Never before now, and never so far ahead that only a clock that went back explains it.
    fn bounded(&self, arrival: UnixMillis, now: UnixMillis) -> i64 {
        let tolerance = millis(self.interval).saturating_mul(i64::from(self.burst.get()));
        arrival.0.clamp(now.0, now.0.saturating_add(tolerance))
    }
}

/// So many freely; then a pause before each, twice as long as the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackOff {
    /// How many before the first pause.
    pub free: NonZeroU32,
    /// The first pause.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
    /// After so long without an attempt all are forgotten.
    pub forget: Duration,
}

/// The attempts of one account from one source that have not succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Attempts {
    /// How many.
    pub count: u32,
    /// When the last one was.
    pub last: UnixMillis,
}

impl BackOff {
    /// How long to wait.
    pub fn wait(&self, attempts: Attempts, now: UnixMillis) -> Duration {
        let attempts = self.remembered(attempts, now);
        let Some(pauses) = attempts.count.checked_sub(self.free.get()) else { return Duration::ZERO };
        let pause = self.first.saturating_mul(1 << pauses.min(30)).min(self.longest);
        let pause = Duration::from_millis(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX));
        pause.saturating_sub(now.since(attempts.last))
    }

    /// The attempts after one more.
    pub fn take(&self, attempts: Attempts, now: UnixMillis) -> Attempts {
        let count = self.remembered(attempts, now).count.saturating_add(1);
        Attempts { count, last: now }
    }

    fn remembered(&self, attempts: Attempts, now: UnixMillis) -> Attempts {
        if now.since(attempts.last).as_millis() >= self.forget.as_millis() {
            Attempts::default()
        } else {
            attempts
        }
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const NOW: UnixMillis = UnixMillis::from_secs(1_000_000);

    fn some(number: u32) -> NonZeroU32 {
        NonZeroU32::new(number).unwrap()
    }

    #[test]
    fn a_rate_lets_a_burst_through_and_then_one_each_interval() {
        let rate = Rate { burst: some(3), interval: SECOND };
        let mut bucket = UnixMillis(0);
        for _ in 0..3 {
            assert_eq!(rate.wait(bucket, NOW), Duration::ZERO);
            bucket = rate.take(bucket, NOW);
        }
        assert_eq!(rate.wait(bucket, NOW), SECOND);
        assert_eq!(rate.wait(bucket, NOW + SECOND / 4), SECOND * 3 / 4);
        assert_eq!(rate.wait(bucket, NOW + SECOND), Duration::ZERO);
        assert_eq!(rate.wait(rate.give_back(bucket), NOW), Duration::ZERO);
        assert_eq!(rate.wait(bucket, NOW - SECOND * 3600), SECOND, "a clock that went back locks nobody out");
    }

    #[test]
    fn pauses_grow_with_each_attempt_and_are_forgotten() {
        let back_off = BackOff { free: some(2), first: SECOND, longest: SECOND * 5, forget: SECOND * 60 };
        let (mut attempts, mut now, mut pauses) = (Attempts::default(), NOW, Vec::new());
        for _ in 0..6 {
            let pause = back_off.wait(attempts, now);
            pauses.push(pause.as_secs());
            now = now + pause;
            assert_eq!(back_off.wait(attempts, now), Duration::ZERO);
            attempts = back_off.take(attempts, now);
        }
        assert_eq!(pauses, [0, 0, 1, 2, 4, 5]);
        assert_eq!(back_off.take(attempts, now + SECOND * 60).count, 1);
        assert_eq!(back_off.wait(Attempts { count: u32::MAX, last: now }, now), SECOND * 5);
        assert_eq!(back_off.wait(attempts, now - SECOND * 3600), SECOND * 5);
    }

    #[test]
    fn a_network_of_one_subscriber_is_one_source() {
        let source = |text: &str| Source::of(text.parse().unwrap());
        assert_eq!(source("2001:db8:1:2::1"), source("2001:db8:1:2:ffff::9"));
        assert_ne!(source("2001:db8:1:2::1"), source("2001:db8:1:3::1"));
        assert_eq!(source("::ffff:192.0.2.1"), source("192.0.2.1"));
        assert_ne!(source("192.0.2.1"), source("192.0.2.2"));
    }

    #[test]
    fn a_digest_is_of_the_normal_form() {
        let digest = |name: &str| AccountDigest::of(&Username::parse(name).unwrap());
        assert_eq!(digest("Ada"), digest("ada"));
        assert_ne!(digest("ada"), digest("bob"));
    }
}
