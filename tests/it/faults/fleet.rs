//! Two replicas that share their stores, and what is done while they serve.

use std::time::Duration;

use countersign::model::{Clock as _, SystemClock};
use tokio::sync::{Mutex, MutexGuard};

use super::history::{Fault, History, RECOVERY};
use super::traffic::Traffic;
use crate::support::database::Server as _;
use crate::support::postgres::Postgres;
use crate::support::replica::{Deployment, Replica};

/// The users whose clients make the traffic.
pub(super) const USERS: [&str; 3] = ["ada", "grace", "edith"];
/// D, and W as well: short, so that the lines of the sessions move often.
pub(super) const REFRESH_DEADLINE: Duration = Duration::from_millis(500);

/// Two loads at once on one machine would tell of each other.
static TURN: Mutex<()> = Mutex::const_new(());

/// Two replicas, ready.
pub(super) struct Fleet {
    pub(super) replicas: [Replica; 2],
    pub(super) database: String,
    /// Holds the keys.
    _deployment: Deployment,
    /// None where another fleet of the same test has it.
    _turn: Option<MutexGuard<'static, ()>>,
}

impl Fleet {
    /// On a database of its own, with this configuration beside what is the default, once no other test has one.
    pub(super) async fn start(postgres: &Postgres, redis: &str, configuration: &[(&str, &str)]) -> Self {
        let turn = TURN.lock().await;
        Self { _turn: Some(turn), ..Self::start_beside(postgres, redis, configuration).await }
    }

    /// The same, beside another fleet of the same test.
    pub(super) async fn start_beside(
        postgres: &Postgres,
        redis: &str,
        configuration: &[(&str, &str)],
    ) -> Self {
        let database = postgres.create_database().await;
        let mut deployment = Deployment::on(&postgres.url(&database), Some(redis))
            .with("ROTATION__GRACE", "500ms")
            .with("ROTATION__DEADLINE", "500ms");
        for (key, value) in configuration {
            deployment = deployment.with(key, value);
        }
        let replicas = tokio::task::block_in_place(|| {
            deployment.prepare();
            for user in USERS {
                deployment.create_user(user);
            }
            [deployment.start(), deployment.start()]
        });
        Self { replicas, database, _deployment: deployment, _turn: None }
    }

    /// Lets clients go about their business while `hurt` does something to a store, and judges what they heard.
    pub(super) async fn lives_through(&self, what: &str, hurt: impl AsyncFnOnce(&SystemClock) -> Fault) {
        self.history(what, hurt, RECOVERY + Duration::from_millis(1500)).await;
    }

    /// The same; and nobody waits for a store that is known to be silent.
    pub(super) async fn lives_through_silence(
        &self,
        what: &str,
        hurt: impl AsyncFnOnce(&SystemClock) -> Fault,
    ) {
        // Those that were logged out meanwhile first have to log in again.
        let (history, fault) = self.history(what, hurt, Duration::from_secs(12)).await;
        history.judge_haste(what, &fault);
    }

    async fn history(
        &self,
        what: &str,
        hurt: impl AsyncFnOnce(&SystemClock) -> Fault,
        afterwards: Duration,
    ) -> (History, Fault) {
        let traffic = Traffic::begin(self);
        pause(Duration::from_millis(2500)).await;
        let fault = hurt(&traffic.clock).await;
        pause(afterwards).await;
        let history = History::new(traffic.end().await);
        history.judge(what, &fault);
        for replica in &self.replicas {
            assert!(replica.is_ready(), "{what}: no restart is needed");
        }
        (history, fault)
    }
}

/// Lets the traffic go on.
pub(super) async fn pause(length: Duration) {
    tokio::time::sleep(length).await;
}

/// A fault that lasts as long as `hurt` takes, and loses nothing.
pub(super) async fn meanwhile(clock: &SystemClock, hurt: impl Future<Output = ()>) -> Fault {
    let began = clock.monotonic();
    hurt.await;
    Fault { began, returned: clock.monotonic(), lost: None }
}
