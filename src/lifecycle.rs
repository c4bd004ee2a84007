//! Start, drain, stop.
//!
//! Stopping has three steps, each with its own bound: readiness and health say no, so that load balancers look
//! elsewhere; the listeners close and the calls under way finish; whatever is left is dropped.

use std::time::Duration;

use tokio::signal::unix::Signal;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How the service stops, and what runs until it does.
#[derive(Debug, Clone, Default)]
pub struct Lifecycle {
    stopping: CancellationToken,
    aborting: CancellationToken,
    tasks: TaskTracker,
}

impl Lifecycle {
    /// Nothing is stopping yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancelled when listeners close and background tasks end; calls under way finish.
    pub const fn stopping(&self) -> &CancellationToken {
        &self.stopping
    }

    /// Cancelled when the time to finish is over.
    pub const fn aborting(&self) -> &CancellationToken {
        &self.aborting
    }

    /// What must be waited for when stopping: listeners, and mutations whose callers may have gone.
    pub const fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    /// Goes through the three steps. `drain` is how long load balancers get to notice; `grace` is how long calls
    /// get to finish. A second signal skips the drain. Says whether everything finished by itself.
    pub async fn stop(&self, drain: Duration, grace: Duration) -> bool {
        tracing::info!(drain_seconds = drain.as_secs_f64(), "draining: health says NOT_SERVING");
        tokio::select! {
            () = tokio::time::sleep(drain) => {}
            () = signal() => tracing::info!("second signal: draining no longer"),
        }
        self.stopping.cancel();
        self.tasks.close();
        let finished = tokio::time::timeout(grace, self.tasks.wait()).await.is_ok();
        if finished {
            tracing::info!("stopped: every call finished");
        } else {
            tracing::warn!(grace_seconds = grace.as_secs_f64(), "stopped with calls under way");
        }
        self.aborting.cancel();
        finished
    }
}

/// From here on a SIGHUP does not end the process, whether or not there is anything to be read again: a reload by
/// `systemctl` or a script must never be a stop without draining.
pub fn survive_hangup() {
    use tokio::signal::unix::{SignalKind, signal};
    // Once somebody listens, what the system would do stays away for good, even when nobody listens any more.
    if let Err(error) = signal(SignalKind::hangup()) {
        tracing::error!(%error, "cannot listen for SIGHUP, which would end this process");
    }
}

/// Returns when the process is asked to stop: SIGTERM or SIGINT. Listens from the call on, and not only once it is waited for:
/// whoever is told that the service is ready may stop it in the same moment, and must not meet what the system would do,
/// which is to end it without draining. Needs to be called within a runtime.
pub fn signal() -> impl Future<Output = ()> + Send {
    use tokio::signal::unix::{SignalKind, signal};
    let listening = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    asked(listening)
}

async fn asked(listening: (std::io::Result<Signal>, std::io::Result<Signal>)) {
    match listening {
        (Ok(mut terminate), Ok(mut interrupt)) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
        (Err(error), _) | (_, Err(error)) => {
            tracing::error!(%error, "cannot listen for signals; only SIGKILL will stop this process");
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::process::{Signal as Sent, getpid, kill_process};

    use super::*;

    /// If it did not, this process would end here, and every test in it.
    #[tokio::test]
    async fn a_signal_counts_that_comes_before_anybody_waits_for_it() {
        let asked = signal();
        kill_process(getpid(), Sent::TERM).unwrap();
        tokio::time::timeout(Duration::from_secs(20), asked).await.expect("the signal was heard");
    }
}
