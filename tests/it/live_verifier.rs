//! Verification in the process of another service, through everything that can happen to the connection.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use countersign::grpc::proto::v1;
use countersign::grpc::proto::v1::watch_revocations_response::Message as Tell;
use countersign::model::{Clock as _, ManualClock, SessionId, SystemClock};
use countersign::store::SessionRevocation;
use countersign_verifier::client::{AuthenticateLayer, ConnectOptions, LiveVerifier, OnStale, VerifyError};
use countersign_verifier::{InvalidReason, UnixMillis, VerifiedToken, Verifier};
use http::{Request, Response};
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer as _, ServiceExt as _};

use crate::conformance::OPERATOR;
use crate::support::fake_watch;
use crate::support::grpc::assert_refused;
use crate::support::in_process::{Replica, endpoint, quick, session};

const PATIENCE: Duration = Duration::from_secs(30);

/// Waits, by asking again and again, and fails when it takes far too long.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waited = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, waited).await.unwrap_or_else(|_| panic!("{what}"));
}

fn knows(verifier: &LiveVerifier, session: SessionId) -> bool {
    verifier.verifier().revocations().index.is_session_revoked(session)
}

async fn revoke_durably(replica: &Replica, session: SessionId) {
    let cause = OPERATOR;
    let user = crate::support::in_process::user_id();
    let revocation = SessionRevocation { session, user, cause };
    replica.revocations.revoke_session(revocation, Arc::default()).await.unwrap();
}

/// Prints how long it takes from the acknowledgement of a logout until each of fifty services refuses the session.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_reaches_fifty_verifiers() {
    const VERIFIERS: usize = 50;
    const ROUNDS: u32 = 20;

    let folder = tempfile::tempdir().unwrap();
    let replica = Replica::start(folder.path()).await;
    let mut verifiers = Vec::new();
    for _ in 0..VERIFIERS {
        let options = ConnectOptions { ping_interval: Duration::from_secs(1), ..quick() };
        verifiers.push(replica.verifier(options).await);
    }
    let clock = SystemClock::new();
    let mut delays = Vec::new();
    for round in 0..ROUNDS {
        let token = replica.token(session(round));
        assert!(verifiers.iter().all(|it| it.verify_here(&token, &[]).is_ok()));
        revoke_durably(&replica, session(round)).await;
        let acknowledged = clock.monotonic();
        let mut waiting: Vec<_> = verifiers.iter().collect();
        until("everybody is told", || {
            waiting.retain(|verifier| {
                let known = knows(verifier, session(round));
                if known {
                    delays.push(clock.monotonic().since(acknowledged));
                }
                !known
            });
            waiting.is_empty()
        })
        .await;
        for verifier in &verifiers {
            let refused = verifier.verify_here(&token, &[]);
            assert!(matches!(refused, Err(VerifyError::Invalid(InvalidReason::Revoked))), "{refused:?}");
        }
    }
    delays.sort_unstable();
    let at = |share: usize| delays[(delays.len() - 1) * share / 100];
    println!(
        "acknowledged to refused, {VERIFIERS} verifiers, {ROUNDS} logouts: p50 {:?}, p99 {:?}, max {:?}",
        at(50),
        at(99),
        at(100)
    );
}

