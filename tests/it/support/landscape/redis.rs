//! Users and ledger in SQL, sessions in Redis.

use std::sync::Arc;
use std::time::Duration;

use countersign::model::ManualClock;
use countersign::store::Probe as _;
use countersign::store::redis::{RedisOptions, RedisStore, TimeSource};

use super::sql::Whole;
use super::{Landscape, Opened};
use crate::redis_store::{CLUSTER, SERVER, options};
use crate::support::database;
use crate::support::redis::{Server, cli_bytes, is_installed};

/// A Redis that tests share.
pub(crate) trait Shared: Send + Sync + 'static {
    const SCHEME: &'static str;

    /// Its masters.
    fn nodes() -> Vec<&'static Server>;
}

/// One server.
pub(crate) struct Alone;

impl Shared for Alone {
    const SCHEME: &'static str = "redis";

    fn nodes() -> Vec<&'static Server> {
        vec![&SERVER]
    }
}

/// A Cluster of three.
pub(crate) struct Clustered;

impl Shared for Clustered {
    const SCHEME: &'static str = "redis-cluster";

    fn nodes() -> Vec<&'static Server> {
        CLUSTER.nodes.iter().collect()
    }
}

/// Sessions in Redis, the rest in a database.
pub(crate) struct Beside<S: database::Server, R> {
    sql: Whole<S>,
    nodes: Vec<&'static Server>,
    options: RedisOptions,
    _kind: std::marker::PhantomData<R>,
}

/// What keys that are copies end in.
const COPY: &str = ":saved";

impl<S: database::Server, R: Shared> Beside<S, R> {
    /// Changes what the account may do, which holds from the next command on.
    fn set_user(&self, rules: &[&str]) {
        let name = self.options.prefix.trim_end_matches(':');
        for node in &self.nodes {
            let answer = node.cli(&[&["ACL", "SETUSER", name], rules].concat());
            assert_eq!(answer, "OK");
        }
    }

    /// The keys of the store, each with its server.
    fn keys(&self) -> Vec<(&'static Server, String)> {
        let pattern = format!("{}*", self.options.prefix);
        let of_node = |node: &&'static Server| {
            let (node, keys) = (*node, node.cli(&["KEYS", &pattern]));
            let all = keys.lines().filter(|key| !key.is_empty() && !key.ends_with(COPY));
            all.map(|key| (node, key.to_owned())).collect::<Vec<_>>()
        };
        self.nodes.iter().flat_map(of_node).collect()
    }
}

impl<S: database::Server, R: Shared> Landscape for Beside<S, R> {
    async fn new(test: &str) -> Option<Self> {
        is_installed(test).then_some(())?;
        let sql = Whole::new(test).await?;
        let nodes = R::nodes();
        let address = format!("127.0.0.1:{}", nodes[0].port);
        let mut options = options(&format!("{}://{address}", R::SCHEME));
        let name = options.prefix.trim_end_matches(':').to_owned();
        options.url = format!("{}://{name}:secret@{address}", R::SCHEME).parse().unwrap();
        // One, so that what is asked for first is done first.
        options.connections = 1;
        let landscape = Self { sql, nodes, options, _kind: std::marker::PhantomData };
        landscape.set_user(&["on", ">secret", "~*", "&*", "+@all"]);
        Some(landscape)
    }

    async fn open(&self, clock: Arc<ManualClock>) -> Opened {
        let sql = Arc::new(self.sql.store(clock.clone()));
        let redis = Arc::new(RedisStore::open(&self.options, TimeSource::Clock(clock)));
        while redis.check().await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Opened {
            users: sql.clone(),
            ledger: sql.clone(),
            accounts: sql.clone(),
            sessions: redis.clone(),
            probes: vec![sql, redis],
        }
    }

    async fn save(&self) {
        for (node, key) in self.keys() {
            assert_eq!(node.cli(&["COPY", &key, &format!("{key}{COPY}"), "REPLACE"]), "1");
        }
    }

    async fn restore(&self) {
        for (node, key) in self.keys() {
            node.cli(&["DEL", &key]);
            node.cli(&["COPY", &format!("{key}{COPY}"), &key]);
        }
    }

    async fn set_writable(&self, writable: bool) {
        self.sql.set_writable(writable).await;
        self.set_user(if writable { &["+@all"] } else { &["-set", "-setrange", "-hset"] });
    }

    async fn contents(&self) -> Vec<Vec<u8>> {
        let mut all = self.sql.contents().await;
        for (node, key) in self.keys() {
            let read = if node.cli(&["TYPE", &key]) == "hash" { "HVALS" } else { "GET" };
            all.push(cli_bytes(node.port, &[read, &key]));
        }
        all
    }
}
