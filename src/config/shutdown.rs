//! `[shutdown]`

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::Problem;
use super::{bounds, duration};

/// How the process goes when it is told to: health says so, then no new connections, then no more calls. Both
/// together should be less than the time after which it is killed (30s in Kubernetes).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shutdown {
    /// How long it goes on serving after health says that it is not ready, so that load balancers notice before
    /// the listeners close; at most 10m. `COUNTERSIGN__SHUTDOWN__DRAIN_DELAY`
    #[serde(with = "duration")]
    pub drain_delay: Duration,
    /// How long calls that are in flight may then take; at most 10m. `COUNTERSIGN__SHUTDOWN__GRACE`
    #[serde(with = "duration")]
    pub grace: Duration,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self { drain_delay: Duration::from_secs(5), grace: Duration::from_secs(20) }
    }
}

impl Shutdown {
    pub(super) fn check(&self) -> Result<(), Problem> {
        bounds::time("shutdown.drain_delay", self.drain_delay, ["0s", "10m"])?;
        bounds::time("shutdown.grace", self.grace, ["0s", "10m"])
    }
}
