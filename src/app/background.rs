//! What the service does without being asked.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use countersign_verifier::CLOCK_STEP;
use tokio_util::sync::CancellationToken;

use super::{Assembly, Stores};
use crate::auth::KeyKeeper;
use crate::lifecycle::Lifecycle;
use crate::model::{Monotonic, UnixMillis};
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
    let clock = Arc::new(SettledClock::default());
    repeat(stop, PURGE_EVERY, parts, move |parts| {
        let clock = Arc::clone(&clock);
        async move { purge(&parts, &clock).await }
    });
    match parts.keeper.clone() {
        Some(keeper) => drop(tokio::spawn(keep_keys(parts.clone(), keeper, stop.clone()))),
        None => repeat(stop, parts.config.keys.reload_interval, parts, |parts| async move {
            reload_keys(&parts).await;
        }),
    }
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

/// Tells when the clock of the stores has gone without a step for so long that it may decide what is deleted for good. A machine
/// that starts with a wrong clock, or has it set wrong, is usually put right within minutes; rows that are kept for
/// longer cost nothing but their place.
#[derive(Debug, Default)]
struct SettledClock(Mutex<Option<Anchored>>);

/// Both clocks at one moment, since which they have gone together.
#[derive(Debug, Clone, Copy)]
struct Anchored {
    wall: UnixMillis,
    monotonic: Monotonic,
}

/// How long a clock must go without a step.
const SETTLED_AFTER: Duration = Duration::from_hours(1);

impl SettledClock {
    /// Whether it has, asked at this moment of both clocks.
    fn is_settled(&self, wall: UnixMillis, monotonic: Monotonic) -> bool {
        let mut anchored = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let since = *anchored.get_or_insert(Anchored { wall, monotonic });
        let expected = since.wall + monotonic.since(since.monotonic);
        if expected.since(wall).max(wall.since(expected)) > CLOCK_STEP {
            *anchored = Some(Anchored { wall, monotonic });
            return false;
        }
        monotonic.since(since.monotonic) >= SETTLED_AFTER
    }
}

async fn purge(parts: &Assembly, clock: &SettledClock) {
    if let Err(error) = purge_all(parts, clock).await {
        tracing::warn!(%error, "cannot clear away what is dead");
    }
}

/// By the stores' time: what a replica whose own clock is wrong deleted would be gone for good.
async fn purge_all(parts: &Assembly, clock: &SettledClock) -> Result<(), StoreError> {
    let Stores { ledger, sessions, audit, .. } = &parts.stores;
    let now = parts.revocations.learn_store_time().await?;
    if !clock.is_settled(now, parts.clock.monotonic()) {
        return Ok(());
    }
    while sessions.purge(PURGE_ROWS).await? == u64::from(PURGE_ROWS) {}
    // Revocations say why a session ended for as long as events say who did what.
    let kept_since = now - parts.config.audit.retention;
    while ledger.purge(kept_since, PURGE_ROWS).await? == u64::from(PURGE_ROWS) {}
    while audit.purge(kept_since, PURGE_ROWS).await? == u64::from(PURGE_ROWS) {}
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

/// Keeps the keys where those in the database are: now and then, and as soon as somebody tells that they have changed.
async fn keep_keys(parts: Arc<Assembly>, keeper: Arc<KeyKeeper>, stop: CancellationToken) {
    let mut tick = tokio::time::interval(parts.config.keys.reload_interval);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
            () = parts.revocations.keys_changed() => {}
        }
        match keeper.step().await {
            Ok(rows) => rows.iter().for_each(|row| parts.revocations.announce(row)),
            Err(error) => {
                parts.key_reload_failures.fetch_add(1, Ordering::Relaxed);
                tracing::error!(%error, "keys not looked at; going on with those loaded before");
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Monotonic {
        Monotonic(Duration::from_secs(seconds))
    }

    #[test]
    fn nothing_is_deleted_by_a_clock_that_has_stepped_within_the_hour() {
        let (clock, start) = (SettledClock::default(), UnixMillis::from_secs(1_000_000_000));
        let year_ahead = start + Duration::from_hours(400 * 24);
        assert!(!clock.is_settled(start, at(0)), "it has just started, and may be wrong");
        assert!(!clock.is_settled(start + Duration::from_secs(3599), at(3599)));
        assert!(clock.is_settled(start + Duration::from_hours(1), at(3600)));
        assert!(!clock.is_settled(year_ahead, at(3630)), "it has stepped");
        assert!(!clock.is_settled(start + Duration::from_mins(61), at(3660)), "and back");
        assert!(!clock.is_settled(start + Duration::from_hours(2), at(7200)));
        assert!(clock.is_settled(start + Duration::from_mins(121), at(7260)));
    }
}
