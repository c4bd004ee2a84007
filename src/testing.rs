//! What tests of other services do to a running one, in `countersign test-server` alone: a world's clock, its failures, its
//! streams, and tokens in any state. Not part of a build without the feature `test-server`.
//!
//! A world is a service of its own within the process. What serves it ([`crate::grpc`], [`crate::http`]) asks [`Worlds`] for
//! the one that a request names.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;

use crate::auth::AuthError;

mod clock;
mod control;
mod failures;
mod minter;
mod name;
mod streams;

pub use clock::{ClockTooFar, WorldClock};
pub use control::{Control, ControlParts};
pub use failures::{Failure, FailureRule, Failures, RuleRefused};
pub use minter::{Mint, Minted, Minter, TokenKind, TokenState};
pub use name::{InvalidWorldName, WorldName};
pub use streams::{Hold, Streams};

/// The metadata, and the HTTP header, that names a request's world.
pub const WORLD_HEADER: &str = "x-countersign-world";

/// A request's stay in its world.
pub struct Visit<S> {
    /// What answers it there.
    pub service: S,
    /// What tests have asked of the world.
    pub control: Arc<Control>,
    /// Held until the request is over: a world that somebody is in is not forgotten.
    pub stay: Stay,
}

/// Counts a request as long as it is held.
#[derive(Debug)]
pub struct Stay(Arc<AtomicUsize>);

impl Stay {
    /// One more.
    pub fn begin(inside: &Arc<AtomicUsize>) -> Self {
        inside.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(inside))
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The worlds that there are, each served by an `S`.
#[async_trait]
pub trait Worlds<S>: Send + Sync + 'static {
    /// Enters a world, which is made if there is none of this name.
    async fn enter(&self, name: &WorldName) -> Result<Visit<S>, AuthError>;
}

/// What tests do to worlds as a whole.
#[async_trait]
pub trait WorldRegistry: Send + Sync + 'static {
    /// Makes a world. `false`: there is one of this name.
    async fn create(&self, name: WorldName) -> Result<bool, AuthError>;

    /// Makes a world anew.
    async fn reset(&self, name: &WorldName) -> Result<(), AuthError>;

    /// Forgets a world. Says whether there was one.
    fn delete(&self, name: &WorldName) -> bool;
}
