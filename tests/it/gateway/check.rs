//! `envoy.service.auth.v3.Authorization/Check`, asked with Envoy's own types.

use std::collections::HashMap;
use std::sync::Arc;

use countersign::auth::{AuthError, Authenticate, InvalidReason, Verification};
use countersign::grpc::{ExtAuthz, GrpcOptions};
use countersign::reason::Reason;
use countersign::transport::AllowedOrigins;
use envoy_types::pb::envoy::config::core::v3::{HeaderMap, HeaderValue, HeaderValueOption};
use envoy_types::pb::envoy::service::auth::v3::attribute_context::{
    HttpRequest, Request as AttributeRequest,
};
use envoy_types::pb::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::{
    AttributeContext, CheckRequest, CheckResponse, DeniedHttpResponse, OkHttpResponse,
};
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use prost::Message as _;
use serde_json::Value;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::Service as _;

use crate::support::grpc::{Wire, assert_refused, options, serve_shared};
use crate::support::stub::{Stub, session_id, user_id, verified};

const OVERWRITE_IF_EXISTS_OR_ADD: i32 = 2;
const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";

/// A request of Envoy's, with these headers of the client's.
fn asked(headers: &[(&str, &str)]) -> CheckRequest {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    with_http(HttpRequest {
        method: "GET".to_owned(),
        path: "/orders".to_owned(),
        headers,
        ..Default::default()
    })
}

fn with_http(http: HttpRequest) -> CheckRequest {
    let request = AttributeRequest { time: None, http: Some(http) };
    CheckRequest { attributes: Some(AttributeContext { request: Some(request), ..Default::default() }) }
}

/// The same, for a route with this context.
fn by_route(mut request: CheckRequest, context: &[(&str, &str)]) -> CheckRequest {
    let context = context.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    request.attributes.as_mut().unwrap().context_extensions = context.collect();
    request
}

async fn serve(auth: impl Authenticate, ext_authz: ExtAuthz) -> Wire {
    let health = countersign::grpc::Health::new().await;
    let options = GrpcOptions { ext_authz: Some(ext_authz), ..options() };
    serve_shared(Arc::new(auth), &health, options).await
}

async fn usual(auth: impl Authenticate) -> Wire {
    serve(auth, ExtAuthz::default()).await
}

async fn check(wire: &Wire, request: CheckRequest) -> Result<CheckResponse, Status> {
    let mut client = AuthorizationClient::with_origin(wire.clone(), wire.origin.clone());
    Ok(client.check(request).await?.into_inner())
}

#[track_caller]
fn allowed(response: CheckResponse) -> OkHttpResponse {
    assert_eq!(response.status.as_ref().unwrap().code, 0, "{response:?}");
    match response.http_response {
        Some(HttpResponse::OkResponse(ok)) => ok,
        other => panic!("{other:?}"),
    }
}

/// Headers by name, each of which is to overwrite.
fn overwritten(headers: &[HeaderValueOption]) -> HashMap<&str, &str> {
    let mut found = HashMap::new();
    for option in headers {
        assert_eq!(option.append_action, OVERWRITE_IF_EXISTS_OR_ADD, "{option:?}");
        #[expect(deprecated, reason = "an older Envoy looks at it, and must not append either")]
        let append = option.append;
        assert_eq!(append, None, "{option:?}");
        let header = option.header.as_ref().unwrap();
        assert!(
            found.insert(header.key.as_str(), header.value.as_str()).is_none(),
            "{option:?} is there twice"
        );
    }
    found
}

/// The answer's status, headers and problem.
#[track_caller]
fn refused(response: &CheckResponse, code: Code, status: i32, reason: &str) -> (DeniedHttpResponse, Value) {
    assert_eq!(response.status.as_ref().unwrap().code, code as i32, "{response:?}");
    assert_eq!(response.dynamic_metadata, None);
    let Some(HttpResponse::DeniedResponse(denied) | HttpResponse::ErrorResponse(denied)) =
        &response.http_response
    else {
        panic!("{response:?}")
    };
    let problem: Value = serde_json::from_str(&denied.body).unwrap();
    assert_eq!((denied.status.as_ref().unwrap().code, &problem["reason"]), (status, &reason.into()));
    assert_eq!(problem["status"], status);
    assert_eq!(overwritten(&denied.headers)["content-type"], "application/problem+json");
    (denied.clone(), problem)
}

