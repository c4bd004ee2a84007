//! Whether this replica can serve, and why not.
//!
//! A replica is ready once it has loaded the revocation ledger, as long as its view of it is fresh, and until it
//! drains. A store that is down does not by itself make it unready: Verify needs no store, and taking every
//! replica out of service because of one they share would turn a partial outage into a whole one. Such a store is
//! shown as failing all the same.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::watch;

/// What `/readyz` says.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Whether requests should be sent here.
    pub ready: bool,
    /// In whole sentences, what stands in the way; empty when nothing does.
    pub reasons: Vec<String>,
    /// Each store, and what it last answered: `ok` or the error.
    pub stores: BTreeMap<&'static str, String>,
    /// In whole sentences, what does no harm yet and will if nobody acts.
    pub warnings: Vec<String>,
    /// How old the view of the revocation ledger is, in milliseconds; absent before it was first loaded.
    pub revocation_staleness_ms: Option<u64>,
}

#[derive(Debug, Default)]
struct State {
    loaded: bool,
    draining: bool,
    staleness: Option<Duration>,
    stores: BTreeMap<&'static str, Result<(), String>>,
    warnings: BTreeMap<&'static str, String>,
}

/// Collects what the parts of the service know of themselves.
#[derive(Debug, Clone)]
pub struct Readiness {
    state: Arc<Mutex<State>>,
    max_staleness: Option<Duration>,
    ready: watch::Sender<bool>,
}

impl Readiness {
    /// Not ready. Above `max_staleness` the replica is unready again; `None` where the operator chose to go on
    /// serving.
    pub fn new(max_staleness: Option<Duration>) -> Self {
        Self { state: Arc::default(), max_staleness, ready: watch::Sender::new(false) }
    }

    /// The ledger is, or is no longer, wholly in memory.
    pub fn set_ledger_loaded(&self, loaded: bool) {
        self.update(|state| state.loaded = loaded);
    }

    /// How old the view of the ledger is now.
    pub fn set_staleness(&self, staleness: Option<Duration>) {
        self.update(|state| state.staleness = staleness);
    }

    /// What a store last answered.
    pub fn set_store(&self, name: &'static str, result: Result<(), String>) {
        self.update(|state| {
            let was = state.stores.insert(name, result.clone());
            match (was, result) {
                (Some(Err(_)), Ok(())) => tracing::info!(store = name, "store answers again"),
                (Some(Ok(())) | None, Err(error)) => tracing::error!(store = name, error, "store fails"),
                _ => {}
            }
        });
    }

    /// What an operator should look at in the part of this name before it does harm; `None` when there is nothing
    /// (any more). What is new is logged.
    pub fn set_warning(&self, part: &'static str, warning: Option<String>) {
        self.update(|state| {
            let was = state.warnings.remove(part);
            if let Some(warning) = warning {
                if was.as_ref() != Some(&warning) {
                    tracing::warn!(part, "{warning}");
                }
                state.warnings.insert(part, warning);
            }
        });
    }

    /// The replica is about to stop.
    pub fn set_draining(&self) {
        self.update(|state| state.draining = true);
    }

    /// Follows whether the replica is ready.
    pub fn subscribe(&self) -> watch::Receiver<bool> {
        self.ready.subscribe()
    }

    /// What `/readyz` says.
    pub fn report(&self) -> Report {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let reasons = self.reasons(&state);
        Report {
            ready: reasons.is_empty(),
            reasons,
            stores: state
                .stores
                .iter()
                .map(|(name, result)| (*name, result.clone().err().unwrap_or_else(|| "ok".to_owned())))
                .collect(),
            warnings: state.warnings.iter().map(|(part, warning)| format!("{part}: {warning}")).collect(),
            revocation_staleness_ms: state
                .staleness
                .map(|staleness| u64::try_from(staleness.as_millis()).unwrap_or(u64::MAX)),
        }
    }

    fn reasons(&self, state: &State) -> Vec<String> {
        let mut reasons = Vec::new();
        if state.draining {
            reasons.push("the service is shutting down".to_owned());
        }
        if !state.loaded {
            reasons.push("the revocation ledger is not loaded".to_owned());
            for (name, result) in &state.stores {
                if let Err(error) = result {
                    reasons.push(format!("{name} does not answer: {error}"));
                }
            }
        }
        if let (Some(staleness), Some(bound)) = (state.staleness, self.max_staleness)
            && staleness > bound
        {
            reasons.push(format!(
                "the revocation view is {:.1} s old, more than revocation.max_staleness of {:.1} s",
                staleness.as_secs_f64(),
                bound.as_secs_f64()
            ));
        }
        reasons
    }

    fn update(&self, change: impl FnOnce(&mut State)) {
        let ready = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            change(&mut state);
            self.reasons(&state).is_empty()
        };
        self.ready.send_if_modified(|was| std::mem::replace(was, ready) != ready);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_is_ready_when_loaded_fresh_and_not_draining() {
        let readiness = Readiness::new(Some(Duration::from_mins(1)));
        readiness.set_store("sqlite", Err("disk I/O error".to_owned()));
        let report = readiness.report();
        assert!(!report.ready);
        assert_eq!(report.reasons.len(), 2, "{report:?}");

        readiness.set_store("sqlite", Ok(()));
        readiness.set_ledger_loaded(true);
        readiness.set_staleness(Some(Duration::from_secs(1)));
        assert!(readiness.report().ready);
        assert!(*readiness.subscribe().borrow());

        readiness.set_store("sqlite", Err("locked".to_owned()));
        assert!(readiness.report().ready, "Verify needs no store");
        assert_eq!(readiness.report().stores["sqlite"], "locked");

        readiness.set_staleness(Some(Duration::from_secs(61)));
        assert!(!readiness.report().ready);
        readiness.set_staleness(Some(Duration::ZERO));
        readiness.set_draining();
        assert_eq!(readiness.report().reasons, ["the service is shutting down"]);
        assert!(!*readiness.subscribe().borrow());
    }
}
