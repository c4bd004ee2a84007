//! Changes go on when their callers do not.

use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use crate::auth::AuthError;
use crate::telemetry::traces;

/// A call has panicked. Where and why, the panic hook has written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the call panicked")]
pub struct Panicked;

impl From<Panicked> for AuthError {
    fn from(panicked: Panicked) -> Self {
        Self::internal(panicked)
    }
}

/// Runs a change to its end in a task of `tasks`, even when the caller goes away or its time is up in the middle: a
/// call that is cut off would leave a store's connection in a state that nobody knows. A failure that nobody waits
/// for any more must be seen too, so `change` itself writes it to the log.
pub async fn carry_through<T: Send + 'static>(
    tasks: &TaskTracker,
    change: impl Future<Output = T> + Send + 'static,
) -> Result<T, Panicked> {
    tasks.spawn(traces::continued(change.in_current_span())).await.map_err(|_| Panicked)
}
