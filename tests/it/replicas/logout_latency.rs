//! How soon a logout on one replica is refused by the other.

use std::time::Duration;

use countersign::grpc::proto::v1::InvalidReason;
use countersign::model::{Clock as _, SystemClock};

use super::fleet::{Fleet, login};
use crate::support::client::{Client, Verified};

const LOGOUTS: usize = 200;
const LOGOUTS_WITHOUT_REDIS: usize = 10;
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// What a busy machine may add to the interval of the poll.
const SLACK: Duration = Duration::from_millis(1500);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_logout_on_one_replica_is_refused_by_the_other() {
    let Some(mut fleet) = Fleet::start("a_logout_on_one_replica_is_refused_by_the_other", &[]).await else {
        return;
    };
    let mut clients = fleet.clients();
    let mut sessions = Vec::new();
    for number in 0..LOGOUTS + LOGOUTS_WITHOUT_REDIS {
        sessions.push(login(&mut clients[number % 2]).await);
    }

    let without_redis = sessions.split_off(LOGOUTS);
    let mut pushed = Vec::new();
    for (number, session) in sessions.iter().enumerate() {
        pushed.push(
            until_refused(&mut clients, number % 2, &session.refresh_token, &session.access_token).await,
        );
    }
    report("by push", &mut pushed);
    assert!(pushed[LOGOUTS / 2] < POLL_INTERVAL / 4, "this is no faster than the poll");
    assert!(pushed[LOGOUTS - 1] < POLL_INTERVAL + SLACK);

    fleet.redis.kill();
    let mut polled = Vec::new();
    for (number, session) in without_redis.iter().enumerate() {
        polled.push(
            until_refused(&mut clients, number % 2, &session.refresh_token, &session.access_token).await,
        );
    }
    report("with Redis stopped, by the poll every second", &mut polled);
    assert!(polled[LOGOUTS_WITHOUT_REDIS - 1] < POLL_INTERVAL + SLACK);
}

/// The replicas poll once a minute, so that what they learn before is what they were told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_operator_revokes_is_pushed_to_every_replica() {
    let test = "what_an_operator_revokes_is_pushed_to_every_replica";
    let polls_rarely = [("REVOCATION__POLL_INTERVAL", "1m"), ("REVOCATION__MAX_STALENESS", "10m")];
    let Some(fleet) = Fleet::start(test, &polls_rarely).await else { return };
    let mut clients = fleet.clients();
    let commands: [(&[&str], &str); 3] = [
        (&["user", "set-password", "ada", "--password-stdin"], "correct horse battery\n"),
        (&["user", "disable", "ada"], ""),
        (&["user", "delete", "ada"], ""),
    ];
    for (command, input) in commands {
        fleet.deployment.run(&["user", "enable", "ada"], "");
        let session = login(&mut clients[0]).await;
        let said = fleet.deployment.run(command, input);
        assert!(said.contains("pushed") && said.contains("within 1m (revocation.poll_interval)"), "{said}");
        let clock = SystemClock::new();
        for client in &mut clients {
            while client.verify(&session.access_token).await.unwrap()
                != Verified::Invalid(InvalidReason::Revoked)
            {
                assert!(clock.monotonic().0 < Duration::from_secs(20), "{command:?}: it is not pushed");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        println!("{command:?}: refused by both after {:?}", clock.monotonic().0);
    }
}

/// The change is made and said all the same, with the time that it takes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_is_told_when_nothing_could_be_pushed() {
    let Some(mut fleet) = Fleet::start("an_operator_is_told_when_nothing_could_be_pushed", &[]).await else {
        return;
    };
    fleet.redis.kill();
    let said = fleet.deployment.run(&["user", "disable", "ada"], "");
    assert!(said.contains("not pushed") && said.contains("within 1s (revocation.poll_interval)"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_logout_holds_when_the_replica_that_acknowledged_it_is_killed_at_once() {
    let test = "a_logout_holds_when_the_replica_that_acknowledged_it_is_killed_at_once";
    let Some(Fleet { replicas: [here, there], redis: _redis, .. }) = Fleet::start(test, &[]).await else {
        return;
    };
    let (mut client, mut other) = (here.client(), there.client());
    let session = login(&mut client).await;
    client.logout(&session.refresh_token).await.unwrap();
    here.kill();
    let clock = SystemClock::new();
    let killed = clock.monotonic();
    while other.verify(&session.access_token).await.unwrap() != Verified::Invalid(InvalidReason::Revoked) {
        assert!(clock.monotonic().since(killed) < POLL_INTERVAL + SLACK, "the logout was forgotten");
    }
    assert_eq!(other.refresh(&session.refresh_token).await.unwrap_err().reason, "SESSION_REVOKED");
}

/// Pub/sub forgets what nobody hears. With a poll that is far too slow to help, the logout must be found when the
/// replica listens again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_logout_that_was_told_while_nobody_listened_is_found_when_listening_goes_on() {
    let test = "a_logout_that_was_told_while_nobody_listened_is_found_when_listening_goes_on";
    let Some(fleet) = Fleet::start(test, &[("REVOCATION__POLL_INTERVAL", "30s")]).await else { return };
    let mut clients = fleet.clients();
    let mut latencies = Vec::new();
    for number in 0..LOGOUTS_WITHOUT_REDIS {
        let ours = number % 2;
        let session = login(&mut clients[ours]).await;
        fleet.redis.cli(&["CLIENT", "KILL", "TYPE", "pubsub"]);
        latencies
            .push(until_refused(&mut clients, ours, &session.refresh_token, &session.access_token).await);
    }
    report("that had lost its connection for pushes", &mut latencies);
}

/// From the acknowledgement of one replica to the first refusal of the other, which stands from then on.
async fn until_refused(
    clients: &mut [Client; 2],
    ours: usize,
    refresh_token: &str,
    access_token: &str,
) -> Duration {
    let clock = SystemClock::new();
    let before = clients[1 - ours].verify(access_token).await.unwrap();
    assert!(matches!(before, Verified::As { .. }), "{before:?}");
    clients[ours].logout(refresh_token).await.unwrap();
    let acknowledged = clock.monotonic();
    let own = clients[ours].verify(access_token).await.unwrap();
    assert_eq!(own, Verified::Invalid(InvalidReason::Revoked), "the replica that acknowledged it");
    loop {
        let answer = clients[1 - ours].verify(access_token).await.unwrap();
        let waited = clock.monotonic().since(acknowledged);
        match answer {
            Verified::Invalid(InvalidReason::Revoked) => return waited,
            Verified::As { .. } => assert!(waited < POLL_INTERVAL + SLACK, "verified after {waited:?}"),
            other @ Verified::Invalid(_) => panic!("{other:?}"),
        }
    }
}

/// Sorts, and prints the percentiles.
fn report(how: &str, latencies: &mut [Duration]) {
    latencies.sort();
    let percentile = |percent: usize| latencies[(latencies.len() * percent / 100).min(latencies.len() - 1)];
    println!(
        "{} logouts on one replica, refused by the other {how}: p50 {:.1} ms, p99 {:.1} ms, longest {:.1} ms",
        latencies.len(),
        percentile(50).as_secs_f64() * 1000.0,
        percentile(99).as_secs_f64() * 1000.0,
        percentile(100).as_secs_f64() * 1000.0,
    );
}
