//! A trace goes through the service as one: from the caller's `traceparent` over the call to what it asks of its
//! stores.

use countersign::grpc::proto::v1::auth_service_client::AuthServiceClient;
use countersign::grpc::proto::v1::logout_request::Token;
use countersign::grpc::proto::v1::{LoginRequest, LogoutRequest, RefreshRequest, VerifyAccessTokenRequest};
use tonic::Request;
use tonic::transport::Channel;

use crate::support::http::{Http, request};
use crate::support::otlp::{Collector, Told};
use crate::support::process::Dev;

const PARENT: &str = "00f067aa0ba902b7";
const SAMPLED: &str = "01";
const NOT_SAMPLED: &str = "00";

/// A `traceparent` of the `number`th trace.
fn traceparent(number: u8, flags: &str) -> (String, String) {
    let trace = format!("{number:02x}").repeat(16);
    (trace.clone(), format!("00-{trace}-{PARENT}-{flags}"))
}

fn asked<T>(message: T, traceparent: &str) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("traceparent", traceparent.parse().unwrap());
    request
}

/// The whole service as a process, which sends its traces to the collector.
fn start(data: &std::path::Path, collector: &Collector, per_thousand: &str) -> Dev {
    let endpoint = collector.endpoint();
    let variables = [
        ("COUNTERSIGN__TELEMETRY__OTLP_ENDPOINT", endpoint.as_str()),
        ("COUNTERSIGN__TELEMETRY__TRACES_PER_THOUSAND", per_thousand),
    ];
    Dev::start_with_env(data, &variables)
}

async fn client(dev: &Dev) -> AuthServiceClient<Channel> {
    AuthServiceClient::connect(format!("http://{}", dev.grpc)).await.unwrap()
}

fn login(dev: &Dev) -> LoginRequest {
    LoginRequest { username: "admin".to_owned(), password: dev.password().unwrap(), ..Default::default() }
}

#[track_caller]
fn one<'a>(spans: &'a [Told], name: &str) -> &'a Told {
    let found: Vec<_> = spans.iter().filter(|span| span.name == name).collect();
    assert_eq!(found.len(), 1, "{name}: {spans:?}");
    found[0]
}

