//! The use cases over their stores, and what the background tasks and the listeners share.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::{CLOCK_MARGIN, ListenersTls, StartError, Stores, observed, password_policy, policy};
use crate::auth::{Authenticate, Authenticator, EventRecorder, KeyKeeper, Parts, ServiceKeys, ServiceTokens};
use crate::config::{Config, OnStale};
use crate::grpc::Health;
use crate::model::Clock;
use crate::password::{HashingPool, PasswordPolicy};
use crate::readiness::Readiness;
use crate::revocation::Revocations;
use crate::telemetry::Metrics;
use crate::token::Keyring;

/// What the background tasks and the listeners share.
pub(super) struct Assembly {
    pub(super) config: Config,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) stores: Stores,
    pub(super) keys: Arc<Keyring>,
    /// What keeps them where those in the database are, when they are there.
    pub(super) keeper: Option<Arc<KeyKeeper>>,
    pub(super) revocations: Revocations,
    pub(super) readiness: Readiness,
    pub(super) health: Health,
    pub(super) authenticator: Arc<dyn Authenticate>,
    pub(super) passwords: Arc<HashingPool>,
    pub(super) password_policy: Arc<PasswordPolicy>,
    pub(super) service_keys: Arc<ServiceKeys>,
    pub(super) metrics: Metrics,
    /// Takes the events that belong to no change.
    pub(super) events: EventRecorder,
    /// Times that the keys could not be reloaded.
    pub(super) key_reload_failures: Arc<AtomicU64>,
    pub(super) tls: ListenersTls,
}

/// What an assembly is put together over.
pub(super) struct Ground {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) stores: Stores,
    pub(super) keys: Arc<Keyring>,
    pub(super) keeper: Option<Arc<KeyKeeper>>,
    pub(super) metrics: Metrics,
    pub(super) passwords: Arc<HashingPool>,
    pub(super) tls: ListenersTls,
}

impl Assembly {
    /// The use cases over their stores, and what keeps them; beside it, the use cases as they are.
    pub(super) async fn over(
        config: Config,
        ground: Ground,
    ) -> Result<(Self, Arc<Authenticator>), StartError> {
        let Ground { clock, stores, keys, keeper, metrics, passwords, tls } = ground;
        let password_policy = password_policy(&config)?;
        let horizon = config.tokens.access_ttl + config.revocation.max_staleness + CLOCK_MARGIN;
        let revocations =
            Revocations::new(stores.ledger.clone(), stores.push.clone(), clock.clone(), horizon);
        let revocations = match &keeper {
            Some(keeper) => revocations.with_keys(keeper.clone()),
            None => revocations,
        };
        let enforced =
            (config.revocation.on_stale == OnStale::Fail).then_some(config.revocation.max_staleness);
        let service_tokens = ServiceTokens::new(stores.service_accounts.clone(), clock.clone());
        let service_keys = service_tokens.keys();
        let events = EventRecorder::start(stores.audit.clone(), clock.clone());
        let parts = Parts {
            service_tokens,
            events: events.clone(),
            users: stores.users.clone(),
            ledger: stores.ledger.clone(),
            sessions: stores.sessions.clone(),
            revocations: revocations.clone(),
            keys: keys.clone(),
            passwords: passwords.clone(),
            password_policy: password_policy.clone(),
            throttle: stores.throttle.clone(),
            clock: clock.clone(),
        };
        let authenticator = Arc::new(Authenticator::new(parts, policy(&config)));
        let readiness = Readiness::new(enforced);
        readiness.set_warning("schema", stores.schema_warning.clone());
        let parts = Self {
            authenticator: observed::calls(authenticator.clone(), &metrics),
            passwords,
            password_policy,
            service_keys,
            metrics,
            events,
            key_reload_failures: Arc::default(),
            clock,
            stores,
            keys,
            keeper,
            revocations,
            readiness,
            health: Health::new().await,
            tls,
            config,
        };
        Ok((parts, authenticator))
    }
}
