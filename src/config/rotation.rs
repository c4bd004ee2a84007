//! `[rotation]`

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::Problem;
use super::{bounds, duration};
use crate::model::RotationPolicy;

/// What is honoured of old refresh tokens.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rotation {
    /// W: how long the predecessor gets the identical successor again; at most 5m, 0s switches grace off.
    /// `COUNTERSIGN__ROTATION__GRACE`
    #[serde(with = "duration")]
    pub grace: Duration,
    /// D: no Refresh answers later than this; 100ms to 30s, at most `grace` unless that is off.
    /// `COUNTERSIGN__ROTATION__DEADLINE`
    #[serde(with = "duration")]
    pub deadline: Duration,
    /// Takes a predecessor that comes back after `grace` and twice `deadline` for theft and ends the session, instead
    /// of replacing the successor that nobody ever used. `COUNTERSIGN__ROTATION__STRICT`
    pub strict: bool,
}

impl Default for Rotation {
    fn default() -> Self {
        Self { grace: Duration::from_secs(10), deadline: Duration::from_secs(2), strict: false }
    }
}

impl Rotation {
    /// The policy as the rules of rotation take it.
    pub const fn policy(&self) -> RotationPolicy {
        RotationPolicy { grace: self.grace, deadline: self.deadline, strict: self.strict }
    }

    pub(super) fn check(&self) -> Result<(), Problem> {
        bounds::time("rotation.grace", self.grace, ["0s", "5m"])?;
        bounds::time("rotation.deadline", self.deadline, ["100ms", "30s"])?;
        if !self.grace.is_zero() && self.deadline > self.grace {
            let (deadline, grace) = (duration::format(self.deadline), duration::format(self.grace));
            let what = format!("{deadline} is longer than rotation.grace, which is {grace}");
            return Err(Problem::between("rotation.deadline", "rotation.grace", what));
        }
        Ok(())
    }
}
