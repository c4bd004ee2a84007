//! A replica that is started in the middle of a storm of revocations.
//!
//! It begins to listen, then it loads the ledger, then it is ready: what was acknowledged until then it has loaded or
//! been told, and refuses from its first answer on. What is acknowledged later is told to it by push, as to every
//! replica, and refused within the time that this takes. Between the two there is no gap.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use countersign::grpc::proto::v1::{InvalidReason, Tokens};
use countersign::model::{Clock as _, Monotonic, SystemClock};
use tokio::task::{JoinHandle, JoinSet};

use super::fleet::{Fleet, login};
use crate::support::client::{Client, Verified};

const STARTS: usize = 3;
/// How many sessions there are for each storm, and how fast they are ended.
const SESSIONS: usize = 600;
const EVERY: Duration = Duration::from_millis(5);
/// How many are ended before the new replica is started.
const BEFORE: usize = 50;
/// What a busy machine may take to tell a replica of a revocation by push, or to read the ledger.
const PUSHED_WITHIN: Duration = Duration::from_millis(500);
/// How many callers log in, and verify.
const CALLERS: usize = 4;
/// How long the storm goes on after the new replica is ready.
const AFTER: Duration = Duration::from_millis(1500);

/// A revocation, and when its acknowledgement had arrived.
#[derive(Clone)]
struct Acknowledged {
    access_token: String,
    at: Monotonic,
}

/// One storm: what has been acknowledged so far.
#[derive(Clone)]
struct Storm {
    clock: Arc<SystemClock>,
    acknowledged: Arc<Mutex<Vec<Acknowledged>>>,
    over: Arc<AtomicBool>,
}

/// What the new replica answered.
#[derive(Debug, Default, Clone, Copy)]
struct Seen {
    asked: usize,
    /// How many tokens were verified whose revocation had been acknowledged before the replica was ready.
    forgotten: usize,
    /// How many were verified whose revocation was acknowledged later and before the question, and how long before it
    /// at most.
    late: usize,
    latest: Duration,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_started_in_a_storm_refuses_what_was_revoked_before_it_was_ready_and_the_rest_within_the_bound()
 {
    let test = "a_replica_started_in_a_storm_refuses_what_was_revoked_before_it_was_ready_and_the_rest_within_the_bound";
    // The poll is far too slow to help: it is the loading and the push that must not leave a gap.
    let settings = [("REVOCATION__POLL_INTERVAL", "30s")];
    let Some(fleet) = Fleet::start(test, &settings).await else { return };
    for start in 0..STARTS {
        let sessions = login_many(&fleet).await;
        let storm =
            Storm { clock: Arc::new(SystemClock::new()), acknowledged: Arc::default(), over: Arc::default() };
        let begun = storm.clock.monotonic();
        let revoking = storm.rage(fleet.clients(), sessions);
        storm.acknowledged_at_least(BEFORE).await;
        let deployment = fleet.deployment.clone();
        let replica = tokio::task::spawn_blocking(move || deployment.start()).await.unwrap();
        let ready = storm.clock.monotonic();
        let before = storm.acknowledged().len();
        let seen = storm.watch(replica.client(), ready).await;
        storm.over.store(true, Ordering::SeqCst);
        revoking.await.unwrap();

        let all = storm.acknowledged();
        let rate = rate(&all, begun);
        println!(
            "start {start}: ready after {:.1} s and {before} revocations at {rate:.0}/s; then {} Verify of {} revoked \
             tokens: of those before, {} verified; of those after, {}, at most {:.1} ms after the acknowledgement",
            ready.since(begun).as_secs_f64(),
            seen.asked,
            all.len(),
            seen.forgotten,
            seen.late,
            seen.latest.as_secs_f64() * 1000.0,
        );
        assert!(
            before > BEFORE && all.len() > before,
            "the storm was over too soon: {before} of {}",
            all.len()
        );
        assert_eq!(seen.forgotten, 0, "{seen:?}");
        assert!(seen.latest < PUSHED_WITHIN, "{seen:?}");
        assert!(refuses_all(&mut replica.client(), &all).await, "start {start}");
        assert_eq!(replica.terminate(), Some(0));
    }
}

async fn login_many(fleet: &Fleet) -> Vec<Tokens> {
    let mut logins = JoinSet::new();
    for caller in 0..CALLERS {
        let mut client = fleet.replicas[caller % 2].client();
        logins.spawn(async move {
            let mut sessions = Vec::new();
            for _ in 0..SESSIONS / CALLERS {
                sessions.push(login(&mut client).await);
            }
            sessions
        });
    }
    logins.join_all().await.into_iter().flatten().collect()
}

fn rate(all: &[Acknowledged], begun: Monotonic) -> f64 {
    let last = all.last().map_or(Duration::ZERO, |last| last.at.since(begun));
    f64::from(u32::try_from(all.len()).unwrap()) / last.as_secs_f64()
}

impl Storm {
    fn acknowledged(&self) -> Vec<Acknowledged> {
        self.acknowledged.lock().unwrap().clone()
    }

