//! The service for tests of other services: in memory, on loopback, and as many of it as there are tests.

mod world;
mod worlds;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use countersign_verifier::KeySet;

use super::{StartError, bind, budget, limits_of, tls};
use crate::config::Config;
use crate::grpc;
use crate::http;
use crate::lifecycle::Lifecycle;
use crate::listener::{self, Budget, Port};
pub use crate::testing::WORLD_HEADER;
use crate::testing::WorldName;
use crate::transport::TrustedProxies;

use world::Shared;
use worlds::House;

/// How often worlds are looked at that nobody is in.
const SWEEP_EVERY: Duration = Duration::from_secs(5);
/// How long calls under way get when the server stops.
const GRACE: Duration = Duration::from_secs(1);

/// How the test server is run.
#[derive(Debug, Clone)]
pub struct TestServerOptions {
    /// What [`Config::load_test_server`] has made.
    pub config: Config,
    /// The most worlds at once.
    pub most_worlds: usize,
    /// For how long a world is kept that nobody has called.
    pub idle: Duration,
}

/// The test server, bound to its ports and with the world `default` in it; nothing is served before [`TestServer::run`].
pub struct TestServer {
    house: Arc<House>,
    config: Config,
    grpc: Port,
    http: Port,
    budget: Budget,
}

impl TestServer {
    /// Makes the world that calls are in which name none, and binds the ports.
    pub async fn build(options: TestServerOptions) -> Result<Self, StartError> {
        let TestServerOptions { config, most_worlds, idle } = options;
        let house = House::new(Shared::new(config.clone())?, most_worlds, idle);
        house.open(&WorldName::default_world()).await?;
        let budget = budget(&config, TrustedProxies::new(config.grpc.trusted_networks()?))?;
        let grpc = Port::new(bind("grpc.listen", config.grpc.listen).await?, None).within(budget.clone());
        let http = Port::new(bind("edge.listen", config.edge.listen).await?, None).within(budget.clone());
        Ok(Self { house, config, grpc, http, budget })
    }

    /// Where gRPC is served.
    pub fn grpc_address(&self) -> std::io::Result<SocketAddr> {
        self.grpc.local_addr()
    }

    /// Where HTTP is served.
    pub fn http_address(&self) -> std::io::Result<SocketAddr> {
        self.http.local_addr()
    }

    /// What its access tokens say and live by.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// The keys of the world `default`.
    pub async fn default_keys(&self) -> Result<Arc<KeySet>, StartError> {
        self.house.open(&WorldName::default_world()).await.map(|world| world.key_set())
    }

    /// Serves until `until` resolves. Says whether every call under way finished.
    pub async fn run(self, until: impl Future<Output = ()>) -> bool {
        let Self { house, config, grpc, http, budget: _budget } = self;
        let lifecycle = Lifecycle::new();
        let sweeping = Arc::clone(&house);
        let stop = lifecycle.stopping().clone();
        tokio::spawn(stop.run_until_cancelled_owned(async move {
            let mut tick = tokio::time::interval(SWEEP_EVERY);
            loop {
                tick.tick().await;
                sweeping.forget_idle();
            }
        }));
        lifecycle.tasks().spawn(listener::serve(
            "grpc",
            grpc,
            grpc::InWorlds::new(Arc::clone(&house)),
            tls::stamp,
            limits_of(&config, config.grpc.max_connections as usize),
            lifecycle.stopping().clone(),
            lifecycle.aborting().clone(),
        ));
        lifecycle.tasks().spawn(listener::serve(
            "http",
            http,
            http::InWorlds::new(Arc::clone(&house)),
            tls::stamp,
            limits_of(&config, config.edge.max_connections as usize),
            lifecycle.stopping().clone(),
            lifecycle.aborting().clone(),
        ));
        until.await;
        // Streams end with their worlds, and would be waited for.
        house.close();
        lifecycle.stop(Duration::ZERO, GRACE).await
    }
}
