//! The Redis store: the conformance suite on one server and on a Cluster, and what is Redis's alone.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use countersign::model::{Clock, ManualClock};
use countersign::store::redis::{RedisOptions, RedisStore, TimeSource};

use crate::conformance::{Backend, START, Stores};
use crate::sqlite_store::File;
use crate::support::redis::{Cluster, Server, is_installed};

mod commands;
mod differential;
mod faults;
mod load;
mod push;
mod settings;

/// The server that tests share which do it no harm.
pub(crate) static SERVER: LazyLock<Server> = LazyLock::new(Server::start);
/// The Cluster that they share.
pub(crate) static CLUSTER: LazyLock<Cluster> = LazyLock::new(Cluster::start);

/// A prefix that no other test uses.
pub(crate) fn fresh_prefix() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("test-{}:", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Options with a prefix of their own and a deadline that a busy machine keeps.
pub(crate) fn options(url: &str) -> RedisOptions {
    RedisOptions {
        prefix: fresh_prefix(),
        deadline: Duration::from_secs(20),
        ..RedisOptions::new(url.parse().unwrap())
    }
}

pub(crate) fn open(options: &RedisOptions, clock: Arc<ManualClock>) -> RedisStore {
    RedisStore::open(options, TimeSource::Clock(clock as Arc<dyn Clock>))
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(START))
}

/// Sessions in Redis, users and the ledger in SQLite.
async fn beside_sqlite(url: &str, clock: Arc<ManualClock>) -> Stores {
    let file = File::new();
    let sql = Arc::new(file.open(clock.clone()).await);
    let sessions = Arc::new(open(&options(url), clock));
    Stores {
        users: sql.clone(),
        accounts: sql.clone(),
        keys: sql.clone(),
        audit: sql.clone(),
        ledger: sql,
        sessions,
        keep: Box::new(file),
    }
}

pub(crate) struct Standalone;

impl Backend for Standalone {
    async fn fresh(clock: Arc<ManualClock>) -> Option<Stores> {
        if !is_installed("conformance of Redis") {
            return None;
        }
        Some(beside_sqlite(&SERVER.url(), clock).await)
    }
}

pub(crate) struct Clustered;

impl Backend for Clustered {
    async fn fresh(clock: Arc<ManualClock>) -> Option<Stores> {
        if !is_installed("conformance of Redis Cluster") {
            return None;
        }
        Some(beside_sqlite(&CLUSTER.url(), clock).await)
    }
}

mod conformance {
    crate::conformance::every_session_case!(crate::redis_store::Standalone);
}

mod cluster_conformance {
    crate::conformance::every_session_case!(crate::redis_store::Clustered);
}