const LOGIN: &str = "countersign.v1.AuthService/Login";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callers_trace_goes_on_through_the_call_to_the_stores() {
    let (data, collector) = (tempfile::tempdir().unwrap(), Collector::start().await);
    let dev = start(data.path(), &collector, "0");
    let mut client = client(&dev).await;

    let (trace, header) = traceparent(0xa1, SAMPLED);
    let tokens = client.login(asked(login(&dev), &header)).await.unwrap().into_inner().tokens.unwrap();
    let spans = collector.trace(&trace, &[LOGIN]).await;
    let call = one(&spans, LOGIN);
    assert_eq!((call.parent.as_str(), call.service.as_str()), (PARENT, "countersign"));
    assert_eq!(call.attribute("rpc.method"), "Login");
    for step in ["throttle.admit", "users.credential", "sessions.create"] {
        let step = one(&spans, step);
        assert_eq!(step.parent, call.id, "{step:?}");
    }
    assert_eq!(one(&spans, "sessions.create").attribute("db.system.name"), "sqlite");

    let (trace, header) = traceparent(0xa2, SAMPLED);
    let refresh = RefreshRequest { refresh_token: tokens.refresh_token.clone() };
    client.refresh(asked(refresh, &header)).await.unwrap();
    let spans = collector.trace(&trace, &["countersign.v1.AuthService/Refresh"]).await;
    let call = one(&spans, "countersign.v1.AuthService/Refresh");
    for step in ["ledger.standing", "sessions.rotate"] {
        assert_eq!(one(&spans, step).parent, call.id, "{spans:?}");
    }

    let (trace, header) = traceparent(0xa4, SAMPLED);
    let logout = LogoutRequest { token: Some(Token::RefreshToken(tokens.refresh_token)), everywhere: false };
    client.logout(asked(logout, &header)).await.unwrap();
    let spans = collector.trace(&trace, &["countersign.v1.AuthService/Logout"]).await;
    let call = one(&spans, "countersign.v1.AuthService/Logout");
    assert_eq!(one(&spans, "ledger.record").parent, call.id, "the commit that Logout waits for");

    let (trace, header) = traceparent(0xa3, SAMPLED);
    let body = serde_json::json!({ "username": "admin", "password": dev.password() }).to_string();
    let headers = [("content-type", "application/json"), ("traceparent", header.as_str())];
    Http(dev.http).send(request("POST", "/v1/auth/login", &headers, &body)).await;
    let spans = collector.trace(&trace, &["Login"]).await;
    let call = one(&spans, "Login");
    assert_eq!((call.parent.as_str(), call.attribute("http.request.method")), (PARENT, "POST"));
    assert_eq!(one(&spans, "users.credential").parent, call.id);
    assert_eq!(dev.terminate(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_caller_decides_and_verify_is_traced_only_for_those_who_ask() {
    let (data, collector) = (tempfile::tempdir().unwrap(), Collector::start().await);
    let dev = start(data.path(), &collector, "1000");
    let mut client = client(&dev).await;
    let (unwanted, header) = traceparent(0xb1, NOT_SAMPLED);
    let tokens = client.login(asked(login(&dev), &header)).await.unwrap().into_inner().tokens.unwrap();
    let verify =
        || VerifyAccessTokenRequest { access_token: tokens.access_token.clone(), ..Default::default() };
    client.verify_access_token(verify()).await.unwrap();
    let (wanted, header) = traceparent(0xb2, SAMPLED);
    client.verify_access_token(asked(verify(), &header)).await.unwrap();
    client.refresh(RefreshRequest { refresh_token: tokens.refresh_token.clone() }).await.unwrap();

    // What waits is sent when the process stops, so that afterwards everything is there.
    let exemplars = scrape(&dev).await;
    assert_eq!(dev.terminate(), Some(0));
    let spans = collector.spans();
    assert!(spans.iter().all(|span| span.trace != unwanted), "{spans:?}");
    let verify: Vec<_> = spans.iter().filter(|span| span.name.ends_with("/VerifyAccessToken")).collect();
    assert_eq!(verify.len(), 1, "{spans:?}");
    assert_eq!((verify[0].trace.as_str(), verify[0].parent.as_str()), (wanted.as_str(), PARENT));
    let refresh = one(&spans, "countersign.v1.AuthService/Refresh");
    assert!(refresh.parent.is_empty(), "nobody's child");
    assert!(spans.iter().all(|span| span.trace == wanted || span.trace == refresh.trace), "{spans:?}");

    for (method, trace) in [("VerifyAccessToken", &wanted), ("Refresh", &refresh.trace)] {
        let exemplar = format!("# {{trace_id=\"{trace}\"}}");
        let of = |line: &str| line.contains(&format!("\"{method}\"")) && line.contains(&exemplar);
        assert!(exemplars.lines().any(of), "{method} has no exemplar of {trace}:\n{exemplars}");
    }
    assert!(!exemplars.contains(&unwanted));
}

async fn scrape(dev: &Dev) -> String {
    let answer = Http(dev.operations).get("/metrics", &[("accept", "application/openmetrics-text")]).await;
    String::from_utf8(answer.body.to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_not_there_holds_nobody_up() {
    let data = tempfile::tempdir().unwrap();
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9"),
        ("COUNTERSIGN__TELEMETRY__TRACES_PER_THOUSAND", "1000"),
    ];
    let dev = Dev::start_with_env(data.path(), &variables);
    let mut client = client(&dev).await;
    for _ in 0..3 {
        client.login(login(&dev)).await.unwrap();
    }
    assert_eq!(dev.terminate(), Some(0), "{}", "the exit code tells of calls, not of traces");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_behind_tls_must_be_one_that_the_systems_authorities_vouch_for() {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = own.cert.pem();
    let collector = Collector::start_with_tls(&certificate, &own.signing_key.serialize_pem()).await;
    let directory = tempfile::tempdir().unwrap();
    let authorities = directory.path().join("authorities.pem");
    std::fs::write(&authorities, &certificate).unwrap();
    for (vouched_for, authorities) in [(false, None), (true, authorities.to_str())] {
        let endpoint = collector.endpoint();
        let mut variables = vec![
            ("COUNTERSIGN__TELEMETRY__OTLP_ENDPOINT", endpoint.as_str()),
            ("COUNTERSIGN__TELEMETRY__TRACES_PER_THOUSAND", "1000"),
        ];
        variables.extend(authorities.map(|file| ("SSL_CERT_FILE", file)));
        let data = tempfile::tempdir().unwrap();
        let dev = Dev::start_with_env(data.path(), &variables);
        client(&dev).await.login(login(&dev)).await.unwrap();
        assert_eq!(dev.terminate(), Some(0));
        assert_eq!(!collector.spans().is_empty(), vouched_for, "{:?}", collector.spans());
    }
}