#[tokio::test]
async fn whoever_may_go_on_is_named_in_headers_and_metadata() {
    let wire = usual(Stub::default()).await;
    let response = check(&wire, asked(&[("authorization", "Bearer a")])).await.unwrap();
    let metadata = response.dynamic_metadata.clone().unwrap();
    let ok = allowed(response);
    let headers = overwritten(&ok.headers);
    let (subject, session) = (user_id().to_string(), session_id().to_string());
    let expected = HashMap::from([
        ("x-auth-subject", subject.as_str()),
        ("x-auth-subject-kind", "user"),
        ("x-auth-username", "ada"),
        ("x-auth-session", session.as_str()),
        ("x-auth-roles", "admin"),
        ("x-auth-token-id", "jti-1"),
        ("x-auth-expires", "400"),
    ]);
    assert_eq!(headers, expected);
    for name in expected.keys() {
        assert!(!ok.headers_to_remove.contains(&(*name).to_owned()), "Envoy removes what it has set");
        assert!(ok.headers_to_remove.contains(&name.replace('-', "_")), "{name}");
    }
    // Of whom there is none, the client's own does not reach the application.
    for name in ["x-auth-external-id", "x_auth_external_id", "x-auth-external_id"] {
        assert!(ok.headers_to_remove.contains(&name.to_owned()), "{name}");
    }
    assert!(ok.headers_to_remove.contains(&"x-auth_token-id".to_owned()));
    let kind = |name: &str| format!("{:?}", metadata.fields[name].kind);
    assert!(kind("subject").contains(&subject) && kind("session").contains(&session));
    assert!(kind("roles").contains("admin") && kind("audiences").contains("web"));
    assert!(kind("subject_kind").contains("user"));
    assert_eq!(metadata.fields.len(), 8);
}

#[tokio::test]
async fn an_external_id_is_told_where_there_is_one() {
    let mut token = Arc::unwrap_or_clone(verified());
    token.external_id = Some("4 2,é".to_owned());
    let wire = usual(Stub::verifying(Verification::Verified(Arc::new(token)))).await;
    let response = check(&wire, asked(&[("authorization", "Bearer a")])).await.unwrap();
    let metadata = response.dynamic_metadata.clone().unwrap();
    assert!(format!("{:?}", metadata.fields["external_id"].kind).contains("4 2,é"));
    let ok = allowed(response);
    assert_eq!(overwritten(&ok.headers)["x-auth-external-id"], "4%202%2C%C3%A9");
    assert!(
        !ok.headers_to_remove.contains(&"x-auth-external-id".to_owned()),
        "Envoy removes what it has set"
    );
    assert!(ok.headers_to_remove.contains(&"x_auth_external_id".to_owned()));
}

#[tokio::test]
async fn a_bad_token_is_401_and_a_missing_role_403_as_a_problem_in_the_clients_language() {
    for (invalid, reason) in [
        (InvalidReason::Expired, "ACCESS_TOKEN_EXPIRED"),
        (InvalidReason::Revoked, "SESSION_REVOKED"),
        (InvalidReason::BadSignature, "ACCESS_TOKEN_INVALID"),
        (InvalidReason::WrongAudience, "ACCESS_TOKEN_INVALID"),
    ] {
        let wire = usual(Stub::verifying(Verification::Invalid(invalid))).await;
        let answer = check(&wire, asked(&[("authorization", "Bearer a")])).await.unwrap();
        let (denied, _) = refused(&answer, Code::Unauthenticated, 401, reason);
        let headers = overwritten(&denied.headers);
        assert!(
            headers["www-authenticate"].starts_with("Bearer realm=\"countersign\", error=\"invalid_token\"")
        );
        assert_eq!(headers["cache-control"], "no-store");
    }

    let wire = usual(Stub::default()).await;
    let missing = check(&wire, asked(&[])).await.unwrap();
    let (denied, _) = refused(&missing, Code::Unauthenticated, 401, "TOKEN_MISSING");
    assert_eq!(overwritten(&denied.headers)["www-authenticate"], "Bearer realm=\"countersign\"");

    let chinese = [("authorization", "Bearer a"), ("accept-language", "zh"), ("x-request-id", "call-7")];
    let needs = |roles| by_route(asked(&chinese), &[("roles", roles), ("audiences", "api")]);
    allowed(check(&wire, needs("admin")).await.unwrap());
    let lacking = check(&wire, needs("admin,root")).await.unwrap();
    let (denied, problem) = refused(&lacking, Code::PermissionDenied, 403, "ROLE_REQUIRED");
    assert_eq!(problem["detail"], "您没有执行此操作的权限。");
    assert_eq!(problem["requestId"], "call-7");
    let headers = overwritten(&denied.headers);
    assert_eq!(headers["content-language"], "zh-CN");
    assert!(headers["www-authenticate"].contains("insufficient_scope"));
}

