//! Positions over every way that a token can be asked about.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign::grpc::proto::v1;
use countersign::grpc::proto::v1::auth_service_client::AuthServiceClient;
use envoy_types::pb::envoy::service::auth::v3::attribute_context::{
    HttpRequest, Request as AttributeRequest,
};
use envoy_types::pb::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use envoy_types::pb::envoy::service::auth::v3::{AttributeContext, CheckRequest};
use serde_json::json;
use tokio_stream::iter;
use tonic::transport::{Channel, Endpoint};

use super::{reason, verify};
use crate::support::http::{Service, access_token, bearer, service};

/// No row has this number yet.
const AHEAD: &str = "1000000-00000000000000fe";
/// None of these is a position.
const NONE: [&str; 3] = ["x", "1-1", "1000000-00000000000000fe "];

/// A session has ended, and another goes on.
struct World {
    service: Service,
    channel: Channel,
    position: String,
    ended: String,
    alive: String,
}

async fn world() -> World {
    let clients = "gateway s3cret-of-the-gateway\n";
    let service = service(&[("EDGE__CLIENTS", clients), ("EXT_AUTHZ__ENABLED", "true")]).await;
    let channel = Endpoint::from_shared(format!("http://{}", service.grpc)).unwrap().connect_lazy();
    let (login, other) = (service.http.login().await, service.http.login().await);
    let logout = service.http.post("/v1/auth/logout", &[("cookie", &login.cookie())], &json!({})).await;
    let position = logout.json()["position"].as_str().expect("the edge tells it, too").to_owned();
    World { channel, position, ended: access_token(&login), alive: access_token(&other), service }
}

#[tokio::test]
async fn a_verify_over_grpc_waits_for_a_position() {
    let world = world().await;
    let mut auth = AuthServiceClient::new(world.channel.clone());
    for _ in 0..2 {
        assert_eq!(verify(&mut auth, &world.ended, &world.position).await, "REVOKED");
        assert_eq!(verify(&mut auth, &world.alive, &world.position).await, "VERIFIED");
        assert_eq!(verify(&mut auth, &world.alive, AHEAD).await, "REVOCATIONS_STALE");
        for none in NONE {
            assert_eq!(verify(&mut auth, &world.alive, none).await, "INVALID_REQUEST", "{none:?}");
        }
    }
}

#[tokio::test]
async fn so_does_a_batch() {
    let world = world().await;
    let mut auth = AuthServiceClient::new(world.channel.clone());
    let mut batch = async |at_least: &str| {
        let access_tokens = vec![world.alive.clone(), world.ended.clone()];
        let at_least = at_least.to_owned();
        let ask = v1::BatchVerifyAccessTokensRequest { access_tokens, at_least, ..Default::default() };
        auth.batch_verify_access_tokens(ask).await.map(|answer| answer.into_inner().verifications.len())
    };
    assert_eq!(batch(&world.position).await.unwrap(), 2);
    assert_eq!(reason(&batch(AHEAD).await.unwrap_err()), "REVOCATIONS_STALE");
    assert_eq!(reason(&batch(NONE[0]).await.unwrap_err()), "INVALID_REQUEST");
}

#[tokio::test]
async fn so_does_a_stream_which_ends_with_the_question_that_cannot_be_answered() {
    use v1::verify_stream_response::Result as Verdict;

    let world = world().await;
    let mut auth = AuthServiceClient::new(world.channel.clone());
    let ask = |at_least: &str| v1::VerifyStreamRequest {
        access_token: world.alive.clone(),
        at_least: at_least.to_owned(),
        ..Default::default()
    };
    for (last, expected) in [(AHEAD, "REVOCATIONS_STALE"), (NONE[0], "INVALID_REQUEST")] {
        let asked = vec![ask(&world.position), ask(""), ask(last)];
        let mut told = auth.verify_stream(iter(asked)).await.unwrap().into_inner();
        for _ in 0..2 {
            let verdict = told.message().await.unwrap().unwrap().result;
            assert!(matches!(verdict, Some(Verdict::Verified(_))), "{verdict:?}");
        }
        assert_eq!(reason(&told.message().await.unwrap_err()), expected);
    }
}

#[tokio::test]
async fn so_does_the_edge() {
    let world = world().await;
    let verify = async |token: &str, at_least: &str| {
        let ask = json!({ "accessToken": token, "atLeast": at_least });
        world.service.http.post("/v1/auth/verify", &[], &ask).await
    };
    assert_eq!(
        verify(&world.ended, &world.position).await.json()["invalid"]["reason"],
        "INVALID_REASON_REVOKED"
    );
    assert!(verify(&world.alive, &world.position).await.json()["verified"].is_object());
    verify(&world.alive, AHEAD).await.assert_refused(503, "REVOCATIONS_STALE");
    for none in NONE {
        verify(&world.alive, none).await.assert_refused(400, "INVALID_REQUEST");
    }
}

#[tokio::test]
async fn so_does_introspection() {
    let world = world().await;
    let gateway = format!("Basic {}", STANDARD.encode("gateway:s3cret-of-the-gateway"));
    let introspect = async |token: &str, rest: &str| {
        let form = format!("token={token}{rest}");
        world.service.http.form("/oauth2/introspect", &[("authorization", &gateway)], &form).await
    };
    let known = format!("&at_least={}", world.position);
    assert_eq!(introspect(&world.ended, &known).await.json()["active"], false);
    assert_eq!(introspect(&world.alive, &known).await.json()["active"], true);
    assert_eq!(introspect(&world.alive, "&at_least=").await.json()["active"], true);
    introspect(&world.alive, &format!("&at_least={AHEAD}")).await.assert_refused(503, "REVOCATIONS_STALE");
    for bad in ["&at_least=x", &format!("{known}{known}")] {
        introspect(&world.alive, bad).await.assert_refused(400, "INVALID_REQUEST");
    }
}

#[tokio::test]
async fn so_does_envoys_check_by_the_context_of_a_route() {
    let world = world().await;
    let mut client = AuthorizationClient::new(world.channel.clone());
    let mut check = async |token: &str, at_least: &str| {
        let headers = [("authorization".to_owned(), bearer(token))].into();
        let http =
            HttpRequest { method: "GET".to_owned(), path: "/".to_owned(), headers, ..Default::default() };
        let request = AttributeRequest { time: None, http: Some(http) };
        let context_extensions = [("at_least".to_owned(), at_least.to_owned())].into();
        let attributes =
            AttributeContext { request: Some(request), context_extensions, ..Default::default() };
        client.check(CheckRequest { attributes: Some(attributes) }).await
    };
    let code = |answer: Result<tonic::Response<_>, _>| {
        let answer: envoy_types::pb::envoy::service::auth::v3::CheckResponse = answer.unwrap().into_inner();
        answer.status.unwrap().code
    };
    assert_eq!(code(check(&world.alive, &world.position).await), 0);
    assert_eq!(code(check(&world.ended, &world.position).await), 16);
    assert_eq!(reason(&check(&world.alive, AHEAD).await.unwrap_err()), "REVOCATIONS_STALE");
}
