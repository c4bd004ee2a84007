//! One world: the service as it is, over stores in memory and a clock that can be moved.

use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use countersign_verifier::KeySet;

use super::super::{
    Assembly, Ground, ListenersTls, StartError, Stores, administration, background, edge, grpc_options, keys,
    observed, policy,
};
use super::worlds::{House, Registry};
use crate::config::Config;
use crate::grpc::{self, GrpcOptions, GrpcService};
use crate::http::EdgeService;
use crate::lifecycle::Lifecycle;
use crate::model::{Clock, SystemClock};
use crate::password::{HashingPool, PoolOptions};
use crate::revocation::follower::Follower;
use crate::telemetry::Metrics;
use crate::testing::{Control, ControlParts, Minter, WorldClock, WorldName};
use crate::transport::TrustedProxies;

/// How long calls under way get when a world is forgotten.
const GRACE: Duration = Duration::from_secs(1);

/// What all worlds have in common.
pub(super) struct Shared {
    config: Config,
    clock: Arc<dyn Clock>,
    /// Of one size for all worlds, so that a thousand logins at once take no more memory than one world's.
    passwords: Arc<HashingPool>,
}

impl Shared {
    pub(super) fn new(config: Config) -> Result<Self, StartError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let hashing = PoolOptions {
            threads: config.passwords.threads().get(),
            queue: config.passwords.queue,
            parameters: super::super::hash_parameters(&config)?,
        };
        let passwords = HashingPool::start(hashing, clock.clone()).map_err(StartError::Threads)?;
        Ok(Self { config, clock, passwords: Arc::new(passwords) })
    }

    /// This machine's clock, which no test moves.
    pub(super) const fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }
}

/// See the module.
pub(super) struct World {
    pub(super) grpc: GrpcService,
    pub(super) http: EdgeService,
    pub(super) control: Arc<Control>,
    parts: Arc<Assembly>,
    lifecycle: Lifecycle,
}

impl World {
    /// Makes a world, which is ready when this returns.
    pub(super) async fn build(
        name: WorldName,
        shared: &Shared,
        house: Weak<House>,
    ) -> Result<Self, StartError> {
        let config = shared.config.clone();
        let clock = Arc::new(WorldClock::new(shared.clock.clone()));
        let time: Arc<dyn Clock> = clock.clone();
        let stores = Stores::in_memory(&config, &time).await?;
        let keeper = Arc::new(keys::of_database(&config, &stores).await?);
        let metrics = Metrics::new();
        let ground = Ground {
            stores: observed::stores(stores, &config, &time, &metrics),
            clock: time.clone(),
            keys: keeper.keyring().clone(),
            keeper: Some(keeper.clone()),
            metrics,
            passwords: shared.passwords.clone(),
            tls: ListenersTls::load(&config)?,
        };
        let (parts, authenticator) = Assembly::over(config, ground).await?;
        let parts = Arc::new(parts);
        let lifecycle = Lifecycle::new();

        // Before anybody calls: a world that has not read its ledger answers no Verify.
        let mut follower = Follower::new(
            parts.revocations.clone(),
            parts.readiness.clone(),
            parts.config.revocation.poll_interval,
        );
        follower.step().await;
        tokio::spawn(follower.run(lifecycle.stopping().clone()));
        background::start(&parts, &lifecycle);

        let administration = administration::within(&parts);
        let control = Arc::new(Control::new(ControlParts {
            name,
            clock,
            minter: Minter {
                authenticator,
                policy: policy(&parts.config),
                users: administration.users.clone(),
                keys: parts.keys.clone(),
                key_admin: administration.keys.clone(),
                revocations: parts.revocations.clone(),
                clock: time,
                withdrawn: Mutex::default(),
            },
            revocations: parts.revocations.clone(),
            keeper: Some(keeper),
            registry: Arc::new(Registry(house)),
        }));
        let allow = super::super::allow_list(&parts.config)?.waiving_credentials();
        let trusted_proxies = TrustedProxies::new(parts.config.grpc.trusted_networks()?);
        let options = grpc_options(&parts, trusted_proxies, &lifecycle);
        let options = GrpcOptions {
            allow,
            administration: Some(administration),
            test: Some(control.clone()),
            ..options
        };
        let grpc = grpc::service(parts.authenticator.clone(), &parts.health, options);
        parts.health.set_serving(true).await;
        let http = edge::Settings::of(&parts.config)?.service(&parts, &lifecycle);
        Ok(Self { grpc, http, control, parts, lifecycle })
    }

    /// The keys that its access tokens are accepted from.
    pub(super) fn key_set(&self) -> Arc<KeySet> {
        self.parts.keys.current().signing.key_set()
    }

    /// Ends its streams, lets the calls under way finish, and frees what it holds.
    pub(super) async fn stop(&self) {
        self.control.streams().end();
        self.lifecycle.stopping().cancel();
        self.lifecycle.tasks().close();
        let _ = tokio::time::timeout(GRACE, self.lifecycle.tasks().wait()).await;
        self.lifecycle.aborting().cancel();
        self.parts.stores.close().await;
    }
}
