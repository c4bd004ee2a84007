//! Answers that are lost after the commit cost nobody the session.

use std::collections::HashMap;
use std::time::Duration;

use tokio::task::JoinSet;
use tonic::Code;

use super::fleet::{Fleet, login};
use super::lossy_proxy::{LossyProxy, Lost};
use crate::support::client::{Client, Verified};

const SESSIONS: usize = 500;
/// How many rotations in a row each session loses.
const LOSSES: usize = 2;
const WORKERS: usize = 4;

/// A session as its client knows it: every token it has held.
struct Held {
    access_token: String,
    refresh_tokens: Vec<String>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_lost_answers_are_recovered_by_the_clients_retry() {
    let test = "a_thousand_lost_answers_are_recovered_by_the_clients_retry";
    let settings = [("ROTATION__GRACE", "3s"), ("ROTATION__DEADLINE", "1s")];
    let Some(fleet) = Fleet::start(test, &settings).await else { return };
    let proxies =
        [LossyProxy::before(fleet.replicas[0].grpc).await, LossyProxy::before(fleet.replicas[1].grpc).await];
    let mut sessions = Vec::new();
    let mut clients = fleet.clients();
    for number in 0..SESSIONS {
        let tokens = login(&mut clients[number % 2]).await;
        sessions.push(Held { access_token: tokens.access_token, refresh_tokens: vec![tokens.refresh_token] });
    }
    for _ in 0..LOSSES {
        sessions = lose_one_each(sessions, &fleet, &proxies).await;
    }

    let lost: Vec<_> = proxies.iter().flat_map(LossyProxy::lost).collect();
    assert_eq!(lost.len(), SESSIONS * LOSSES);
    check_history(&sessions, &lost);
    for (number, session) in sessions.iter().enumerate() {
        let client = &mut clients[number % 2];
        let verified = client.verify(&session.access_token).await.unwrap();
        assert!(matches!(verified, Verified::As { .. }), "session {number}: {verified:?}");
        let current = session.refresh_tokens.last().unwrap();
        answered(client, current)
            .await
            .unwrap_or_else(|reason| panic!("session {number} was ended: {reason}"));
    }
    println!(
        "{} answers lost after the commit: all recovered by the retry, no fork, nobody logged out",
        lost.len()
    );
}

async fn lose_one_each(sessions: Vec<Held>, fleet: &Fleet, proxies: &[LossyProxy; 2]) -> Vec<Held> {
    let mut parts: Vec<Vec<Held>> = (0..WORKERS).map(|_| Vec::new()).collect();
    for (number, session) in sessions.into_iter().enumerate() {
        parts[number % WORKERS].push(session);
    }
    let mut workers = JoinSet::new();
    for (worker, mut part) in parts.into_iter().enumerate() {
        let proxy = proxies[worker % 2].clone();
        // The retry goes to the other replica.
        let mut direct = fleet.replicas[1 - worker % 2].client();
        workers.spawn(async move {
            let mut lossy = Client::connect(proxy.address);
            for session in &mut part {
                lose_one(session, &proxy, &mut lossy, &mut direct).await;
            }
            part
        });
    }
    workers.join_all().await.into_iter().flatten().collect()
}

/// Refreshes through the proxy until a rotation's answer is lost, and retries that one directly.
async fn lose_one(session: &mut Held, proxy: &LossyProxy, lossy: &mut Client, direct: &mut Client) {
    let token = session.refresh_tokens.last().unwrap().clone();
    loop {
        match lossy.refresh(&token).await {
            // The line still stands still after the last rotation.
            Ok(tokens) => {
                assert_eq!(tokens.refresh_token, token, "the proxy lets no rotation's answer through");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(refused) if refused.reason == "STORE_UNAVAILABLE" => {}
            Err(refused) => {
                assert_eq!(refused.reason, "", "no answer of the service, but a connection that was closed");
                // A call that was put on the connection of the loss before fails with it, and loses nothing.
                if proxy.has_lost(&token) {
                    break;
                }
            }
        }
    }
    let tokens = answered(direct, &token).await.unwrap_or_else(|reason| panic!("logged out: {reason}"));
    session.access_token = tokens.access_token;
    session.refresh_tokens.push(tokens.refresh_token);
}

/// The answer, or the reason of the refusal; asks again where there was neither.
async fn answered(client: &mut Client, token: &str) -> Result<countersign::grpc::proto::v1::Tokens, String> {
    loop {
        match client.refresh(token).await {
            Ok(tokens) => return Ok(tokens),
            Err(refused) if matches!(refused.code, Code::Unavailable | Code::DeadlineExceeded) => {}
            Err(refused) => return Err(refused.reason),
        }
    }
}

/// Every retry was given exactly the token that had been lost.
fn check_history(sessions: &[Held], lost: &[Lost]) {
    let lost: HashMap<_, _> =
        lost.iter().map(|lost| (lost.presented.as_str(), lost.successor.as_str())).collect();
    for (number, session) in sessions.iter().enumerate() {
        for step in session.refresh_tokens.windows(2) {
            assert_eq!(lost[step[0].as_str()], step[1], "session {number} forked");
        }
    }
}
