//! Both replicas are replaced, one after the other, while everybody goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;

use super::echo;
use super::fleet::{Fleet, USER, get};
use super::proxy::Recipe;
use crate::support::client::{Client, Verified};
use crate::support::http::Http;

const CLIENTS: usize = 4;
/// Between two calls of a client.
const PAUSE: Duration = Duration::from_millis(10);
/// Longer than it takes by the recipes until Envoy asks for health: a second.
const DRAIN_DELAY: &str = "2s";

/// How many of each call succeeded, and what failed.
#[derive(Default)]
struct Tally {
    stop: AtomicBool,
    verified: AtomicU64,
    refreshed: AtomicU64,
    asked: AtomicU64,
    failures: std::sync::Mutex<Vec<String>>,
}

impl Tally {
    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    fn note(&self, count: &AtomicU64, failure: Option<String>) {
        match failure {
            None => _ = count.fetch_add(1, Ordering::Relaxed),
            Some(failure) => self.failures.lock().unwrap().push(failure),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_fails_no_verify_no_refresh_and_no_request() {
    let test = "a_rolling_restart_fails_no_verify_no_refresh_and_no_request";
    let Some(mut fleet) = Fleet::start(test, &[("SHUTDOWN__DRAIN_DELAY", DRAIN_DELAY)]).await else { return };
    let application = echo::serve().await;
    let Some(grpc) = Recipe::new("envoy/grpc.yaml", &fleet, application).envoy(test, "countersign").await
    else {
        return;
    };
    let Some(asking) = Recipe::new("envoy/ext-authz.yaml", &fleet, application).envoy(test, "ingress").await
    else {
        return;
    };

    let tally = Arc::new(Tally::default());
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let session = fleet.login(USER).await;
        let client = Client::connect(grpc.http.0);
        clients.spawn(refreshes(client.clone(), session.refresh_token, tally.clone()));
        clients.spawn(verifies(client, session.access_token.clone(), tally.clone()));
        clients.spawn(asks(asking.http, session.access_token, tally.clone()));
    }
    for number in 0..2 {
        let old = fleet.replicas.remove(0);
        let address = old.grpc;
        let ended = tokio::task::spawn_blocking(move || old.terminate()).await.unwrap();
        assert_eq!(ended, Some(0), "every call under way finished");
        let new = tokio::task::block_in_place(|| fleet.restart(number, address));
        fleet.replicas.push(new);
        // As a rollout waits until the new one is ready, and gets its share.
        for proxy in [&grpc, &asking] {
            proxy.until_healthy().await;
        }
    }
    tally.stop.store(true, Ordering::Relaxed);
    clients.join_all().await;

    let [verified, refreshed, asked] =
        [&tally.verified, &tally.refreshed, &tally.asked].map(|count| count.load(Ordering::Relaxed));
    let failures = std::mem::take(&mut *tally.failures.lock().unwrap());
    println!(
        "a rolling restart of two replicas through Envoy: {verified} Verify, {refreshed} Refresh, {asked} requests that \
         Envoy asked about; {} failed",
        failures.len()
    );
    assert!(failures.is_empty(), "{failures:#?}\n{}\n{}", grpc.log(), asking.log());
    assert!(verified.min(refreshed).min(asked) > 100, "this was no load");
}

async fn refreshes(mut client: Client, mut token: String, tally: Arc<Tally>) {
    while tally.goes_on() {
        match client.refresh(&token).await {
            Ok(tokens) => {
                token = tokens.refresh_token;
                tally.note(&tally.refreshed, None);
            }
            Err(refused) => tally.note(&tally.refreshed, Some(format!("Refresh: {refused:?}"))),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn verifies(mut client: Client, token: String, tally: Arc<Tally>) {
    while tally.goes_on() {
        let answer = client.verify(&token).await;
        let failure = (!matches!(answer, Ok(Verified::As { .. }))).then(|| format!("Verify: {answer:?}"));
        tally.note(&tally.verified, failure);
        tokio::time::sleep(PAUSE).await;
    }
}

async fn asks(gateway: Http, token: String, tally: Arc<Tally>) {
    while tally.goes_on() {
        let answer = get(gateway, "/orders", &token, &[]).await;
        let failure = (answer.status != 200).then(|| format!("request: {answer:?}"));
        tally.note(&tally.asked, failure);
        tokio::time::sleep(PAUSE).await;
    }
}
