//! What is looked up at a scrape, because it has a value at any time: freshness, queues, connections, keys.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Assembly, ListenersTls, OPERATIONS_CONNECTIONS};
use crate::auth::{Authenticator, EventRecorder, EventStats, KeyKeeper};
use crate::config::Config;
use crate::listener::{Budget, Connections, Ended, Port};
use crate::model::{Clock, KeyKind, UnixMillis};
use crate::password::HashingPool;
use crate::readiness::Readiness;
use crate::revocation::Revocations;
use crate::store::Probe;
use crate::telemetry::exposition::{Exposition, Kind, Source};
use crate::token::{Activation, KeyState, Keyring};

/// See the module.
pub(super) struct Gauges {
    clock: Arc<dyn Clock>,
    readiness: Readiness,
    revocations: Revocations,
    keys: Arc<Keyring>,
    keeper: Option<Arc<KeyKeeper>>,
    passwords: Arc<HashingPool>,
    probes: Vec<Arc<dyn Probe>>,
    authenticator: Arc<Authenticator>,
    events: EventRecorder,
    reload_failures: Arc<AtomicU64>,
    tls: ListenersTls,
    listeners: [Listening; 3],
    budget: Budget,
}

/// A listener's connections; one that is not there has none, and may have none.
struct Listening {
    name: &'static str,
    connections: Arc<Connections>,
    limit: usize,
}

impl Listening {
    /// Of gRPC, HTTP and operations, in this order.
    fn on(ports: [Option<&Port>; 3], config: &Config) -> [Self; 3] {
        let [grpc, http, operations] = ports;
        let listening = |name, port: Option<&Port>, limit| Self {
            name,
            connections: port.map(|port| Arc::clone(port.connections())).unwrap_or_default(),
            limit: if port.is_some() { limit } else { 0 },
        };
        [
            listening("grpc", grpc, config.grpc.max_connections as usize),
            listening("http", http, config.edge.max_connections as usize),
            listening("operations", operations, OPERATIONS_CONNECTIONS),
        ]
    }
}

impl Source for Gauges {
    fn expose(&self, out: &mut Exposition) {
        self.readiness(out);
        self.revocations(out);
        self.cache(out);
        self.hashing(out);
        self.events(out);
        self.pools(out);
        self.keys(out);
        self.connections(out);
        self.certificates(out);
    }
}

impl Gauges {
    /// Of a service that is put together; what it does not show of itself comes beside it, with the ports for gRPC, HTTP and
    /// operations.
    pub(super) fn of(
        parts: &Assembly,
        passwords: Arc<HashingPool>,
        authenticator: Arc<Authenticator>,
        listening: [Option<&Port>; 3],
        budget: Budget,
    ) -> Self {
        Self {
            clock: parts.clock.clone(),
            readiness: parts.readiness.clone(),
            revocations: parts.revocations.clone(),
            keys: parts.keys.clone(),
            keeper: parts.keeper.clone(),
            passwords,
            probes: parts.stores.probes.clone(),
            authenticator,
            events: parts.events.clone(),
            reload_failures: Arc::clone(&parts.key_reload_failures),
            tls: parts.tls.clone(),
            listeners: Listening::on(listening, &parts.config),
            budget,
        }
    }

    fn readiness(&self, out: &mut Exposition) {
        let report = self.readiness.report();
        out.gauge("countersign_ready", "1 while requests should be sent here.", u8::from(report.ready));
        out.family("countersign_store_up", Kind::Gauge, "1 while the store answers.");
        for (store, answer) in &report.stores {
            out.sample(&[("store", store)], u8::from(answer == "ok"));
        }
    }

    fn revocations(&self, out: &mut Exposition) {
        // Before it was loaded it is older than any bound.
        let staleness = self.revocations.staleness().map_or(f64::INFINITY, |age| age.as_secs_f64());
        let staleness = if staleness.is_finite() { staleness.to_string() } else { "+Inf".to_owned() };
        out.gauge(
            "countersign_revocation_staleness_seconds",
            "How old this replica's view of the ledger is at most.",
            staleness,
        );
        out.gauge(
            "countersign_ledger_sequence",
            "The number of the ledger's row up to which everything is known here.",
            self.revocations.sequence(),
        );
        out.gauge(
            "countersign_revocations_live",
            "Revoked sessions and users that Verify looks for.",
            self.revocations.view().index.len(),
        );
        out.gauge(
            "countersign_push_listening",
            "1 while revocations are heard from other replicas, or where there is no push.",
            u8::from(self.revocations.is_listening().unwrap_or(true)),
        );
    }

