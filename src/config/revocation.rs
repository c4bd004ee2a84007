//! `[revocation]`

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::Problem;
use super::{bounds, duration};

/// How a revocation reaches this replica, and how old its view may be.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revocation {
    /// How often the ledger is asked for news; 10ms to 1m. `COUNTERSIGN__REVOCATION__POLL_INTERVAL`
    #[serde(with = "duration")]
    pub poll_interval: Duration,
    /// The oldest view that is answered from; longer than `poll_interval`, at most 1h.
    /// `COUNTERSIGN__REVOCATION__MAX_STALENESS`
    #[serde(with = "duration")]
    pub max_staleness: Duration,
    /// What happens beyond that. `COUNTERSIGN__REVOCATION__ON_STALE`
    pub on_stale: OnStale,
}

/// What Verify and Refresh do when the view of what is revoked is too old.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnStale {
    /// They answer `UNAVAILABLE`.
    Fail,
    /// They go on: a revoked token may be taken for good until the ledger can be read again.
    Serve,
}

impl Default for Revocation {
    fn default() -> Self {
        Self {
            poll_interval: Duration::from_secs(1),
            max_staleness: Duration::from_mins(1),
            on_stale: OnStale::Fail,
        }
    }
}

impl Revocation {
    pub(super) fn check(&self) -> Result<(), Problem> {
        bounds::time("revocation.poll_interval", self.poll_interval, ["10ms", "1m"])?;
        bounds::time("revocation.max_staleness", self.max_staleness, ["20ms", "1h"])?;
        if self.max_staleness <= self.poll_interval {
            let (most, poll) = (duration::format(self.max_staleness), duration::format(self.poll_interval));
            let what = format!("{most} is not longer than revocation.poll_interval, which is {poll}");
            return Err(Problem::between("revocation.max_staleness", "revocation.poll_interval", what));
        }
        Ok(())
    }
}
