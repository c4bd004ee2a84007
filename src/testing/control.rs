//! What a test may do to a world.

use std::sync::Arc;
use std::time::Duration;

use super::{ClockTooFar, Failures, Minter, Streams, WorldClock, WorldName, WorldRegistry};
use crate::auth::{AuthError, KeyKeeper};
use crate::revocation::Revocations;

/// How long a world waits for its ledger when its clock was moved.
const SETTLE_WITHIN: Duration = Duration::from_secs(2);

/// What a world is controlled by.
pub struct ControlParts {
    /// What the world is called.
    pub name: WorldName,
    /// Its clock.
    pub clock: Arc<WorldClock>,
    /// What makes tokens.
    pub minter: Minter,
    /// What it knows of its ledger.
    pub revocations: Revocations,
    /// What keeps its keys.
    pub keeper: Option<Arc<KeyKeeper>>,
    /// All worlds.
    pub registry: Arc<dyn WorldRegistry>,
}

/// See the module.
pub struct Control {
    parts: ControlParts,
    failures: Failures,
    streams: Streams,
}

impl Control {
    /// Nothing fails, and nothing is held up.
    pub fn new(parts: ControlParts) -> Self {
        Self { parts, failures: Failures::default(), streams: Streams::default() }
    }

    /// What the world is called.
    pub const fn name(&self) -> &WorldName {
        &self.parts.name
    }

    /// Its clock.
    pub fn clock(&self) -> &WorldClock {
        &self.parts.clock
    }

    /// What makes tokens.
    pub const fn minter(&self) -> &Minter {
        &self.parts.minter
    }

    /// What fails.
    pub const fn failures(&self) -> &Failures {
        &self.failures
    }

    /// Its streams.
    pub const fn streams(&self) -> &Streams {
        &self.streams
    }

    /// All worlds.
    pub fn registry(&self) -> &dyn WorldRegistry {
        self.parts.registry.as_ref()
    }

    /// Moves the clock, and lets the world do what is due: its ledger is read by the new time, and its keys are rotated.
    pub async fn advance(&self, by: Duration) -> Result<Result<(), ClockTooFar>, AuthError> {
        if let Err(too_far) = self.parts.clock.advance(by) {
            return Ok(Err(too_far));
        }
        if let Some(keeper) = &self.parts.keeper {
            let rows = keeper.step().await.map_err(AuthError::internal)?;
            for row in &rows {
                self.parts.revocations.announce(row);
            }
        }
        self.parts.revocations.learn_store_time().await?;
        let polled = tokio::time::timeout(SETTLE_WITHIN, self.parts.revocations.poll()).await;
        if polled.is_err() {
            tracing::warn!(world = %self.parts.name, "the ledger was not read after the clock was moved");
        }
        Ok(Ok(()))
    }
}
