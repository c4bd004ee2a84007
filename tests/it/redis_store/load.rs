//! Constant load: clients that refresh again and again, and keep account of every answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use countersign::model::{Clock as _, Epoch, Presented, RotationPolicy, Session, SystemClock, new_user_id};
use countersign::store::redis::RedisStore;
use countersign::store::{Presentation, Rotation, SessionPolicy, SessionStore as _, StoreError};
use tokio::task::JoinSet;

use crate::conformance::{POLICY, began, new_session, presentation};

/// Without a grace window every refresh moves the line, so that no clock need be moved.
pub(crate) const EAGER: SessionPolicy = SessionPolicy {
    rotation: RotationPolicy { grace: Duration::ZERO, deadline: Duration::ZERO, strict: false },
    ..POLICY
};

/// What clients under load live by: long enough for a retry to be honoured, short enough for many rotations.
pub(crate) const BRISK: SessionPolicy = SessionPolicy {
    rotation: RotationPolicy {
        grace: Duration::from_millis(800),
        deadline: Duration::from_millis(400),
        strict: false,
    },
    ..POLICY
};

/// Clients that are refreshing.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    clients: JoinSet<Account>,
}

/// What one client, or all of them, lived through.
#[derive(Debug, Default)]
pub(crate) struct Account {
    pub(crate) refreshed: usize,
    pub(crate) unavailable: usize,
    /// How long each answer took, in order of length once they are merged.
    pub(crate) took: Vec<Duration>,
    /// From the first failure after the last success to that next success, at most.
    pub(crate) longest_outage: Duration,
    pub(crate) wrong: Vec<String>,
}

impl Load {
    /// Logs so many users in and begins to refresh.
    pub(crate) async fn begin(store: &RedisStore, clients: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        for _ in 0..clients {
            let (session, _) =
                began(store.create(new_session(new_user_id(), Epoch(0)), &EAGER).await.unwrap());
            tasks.spawn(client(store.clone(), session, Arc::clone(&stop)));
        }
        Self { stop, clients: tasks }
    }

    /// Ends it. Every client must have heard nothing but its successor, or that the store is unavailable.
    pub(crate) async fn end(self, what: &str, limit: Duration) -> Account {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Account::default();
        for account in self.clients.join_all().await {
            all.refreshed += account.refreshed;
            all.unavailable += account.unavailable;
            all.took.extend(account.took);
            all.longest_outage = all.longest_outage.max(account.longest_outage);
            all.wrong.extend(account.wrong);
        }
        all.took.sort_unstable();
        let (p99, last) = (all.took[all.took.len() * 99 / 100], all.took[all.took.len() - 1]);
        println!(
            "{what}: {} refreshed, {} unavailable, p99 {p99:?}, longest {last:?}, longest outage {:?}",
            all.refreshed, all.unavailable, all.longest_outage
        );
        assert_eq!(all.wrong, Vec::<String>::new(), "{what}");
        assert!(all.refreshed > 0, "{what}");
        // What is beyond the limit is this machine, which has two cores for everything.
        assert!(p99 <= limit + Duration::from_millis(50), "{what}: {p99:?}");
        all
    }
}

async fn client(store: RedisStore, session: Session, stop: Arc<AtomicBool>) -> Account {
    let clock = SystemClock::new();
    let mut account = Account::default();
    let (mut held, mut failing_since) = (session.current(), None);
    while !stop.load(Ordering::Relaxed) {
        let asked = clock.monotonic();
        let ask = Presentation { within: BRISK.rotation.deadline, ..presentation(&session, held) };
        let answer = store.rotate(ask, &BRISK).await;
        let now = clock.monotonic();
        account.took.push(now.since(asked));
        match answer {
            Ok(Rotation::Honoured(_, next)) => {
                account.refreshed += 1;
                if let Some(since) = failing_since.take() {
                    account.longest_outage = account.longest_outage.max(now.since(since));
                }
                held = next.current();
            }
            // As it is told to, the client asks again.
            Ok(Rotation::InProgress) => {}
            Err(StoreError::Unavailable { .. }) => {
                account.unavailable += 1;
                failing_since.get_or_insert(now);
            }
            other => {
                account.wrong.push(format!("{other:?}"));
                break;
            }
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    account
}

/// Refreshes until it works again; how long that took.
pub(crate) async fn recovers(store: &RedisStore, session: &Session, held: Presented) -> (Duration, Session) {
    let clock = SystemClock::new();
    let began = clock.monotonic();
    loop {
        let ask: Presentation = presentation(session, held);
        match store.rotate(ask, &EAGER).await {
            Ok(Rotation::Honoured(_, next)) => return (clock.monotonic().since(began), *next),
            Err(StoreError::Unavailable { .. }) => tokio::time::sleep(Duration::from_millis(5)).await,
            other => panic!("{other:?}"),
        }
        assert!(clock.monotonic().since(began) < Duration::from_mins(1), "it never recovers");
    }
}
