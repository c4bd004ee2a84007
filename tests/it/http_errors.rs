//! How failures are told over HTTP: problems, envelopes, headers, languages.

use std::sync::Arc;
use std::time::Duration;

use countersign::auth::{AuthError, InvalidReason, Verification};
use countersign::http::{ErrorShape, HttpOptions, RefreshTransport};
use countersign::model::EndCause;
use countersign::reason::{Language, Reason};
use countersign::transport::Deadlines;
use serde_json::{Value, json};

use crate::support::http::{Answer, alone, credentials, options, request, service};
use crate::support::stub::{Gate, Stub};

fn in_bodies() -> HttpOptions {
    HttpOptions { refresh_transport: RefreshTransport::Body, ..options() }
}

#[tokio::test]
async fn every_reason_is_a_problem_in_the_callers_language() {
    for reason in Reason::all() {
        let stub = Stub::failing(move || AuthError::new(reason).caused_by("a secret of the house"));
        let edge = alone(Arc::new(stub), options()).await;
        let headers = [("accept-language", "zh-CN,en;q=0.5"), ("x-request-id", "trace-7")];
        let answer = edge.http.post("/v1/auth/login", &headers, &credentials()).await;
        assert_eq!(answer.status.as_u16(), reason.http_status(), "{reason}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
        assert_eq!(answer.header("content-language"), "zh-CN");
        assert_eq!(answer.header("x-request-id"), "trace-7");
        let expected = json!({
            "type": format!("urn:countersign:error:{}", reason.name()),
            "title": reason.message(Language::En),
            "status": reason.http_status(),
            "detail": reason.message(Language::ZhCn),
            "reason": reason.name(),
            "code": reason.number(),
            "requestId": "trace-7",
        });
        assert_eq!(answer.json(), expected, "and nothing for the log alone");
        assert_eq!(
            !answer.header("www-authenticate").is_empty(),
            [401].contains(&answer.status.as_u16()) || reason == Reason::RoleRequired
        );
        let retry = reason.retry_after().map(|delay| delay.as_secs().to_string()).unwrap_or_default();
        assert_eq!(answer.header("retry-after"), retry, "{reason}");
        if [429, 503].contains(&answer.status.as_u16()) {
            assert!(!retry.is_empty(), "{reason}");
        }
        assert!(answer.cookies().is_empty(), "no failure touches a cookie");
    }
}

#[tokio::test]
async fn a_store_that_is_down_is_never_told_as_401() {
    for path in ["/v1/auth/login", "/v1/auth/refresh", "/v1/auth/logout", "/v1/auth/verify"] {
        let stub = Stub::failing(|| Reason::StoreUnavailable.into());
        let edge = alone(Arc::new(stub), in_bodies()).await;
        let mut body = credentials();
        if path != "/v1/auth/login" {
            body = json!({ "refreshToken": "r" });
        }
        if path == "/v1/auth/verify" {
            body = json!({ "accessToken": "a" });
        }
        edge.http.post(path, &[], &body).await.assert_refused(503, "STORE_UNAVAILABLE");
    }
    let stub = Stub::failing(|| Reason::RevocationsStale.into());
    let edge = alone(Arc::new(stub), options()).await;
    for path in ["/v1/auth/session", "/forward-auth"] {
        let answer = edge.http.get(path, &[("authorization", "Bearer a")]).await;
        answer.assert_refused(503, "REVOCATIONS_STALE");
        assert_eq!(answer.header("retry-after"), "1");
    }
}

#[tokio::test]
async fn a_more_precise_delay_is_rounded_up() {
    let stub = Stub::failing(|| {
        AuthError::new(Reason::RateLimitExceeded).retry_after(Duration::from_millis(42_500))
    });
    let edge = alone(Arc::new(stub), options()).await;
    let answer = edge.http.post("/v1/auth/login", &[], &credentials()).await;
    answer.assert_refused(429, "RATE_LIMIT_EXCEEDED");
    assert_eq!(answer.header("retry-after"), "43");
}

#[tokio::test]
async fn an_access_token_is_refused_by_what_is_wrong_with_it() {
    for (invalid, reason) in [
        (InvalidReason::Expired, "ACCESS_TOKEN_EXPIRED"),
        (InvalidReason::Revoked, "SESSION_REVOKED"),
        (InvalidReason::NotYetValid, "ACCESS_TOKEN_INVALID"),
        (InvalidReason::Malformed, "ACCESS_TOKEN_INVALID"),
        (InvalidReason::BadSignature, "ACCESS_TOKEN_INVALID"),
        (InvalidReason::UnknownKey, "ACCESS_TOKEN_INVALID"),
        (InvalidReason::WrongAudience, "ACCESS_TOKEN_INVALID"),
        (InvalidReason::WrongIssuer, "ACCESS_TOKEN_INVALID"),
        (InvalidReason::WrongType, "ACCESS_TOKEN_INVALID"),
    ] {
        let edge = alone(Arc::new(Stub::verifying(Verification::Invalid(invalid))), options()).await;
        for path in ["/v1/auth/session", "/forward-auth"] {
            let answer = edge.http.get(path, &[("authorization", "Bearer a")]).await;
            answer.assert_refused(401, reason);
            assert!(answer.header("www-authenticate").contains("error=\"invalid_token\""));
        }
    }
}

fn code(answer: &Answer) -> u64 {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/json");
    let body = answer.json();
    let mut names: Vec<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["code", "data", "message", "timestamp"]);
    assert_eq!(body["timestamp"], 1_000, "milliseconds, by the edge's clock");
    body["code"].as_u64().unwrap()
}

