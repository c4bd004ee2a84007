//! How soon a logout that one replica has acknowledged is refused by the other.

use std::time::Duration;

use countersign::grpc::proto::v1::{InvalidReason, Tokens};

use super::Effort;
use super::verify_tail::percentile;
use crate::figures::{Figure, Goal, Outcome, Spread};
use crate::load::now;
use crate::stores::Backed;
use crate::support::client::{Client, Verified};
use crate::support::replica::{PASSWORD, Replica};

const USERNAME: &str = "ada";
/// How many logouts make one figure of a hundredth.
const EACH_ROUND: usize = 100;
const WITHOUT_REDIS: usize = 5;

pub(crate) async fn measure(effort: Effort) -> Option<Outcome> {
    let mut backed = Backed::prepare("logout", &[]).await?;
    backed.deployment.create_user(USERNAME);
    let replicas = [backed.deployment.start(), backed.deployment.start()];
    let mut clients = replicas.each_ref().map(Replica::client);
    let mut pushed = Vec::new();
    let mut medians = Vec::new();
    for _ in 0..effort.rounds {
        let mut latencies = Vec::new();
        for number in 0..EACH_ROUND {
            let tokens = clients[number % 2].login(USERNAME, PASSWORD).await.unwrap();
            latencies.push(until_refused(&mut clients, number % 2, &tokens).await);
        }
        medians.push(percentile(latencies.clone(), 50));
        pushed.push(percentile(latencies, 99));
    }
    let mut sessions = Vec::new();
    for _ in 0..WITHOUT_REDIS * effort.rounds {
        sessions.push(clients[0].login(USERNAME, PASSWORD).await.unwrap());
    }
    backed.redis.kill();
    let mut polled = Vec::new();
    for (number, tokens) in sessions.iter().enumerate() {
        polled.push(until_refused(&mut clients, number % 2, tokens).await);
    }
    Some(
        Outcome::of([
            Figure::new(
                "Logout acknowledged → refused by every replica, p99, by push",
                Spread::of(pushed),
                "ms",
                Goal::AtMost(5.0),
            ),
            Figure::informative("· median", Spread::of(medians), "ms"),
            Figure::new(
                "Logout acknowledged → refused by every replica, p99, with Redis dead",
                Spread::of([percentile(polled, 99)]),
                "ms",
                Goal::AtMost(1500.0),
            ),
        ])
        .noting(format!(
            "Two replicas on PostgreSQL; {EACH_ROUND} logouts a round by push, {} without Redis, where the ledger is \
             polled every second.",
            WITHOUT_REDIS * effort.rounds
        )),
    )
}

/// From the acknowledgement of one replica to the first refusal of the other.
async fn until_refused(clients: &mut [Client; 2], ours: usize, tokens: &Tokens) -> Duration {
    let access_token = &tokens.access_token;
    let before = clients[1 - ours].verify(access_token).await.unwrap();
    assert!(matches!(before, Verified::As { .. }), "{before:?}");
    clients[ours].logout(&tokens.refresh_token).await.unwrap();
    let acknowledged = now();
    loop {
        let answer = clients[1 - ours].verify(access_token).await.unwrap();
        if answer == Verified::Invalid(InvalidReason::Revoked) {
            return acknowledged.elapsed();
        }
        assert!(acknowledged.elapsed() < Duration::from_secs(10), "it is never refused");
    }
}