    fn cache(&self, out: &mut Exposition) {
        let stats = self.authenticator.cache_stats();
        out.family(
            "countersign_token_cache_lookups",
            Kind::Counter,
            "Tokens looked for among those verified.",
        );
        out.sample(&[("outcome", "hit")], stats.hits);
        out.sample(&[("outcome", "miss")], stats.misses);
        let (tokens, capacity) = self.authenticator.cached_tokens();
        out.gauge("countersign_token_cache_tokens", "Verified tokens that are remembered.", tokens);
        out.gauge("countersign_token_cache_capacity", "Verified tokens that can be remembered.", capacity);
    }

    fn hashing(&self, out: &mut Exposition) {
        let stats = self.passwords.stats();
        out.gauge("countersign_hash_queue_length", "Passwords that wait for a thread.", stats.queued);
        out.gauge("countersign_hash_threads", "Threads that hash passwords.", stats.threads);
        out.gauge("countersign_hash_threads_busy", "Threads that hash a password now.", stats.busy);
        out.family("countersign_hash_dropped", Kind::Counter, "Passwords that were not hashed.");
        for (reason, count) in [
            ("refused", stats.refused),
            ("expired", stats.expired),
            ("abandoned", stats.abandoned),
            ("panicked", stats.panicked),
        ] {
            out.sample(&[("reason", reason)], count);
        }
        out.family("countersign_hash_seconds", Kind::Histogram, "How long a password took on its thread.");
        out.histogram(&[], &stats.took, &[]);
    }

    fn events(&self, out: &mut Exposition) {
        let EventStats { written, lost, queued } = self.events.stats();
        out.family(
            "countersign_audit_events",
            Kind::Counter,
            "Logins, refused logins and refused callers, by what became of their events.",
        );
        out.sample(&[("outcome", "written")], written);
        out.sample(&[("outcome", "lost")], lost);
        out.gauge("countersign_audit_queue_length", "Events that wait for the database.", queued);
    }

    fn pools(&self, out: &mut Exposition) {
        let pools: Vec<_> = self
            .probes
            .iter()
            .flat_map(|probe| probe.pools().into_iter().map(|pool| (probe.name(), pool)))
            .collect();
        let mut gauge = |name, kind, help, value: fn(&crate::store::PoolStats) -> u64| {
            out.family(name, kind, help);
            for (store, pool) in &pools {
                out.sample(&[("store", store), ("pool", pool.pool)], value(pool));
            }
        };
        gauge("countersign_store_connections", Kind::Gauge, "Connections that are open.", |pool| {
            pool.connections
        });
        gauge(
            "countersign_store_connections_opened",
            Kind::Counter,
            "Connections that were opened: more than there are, and some were lost.",
            |pool| pool.opened,
        );
        gauge("countersign_store_in_flight", Kind::Gauge, "Calls under way.", |pool| pool.in_flight);
        gauge(
            "countersign_store_in_flight_limit",
            Kind::Gauge,
            "The most calls that may be under way; more wait.",
            |pool| pool.in_flight_limit,
        );
        gauge("countersign_store_waiting", Kind::Gauge, "Calls that wait until others have ended.", |pool| {
            pool.waiting
        });
        gauge(
            "countersign_store_waits",
            Kind::Counter,
            "Calls that had to wait until others ended.",
            |pool| pool.waits,
        );
        out.family("countersign_store_wait_seconds", Kind::Counter, "How long calls have waited together.");
        for (store, pool) in &pools {
            out.sample(&[("store", store), ("pool", pool.pool)], pool.waited.as_secs_f64());
        }
    }