#[tokio::test]
async fn an_envelope_tells_apart_what_a_front_end_must() {
    let enveloped = || HttpOptions { envelope: true, ..options() };
    let session = [("authorization", "Bearer a")];
    let verifying = |reason| Arc::new(Stub::verifying(Verification::Invalid(reason)));
    let failing = |reason: Reason| Arc::new(Stub::failing(move || reason.into()));
    let mut codes = Vec::new();

    let fine = alone(Arc::new(Stub::default()), enveloped()).await;
    let login = fine.http.post("/v1/auth/login", &[], &credentials()).await;
    assert_eq!(code(&login), 0);
    assert_eq!(login.json()["data"]["tokens"]["accessToken"], "access");
    assert_eq!(login.json()["message"], "ok");
    assert_eq!(login.cookies().len(), 1);
    codes.push(("no token", code(&fine.http.get("/v1/auth/session", &[]).await)));
    let expired = alone(verifying(InvalidReason::Expired), enveloped()).await;
    codes.push(("expired, refreshable", code(&expired.http.get("/v1/auth/session", &session).await)));
    let invalid = alone(verifying(InvalidReason::BadSignature), enveloped()).await;
    codes.push(("invalid, not refreshable", code(&invalid.http.get("/v1/auth/session", &session).await)));
    for (name, reason) in [
        ("credentials wrong", Reason::InvalidCredentials),
        ("refresh expired", Reason::RefreshTokenExpired),
        ("too many requests", Reason::RateLimitExceeded),
        ("internal", Reason::Internal),
    ] {
        let edge = alone(failing(reason), enveloped()).await;
        codes.push((name, code(&edge.http.post("/v1/auth/login", &[], &credentials()).await)));
    }
    let validation = fine.http.post("/v1/auth/login", &[("accept-language", "zh")], &json!({})).await;
    codes.push(("validation", code(&validation)));
    assert_eq!(validation.json()["message"], Reason::InvalidRequest.message(Language::ZhCn));
    assert_eq!(validation.json()["data"]["violations"][0]["field"], "username");
    assert_eq!(
        codes,
        [
            ("no token", 40106),
            ("expired, refreshable", 40107),
            ("invalid, not refreshable", 40108),
            ("credentials wrong", 40101),
            ("refresh expired", 40103),
            ("too many requests", 42901),
            ("internal", 50001),
            ("validation", 40001),
        ]
    );
    // What gateways and OAuth tools ask is answered by the status, whatever front ends like.
    fine.http.get("/forward-auth", &[]).await.assert_refused(401, "TOKEN_MISSING");
}