#[tokio::test]
async fn what_cannot_be_known_is_an_error_and_never_an_answer() {
    for reason in [Reason::RevocationsStale, Reason::StoreUnavailable, Reason::Internal] {
        let failing = move || Stub::failing(move || AuthError::new(reason));
        let request = || asked(&[("authorization", "Bearer a")]);
        let status = check(&usual(failing()).await, request()).await.unwrap_err();
        assert_refused(&status, Code::from_i32(reason.code().number()), reason.name());

        let wire = serve(failing(), ExtAuthz { error_response: true, ..Default::default() }).await;
        let told = check(&wire, request()).await.unwrap();
        assert!(matches!(told.http_response, Some(HttpResponse::ErrorResponse(_))), "{told:?}");
        let code = Code::from_i32(reason.code().number());
        let (error, _) = refused(&told, code, reason.http_status().into(), reason.name());
        let retry = reason.retry_after().map(|_| "1");
        assert_eq!(overwritten(&error.headers).get("retry-after").copied(), retry);
    }
    let panics = Stub { panics: true, ..Stub::default() };
    let status = check(&usual(panics).await, asked(&[("authorization", "Bearer a")])).await.unwrap_err();
    assert_refused(&status, Code::Internal, "INTERNAL");
}

#[tokio::test]
async fn an_empty_request_has_no_token_and_a_rule_that_is_not_known_lets_nobody_through() {
    let wire = usual(Stub::default()).await;
    for empty in [
        CheckRequest::default(),
        CheckRequest { attributes: Some(AttributeContext::default()) },
        with_http(HttpRequest::default()),
    ] {
        refused(&check(&wire, empty).await.unwrap(), Code::Unauthenticated, 401, "TOKEN_MISSING");
    }
    let misspelt = by_route(asked(&[("authorization", "Bearer a")]), &[("role", "admin")]);
    let answer = check(&wire, misspelt).await.unwrap();
    let (_, problem) = refused(&answer, Code::InvalidArgument, 400, "INVALID_REQUEST");
    assert_eq!(problem["violations"][0]["field"], "context_extensions");
}

#[tokio::test]
async fn raw_headers_are_read_and_two_of_authorization_refused() {
    let wire = usual(Stub::default()).await;
    let raw = |headers: &[(&str, &[u8])]| {
        let header = |(key, value): &(&str, &[u8])| HeaderValue {
            key: (*key).to_owned(),
            raw_value: value.to_vec(),
            ..Default::default()
        };
        let headers = headers.iter().map(header).collect();
        with_http(HttpRequest { header_map: Some(HeaderMap { headers }), ..Default::default() })
    };
    let spoofed = raw(&[("authorization", b"Bearer a"), ("x.auth.roles", b"root"), ("x-odd", b"\xFF\x00")]);
    let ok = allowed(check(&wire, spoofed).await.unwrap());
    assert!(ok.headers_to_remove.contains(&"x.auth.roles".to_owned()));
    let twice = raw(&[("authorization", b"Bearer a"), ("authorization", b"Bearer b")]);
    refused(&check(&wire, twice).await.unwrap(), Code::InvalidArgument, 400, "INVALID_REQUEST");
    let bytes = raw(&[("authorization", b"Bearer \xC3\x28")]);
    refused(&check(&wire, bytes).await.unwrap(), Code::Unauthenticated, 401, "ACCESS_TOKEN_INVALID");
}

