//! When a stream that could go on for ever ends.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::secret;

/// After about this long a stream ends, so that its client connects again, perhaps to a replica that has come
/// since: connections are asked to go away at that age, and a stream would hold one for ever.
const AGE: Duration = Duration::from_mins(10);

/// Ends streams when the server stops, and when they are old.
#[derive(Debug, Clone)]
pub(super) struct StreamEnd {
    pub(super) stopping: CancellationToken,
}

impl StreamEnd {
    /// Resolves when a stream that begins now must end; a tenth earlier or later, lest all end at once.
    pub(super) fn reached(&self) -> impl Future<Output = ()> + Send + 'static {
        let stopping = self.stopping.clone();
        let spread = f64::from(u8::from_ne_bytes(secret::random())) / f64::from(u8::MAX);
        let age = AGE.mul_f64(0.9 + 0.2 * spread);
        async move {
            let _ = tokio::time::timeout(age, stopping.cancelled()).await;
        }
    }
}
