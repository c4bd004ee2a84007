//! The gRPC contract, over a real socket: what each answer and each failure looks like to a client.

use std::sync::Arc;
use std::time::Duration;

use countersign::auth::{AuthError, InvalidReason, Verification};
use countersign::grpc::proto::v1;
use countersign::grpc::proto::v1::verify_access_token_response::Result as Outcome;
use countersign::grpc::{GrpcOptions, Health};
use countersign::reason::{Language, Reason};
use prost::Message as _;
use prost_types::value::Kind;
use tokio_stream::StreamExt as _;
use tonic::{Code, IntoRequest as _, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::support::grpc::{Wire, assert_refused, options, serve, serve_shared};
use crate::support::stub::{Stub, session_id, user_id};

const LOGIN: &str = "/countersign.v1.AuthService/Login";

pub(crate) fn login() -> v1::LoginRequest {
    v1::LoginRequest {
        username: "ada".to_owned(),
        password: "correct horse".to_owned(),
        ..Default::default()
    }
}

fn with<T>(message: T, name: &'static str, value: &str) -> Request<T> {
    let mut request = message.into_request();
    request.metadata_mut().insert(name, value.parse().unwrap());
    request
}

#[tokio::test]
async fn a_login_answers_tokens_and_session() {
    let answer = serve(Stub::default()).await.auth().login(login()).await.unwrap().into_inner();
    let tokens = answer.tokens.unwrap();
    assert_eq!((tokens.access_token.as_str(), tokens.refresh_token.as_str()), ("access", "refresh"));
    assert_eq!(tokens.token_type, "Bearer");
    assert_eq!(tokens.expires_in, 300, "whole seconds, and never more than there are");
    let expiry = tokens.access_expires_at.unwrap();
    assert_eq!((expiry.seconds, expiry.nanos), (301, 250_000_000));
    assert_eq!(tokens.refresh_expires_at.unwrap().seconds, 8);
    let session = answer.session.unwrap();
    assert_eq!(session.id, session_id().to_string());
    assert_eq!((session.subject, session.username.as_str()), (user_id().to_string(), "ada"));
    assert_eq!((session.created_at.unwrap().seconds, session.expires_at.unwrap().nanos), (1, 500_000_000));
}

#[tokio::test]
async fn a_verified_token_has_an_identity_and_the_age_of_the_view() {
    let request = v1::VerifyAccessTokenRequest { access_token: "a".to_owned(), ..Default::default() };
    let answer = serve(Stub::default()).await.auth().verify_access_token(request).await.unwrap().into_inner();
    let staleness = answer.revocation_staleness.unwrap();
    assert_eq!((staleness.seconds, staleness.nanos), (1, 500_000_000));
    let Some(Outcome::Verified(token)) = answer.result else { panic!("{:?}", answer.result) };
    assert_eq!((token.subject, token.username.as_str()), (user_id().to_string(), "ada"));
    assert_eq!((token.session_id, token.token_id.as_str()), (session_id().to_string(), "jti-1"));
    assert_eq!((token.roles, token.amr), (vec!["admin".to_owned()], vec!["pwd".to_owned()]));
    assert_eq!(token.audiences, ["api", "web"]);
    let seconds = [token.issued_at, token.expires_at, token.auth_time].map(|time| time.unwrap().seconds);
    assert_eq!(seconds, [100, 400, 50]);

    let claims = token.custom_claims.unwrap().fields;
    assert_eq!(claims["tenant"].kind, Some(Kind::StringValue("acme".to_owned())));
    let Some(Kind::StructValue(limits)) = &claims["limits"].kind else { panic!("{claims:?}") };
    let Some(Kind::ListValue(seats)) = &limits.fields["seats"].kind else { panic!("{limits:?}") };
    let seats = seats.values.iter().map(|value| value.kind.clone().unwrap()).collect::<Vec<_>>();
    let expected =
        [Kind::NumberValue(1.0), Kind::NumberValue(2.5), Kind::NullValue(0), Kind::BoolValue(true)];
    assert_eq!(seats, expected);
}

#[tokio::test]
async fn an_invalid_token_is_an_answer_with_a_reason_and_without_an_identity() {
    for (reason, published) in [
        (InvalidReason::Expired, "INVALID_REASON_EXPIRED"),
        (InvalidReason::NotYetValid, "INVALID_REASON_NOT_YET_VALID"),
        (InvalidReason::Malformed, "INVALID_REASON_MALFORMED"),
        (InvalidReason::BadSignature, "INVALID_REASON_BAD_SIGNATURE"),
        (InvalidReason::UnknownKey, "INVALID_REASON_UNKNOWN_KEY"),
        (InvalidReason::WrongAudience, "INVALID_REASON_WRONG_AUDIENCE"),
        (InvalidReason::WrongIssuer, "INVALID_REASON_WRONG_ISSUER"),
        (InvalidReason::WrongType, "INVALID_REASON_WRONG_TYPE"),
        (InvalidReason::Revoked, "INVALID_REASON_REVOKED"),
    ] {
        let stub = Stub::verifying(Verification::Invalid(reason));
        let request = v1::VerifyAccessTokenRequest::default();
        let answer = serve(stub).await.auth().verify_access_token(request).await.unwrap().into_inner();
        assert!(answer.revocation_staleness.is_some());
        let Some(Outcome::Invalid(invalid)) = answer.result else { panic!("{:?}", answer.result) };
        assert_eq!(invalid.reason().as_str_name(), published);
    }
}

#[tokio::test]
async fn every_reason_is_told_whole_and_in_the_callers_language() {
    for reason in Reason::all() {
        let stub = Stub::failing(move || AuthError::new(reason).caused_by("a secret of the house"));
        let mut auth = serve(stub).await.auth();

        let status = auth.login(with(login(), "accept-language", "zh-CN,zh;q=0.9")).await.unwrap_err();
        let details = assert_refused(&status, Code::from_i32(reason.code().number()), reason.name());
        assert_eq!(status.message(), reason.message(Language::En));
        assert_eq!(details.retry_info().and_then(|info| info.retry_delay), reason.retry_after());
        let localized = details.localized_message().unwrap();
        assert_eq!(localized.locale, "zh-CN");
        assert_eq!(localized.message, reason.message(Language::ZhCn));
        assert!(!String::from_utf8_lossy(status.details()).contains("house"), "the source is for the log");

        let status = auth.verify_access_token(v1::VerifyAccessTokenRequest::default()).await.unwrap_err();
        let details = assert_refused(&status, Code::from_i32(reason.code().number()), reason.name());
        assert_eq!(details.localized_message().unwrap().locale, "en");
    }
}

#[tokio::test]
async fn a_more_precise_delay_is_told_where_it_is_known() {
    let delay = Duration::from_millis(42_500);
    let stub = Stub::failing(move || AuthError::new(Reason::RateLimitExceeded).retry_after(delay));
    let status = serve(stub).await.auth().login(login()).await.unwrap_err();
    let details = assert_refused(&status, Code::ResourceExhausted, "RATE_LIMIT_EXCEEDED");
    assert_eq!(details.retry_info().unwrap().retry_delay, Some(delay));
}

#[track_caller]
fn assert_violations(status: &Status, fields: &[&str]) {
    let details = assert_refused(status, Code::InvalidArgument, "INVALID_REQUEST");
    let violations = &details.bad_request().unwrap().field_violations;
    assert_eq!(violations.iter().map(|it| it.field.as_str()).collect::<Vec<_>>(), fields);
    assert!(violations.iter().all(|it| !it.description.is_empty()));
}

#[tokio::test]
async fn a_request_that_breaks_the_contract_names_its_fields_and_is_not_carried_out() {
    let stub = Arc::new(Stub::default());
    let mut auth = serve_shared(stub.clone(), &Health::new().await, options()).await.auth();

    let client = Some(v1::Client { name: "bell\u{7}".to_owned(), ..Default::default() });
    let status = auth.login(v1::LoginRequest { client, ..Default::default() }).await.unwrap_err();
    assert_violations(&status, &["username", "password", "client.name"]);

    let status = auth.refresh(v1::RefreshRequest::default()).await.unwrap_err();
    assert_violations(&status, &["refresh_token"]);
    let too_long = v1::RefreshRequest { refresh_token: "x".repeat(513) };
    let status = auth.refresh(too_long).await.unwrap_err();
    assert_refused(&status, Code::Unauthenticated, "REFRESH_TOKEN_INVALID");

    let status = auth.logout(v1::LogoutRequest::default()).await.unwrap_err();
    assert_violations(&status, &["token"]);
    let token = Some(v1::logout_request::Token::AccessToken("a".to_owned()));
    let status = auth.logout(v1::LogoutRequest { token, everywhere: true }).await.unwrap_err();
    assert_violations(&status, &["everywhere"]);

    let max_staleness = Some(prost_types::Duration { seconds: -1, nanos: 0 });
    let audiences = vec![String::new()];
    let request = v1::VerifyAccessTokenRequest { max_staleness, audiences, ..Default::default() };
    let status = auth.verify_access_token(request).await.unwrap_err();
    assert_violations(&status, &["audiences[0]", "max_staleness"]);

    assert!(stub.contexts.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_request_that_cannot_be_read_is_the_callers_fault() {
    let mut wire = serve(Stub::default()).await;
    let status = wire.refusal(LOGIN, &[("accept-language", "zh")], b"\xFF\xFF not protobuf").await;
    assert_violations(&status, &[""]);

    let request = v1::LoginRequest { username: "u".repeat(64 * 1024), ..login() };
    let status = wire.refusal(LOGIN, &[], &request.encode_to_vec()).await;
    assert_violations(&status, &[""]);

    let status = wire.auth().login(login()).await;
    assert!(status.is_ok(), "the connection goes on");
}

#[tokio::test]
async fn a_panic_is_internal_and_tells_nothing() {
    let mut auth = serve(Stub { panics: true, ..Stub::default() }).await.auth();
    let from_a_change = auth.login(login()).await.unwrap_err();
    let request = v1::VerifyAccessTokenRequest::default();
    let from_verify = auth.verify_access_token(request).await.unwrap_err();
    for status in [from_a_change, from_verify] {
        assert_refused(&status, Code::Internal, "INTERNAL");
        assert_eq!(status.message(), Reason::Internal.message(Language::En));
        assert!(!String::from_utf8_lossy(status.details()).contains("panic"));
    }
}

#[tokio::test]
async fn every_answer_has_the_calls_id() {
    let stub = Arc::new(Stub::default());
    let mut wire = serve_shared(stub.clone(), &Health::new().await, options()).await;

    let answer = wire.auth().login(with(login(), "x-request-id", "trace-7")).await.unwrap();
    assert_eq!(answer.metadata().get("x-request-id").unwrap(), "trace-7");
    let context = stub.contexts.lock().unwrap()[0].clone();
    assert_eq!(context.peer, Some([127, 0, 0, 1].into()));

    let answer = wire.auth().login(with(login(), "x-request-id", "two words")).await.unwrap();
    let made = answer.metadata().get("x-request-id").unwrap().to_str().unwrap().to_owned();
    assert_eq!(made.len(), 16, "{made}");

    let refused = wire.auth().login(with(v1::LoginRequest::default(), "x-request-id", "trace-8")).await;
    assert_eq!(refused.unwrap_err().metadata().get("x-request-id").unwrap(), "trace-8");
    let unreadable = wire.refusal(LOGIN, &[("x-request-id", "trace-9")], b"\xFF").await;
    assert_eq!(unreadable.metadata().get("x-request-id").unwrap(), "trace-9");
}

#[tokio::test]
async fn what_does_not_exist_is_unimplemented() {
    let mut wire = serve(Stub::default()).await;
    for path in ["/countersign.v1.AuthService/Nothing", "/nobody.v1.Service/Login", "/"] {
        assert_eq!(wire.refusal(path, &[], b"").await.code(), Code::Unimplemented, "{path}");
    }
}

#[tokio::test]
async fn health_is_not_serving_until_told() {
    let health = Health::new().await;
    let wire = serve_shared(Arc::new(Stub::default()), &health, options()).await;
    let mut client = HealthClient::with_origin(wire.clone(), wire.origin.clone());
    for (tell, expected) in [
        (None, ServingStatus::NotServing),
        (Some(true), ServingStatus::Serving),
        (Some(false), ServingStatus::NotServing),
    ] {
        if let Some(serving) = tell {
            health.set_serving(serving).await;
        }
        for service in ["", "countersign.v1.AuthService"] {
            let request = HealthCheckRequest { service: service.to_owned() };
            let answer = client.check(request).await.unwrap().into_inner();
            assert_eq!(answer.status(), expected, "{service:?} after {tell:?}");
        }
    }
}

/// Asks one version of reflection for the list of services; a macro, for the versions share no types.
macro_rules! services_by_reflection {
    ($version:ident, $wire:expr) => {{
        use tonic_reflection::pb::$version::ServerReflectionRequest;
        use tonic_reflection::pb::$version::server_reflection_client::ServerReflectionClient;
        use tonic_reflection::pb::$version::server_reflection_request::MessageRequest;
        use tonic_reflection::pb::$version::server_reflection_response::MessageResponse;

        let wire: &Wire = $wire;
        let mut client = ServerReflectionClient::with_origin(wire.clone(), wire.origin.clone());
        let message_request = Some(MessageRequest::ListServices(String::new()));
        let ask = ServerReflectionRequest { host: String::new(), message_request };
        match client.server_reflection_info(tokio_stream::once(ask)).await {
            Err(status) => Err(status.code()),
            Ok(answers) => match answers.into_inner().next().await.unwrap().unwrap().message_response {
                Some(MessageResponse::ListServicesResponse(list)) => {
                    Ok(list.service.into_iter().map(|service| service.name).collect::<Vec<_>>())
                }
                other => panic!("{other:?}"),
            },
        }
    }};
}

#[tokio::test]
async fn the_server_describes_itself_where_it_is_allowed_to() {
    let wire = serve(Stub::default()).await;
    for services in [services_by_reflection!(v1, &wire), services_by_reflection!(v1alpha, &wire)] {
        let services = services.unwrap();
        for service in ["countersign.v1.AuthService", "grpc.health.v1.Health"] {
            assert!(services.iter().any(|it| it == service), "{services:?}");
        }
    }

    let silent = GrpcOptions { reflection: false, ..options() };
    let wire = serve_shared(Arc::new(Stub::default()), &Health::new().await, silent).await;
    assert_eq!(services_by_reflection!(v1, &wire), Err(Code::Unimplemented));
    assert_eq!(services_by_reflection!(v1alpha, &wire), Err(Code::Unimplemented));
}
