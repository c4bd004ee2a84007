//! Tests that run at the same time do not see each other.

#![allow(clippy::disallowed_methods, reason = "what is measured is real time")]

use std::time::Duration;

use countersign::grpc::proto::test_v1::fail_method_request::Failure;
use countersign::grpc::proto::test_v1::{
    CreateWorldRequest, DeleteWorldRequest, FailMethodRequest, GetWorldRequest, ResetWorldRequest, TokenKind,
    TokenState,
};
use serde_json::json;
use tonic::Code;
use tonic::transport::Endpoint;

use super::support::{PASSWORD, TestServer, World};
use crate::support::http::Http;

/// What one test does, in a world of its own: everything that could be seen elsewhere.
async fn a_test(mut world: World, number: u64) {
    // The same name everywhere.
    let id = world.create_user("ada", &[&format!("role-{number}")]).await.unwrap();
    let tokens = world.login("ada").await.unwrap();
    assert_eq!(world.verify(&tokens.access_token).await.unwrap(), Ok("ada".to_owned()));

    // Another clock in each.
    world.advance(Duration::from_secs(number)).await;
    let state = world.test.get_world(GetWorldRequest {}).await.unwrap().into_inner();
    assert_eq!(state.ahead.unwrap().seconds, i64::try_from(number).unwrap());

    // Every other one fails.
    if number.is_multiple_of(2) {
        let failure = Some(Failure::Reason("STORE_UNAVAILABLE".to_owned()));
        let method = "countersign.v1.AuthService/Refresh".to_owned();
        let rule = FailMethodRequest { method, failure, times: 0, delay: None };
        world.test.fail_method(rule).await.unwrap();
        let refused = world.refresh(&tokens.refresh_token).await.unwrap_err();
        assert_eq!(refused.reason, "STORE_UNAVAILABLE", "{number}");
    } else {
        world.refresh(&tokens.refresh_token).await.unwrap_or_else(|refused| panic!("{number}: {refused:?}"));
    }
    let revoked =
        world.mint(TokenKind::Access, TokenState::Revoked, |it| it.user_id.clone_from(&id)).await.unwrap();
    assert_eq!(world.verify(&revoked.token).await.unwrap(), Err("REVOKED".to_owned()));
    assert_eq!(world.verify(&tokens.access_token).await.unwrap(), Ok("ada".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_tests_at_once_do_not_see_each_other() {
    const TESTS: u64 = 100;
    let server = TestServer::start(&[]);
    let channel = Endpoint::from_shared(format!("http://{}", server.grpc)).unwrap().connect_lazy();
    let begun = std::time::Instant::now();
    let tests: Vec<_> = (1..=TESTS)
        .map(|number| tokio::spawn(a_test(World::on(channel.clone(), &format!("test-{number}")), number)))
        .collect();
    for test in tests {
        test.await.unwrap();
    }
    println!("{TESTS} tests, each in a world of its own: {:?}", begun.elapsed());
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.child.id())).unwrap();
    for line in status.lines().filter(|line| line.starts_with("VmRSS") || line.starts_with("Threads")) {
        println!("{line}");
    }
}

#[tokio::test]
async fn a_token_of_one_world_is_worth_nothing_in_another() {
    let server = TestServer::start(&[]);
    let (mut one, mut two) = (server.world("one"), server.world("two"));
    let access = one.mint(TokenKind::Access, TokenState::Good, |_| ()).await.unwrap();
    let refresh = one.mint(TokenKind::Refresh, TokenState::Good, |_| ()).await.unwrap();
    assert_eq!(two.verify(&access.token).await.unwrap(), Err("UNKNOWN_KEY".to_owned()));
    assert_eq!(two.refresh(&refresh.token).await.unwrap_err().reason, "REFRESH_TOKEN_INVALID");
    one.refresh(&refresh.token).await.unwrap();
}

#[tokio::test]
async fn a_world_is_named_over_http_by_header_path_or_host() {
    let server = TestServer::start(&[]);
    let mut world = server.world("one");
    world.create_user("ada", &[]).await.unwrap();
    let http = Http(server.http);
    let login = json!({ "username": "ada", "password": PASSWORD });
    let header = [("x-countersign-world", "one")];
    let host = [("host", "one.localhost:8080")];
    assert_eq!(http.post("/v1/auth/login", &header, &login).await.status, 200);
    assert_eq!(http.post("/worlds/one/v1/auth/login", &[], &login).await.status, 200);
    assert_eq!(http.post("/v1/auth/login", &host, &login).await.status, 200);
    http.post("/v1/auth/login", &[], &login).await.assert_refused(401, "INVALID_CREDENTIALS");

    let keys = async |path: &str| http.get(path, &[]).await.json()["keys"][0]["kid"].clone();
    assert_eq!(
        keys("/worlds/one/.well-known/jwks.json").await,
        keys("/worlds/one/.well-known/jwks.json").await
    );
    assert_ne!(keys("/worlds/one/.well-known/jwks.json").await, keys("/.well-known/jwks.json").await);
    assert_eq!(http.get("/.well-known/jwks.json", &[]).await.json(), server.announcement["jwks"]);

    let two = http.get("/worlds/one/.well-known/jwks.json", &[("x-countersign-world", "two")]).await;
    two.assert_refused(400, "INVALID_REQUEST");
    http.get("/worlds/a%20b/.well-known/jwks.json", &[]).await.assert_refused(400, "INVALID_REQUEST");
}

#[tokio::test]
async fn a_world_is_made_and_made_anew_and_forgotten() {
    let server = TestServer::start(&[]);
    let mut root = server.world("");
    let created = root.test.create_world(CreateWorldRequest::default()).await.unwrap().into_inner().name;
    let again = root.test.create_world(CreateWorldRequest { name: created.clone() }).await.unwrap_err();
    assert_eq!(again.code(), Code::InvalidArgument);

    let mut world = server.world(&created);
    world.create_user("ada", &[]).await.unwrap();
    world.advance(Duration::from_mins(1)).await;
    let token = world.mint(TokenKind::Access, TokenState::Good, |_| ()).await.unwrap().token;
    world.test.reset_world(ResetWorldRequest {}).await.unwrap();
    assert_eq!(world.login("ada").await.unwrap_err().reason, "INVALID_CREDENTIALS");
    assert_eq!(world.verify(&token).await.unwrap(), Err("UNKNOWN_KEY".to_owned()));
    let state = world.test.get_world(GetWorldRequest {}).await.unwrap().into_inner();
    assert_eq!(state.ahead.unwrap_or_default().seconds, 0);

    let delete = || DeleteWorldRequest { name: created.clone() };
    assert!(root.test.delete_world(delete()).await.unwrap().into_inner().deleted);
    assert!(!root.test.delete_world(delete()).await.unwrap().into_inner().deleted);
}

#[tokio::test]
async fn worlds_are_bounded_and_make_room_when_nobody_calls_them() {
    let server = TestServer::start(&["--max-worlds", "3", "--world-idle", "1ms"]);
    for number in 0..20 {
        let mut world = server.world(&format!("test-{number}"));
        world.create_user("ada", &[]).await.unwrap();
    }
    let full = TestServer::start(&["--max-worlds", "2"]);
    full.world("one").create_user("ada", &[]).await.unwrap();
    let refused = full.world("two").create_user("ada", &[]).await.unwrap_err();
    assert_eq!((refused.code, refused.reason.as_str()), (Code::ResourceExhausted, "SERVER_OVERLOADED"));
    full.world("one").login("ada").await.unwrap();
    full.world("").create_user("ada", &[]).await.unwrap();
}

#[tokio::test]
async fn a_name_that_no_world_can_have_is_refused() {
    let server = TestServer::start(&[]);
    let refused = server.world("a/b").create_user("ada", &[]).await.unwrap_err();
    assert_eq!((refused.code, refused.reason.as_str()), (Code::InvalidArgument, "INVALID_REQUEST"));
}

/// The caller of a test server may do everything; who shows a token is judged by it, as in production.
#[tokio::test]
async fn a_caller_who_shows_a_token_has_the_rights_of_its_user() {
    use countersign::grpc::proto::v1::ListUsersRequest;
    let server = TestServer::start(&[]);
    let mut world = server.world("rights");
    world.create_user("ada", &["countersign:auditor"]).await.unwrap();
    world.create_user("grace", &[]).await.unwrap();
    for (username, expected) in [("ada", None), ("grace", Some(Code::PermissionDenied))] {
        let token = world.login(username).await.unwrap().access_token;
        let mut request = tonic::Request::new(ListUsersRequest::default());
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        assert_eq!(world.users.list_users(request).await.err().map(|it| it.code()), expected, "{username}");
    }
}