/// The table of docs/http.md, as an older front end has it.
#[tokio::test]
async fn an_application_keeps_its_own_numbers() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/http.md")).unwrap();
    let example = page.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let example = example.into_iter().find(|block| block.contains("[edge.error_codes]")).unwrap();
    let table: toml::Table = example.parse().unwrap();
    let codes = table["edge"]["error_codes"].as_table().unwrap();
    let codes: Vec<String> = codes.iter().map(|(name, code)| format!("{name}={code}")).collect();
    let settings = [
        ("EDGE__ERROR_CODES", codes.join(",")),
        ("EDGE__ENVELOPE", "true".to_owned()),
        ("EDGE__REFRESH_TRANSPORT", "body".to_owned()),
        ("EDGE__CLIENTS", "gateway s3cret-of-the-gateway".to_owned()),
    ];
    let settings = settings.each_ref().map(|(name, value)| (*name, value.as_str()));
    let service = service(&settings).await;
    let http = service.http;
    let code = |answer: &Answer| answer.json()["code"].as_u64().unwrap();
    assert_eq!(code(&http.login().await), 0);
    assert_eq!(code(&http.get("/v1/auth/session", &[]).await), 1001);
    assert_eq!(code(&http.get("/v1/auth/session", &[("authorization", "Bearer x")]).await), 1003);
    let wrong =
        http.post("/v1/auth/login", &[], &json!({ "username": "ada", "password": "wrong wrong" })).await;
    assert_eq!(code(&wrong), 1004);
    assert_eq!(wrong.json()["data"]["reason"], "INVALID_CREDENTIALS", "which programs may go by as well");
    let refresh = http.post("/v1/auth/refresh", &[], &json!({ "refreshToken": "x" })).await;
    assert_eq!(code(&refresh), 1003);
    assert_eq!(code(&http.post("/v1/auth/login", &[], &json!({})).await), 3001);
    let cross = [("sec-fetch-site", "cross-site")];
    assert_eq!(code(&http.post("/v1/auth/login", &cross, &credentials()).await), 2002);
    // What the table does not name is the catalogue's, and problems and OAuth errors follow the table.
    assert_eq!(code(&http.get("/nowhere", &[]).await), u64::from(Reason::NotFound.number()));
    let missing = http.get("/forward-auth", &[]).await;
    missing.assert_refused(401, "TOKEN_MISSING");
    assert_eq!(code(&missing), 1001);
    let stranger = http.form("/oauth2/introspect", &[], "token=x").await;
    assert_eq!(code(&stranger), u64::from(Reason::ClientUnauthenticated.number()));
    let gateway = [("authorization", "Basic Z2F0ZXdheTpzM2NyZXQtb2YtdGhlLWdhdGV3YXk=")];
    assert_eq!(code(&http.form("/oauth2/introspect", &gateway, "").await), 3001);

    let document = http.get("/openapi.json", &[]).await.json();
    let numbers =
        |value: &Value| value.as_array().unwrap().iter().filter_map(Value::as_u64).collect::<Vec<_>>();
    let problem = numbers(&document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"]);
    assert!(problem.contains(&1001) && !problem.contains(&40106), "{problem:?}");
    let login = &document["paths"]["/v1/auth/login"]["post"]["responses"]["200"]["content"];
    let login = numbers(&login["application/json"]["schema"]["properties"]["code"]["enum"]);
    assert!(login.contains(&0) && login.contains(&1004) && !login.contains(&40101), "{login:?}");
}