/// With Envoy's own types each of these would fail to decode: an error, which a gateway may be told to let through.
#[tokio::test]
async fn bytes_that_are_no_text_anywhere_change_no_answer() {
    let wire = usual(Stub::default()).await;
    let mut http = HttpRequest {
        path: "/odd-CANARY%00/../\\".to_owned(),
        host: "CANARY".to_owned(),
        ..Default::default()
    };
    http.headers = [("authorization", "Bearer a"), ("x-CANARY", "CANARY"), ("referer", "CANARY")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    let encoded = with_http(http).encode_to_vec();
    let mut broken = encoded.clone();
    while let Some(at) = broken.windows(6).position(|window| window == b"CANARY") {
        broken[at..at + 6].fill(0xFF);
    }
    assert!(CheckRequest::decode(broken.as_slice()).is_err(), "this is what the test is about");
    assert_eq!(raw_check(&wire, &broken).await.unwrap(), raw_check(&wire, &encoded).await.unwrap());
    allowed(raw_check(&wire, &broken).await.unwrap());
}

#[tokio::test]
async fn a_cookie_speaks_for_its_user_where_that_is_configured_and_not_to_other_sites() {
    let cookie = Some("__Host-access".to_owned());
    let wire = serve(Stub::default(), ExtAuthz { cookie, ..Default::default() }).await;
    let cookies = ("cookie", "theme=dark; __Host-access=a; lang=en");
    allowed(check(&wire, asked(&[cookies])).await.unwrap());
    let mut cross = asked(&[cookies, ("sec-fetch-site", "cross-site")]);
    allowed(check(&wire, cross.clone()).await.unwrap());
    cross.attributes.as_mut().unwrap().request.as_mut().unwrap().http.as_mut().unwrap().method =
        "POST".to_owned();
    let answer = check(&wire, cross).await.unwrap();
    refused(&answer, Code::PermissionDenied, 403, "CROSS_SITE_REQUEST");
    let post = |headers: &[(&str, &str)]| {
        let mut request = asked(&[&[cookies], headers].concat());
        let http = request.attributes.as_mut().unwrap().request.as_mut().unwrap().http.as_mut().unwrap();
        http.method = "POST".to_owned();
        http.host = "shop.example:443".to_owned();
        request
    };
    for foreign in [
        &[("sec-fetch-site", "same-site")][..],
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
        &[("sec-fetch-site", "same-site"), ("origin", "https://app.example")],
    ] {
        let answer = check(&wire, post(foreign)).await.unwrap();
        refused(&answer, Code::PermissionDenied, 403, "CROSS_SITE_REQUEST");
    }
    for own in [&[("sec-fetch-site", "same-origin")][..], &[("origin", "https://shop.example")], &[]] {
        allowed(check(&wire, post(own)).await.unwrap());
    }
    let two = asked(&[("cookie", "__Host-access=a; __Host-access=b")]);
    refused(&check(&wire, two).await.unwrap(), Code::InvalidArgument, 400, "INVALID_REQUEST");

    let for_app = ExtAuthz {
        cookie: Some("__Host-access".to_owned()),
        allowed_origins: AllowedOrigins::new(&["https://app.example".to_owned()]),
        ..Default::default()
    };
    let for_app = serve(Stub::default(), for_app).await;
    let page = [("sec-fetch-site", "same-site"), ("origin", "https://app.example")];
    allowed(check(&for_app, post(&page)).await.unwrap());

    let without = usual(Stub::default()).await;
    let answer = check(&without, asked(&[cookies])).await.unwrap();
    refused(&answer, Code::Unauthenticated, 401, "TOKEN_MISSING");
}

/// Envoy turns the answer to a gRPC client into a status, and its body into the message.
#[tokio::test]
async fn a_grpc_client_is_told_in_a_sentence() {
    let wire = usual(Stub::default()).await;
    let answer = check(&wire, asked(&[("content-type", "application/grpc+proto")])).await.unwrap();
    let Some(HttpResponse::DeniedResponse(denied)) = answer.http_response else { panic!("{answer:?}") };
    assert_eq!(denied.body, "Please log in.");
    assert!(!overwritten(&denied.headers).contains_key("content-type"));
}

#[tokio::test]
async fn sizes_are_bounded_and_switched_off_it_is_not_there() {
    let wire = usual(Stub::default()).await;
    let long = |bytes| asked(&[("authorization", "Bearer a"), ("x-long", &"x".repeat(bytes))]);
    allowed(check(&wire, long(200 * 1024)).await.unwrap());
    assert_eq!(check(&wire, long(300 * 1024)).await.unwrap_err().code(), Code::OutOfRange);

    let health = countersign::grpc::Health::new().await;
    let options = GrpcOptions { ext_authz: None, ..options() };
    let off = serve_shared(Arc::new(Stub::default()), &health, options).await;
    assert_eq!(check(&off, long(1)).await.unwrap_err().code(), Code::Unimplemented);
}

#[tokio::test]
async fn a_name_that_is_not_ascii_reaches_the_upstream_escaped() {
    let mut token = Arc::unwrap_or_clone(verified());
    token.username = "李, x".to_owned();
    token.roles = Vec::new();
    let wire = usual(Stub::verifying(Verification::Verified(Arc::new(token)))).await;
    let ok = allowed(check(&wire, asked(&[("authorization", "Bearer a")])).await.unwrap());
    let headers = overwritten(&ok.headers);
    assert_eq!(headers["x-auth-username"], "%E6%9D%8E%2C%20x");
    assert_eq!(headers["x-auth-roles"], "", "an empty one overwrites, too");
}

/// Sends a message as it is.
async fn raw_check(wire: &Wire, message: &[u8]) -> Result<CheckResponse, Status> {
    let frame = [&[0], u32::try_from(message.len()).unwrap().to_be_bytes().as_slice(), message].concat();
    let uri = format!("{}{CHECK}", wire.origin.to_string().trim_end_matches('/'));
    let request = Request::post(uri).header("content-type", "application/grpc").header("te", "trailers");
    let request = request.body(Body::new(Full::new(Bytes::from(frame)))).unwrap();
    let answer = wire.clone().call(request).await.unwrap();
    if let Some(status) = Status::from_header_map(answer.headers()) {
        return Err(status);
    }
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    Ok(CheckResponse::decode(&body[5..]).unwrap())
}