    /// Waits for so many.
    async fn acknowledged_at_least(&self, count: usize) {
        while self.acknowledged.lock().unwrap().len() < count {
            tokio::time::sleep(EVERY).await;
        }
    }

    /// Ends one session after the other, without waiting for the last one, until told to stop.
    fn rage(&self, clients: [Client; 2], sessions: Vec<Tokens>) -> JoinHandle<()> {
        let storm = self.clone();
        tokio::spawn(async move {
            let mut tick = tokio::time::interval(EVERY);
            let mut logouts = JoinSet::new();
            for (number, session) in sessions.into_iter().enumerate() {
                tick.tick().await;
                if storm.over.load(Ordering::SeqCst) {
                    break;
                }
                let (mut client, storm) = (clients[number % 2].clone(), storm.clone());
                logouts.spawn(async move {
                    // One that is not acknowledged proves nothing.
                    if client.logout(&session.refresh_token).await.is_ok() {
                        let at = storm.clock.monotonic();
                        let access_token = session.access_token;
                        storm.acknowledged.lock().unwrap().push(Acknowledged { access_token, at });
                    }
                });
            }
            logouts.join_all().await;
        })
    }

    /// Asks the new replica of every token once, as soon as its revocation is acknowledged, and goes on for a while
    /// after it was ready.
    async fn watch(&self, client: Client, ready: Monotonic) -> Seen {
        let mut callers = JoinSet::new();
        for caller in 0..CALLERS {
            let (storm, mut client) = (self.clone(), client.clone());
            callers.spawn(async move {
                let (mut seen, mut next) = (Seen::default(), caller);
                while storm.clock.monotonic().since(ready) < AFTER {
                    let revoked = storm.acknowledged.lock().unwrap().get(next).cloned();
                    let Some(revoked) = revoked else {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                        continue;
                    };
                    next += CALLERS;
                    seen.note(&storm, &mut client, &revoked, ready).await;
                }
                seen
            });
        }
        let all = callers.join_all().await;
        Seen {
            asked: all.iter().map(|seen| seen.asked).sum(),
            forgotten: all.iter().map(|seen| seen.forgotten).sum(),
            late: all.iter().map(|seen| seen.late).sum(),
            latest: all.iter().map(|seen| seen.latest).max().unwrap_or_default(),
        }
    }
}

impl Seen {
    /// Asks until the token is refused.
    async fn note(&mut self, storm: &Storm, client: &mut Client, revoked: &Acknowledged, ready: Monotonic) {
        for attempt in 0.. {
            let sent = storm.clock.monotonic();
            let answer = client.verify(&revoked.access_token).await.unwrap();
            self.asked += 1;
            if answer == Verified::Invalid(InvalidReason::Revoked) {
                return;
            }
            if revoked.at <= ready {
                self.forgotten += usize::from(attempt == 0);
            } else {
                self.late += usize::from(attempt == 0);
            }
            self.latest = self.latest.max(sent.since(revoked.at));
            assert!(self.latest < Duration::from_secs(10), "it is never refused: {answer:?}");
        }
    }
}

async fn refuses_all(client: &mut Client, revoked: &[Acknowledged]) -> bool {
    for revoked in revoked {
        if client.verify(&revoked.access_token).await.unwrap() != Verified::Invalid(InvalidReason::Revoked) {
            return false;
        }
    }
    true
}
