//! What the service does without being asked.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Assembly, Stores};
use crate::lifecycle::Lifecycle;
use crate::store::StoreError;
use crate::token::KeyDirectory;

/// How often the stores are asked whether they answer.
const PROBE_EVERY: Duration = Duration::from_secs(1);
/// How often what is dead is cleared away, and how much at a time: short transactions, so that nobody waits.
const PURGE_EVERY: Duration = Duration::from_secs(30);
const PURGE_ROWS: u32 = 500;

/// Starts every background task; each ends when the service stops.
pub(super) fn start(parts: &Arc<Assembly>, lifecycle: &Lifecycle) {
    let stop = lifecycle.stopping();
    repeat(stop, PROBE_EVERY, parts, |parts| async move { probe(&parts).await });
    repeat(stop, PURGE_EVERY, parts, |parts| async move { purge(&parts).await });
    repeat(stop, parts.config.keys.reload_interval, parts, |parts| async move { reload_keys(&parts).await });
    tokio::spawn(follow_health(parts.clone(), lifecycle.aborting().clone()));
}

fn repeat<F>(
    stop: &CancellationToken,
    every: Duration,
    parts: &Arc<Assembly>,
    mut work: impl FnMut(Arc<Assembly>) -> F + Send + 'static,
) where
    F: Future<Output = ()> + Send,
{
    let (stop, parts) = (stop.clone(), parts.clone());
    tokio::spawn(async move {
        let mut tick = tokio::time::interval(every);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => work(parts.clone()).await,
            }
        }
    });
}

async fn probe(parts: &Assembly) {
    for store in &parts.stores.probes {
        let answer = store.check().await;
        parts.readiness.set_store(store.name(), answer.map_err(|error| error.to_string()));
    }
}

async fn purge(parts: &Assembly) {
    if let Err(error) = purge_all(parts).await {
        tracing::warn!(%error, "cannot clear away what is dead");
    }
}

async fn purge_all(parts: &Assembly) -> Result<(), StoreError> {
    let Stores { ledger, sessions, .. } = &parts.stores;
    while sessions.purge(PURGE_ROWS).await? == u64::from(PURGE_ROWS) {}
    while ledger.purge(parts.clock.now(), PURGE_ROWS).await? == u64::from(PURGE_ROWS) {}
    Ok(())
}

/// Keys that cannot be loaded leave those in place that were loaded last: a half-written Secret must not stop the
/// service.
async fn reload_keys(parts: &Arc<Assembly>) {
    let reading = parts.clone();
    let loaded = tokio::task::spawn_blocking(move || {
        KeyDirectory::open(&reading.config.keys.directory, reading.config.keys.permissions.into())
    });
    match loaded.await {
        Ok(Ok(keys)) => parts.keys.replace(keys),
        Ok(Err(error)) => {
            parts.key_reload_failures.fetch_add(1, Ordering::Relaxed);
            tracing::error!(%error, "keys not reloaded; going on with those loaded before");
        }
        Err(error) => tracing::error!(%error, "keys not reloaded"),
    }
}

/// gRPC health says what readiness says.
async fn follow_health(parts: Arc<Assembly>, stop: CancellationToken) {
    let mut ready = parts.readiness.subscribe();
    loop {
        let serving = *ready.borrow_and_update();
        parts.health.set_serving(serving).await;
        tokio::select! {
            () = stop.cancelled() => return,
            changed = ready.changed() => if changed.is_err() { return },
        }
    }
}
