//! What is measured of the use cases and of the stores: each is wrapped in something that counts, times and traces
//! what goes through it, so that neither knows of it.

mod audit;
mod calls;
mod service_accounts;
mod stores;

use std::sync::Arc;

use crate::auth::Authenticate;
use crate::config::{Config, SessionsStore};
use crate::model::Clock;
use crate::telemetry::Metrics;
use crate::telemetry::tables::StoreTimings;

use super::Stores;
use stores::{Observed, Watch};

/// The same use cases, observed.
pub(super) fn calls(inner: Arc<dyn Authenticate>, metrics: &Metrics) -> Arc<dyn Authenticate> {
    Arc::new(calls::Observed::new(inner, metrics))
}

/// The same stores, observed.
pub(super) fn stores(stores: Stores, config: &Config, clock: &Arc<dyn Clock>, metrics: &Metrics) -> Stores {
    let sql = stores.probes.first().map_or("sql", |probe| probe.name());
    let redis = stores.probes.get(1).map(|probe| probe.name());
    let sessions = redis.filter(|_| config.sessions.store != SessionsStore::Sql).unwrap_or(sql);
    let shared = redis.unwrap_or("in_process");
    let groups = [
        (sql, &stores::USERS[..]),
        (sql, &stores::LEDGER),
        (sessions, &stores::SESSIONS),
        (shared, &stores::THROTTLE),
        (shared, &stores::PUSH),
        (sql, &stores::SERVICE_ACCOUNTS),
        (sql, &stores::AUDIT),
    ];
    let rows = groups.iter().flat_map(|(store, names)| names.iter().map(move |name| (*store, *name)));
    let timings = metrics.added(StoreTimings::new(rows.collect()));
    let mut first = 0;
    let [users, ledger, session_store, throttle, push, service_accounts, audit] =
        groups.map(|(store, names)| {
            let watch = Watch { timings: timings.clone(), clock: clock.clone(), store, names, first };
            first += names.len();
            watch
        });
    let counts = Arc::new(stores::Counts::new(metrics));
    let observed = |inner, watch| Observed { inner, watch, counts: counts.clone() };
    Stores {
        users: Arc::new(Observed { inner: stores.users, watch: users, counts: counts.clone() }),
        service_accounts: Arc::new(Observed {
            inner: stores.service_accounts,
            watch: service_accounts,
            counts: counts.clone(),
        }),
        audit: Arc::new(Observed { inner: stores.audit, watch: audit, counts: counts.clone() }),
        // Asked in the background alone.
        keys: stores.keys,
        ledger: Arc::new(Observed { inner: stores.ledger, watch: ledger, counts: counts.clone() }),
        sessions: Arc::new(observed(stores.sessions, session_store)),
        requests: stores.requests.map(|inner| {
            let watch = throttle.clone();
            Arc::new(Observed { inner, watch, counts: counts.clone() }) as _
        }),
        throttle: stores
            .throttle
            .map(|inner| Arc::new(Observed { inner, watch: throttle, counts: counts.clone() }) as _),
        push: stores.push.map(|inner| Arc::new(Observed { inner, watch: push, counts: counts.clone() }) as _),
        probes: stores.probes,
        schema_warning: stores.schema_warning,
    }
}
