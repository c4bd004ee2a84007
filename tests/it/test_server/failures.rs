//! Methods fail when a test says so, over gRPC and over HTTP.

#![allow(clippy::disallowed_methods, reason = "what is measured is real time")]

use std::time::{Duration, Instant};

use countersign::grpc::proto::test_v1::fail_method_request::Failure;
use countersign::grpc::proto::test_v1::{ClearFailuresRequest, FailMethodRequest};
use serde_json::json;
use tonic::Code;

use super::support::{PASSWORD, TestServer, World};
use crate::support::http::Http;

async fn fail(world: &mut World, method: &str, failure: Option<Failure>, times: u32) {
    let request = FailMethodRequest { method: method.to_owned(), failure, times, delay: None };
    world.test.fail_method(request).await.unwrap();
}

#[expect(clippy::unnecessary_wraps, reason = "as the request has it")]
fn reason(name: &str) -> Option<Failure> {
    Some(Failure::Reason(name.to_owned()))
}

#[tokio::test]
async fn a_method_fails_so_many_times_as_the_service_itself_would() {
    let server = TestServer::start(&[]);
    let mut world = server.world("one");
    world.create_user("ada", &[]).await.unwrap();
    fail(&mut world, "countersign.v1.AuthService/Login", reason("STORE_UNAVAILABLE"), 2).await;
    for _ in 0..2 {
        let refused = world.login("ada").await.unwrap_err();
        assert_eq!((refused.code, refused.reason.as_str()), (Code::Unavailable, "STORE_UNAVAILABLE"));
        assert!(refused.retry_after.is_some());
    }
    let tokens = world.login("ada").await.unwrap();

    fail(&mut world, "countersign.v1.AuthService/VerifyAccessToken", Some(Failure::Code(13)), 0).await;
    let refused = world.verify(&tokens.access_token).await.unwrap_err();
    assert_eq!((refused.code, refused.reason.as_str()), (Code::Internal, ""));
    let cleared = world.test.clear_failures(ClearFailuresRequest::default()).await.unwrap().into_inner();
    assert_eq!(cleared.cleared, 1);
    assert_eq!(world.verify(&tokens.access_token).await.unwrap(), Ok("ada".to_owned()));
}

#[tokio::test]
async fn what_fails_over_grpc_fails_over_http() {
    let server = TestServer::start(&[]);
    let mut world = server.world("one");
    world.create_user("ada", &[]).await.unwrap();
    let (http, here) = (Http(server.http), [("x-countersign-world", "one")]);
    let credentials = json!({ "username": "ada", "password": PASSWORD });
    fail(&mut world, "countersign.v1.AuthService/Login", reason("RATE_LIMIT_EXCEEDED"), 1).await;
    let refused = http.post("/v1/auth/login", &here, &credentials).await;
    refused.assert_refused(429, "RATE_LIMIT_EXCEEDED");
    assert!(!refused.header("retry-after").is_empty());
    assert_eq!(http.post("/v1/auth/login", &here, &credentials).await.status, 200);

    fail(&mut world, "GET /.well-known/jwks.json", Some(Failure::Code(14)), 1).await;
    assert_eq!(http.get("/worlds/one/.well-known/jwks.json", &[]).await.status, 503);
    assert_eq!(http.get("/worlds/one/.well-known/jwks.json", &[]).await.status, 200);
}

#[tokio::test]
async fn a_method_is_late() {
    let server = TestServer::start(&[]);
    let mut world = server.world("");
    let delay = Some(prost_types::Duration { seconds: 0, nanos: 300_000_000 });
    let method = "countersign.v1.AuthService/*".to_owned();
    world.test.fail_method(FailMethodRequest { method, failure: None, times: 1, delay }).await.unwrap();
    let begun = Instant::now();
    assert_eq!(world.verify("x").await.unwrap(), Err("MALFORMED".to_owned()));
    assert!(begun.elapsed() >= Duration::from_millis(300), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_rule_that_could_never_hold_is_refused() {
    let server = TestServer::start(&[]);
    let mut world = server.world("");
    let refused = async |world: &mut World, request: FailMethodRequest| {
        world.test.fail_method(request).await.unwrap_err().code()
    };
    let login = || "countersign.v1.AuthService/Login".to_owned();
    for request in [
        FailMethodRequest {
            method: "countersign.v1.AuthService/Logn".to_owned(),
            failure: reason("INTERNAL"),
            ..Default::default()
        },
        FailMethodRequest { method: login(), failure: reason("NO_SUCH_REASON"), ..Default::default() },
        FailMethodRequest { method: login(), failure: Some(Failure::Code(0)), ..Default::default() },
        FailMethodRequest { method: login(), ..Default::default() },
        FailMethodRequest {
            method: login(),
            delay: Some(prost_types::Duration { seconds: 61, nanos: 0 }),
            ..Default::default()
        },
    ] {
        assert_eq!(refused(&mut world, request).await, Code::InvalidArgument);
    }
    for _ in 0..64 {
        fail(&mut world, "*", reason("INTERNAL"), 1).await;
    }
    let more =
        FailMethodRequest { method: "*".to_owned(), failure: reason("INTERNAL"), ..Default::default() };
    assert_eq!(refused(&mut world, more).await, Code::InvalidArgument);
}
