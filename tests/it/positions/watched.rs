//! Positions for those who verify in their own process.

use std::time::Duration;

use countersign::grpc::proto::v1;
use countersign::grpc::proto::v1::revocation_service_client::RevocationServiceClient;
use countersign::grpc::proto::v1::watch_revocations_request::Message as Say;
use countersign::grpc::proto::v1::watch_revocations_response::Message as Told;
use countersign::store::SessionRevocation;
use countersign_verifier::InvalidReason;
use countersign_verifier::client::{ConnectOptions, OnStale, VerifyError};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::conformance::OPERATOR;
use crate::support::in_process::{Replica, quick, session, user_id};

const AHEAD: &str = "1000000-00000000000000fe";

/// Revokes a session as another replica does, which this one is not told of.
async fn revoke_elsewhere(replica: &Replica, number: u32) -> String {
    let revocation = SessionRevocation { session: session(number), user: user_id(), cause: OPERATOR };
    replica.ledger().revoke_sessions(&[revocation]).await.unwrap()[0].position().to_string()
}

/// Patient where it asks.
fn patient() -> ConnectOptions {
    ConnectOptions { ask_timeout: Duration::from_secs(20), ..quick() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verifier_refuses_on_the_first_call_what_ended_before_the_position() {
    let folder = tempfile::tempdir().unwrap();
    let replica = Replica::start(folder.path()).await;
    let verifier = replica.verifier(patient()).await;
    for number in 0..50 {
        let token = replica.token(session(number));
        assert!(verifier.verify(&token, &[]).await.is_ok());
        let position = revoke_elsewhere(&replica, number).await;
        for _ in 0..2 {
            let refused = verifier.verify_at_least(&token, &[], &position).await;
            assert!(matches!(refused, Err(VerifyError::Invalid(InvalidReason::Revoked))), "{refused:?}");
        }
    }
    let alive = replica.token(session(999));
    assert!(verifier.verify_at_least(&alive, &[], "").await.is_ok(), "nothing is asked for");
    for none in [AHEAD, "x", &"9".repeat(10_000)] {
        let unknown = verifier.verify_at_least(&alive, &[], none).await;
        assert!(matches!(unknown, Err(VerifyError::Stale { .. })), "{unknown:?}");
    }
    assert!(verifier.verify(&alive, &[]).await.is_ok(), "which says nothing of the others");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_can_wait_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let replica = Replica::start(folder.path()).await;
    let verifier = replica.verifier(patient()).await;
    let mut asked = Vec::new();
    for number in 0..100 {
        let token = replica.token(session(number));
        let position = revoke_elsewhere(&replica, number).await;
        let verifier = verifier.clone();
        asked.push(async move { verifier.verify_at_least(&token, &[], &position).await });
    }
    for answer in futures_util::future::join_all(asked).await {
        // One that is crowded out is never told that the token is good.
        assert!(
            matches!(answer, Err(VerifyError::Invalid(InvalidReason::Revoked) | VerifyError::Stale { .. })),
            "{answer:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_server_a_position_is_not_reached_whatever_the_policy() {
    let folder = tempfile::tempdir().unwrap();
    let replica = Replica::start(folder.path()).await;
    let token = replica.token(session(1));
    let position = revoke_elsewhere(&replica, 2).await;
    let mut verifiers = Vec::new();
    for on_stale in [OnStale::FailClosed, OnStale::Serve, OnStale::AskServer] {
        let options = ConnectOptions { on_stale, ask_timeout: Duration::from_millis(200), ..quick() };
        verifiers.push(replica.verifier(options).await);
    }
    let asks = &verifiers[2];
    assert!(asks.verify_at_least(&token, &[], &position).await.is_ok());
    assert!(matches!(asks.verify_at_least(&token, &[], AHEAD).await, Err(VerifyError::Unanswered(_))));
    replica.kill().await;
    for verifier in &verifiers[..2] {
        let unknown = verifier.verify_at_least(&token, &[], &position).await;
        assert!(matches!(unknown, Err(VerifyError::Stale { .. })), "{unknown:?}");
    }
    assert!(asks.verify_at_least(&token, &[], &position).await.is_ok(), "it has been reached once");
}

/// On the wire: the heartbeat of a position may come after those of later pings, and each has one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ping_with_a_position_is_answered_for_itself() {
    let folder = tempfile::tempdir().unwrap();
    let replica = Replica::start(folder.path()).await;
    let position = revoke_elsewhere(&replica, 1).await;
    let (say, said) = mpsc::channel(16);
    let mut client = RevocationServiceClient::new(replica.endpoint().connect_lazy());
    let mut told = client.watch_revocations(ReceiverStream::new(said)).await.unwrap().into_inner();
    let ping = |nonce, at_least: &str| Say::Ping(v1::WatchPing { nonce, at_least: at_least.to_owned() });
    let start = Say::Start(v1::WatchStart::default());
    for message in
        [start, ping(1, AHEAD), ping(2, &position), ping(3, "nonsense"), ping(4, ""), ping(5, &position)]
    {
        say.send(v1::WatchRevocationsRequest { message: Some(message) }).await.unwrap();
    }
    let (mut answers, mut revoked) = (Vec::new(), false);
    while answers.len() < 5 {
        match told.message().await.unwrap().unwrap().message.unwrap() {
            Told::Heartbeat(heartbeat) => {
                assert!(revoked || heartbeat.reached != Some(true), "what is up to there comes first");
                answers.push((heartbeat.nonce, heartbeat.reached));
            }
            Told::Revoked(told) => revoked |= !told.sessions.is_empty(),
            _ => {}
        }
    }
    answers.sort_unstable();
    let expected = [Some(false), Some(true), Some(false), None, Some(true)];
    assert_eq!(answers, [1, 2, 3, 4, 5].into_iter().zip(expected).collect::<Vec<_>>());
}
