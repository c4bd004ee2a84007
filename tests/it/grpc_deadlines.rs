//! Deadlines: answered in time and by their name, and never the end of a change that has begun.

use std::sync::Arc;
use std::time::Duration;

use countersign::grpc::proto::v1;
use countersign::grpc::{Deadlines, GrpcOptions, Health};
use countersign::model::Monotonic;
use tonic::{Code, Request};

use crate::support::grpc::{assert_refused, in_process, options, serve, serve_shared};
use crate::support::stub::{Gate, Stub};

fn login_within(timeout: &str) -> Request<v1::LoginRequest> {
    let message = v1::LoginRequest {
        username: "ada".to_owned(),
        password: "correct horse".to_owned(),
        ..Default::default()
    };
    let mut request = Request::new(message);
    request.metadata_mut().insert("grpc-timeout", timeout.parse().unwrap());
    request
}

#[tokio::test]
async fn a_call_whose_time_is_up_is_answered_as_such() {
    let gate = Gate::closed();
    let wire = serve(Stub::gated(&gate)).await;
    for timeout in ["1m", "50m", "1000u"] {
        let status = wire.auth().login(login_within(timeout)).await.unwrap_err();
        assert_refused(&status, Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
        assert!(status.metadata().contains_key("x-request-id"));
    }
}

// From here on, where the order of things matters, there is no socket in between: the whole request is there at
// once, so that a change surely begins before a timer can fire; and a caller that goes away is gone at once.

#[tokio::test]
async fn a_change_whose_time_is_up_goes_on() {
    let gate = Gate::closed();
    let options = options();
    let tasks = options.tasks.clone();
    let mut auth = in_process(Arc::new(Stub::gated(&gate)), options).await;

    let status = auth.login(login_within("1m")).await.unwrap_err();
    assert_refused(&status, Code::DeadlineExceeded, "DEADLINE_EXCEEDED");

    gate.begun().await;
    assert_eq!(tasks.len(), 1, "whoever stops the server can wait for it");
    gate.open();
    gate.finished().await;
    tasks.close();
    tasks.wait().await;
}

#[tokio::test]
async fn a_caller_that_goes_away_does_not_cut_off_its_change() {
    let gate = Gate::closed();
    let mut auth = in_process(Arc::new(Stub::gated(&gate)), options()).await;
    let caller = tokio::spawn(async move { auth.login(login_within("1H")).await });
    gate.begun().await;
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    gate.open();
    gate.finished().await;
}

#[tokio::test]
async fn the_servers_own_limit_counts_where_it_is_shorter() {
    let gate = Gate::closed();
    let stub = Arc::new(Stub::gated(&gate));
    let limit = Duration::from_millis(20);
    let options = GrpcOptions { deadlines: Deadlines { login: limit, ..Deadlines::default() }, ..options() };
    let mut auth = in_process(stub.clone(), options).await;

    let status = auth.login(login_within("1H")).await.unwrap_err();
    assert_refused(&status, Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
    gate.begun().await;
    assert_eq!(stub.contexts.lock().unwrap()[0].deadline, Monotonic(limit), "the clock stands at zero");
}

#[tokio::test]
async fn a_use_case_is_told_when_its_answer_is_due() {
    let stub = Arc::new(Stub::default());
    let wire = serve_shared(stub.clone(), &Health::new().await, options()).await;
    wire.auth().login(login_within("4S")).await.unwrap();
    let token = v1::RefreshRequest { refresh_token: "r".to_owned() };
    wire.auth().refresh(token).await.unwrap();
    wire.auth().verify_access_token(v1::VerifyAccessTokenRequest::default()).await.unwrap();
    let deadlines = stub.contexts.lock().unwrap().iter().map(|it| it.deadline.0).collect::<Vec<_>>();
    let usual = Deadlines::default();
    assert_eq!(deadlines, [Duration::from_secs(4), usual.refresh, usual.verify]);
}

#[tokio::test]
async fn a_call_without_any_time_is_not_begun() {
    let stub = Arc::new(Stub::default());
    let mut auth = in_process(stub.clone(), options()).await;
    let status = auth.login(login_within("0n")).await.unwrap_err();
    assert_refused(&status, Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
    assert!(stub.contexts.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_malformed_timeout_is_the_callers_fault() {
    let wire = serve(Stub::default()).await;
    for timeout in ["1s", "S", "123456789S", "-1S", "soon"] {
        let status = wire.auth().login(login_within(timeout)).await.unwrap_err();
        assert_refused(&status, Code::InvalidArgument, "INVALID_REQUEST");
    }
}