/// One verifier of each policy, over a clock that the test moves.
async fn of_each_policy(replica: &Replica, clock: &Arc<ManualClock>) -> [LiveVerifier; 3] {
    let of = |on_stale| {
        let options = ConnectOptions { on_stale, clock: clock.clone(), ..quick() };
        replica.verifier(options)
    };
    [of(OnStale::FailClosed).await, of(OnStale::AskServer).await, of(OnStale::Serve).await]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_server_dies_the_policy_acts_at_the_bound_and_all_heals_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let replica = Replica::start(folder.path()).await;
    let address = replica.address;
    let clock = Arc::new(ManualClock::new(SystemClock::new().now()));
    let verifiers = of_each_policy(&replica, &clock).await;
    let [closed, asks, serves] = &verifiers;
    let (good, bad) = (replica.token(session(1)), replica.token(session(2)));
    revoke_durably(&replica, session(2)).await;
    for verifier in &verifiers {
        until("the revocation arrives", || knows(verifier, session(2))).await;
        assert!(verifier.verify(&good, &[]).await.is_ok());
    }

    replica.kill().await;
    let bound = quick().max_staleness;
    clock.advance(bound / 2);
    for verifier in &verifiers {
        assert!(verifier.staleness().unwrap() >= bound / 2, "nobody answers, so it grows older");
        assert!(verifier.verify(&good, &[]).await.is_ok(), "within the bound it goes on alone");
    }
    clock.advance(bound / 2 + Duration::from_millis(1));
    let refused = closed.verify(&good, &[]).await.unwrap_err();
    assert!(matches!(refused, VerifyError::Stale { staleness: Some(age) } if age > bound), "{refused:?}");
    let refused = asks.verify(&good, &[]).await.unwrap_err();
    assert!(matches!(refused, VerifyError::Unanswered(_)), "{refused:?}");
    assert!(serves.verify(&good, &[]).await.is_ok());
    for verifier in &verifiers {
        let refused = verifier.verify(&bad, &[]).await.unwrap_err();
        assert!(matches!(refused, VerifyError::Invalid(InvalidReason::Revoked)), "what is known is said");
    }

    let replica = Replica::start_at(folder.path(), address).await;
    revoke_durably(&replica, session(1)).await;
    for verifier in &verifiers {
        until("it is fresh again", || verifier.staleness().is_some_and(|age| age < bound)).await;
        until("it has heard what came meanwhile", || knows(verifier, session(1))).await;
        let refused = verifier.verify(&good, &[]).await.unwrap_err();
        assert!(matches!(refused, VerifyError::Invalid(InvalidReason::Revoked)), "{refused:?}");
        assert!(verifier.verify(&replica.token(session(3)), &[]).await.is_ok());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn before_the_server_is_there_nobody_is_let_in_and_nobody_is_logged_out() {
    let folder = tempfile::tempdir().unwrap();
    let replica = Replica::start(folder.path()).await;
    let (address, token) = (replica.address, replica.token(session(1)));
    replica.kill().await;
    for on_stale in [OnStale::FailClosed, OnStale::Serve] {
        let verifier = Verifier::connect(endpoint(address), ConnectOptions { on_stale, ..quick() });
        let refused = verifier.verify(&token, &[]).await.unwrap_err();
        assert!(matches!(refused, VerifyError::Stale { staleness: None }), "{refused:?}");
        assert!(!refused.is_about_the_token());
        let refused = verifier.verify("garbage", &[]).await.unwrap_err();
        assert!(matches!(refused, VerifyError::Invalid(InvalidReason::Malformed)), "{refused:?}");
    }
    let verifier = Verifier::connect(endpoint(address), quick());
    let _replica = Replica::start_at(folder.path(), address).await;
    tokio::time::timeout(PATIENCE, verifier.ready()).await.expect("it finds the server by itself");
    assert_eq!(verifier.verify(&token, &[]).await.unwrap().session, session(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn past_the_bound_the_server_can_be_asked() {
    let folder = tempfile::tempdir().unwrap();
    let mut replica = Replica::start(folder.path()).await;
    let clock = Arc::new(ManualClock::new(SystemClock::new().now()));
    let options = ConnectOptions {
        on_stale: OnStale::AskServer,
        clock: clock.clone(),
        // One ping, and then none for as long as the test takes.
        ping_interval: Duration::from_hours(1),
        ..quick()
    };
    let verifier = replica.verifier(options).await;
    let token = replica.token(session(1));
    let known_here = verifier.verify(&token, &[]).await.unwrap();
    clock.advance(quick().max_staleness * 2);
    assert!(matches!(verifier.verify_here(&token, &[]), Err(VerifyError::Stale { .. })));
    assert_eq!(verifier.verify(&token, &[]).await.unwrap(), known_here, "the same identity");
    let audience = ["somebody else".to_owned()];
    let refused = verifier.verify(&token, &audience).await.unwrap_err();
    assert!(matches!(refused, VerifyError::Invalid(InvalidReason::WrongAudience)), "{refused:?}");
    replica.unload().await;
    let refused = verifier.verify(&token, &[]).await.unwrap_err();
    assert!(matches!(refused, VerifyError::Unanswered(_)), "the server cannot tell either: {refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_known_before_it_signs_and_forgotten_when_it_is_withdrawn() {
    let folder = tempfile::tempdir().unwrap();
    let replica = Replica::start(folder.path()).await;
    let verifier = replica.verifier(quick()).await;
    let now = SystemClock::new().now();
    let id = replica.announce_key(now);
    assert_ne!(replica.keys.current().signing.signer(now).id().as_str(), id, "it does not sign yet");
    let trusts = || verifier.verifier().keys().current().get(&id).is_some();
    until("the key is announced", trusts).await;

    let token = replica.token_signed_at(session(1), now + Duration::from_hours(2));
    for _ in 0..2 {
        assert_eq!(verifier.verify(&token, &[]).await.unwrap().session, session(1));
    }
    replica.withdraw_key(&id);
    until("the withdrawal is told", || !trusts()).await;
    let refused = verifier.verify(&token, &[]).await.unwrap_err();
    assert!(matches!(refused, VerifyError::Invalid(InvalidReason::UnknownKey)), "{refused:?}");
    assert!(verifier.verify(&replica.token(session(1)), &[]).await.is_ok(), "the others are not concerned");
}

/// A service behind the layer that answers with the session of whoever called.
async fn call(verifier: &LiveVerifier, authorization: Option<&str>) -> Result<String, Status> {
    let behind = tower::service_fn(|request: Request<()>| async move {
        let token = request.extensions().get::<Arc<VerifiedToken>>().expect("nobody else gets here");
        Ok::<_, Infallible>(
            Response::builder().header("sid", token.session.to_string()).body(Body::empty()).unwrap(),
        )
    });
    let service = AuthenticateLayer::new(verifier.clone()).layer(behind);
    let mut request = Request::new(());
    if let Some(value) = authorization {
        request.headers_mut().insert("authorization", value.parse().unwrap());
    }
    let answer = service.oneshot(request).await.unwrap();
    match Status::from_header_map(answer.headers()) {
        Some(status) => Err(status),
        None => Ok(answer.headers()["sid"].to_str().unwrap().to_owned()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_layer_lets_good_tokens_through_and_tells_the_others_why() {
    let folder = tempfile::tempdir().unwrap();
    let replica = Replica::start(folder.path()).await;
    let clock = Arc::new(ManualClock::new(SystemClock::new().now()));
    let verifier = replica.verifier(ConnectOptions { clock: clock.clone(), ..quick() }).await;
    let (good, revoked) = (replica.token(session(1)), replica.token(session(2)));
    replica.revoke(session(2));
    until("the revocation arrives", || knows(&verifier, session(2))).await;

    assert_eq!(call(&verifier, Some(&format!("Bearer {good}"))).await.unwrap(), session(1).to_string());
    for (authorization, reason) in [
        (None, "TOKEN_MISSING"),
        (Some("Basic YTpi".to_owned()), "TOKEN_MISSING"),
        (Some("Bearer a.b.c".to_owned()), "ACCESS_TOKEN_INVALID"),
        (Some(format!("Bearer {revoked}")), "SESSION_REVOKED"),
    ] {
        let refused = call(&verifier, authorization.as_deref()).await.unwrap_err();
        assert_refused(&refused, Code::Unauthenticated, reason);
    }
    replica.kill().await;
    clock.advance(quick().max_staleness * 2);
    let refused = call(&verifier, Some(&format!("Bearer {good}"))).await.unwrap_err();
    let details = assert_refused(&refused, Code::Unavailable, "REVOCATIONS_STALE");
    assert!(details.retry_info().is_some());
    clock.advance(Duration::from_hours(1));
    let refused = call(&verifier, Some(&format!("Bearer {good}"))).await.unwrap_err();
    assert_refused(&refused, Code::Unauthenticated, "ACCESS_TOKEN_EXPIRED");
}

/// A verifier of a server whose every word is the test's, over a clock that stands still.
async fn of_a_fake() -> (LiveVerifier, Arc<ManualClock>, fake_watch::Conversation, Arrivals) {
    let (address, mut arrivals) = fake_watch::serve().await;
    let clock = Arc::new(ManualClock::new(SystemClock::new().now()));
    clock.advance(Duration::from_mins(5));
    let options = ConnectOptions { clock: clock.clone(), patience: Duration::from_mins(10), ..quick() };
    let verifier = Verifier::connect(endpoint(address), options);
    let mut server = arrivals.recv().await.unwrap();
    assert_eq!(server.started().await.resume, None);
    server.begin(1, 5).await;
    (verifier, clock, server, arrivals)
}

type Arrivals = tokio::sync::mpsc::Receiver<fake_watch::Conversation>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_heartbeat_that_was_long_on_its_way_proves_only_what_was_known_when_it_was_asked_for() {
    let (verifier, clock, mut server, _arrivals) = of_a_fake().await;
    let nonce = server.pinged().await;
    assert_eq!(verifier.staleness(), None, "that something arrives proves nothing");
    clock.advance(Duration::from_secs(30));
    server.beat(nonce, 5, Duration::from_secs(2)).await;
    verifier.ready().await;
    assert_eq!(
        verifier.staleness(),
        Some(Duration::from_secs(32)),
        "since the ping, and what the server lagged"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_heartbeat_for_more_than_was_sent_or_for_no_ping_ends_the_stream_and_proves_nothing() {
    let (verifier, _clock, mut server, mut arrivals) = of_a_fake().await;
    let nonce = server.pinged().await;
    server.beat(nonce, 6, Duration::ZERO).await;
    let mut second = arrivals.recv().await.unwrap();
    assert_eq!(second.started().await.resume, None, "something was lost: it begins anew");
    second.begin(1, 6).await;
    second.beat(99, 6, Duration::ZERO).await;
    let mut third = arrivals.recv().await.unwrap();
    third.started().await;
    assert_eq!(verifier.staleness(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_stream_is_resumed_and_one_left_behind_begins_anew() {
    let (_verifier, _clock, server, mut arrivals) = of_a_fake().await;
    server.tell(Tell::Revoked(v1::WatchRevoked { sequence: Some(9), ..Default::default() })).await;
    drop(server);
    let mut second = arrivals.recv().await.unwrap();
    let resume = second.started().await.resume;
    assert_eq!(resume, Some(v1::WatchPosition { incarnation: 1, sequence: 9 }));
    second.tell(Tell::Begin(v1::WatchBegin { incarnation: 1, resumed: true })).await;
    second.tell(Tell::Resynchronise(v1::WatchResynchronise {})).await;
    let mut third = arrivals.recv().await.unwrap();
    assert_eq!(third.started().await.resume, None);
}

/// The clock of a service that verifies for itself is set while it runs: revocations that it forgot, or was never told
/// because they did not matter by the wrong time, are loaded again before it answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wall_clock_that_steps_is_answered_from_only_after_everything_was_loaded_again() {
    let folder = tempfile::tempdir().unwrap();
    let replica = Replica::start(folder.path()).await;
    let right = SystemClock::new().now();
    let clock = Arc::new(ManualClock::new(right));
    let verifier = replica.verifier(ConnectOptions { clock: clock.clone(), ..quick() }).await;
    let (good, bad) = (replica.token(session(1)), replica.token(session(2)));
    revoke_durably(&replica, session(2)).await;
    until("it is told", || knows(&verifier, session(2))).await;

    for away in [-600_i64, 420, -400 * 86_400, 400 * 86_400] {
        clock.set_wall(UnixMillis(right.0 + away * 1000));
        let unknown = verifier.verify_here(&good, &[]);
        let unknown_or_bad_by_itself = matches!(
            unknown,
            Err(VerifyError::Stale { staleness: None }
                | VerifyError::Invalid(InvalidReason::Expired | InvalidReason::NotYetValid))
        );
        assert!(unknown_or_bad_by_itself, "{away} s: {unknown:?}");
        until("it is loaded by the wrong time", || verifier.staleness().is_some()).await;
        // What is forgotten by the wrong time is forgotten now, and not after half a minute.
        verifier.verifier().revocations().index.purge(clock.now());
        clock.set_wall(right);
        while let Err(unknown) = verifier.verify_here(&good, &[]) {
            assert!(matches!(unknown, VerifyError::Stale { .. }), "{away} s and back: {unknown:?}");
            let refused = verifier.verify_here(&bad, &[]);
            assert!(refused.is_err(), "{away} s and back: {refused:?}");
            tokio::task::yield_now().await;
        }
        let refused = verifier.verify_here(&bad, &[]);
        assert!(
            matches!(refused, Err(VerifyError::Invalid(InvalidReason::Revoked))),
            "{away} s: {refused:?}"
        );
    }
}
