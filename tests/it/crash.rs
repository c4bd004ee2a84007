//! kill −9 at any moment: what was acknowledged stays so.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use countersign::grpc::proto::v1::InvalidReason;
use tokio::task::JoinSet;

use crate::support::client::{Client, Verified};
use crate::support::process::Dev;

mod administration;

const KILLS: usize = 100;
const WORKERS: usize = 6;
/// From the start of the process to its first answer. The goal is two seconds; a debug build on a busy machine
/// may take several times that, and a figure that depends on the machine belongs in the bench.
const READY_WITHIN: Duration = Duration::from_secs(20);

/// What one client knows for certain of its session.
#[derive(Debug, Clone)]
struct Known {
    access: String,
    /// The token that the client holds.
    current: String,
    /// The token before it, with which a lost response would be retried.
    previous: Option<String>,
    logged_out: bool,
    /// A call was under way when the process died: it may have happened or not.
    in_doubt: bool,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_undone_by_a_kill() {
    let data = tempfile::tempdir().unwrap();
    let password = {
        let dev = Dev::start(data.path());
        let password = dev.password().unwrap();
        dev.kill();
        password
    };
    let (mut logouts, mut rotations, mut slowest) = (0, 0, Duration::ZERO);
    let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
    let mut known: HashMap<usize, Known> = HashMap::new();
    for _ in 0..KILLS {
        let (dev, took) = start(data.path());
        slowest = slowest.max(took);
        let mut client = Client::connect(dev.grpc);
        for state in known.values() {
            let (l, r) = check(&mut client, state).await;
            logouts += l;
            rotations += r;
        }
        known = load_until_killed(dev, &password, next(&mut seed)).await;
    }
    println!(
        "{KILLS} kills: {logouts} acknowledged logouts held, {rotations} acknowledged rotations held; \
         slowest start {slowest:?}"
    );
    assert!(logouts > KILLS / 4 && rotations > KILLS / 4, "the load reached too little to prove anything");
}

fn start(data: &Path) -> (Dev, Duration) {
    #[expect(clippy::disallowed_methods, reason = "a real process takes real time")]
    let begun = Instant::now();
    // A grace window that outlasts any start, so that what is compared never depends on how slow the machine is.
    let dev = Dev::start_with_env(data, &[("COUNTERSIGN__ROTATION__GRACE", "5m")]);
    let took = begun.elapsed();
    assert!(took < READY_WITHIN, "ready after {took:?}");
    (dev, took)
}

/// xorshift: where the kill falls differs from round to round, and is the same in every run.
fn next(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

/// Refreshes and logs out from several clients until the process is killed under them.
async fn load_until_killed(dev: Dev, password: &str, random: u64) -> HashMap<usize, Known> {
    let states = Arc::new(Mutex::new(HashMap::new()));
    let mut clients = JoinSet::new();
    for worker in 0..WORKERS {
        let (client, states, password) = (Client::connect(dev.grpc), states.clone(), password.to_owned());
        clients.spawn(work(worker, client, password, states));
    }
    tokio::time::sleep(Duration::from_millis(150 + random % 400)).await;
    dev.kill();
    while clients.join_next().await.is_some() {}
    Arc::into_inner(states).unwrap().into_inner().unwrap()
}

async fn work(
    worker: usize,
    mut client: Client,
    password: String,
    states: Arc<Mutex<HashMap<usize, Known>>>,
) {
    for turn in 0.. {
        let key = worker + WORKERS * turn;
        let Ok(login) = client.login("admin", &password).await else { return };
        let mut state = Known {
            access: login.access_token,
            current: login.refresh_token,
            previous: None,
            logged_out: false,
            in_doubt: true,
        };
        states.lock().unwrap().insert(key, state.clone());
        let Ok(next) = client.refresh(&state.current).await else { return };
        state.previous = Some(std::mem::replace(&mut state.current, next.refresh_token));
        state.access = next.access_token;
        // Half of the sessions end here, the other half must go on from exactly here.
        let ends = (worker + turn).is_multiple_of(2);
        state.in_doubt = ends;
        states.lock().unwrap().insert(key, state.clone());
        if ends {
            if client.logout(&state.current).await.is_err() {
                return;
            }
            state.logged_out = true;
            states.lock().unwrap().insert(key, state.clone());
        }
    }
}

/// Looks at one session after the restart. Returns how many acknowledged logouts and rotations it proved.
async fn check(client: &mut Client, state: &Known) -> (usize, usize) {
    if state.logged_out {
        let refused = client.refresh(&state.current).await.unwrap_err();
        assert_eq!(refused.reason, "SESSION_REVOKED", "an acknowledged logout was undone");
        let verified = client.verify(&state.access).await.unwrap();
        assert_eq!(verified, Verified::Invalid(InvalidReason::Revoked), "an acknowledged logout was undone");
        return (1, 0);
    }
    if let (Some(previous), false) = (&state.previous, state.in_doubt) {
        let again = client.refresh(previous).await.unwrap();
        assert_eq!(again.refresh_token, state.current, "one token was spent twice");
        return (0, 1);
    }
    // The refresh or the logout that was under way happened or not; presenting twice must agree.
    let first = client.refresh(&state.current).await.map(|tokens| tokens.refresh_token);
    let second = client.refresh(&state.current).await.map(|tokens| tokens.refresh_token);
    assert_eq!(first.is_ok(), second.is_ok());
    if let (Ok(first), Ok(second)) = (first, second) {
        assert_eq!(first, second, "one token was spent twice");
    }
    (0, 0)
}
