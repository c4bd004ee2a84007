//! `[throttle]`

use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::Problem;
use super::{bounds, duration};
use crate::model::throttle::{BackOff, Rate, ThrottlePolicy};

/// How many logins may be tried, and how many requests may be made. An attempt counts before its password is looked at; success takes it back.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Throttle {
    /// Whether attempts are bounded at all. `COUNTERSIGN__THROTTLE__ENABLED`
    pub enabled: bool,
    /// How many failures one account may have from one source before it must wait; 1 to 10000.
    /// `COUNTERSIGN__THROTTLE__ACCOUNT_FREE`
    pub account_free: NonZeroU32,
    /// The first wait; each further failure doubles it; 10ms to 1h. `COUNTERSIGN__THROTTLE__ACCOUNT_FIRST_WAIT`
    #[serde(with = "duration")]
    pub account_first_wait: Duration,
    /// The longest wait; 10ms to 1d. `COUNTERSIGN__THROTTLE__ACCOUNT_LONGEST_WAIT`
    #[serde(with = "duration")]
    pub account_longest_wait: Duration,
    /// After so long without an attempt the failures are forgotten; 1s to 30d.
    /// `COUNTERSIGN__THROTTLE__ACCOUNT_FORGET`
    #[serde(with = "duration")]
    pub account_forget: Duration,
    /// How many failures in a row one account may have from all sources together; then it waits `account_longest_wait` before
    /// each further attempt, except where it has logged in within 30 days; 1 to 1000000.
    /// `COUNTERSIGN__THROTTLE__ACCOUNT_TOTAL`
    pub account_total: NonZeroU32,
    /// How many failures one source may have at once, whatever accounts it tries; 1 to 1000000.
    /// `COUNTERSIGN__THROTTLE__SOURCE_BURST`
    pub source_burst: NonZeroU32,
    /// How long until it may have one more; 1ms to 1h. `COUNTERSIGN__THROTTLE__SOURCE_INTERVAL`
    #[serde(with = "duration")]
    pub source_interval: Duration,
    /// How many failures there may be at once in all; 1 to 1000000. `COUNTERSIGN__THROTTLE__GLOBAL_BURST`
    pub global_burst: NonZeroU32,
    /// How long until there may be one more; 1ms to 1h. `COUNTERSIGN__THROTTLE__GLOBAL_INTERVAL`
    #[serde(with = "duration")]
    pub global_interval: Duration,
    /// How many requests one source may make a minute at the HTTP edge, whatever they ask for; at most 60000, 0 for as many
    /// as it likes. Goes by itself: `enabled` is about logins. `COUNTERSIGN__THROTTLE__REQUESTS`
    pub requests: u32,
}

/// After so long without an attempt the failures of an account over all sources are forgotten. Names that somebody makes up
/// are remembered for so long, too.
const FORGET_TOTAL: Duration = Duration::from_hours(24);

const fn some(number: u32) -> NonZeroU32 {
    match NonZeroU32::new(number) {
        Some(number) => number,
        None => NonZeroU32::MIN,
    }
}

impl Default for Throttle {
    fn default() -> Self {
        Self {
            enabled: true,
            account_free: some(5),
            account_first_wait: Duration::from_secs(1),
            account_longest_wait: Duration::from_mins(5),
            account_forget: Duration::from_hours(1),
            account_total: some(100),
            source_burst: some(50),
            source_interval: Duration::from_secs(1),
            global_burst: some(500),
            global_interval: Duration::from_millis(5),
            requests: 0,
        }
    }
}

impl Throttle {
    /// The rules as they are applied; `None` where attempts are not bounded.
    pub fn policy(&self) -> Option<ThrottlePolicy> {
        self.enabled.then_some(ThrottlePolicy {
            account: BackOff {
                free: self.account_free,
                first: self.account_first_wait,
                longest: self.account_longest_wait,
                forget: self.account_forget,
            },
            account_total: BackOff {
                free: self.account_total,
                first: self.account_longest_wait,
                longest: self.account_longest_wait,
                forget: FORGET_TOTAL,
            },
            source: Rate { burst: self.source_burst, interval: self.source_interval },
            global: Rate { burst: self.global_burst, interval: self.global_interval },
        })
    }

    /// So many requests at once, and then one each so much of a minute; `None` where they are not bounded.
    pub fn request_rate(&self) -> Option<Rate> {
        const MINUTE_MS: u32 = 60_000;
        let burst = NonZeroU32::new(self.requests)?;
        let interval = Duration::from_millis(MINUTE_MS.div_ceil(burst.get()).into());
        Some(Rate { burst, interval })
    }

    pub(super) fn check(&self) -> Result<(), Problem> {
        bounds::number("throttle.requests", self.requests, &(0..=60_000))?;
        bounds::number("throttle.account_free", self.account_free.get(), &(1..=10_000))?;
        bounds::time("throttle.account_first_wait", self.account_first_wait, ["10ms", "1h"])?;
        bounds::time("throttle.account_longest_wait", self.account_longest_wait, ["10ms", "1d"])?;
        bounds::time("throttle.account_forget", self.account_forget, ["1s", "30d"])?;
        if self.account_longest_wait < self.account_first_wait {
            let what = "is shorter than throttle.account_first_wait";
            return Err(Problem::between(
                "throttle.account_longest_wait",
                "throttle.account_first_wait",
                what,
            ));
        }
        bounds::number("throttle.account_total", self.account_total.get(), &(1..=1_000_000))?;
        bounds::number("throttle.source_burst", self.source_burst.get(), &(1..=1_000_000))?;
        bounds::time("throttle.source_interval", self.source_interval, ["1ms", "1h"])?;
        bounds::number("throttle.global_burst", self.global_burst.get(), &(1..=1_000_000))?;
        bounds::time("throttle.global_interval", self.global_interval, ["1ms", "1h"])
    }
}