    fn keys(&self, out: &mut Exposition) {
        let now = self.clock.now();
        let keys = self.keys.current().list(now);
        let kinds = [(KeyKind::Signing, "signing"), (KeyKind::Refresh, "refresh")];
        out.family("countersign_keys", Kind::Gauge, "Keys by what they do.");
        for (kind, name) in kinds {
            for state in [KeyState::Active, KeyState::Upcoming, KeyState::VerifyOnly] {
                let count = keys.iter().filter(|key| key.kind == kind && key.state == state).count();
                out.sample(&[("kind", name), ("state", state.as_str())], count);
            }
        }
        let activation = |kind, state| {
            let keys = keys.iter().filter(move |key| key.kind == kind && key.state == state);
            keys.filter_map(|key| key.activation.and_then(Activation::at)).min()
        };
        out.family(
            "countersign_key_age_seconds",
            Kind::Gauge,
            "For how long the key that makes tokens has been in use; 0 where its name does not tell.",
        );
        for (kind, name) in kinds {
            let age = activation(kind, KeyState::Active).map_or(0.0, |at| now.since(at).as_secs_f64());
            out.sample(&[("kind", name)], age);
        }
        out.family(
            "countersign_key_next_activation_timestamp_seconds",
            Kind::Gauge,
            "When the next key comes into use, since 1970; 0 where there is none.",
        );
        for (kind, name) in kinds {
            let next = activation(kind, KeyState::Upcoming).map_or(0, UnixMillis::as_secs);
            out.sample(&[("kind", name)], next);
        }
        out.gauge(
            "countersign_key_replicas_lagging",
            "Replicas that lack a key that they must have by now; 0 where keys are in a directory.",
            self.keeper.as_ref().map_or(0, |keeper| keeper.lagging().len()),
        );
        out.counter(
            "countersign_key_reload_failures",
            "Times that the keys could not be loaded, and those loaded before stayed.",
            self.reload_failures.load(Ordering::Relaxed),
        );
    }

    fn connections(&self, out: &mut Exposition) {
        let mut family = |name, kind, help, value: fn(&Listening) -> u64| {
            out.family(name, kind, help);
            for listener in &self.listeners {
                out.sample(&[("listener", listener.name)], value(listener));
            }
        };
        family("countersign_connections", Kind::Gauge, "Connections that are open.", |it| {
            it.connections.open() as u64
        });
        family(
            "countersign_connections_limit",
            Kind::Gauge,
            "The most connections that may be open; one more is closed. 0 where there is no such listener.",
            |it| it.limit as u64,
        );
        family(
            "countersign_connections_refused",
            Kind::Counter,
            "Connections that were closed at once because there were as many as there may be.",
            |it| it.connections.refused(),
        );
        family(
            "countersign_requests_refused",
            Kind::Counter,
            "Requests that were refused because callers hold as much memory as they may.",
            |it| it.connections.refused_requests(),
        );
        out.family("countersign_connections_ended", Kind::Counter, "Connections that were ended, by reason.");
        for listener in &self.listeners {
            for reason in Ended::ALL {
                let labels = [("listener", listener.name), ("reason", reason.as_str())];
                out.sample(&labels, listener.connections.ended(reason));
            }
        }
        out.gauge(
            "countersign_caller_memory_bytes",
            "What callers hold: connections, requests that have begun, answers that were not read.",
            self.budget.used() as u64,
        );
        out.gauge(
            "countersign_caller_memory_limit_bytes",
            "The most that callers may hold (limits.memory_mib).",
            self.budget.limit() as u64,
        );
    }

    fn certificates(&self, out: &mut Exposition) {
        let listeners =
            [("grpc", &self.tls.grpc), ("http", &self.tls.edge), ("operations", &self.tls.operations)];
        out.family(
            "countersign_certificate_expires_timestamp_seconds",
            Kind::Gauge,
            "When the certificate that new connections get expires, since 1970; 0 where no TLS is spoken.",
        );
        for (listener, tls) in listeners {
            let expires = tls.as_ref().map_or(0, |tls| tls.certificate_not_after().as_secs());
            out.sample(&[("listener", listener)], expires);
        }
        out.family("countersign_failed_handshakes", Kind::Counter, "TLS handshakes that failed.");
        for (listener, tls) in listeners {
            out.sample(&[("listener", listener)], tls.as_ref().map_or(0, |tls| tls.failed_handshakes()));
        }
    }
}
