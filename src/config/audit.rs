//! `[audit]`

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::Problem;
use super::{bounds, duration};

/// How long it is known who did what.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Audit {
    /// How long events are kept and, from when they matter to no token any more, revocations, which say why a session ended;
    /// 1d to 3650d. `COUNTERSIGN__AUDIT__RETENTION`
    #[serde(with = "duration")]
    pub retention: Duration,
}

impl Default for Audit {
    fn default() -> Self {
        Self { retention: Duration::from_hours(90 * 24) }
    }
}

impl Audit {
    pub(super) fn check(&self) -> Result<(), Problem> {
        bounds::time("audit.retention", self.retention, ["1d", "3650d"])
    }
}
