//! How soon a revocation is known to fifty services that verify in their own process.

use std::thread;
use std::time::{Duration, Instant};

use countersign_verifier::client::{ConnectOptions, LiveVerifier};
use countersign_verifier::{Rules, SessionId, Verifier};
use tonic::transport::Endpoint;

use super::Effort;
use super::verify_tail::percentile;
use crate::figures::{Figure, Goal, Outcome, Spread};
use crate::load::now;
use crate::support::replica::PASSWORD;
use crate::world::Alone;

const VERIFIERS: usize = 50;
const EACH_ROUND: usize = 20;
const USERNAME: &str = "ada";

pub(crate) async fn measure(effort: Effort) -> Option<Outcome> {
    let service = Alone::start().await;
    service.create_user(USERNAME);
    let mut verifiers = Vec::new();
    for _ in 0..VERIFIERS {
        let endpoint = Endpoint::from_shared(format!("http://{}", service.replica.grpc)).unwrap();
        let rules = Rules::new("countersign", vec!["countersign".to_owned()]);
        let verifier = Verifier::connect(endpoint, ConnectOptions::new(rules));
        verifier.ready().await;
        verifiers.push(verifier);
    }
    let mut client = service.replica.client();
    let (mut slowest, mut medians) = (Vec::new(), Vec::new());
    for _ in 0..effort.rounds {
        let mut delays = Vec::new();
        for _ in 0..EACH_ROUND {
            let tokens = client.login(USERNAME, PASSWORD).await.unwrap();
            let session = verifiers[0].verify(&tokens.access_token, &[]).await.unwrap().session;
            client.logout(&tokens.refresh_token).await.unwrap();
            let acknowledged = now();
            let waiting = verifiers.clone();
            let told = move || until_known(waiting, session, acknowledged);
            delays.extend(tokio::task::spawn_blocking(told).await.unwrap());
        }
        medians.push(percentile(delays.clone(), 50));
        slowest.push(percentile(delays, 99));
    }
    let name = format!("Revocation acknowledged → known to {VERIFIERS} connected verifiers, p99");
    Some(Outcome::of([
        Figure::new(name, Spread::of(slowest), "ms", Goal::AtMost(10.0)),
        Figure::informative("· median", Spread::of(medians), "ms"),
    ]))
}

fn until_known(mut waiting: Vec<LiveVerifier>, session: SessionId, acknowledged: Instant) -> Vec<Duration> {
    let mut delays = Vec::new();
    while !waiting.is_empty() {
        waiting.retain(|verifier| {
            let known = verifier.verifier().revocations().index.is_session_revoked(session);
            if known {
                delays.push(acknowledged.elapsed());
            }
            !known
        });
        assert!(acknowledged.elapsed() < Duration::from_secs(10), "somebody is never told");
        // The followers share the processors with this thread.
        thread::sleep(Duration::from_micros(50));
    }
    delays
}