#[tokio::test]
async fn what_ended_a_session_is_told_in_every_shape() {
    let refused = || {
        let failure = || AuthError::new(Reason::SessionRevoked).ended_by(EndCause::PasswordChanged);
        Arc::new(Stub::failing(failure))
    };
    let presented = json!({ "refreshToken": "r" });
    let told = async |options: HttpOptions| {
        let edge =
            alone(refused(), HttpOptions { refresh_transport: RefreshTransport::Body, ..options }).await;
        edge.http.post("/v1/auth/refresh", &[], &presented).await.json()
    };
    assert_eq!(told(options()).await["cause"], "PASSWORD_CHANGED");
    let enveloped = told(HttpOptions { envelope: true, ..options() }).await;
    assert_eq!(
        (&enveloped["code"], &enveloped["data"]["cause"]),
        (&json!(40105), &json!("PASSWORD_CHANGED"))
    );
    let status = told(HttpOptions { errors: ErrorShape::Status, ..options() }).await;
    let info = json!({
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "SESSION_REVOKED",
        "domain": "countersign",
        "metadata": { "cause": "PASSWORD_CHANGED" },
    });
    assert_eq!(status["details"][0], info);
}

#[tokio::test]
async fn what_is_no_request_to_the_edge_is_told_so() {
    let edge = alone(Arc::new(Stub::default()), options()).await;
    edge.http.get("/nothing", &[]).await.assert_refused(404, "NOT_FOUND");
    edge.http.get("/oauth2/introspect", &[]).await;
    let wrong_method = edge.http.get("/v1/auth/login", &[]).await;
    wrong_method.assert_refused(405, "METHOD_NOT_ALLOWED");
    assert_eq!(wrong_method.header("allow"), "POST");

    for content_type in ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=gbk"] {
        let headers = [("content-type", content_type)];
        let answer = edge.http.post("/v1/auth/login", &headers, &credentials()).await;
        answer.assert_refused(415, "UNSUPPORTED_MEDIA_TYPE");
    }
    let untyped = edge.http.send(request("POST", "/v1/auth/refresh", &[], "{}")).await;
    untyped.assert_refused(415, "UNSUPPORTED_MEDIA_TYPE");
    let large = json!({ "username": "u".repeat(64 * 1024), "password": "p" });
    edge.http.post("/v1/auth/login", &[], &large).await.assert_refused(413, "REQUEST_TOO_LARGE");

    let large_head = "x".repeat(128 * 1024);
    let answer = edge.http.get("/v1/auth/session", &[("x-padding", &large_head)]).await;
    assert_eq!(answer.status.as_u16(), 431);
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_not_waited_for_for_ever() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let options = HttpOptions { body_timeout: Duration::from_millis(20), ..options() };
    let edge = alone(Arc::new(Stub::default()), options).await;
    let mut stream = tokio::net::TcpStream::connect(edge.http.0).await.unwrap();
    let head = "POST /v1/auth/login HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4096];
    let length = stream.read(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
}

#[tokio::test]
async fn a_change_whose_time_is_up_is_answered_and_goes_on() {
    let gate = Gate::closed();
    let deadlines = Deadlines { login: Duration::from_millis(20), ..Deadlines::default() };
    let options = HttpOptions { deadlines, ..options() };
    let tasks = options.tasks.clone();
    let edge = alone(Arc::new(Stub::gated(&gate)), options).await;
    let answer = edge.http.post("/v1/auth/login", &[], &credentials()).await;
    answer.assert_refused(504, "DEADLINE_EXCEEDED");
    gate.begun().await;
    assert_eq!(tasks.len(), 1, "whoever stops the server can wait for it");
    gate.open();
    gate.finished().await;
}

#[tokio::test]
async fn a_panic_is_internal_and_tells_nothing() {
    let stub = Arc::new(Stub { panics: true, ..Stub::default() });
    let edge = alone(stub, options()).await;
    let from_a_change = edge.http.post("/v1/auth/login", &[], &credentials()).await;
    let from_verify = edge.http.get("/v1/auth/session", &[("authorization", "Bearer a")]).await;
    for answer in [from_a_change, from_verify] {
        answer.assert_refused(500, "INTERNAL");
        assert!(!String::from_utf8_lossy(&answer.body).contains("stub"));
    }
}
