//! The stores and replicas that these tests run on.

use std::sync::Arc;

use countersign::grpc::proto::v1::Tokens;

use crate::support::client::Client;
use crate::support::database::Server as _;
use crate::support::postgres::Postgres;
use crate::support::redis::{self, Server as Redis};
use crate::support::replica::{Deployment, PASSWORD, Replica};

/// The user of every test here.
pub(super) const USERNAME: &str = "ada";

/// Two replicas on one PostgreSQL and one Redis of their own.
pub(super) struct Fleet {
    pub(super) deployment: Arc<Deployment>,
    pub(super) replicas: [Replica; 2],
    pub(super) redis: Redis,
}

impl Fleet {
    /// Started and ready, with one user; none when a server is not installed.
    pub(super) async fn start(test: &str, configuration: &[(&str, &str)]) -> Option<Self> {
        let (deployment, redis) = stores(test, configuration).await?;
        let deployment = Arc::new(deployment);
        let replicas = [deployment.start(), deployment.start()];
        Some(Self { deployment, replicas, redis })
    }

    /// A client of each replica.
    pub(super) fn clients(&self) -> [Client; 2] {
        self.replicas.each_ref().map(Replica::client)
    }
}

/// A database with its schema, keys and one user, and a Redis, for replicas that are yet to be started.
pub(super) async fn stores(test: &str, configuration: &[(&str, &str)]) -> Option<(Deployment, Redis)> {
    redis::is_installed(test).then_some(())?;
    let postgres = Postgres::shared(test)?;
    let database = postgres.create_database().await;
    let redis = Redis::start();
    let mut deployment = Deployment::on(&postgres.url(&database), Some(&redis.url()));
    for (key, value) in configuration {
        deployment = deployment.with(key, value);
    }
    deployment.prepare();
    deployment.create_user(USERNAME);
    Some((deployment, redis))
}

/// A new session of the user.
pub(super) async fn login(client: &mut Client) -> Tokens {
    client.login(USERNAME, PASSWORD).await.unwrap()
}
