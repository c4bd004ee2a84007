//! Verifying many tokens: in one batch, and over one stream.

use std::time::Duration;

use countersign::grpc::proto::v1;
use countersign::grpc::proto::v1::access_token_verification::Result as Outcome;
use countersign::grpc::proto::v1::verify_stream_response::Result as Streamed;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;

use crate::support::grpc::assert_refused;
use crate::support::in_process::{Replica, session};

/// What is known of a token: its session, or why not.
fn outcome(verification: &v1::AccessTokenVerification) -> Result<String, v1::InvalidReason> {
    match verification.result.as_ref().unwrap() {
        Outcome::Verified(token) => Ok(token.session_id.clone()),
        Outcome::Invalid(invalid) => Err(invalid.reason()),
    }
}

fn batch(access_tokens: Vec<String>) -> v1::BatchVerifyAccessTokensRequest {
    v1::BatchVerifyAccessTokensRequest { access_tokens, ..Default::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_is_answered_in_its_order_and_a_bad_token_spoils_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let replica = Replica::start(folder.path()).await;
    let mut client = replica.client();
    replica.revoke(session(7));
    let tokens = (0..100).map(|number| match number % 10 {
        3 => "garbage".to_owned(),
        _ => replica.token(session(number)),
    });
    let tokens: Vec<_> = tokens.collect();
    for _ in 0..2 {
        let answer = client.batch_verify_access_tokens(batch(tokens.clone())).await.unwrap().into_inner();
        let outcomes: Vec<_> = answer.verifications.iter().map(outcome).collect();
        let expected = (0..100).map(|number| match number {
            7 => Err(v1::InvalidReason::Revoked),
            number if number % 10 == 3 => Err(v1::InvalidReason::Malformed),
            number => Ok(session(number).to_string()),
        });
        assert_eq!(outcomes, expected.collect::<Vec<_>>());
        assert!(answer.revocation_staleness.is_some());
    }
    let nothing = client.batch_verify_access_tokens(batch(Vec::new())).await.unwrap().into_inner();
    assert_eq!(nothing.verifications.len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_has_its_bounds() {
    let folder = tempfile::tempdir().unwrap();
    let replica = Replica::start(folder.path()).await;
    let mut client = replica.client();
    let token = replica.token(session(1));
    let most =
        client.batch_verify_access_tokens(batch(vec![token.clone(); 1_000])).await.unwrap().into_inner();
    assert!(most.verifications.iter().all(|it| outcome(it).is_ok()));
    assert_eq!(most.verifications.len(), 1_000);

    let longest = vec!["x".repeat(8 * 1024); 128];
    assert!(client.batch_verify_access_tokens(batch(longest.clone())).await.is_ok(), "exactly 1 MiB");
    let too_many = batch(vec![token; 1_001]);
    let too_long = batch([longest, vec!["x".to_owned()]].concat());
    let too_much = batch(vec!["x".repeat(8 * 1024); 1_000]);
    for (request, field) in [(too_many, "access_tokens"), (too_long, "access_tokens"), (too_much, "")] {
        let refused = client.batch_verify_access_tokens(request).await.unwrap_err();
        let details = assert_refused(&refused, Code::InvalidArgument, "INVALID_REQUEST");
        assert_eq!(details.bad_request().unwrap().field_violations[0].field, field);
    }
    // What the batch may have is not for the others.
    let request = v1::VerifyAccessTokenRequest { access_token: "x".repeat(100 * 1024), ..Default::default() };
    let refused = client.verify_access_token(request).await.unwrap_err();
    assert_refused(&refused, Code::InvalidArgument, "INVALID_REQUEST");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_shares_audiences_and_the_bound_on_staleness() {
    let folder = tempfile::tempdir().unwrap();
    let replica = Replica::start(folder.path()).await;
    let mut client = replica.client();
    let token = replica.token(session(1));
    let request = v1::BatchVerifyAccessTokensRequest {
        audiences: vec!["else".to_owned()],
        ..batch(vec![token.clone()])
    };
    let answer = client.batch_verify_access_tokens(request).await.unwrap().into_inner();
    assert_eq!(outcome(&answer.verifications[0]), Err(v1::InvalidReason::WrongAudience));
    let max_staleness = Some(prost_types::Duration::default());
    let request = v1::BatchVerifyAccessTokensRequest { max_staleness, ..batch(vec![token]) };
    let refused = client.batch_verify_access_tokens(request).await.unwrap_err();
    assert_refused(&refused, Code::Unavailable, "REVOCATIONS_STALE");
}

fn ask(access_token: String) -> v1::VerifyStreamRequest {
    v1::VerifyStreamRequest { access_token, ..Default::default() }
}

fn streamed(answer: &v1::VerifyStreamResponse) -> Result<String, v1::InvalidReason> {
    match answer.result.as_ref().unwrap() {
        Streamed::Verified(token) => Ok(token.session_id.clone()),
        Streamed::Invalid(invalid) => Err(invalid.reason()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_answers_in_order_however_many_requests_are_on_their_way() {
    const REQUESTS: u32 = 2_000;

    let folder = tempfile::tempdir().unwrap();
    let replica = Replica::start(folder.path()).await;
    let tokens: Vec<_> = (0..20).map(|number| replica.token(session(number))).collect();
    let (say, said) = mpsc::channel(64);
    let mut answers = replica.client().verify_stream(ReceiverStream::new(said)).await.unwrap().into_inner();
    let all = tokens.clone();
    // Everything is said without waiting for an answer.
    let speaker = tokio::spawn(async move {
        for number in 0..REQUESTS {
            let token = match number % 7 {
                0 => "garbage".to_owned(),
                _ => all[number as usize % all.len()].clone(),
            };
            say.send(ask(token)).await.unwrap();
        }
    });
    for number in 0..REQUESTS {
        let answer = answers.message().await.unwrap().expect("one answer to each");
        let expected = match number % 7 {
            0 => Err(v1::InvalidReason::Malformed),
            _ => Ok(session(number % 20).to_string()),
        };
        assert_eq!(streamed(&answer), expected, "{number}");
        assert!(answer.revocation_staleness.is_some());
    }
    speaker.await.unwrap();
    assert!(answers.message().await.unwrap().is_none(), "it ends when the client has nothing more to say");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_read_is_not_read_from() {
    let folder = tempfile::tempdir().unwrap();
    let replica = Replica::start(folder.path()).await;
    let token = replica.token(session(1));
    let (say, said) = mpsc::channel(1);
    let mut answers = replica.client().verify_stream(ReceiverStream::new(said)).await.unwrap().into_inner();
    let mut sent = 0_u32;
    // Far more than all buffers on the way can hold: at some point nobody takes any more.
    while sent < 100_000 {
        match tokio::time::timeout(Duration::from_secs(2), say.send(ask(token.clone()))).await {
            Ok(sending) => sending.unwrap(),
            Err(_full) => break,
        }
        sent += 1;
    }
    assert!(sent < 100_000, "the server took everything that it was sent");
    drop(say);
    for _ in 0..sent {
        assert!(streamed(&answers.message().await.unwrap().unwrap()).is_ok());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_cannot_be_answered_ends_the_stream() {
    let folder = tempfile::tempdir().unwrap();
    let replica = Replica::start(folder.path()).await;
    let token = replica.token(session(1));
    let stale = v1::VerifyStreamRequest {
        max_staleness: Some(prost_types::Duration::default()),
        ..ask(token.clone())
    };
    let requests = tokio_stream::iter([ask(token.clone()), stale, ask(token)]);
    let mut answers = replica.client().verify_stream(requests).await.unwrap().into_inner();
    assert!(streamed(&answers.message().await.unwrap().unwrap()).is_ok());
    let refused = answers.message().await.unwrap_err();
    assert_refused(&refused, Code::Unavailable, "REVOCATIONS_STALE");
}
