//! A trace goes through Envoy, the service and its stores as one.

use std::time::Duration;

use countersign::grpc::proto::v1::LoginRequest;
use countersign::grpc::proto::v1::auth_service_client::AuthServiceClient;
use tonic::Request;

use super::echo;
use super::fleet::{Fleet, USER, get};
use super::proxy::Recipe;
use crate::support::otlp::{Collector, Told};
use crate::support::replica::PASSWORD;

const LOGIN: &str = "countersign.v1.AuthService/Login";
const CHECK: &str = "envoy.service.auth.v3.Authorization/Check";
/// Who calls, and asks for traces.
const CALLER: &str = "00f067aa0ba902b7";
/// Envoy sends its spans every five seconds.
const PATIENCE: Duration = Duration::from_secs(30);

fn traceparent(digits: &str) -> (String, String) {
    let trace = digits.repeat(16);
    (trace.clone(), format!("00-{trace}-{CALLER}-01"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_goes_through_envoy_the_service_and_its_stores() {
    let test = "a_trace_goes_through_envoy_the_service_and_its_stores";
    let collector = Collector::start().await;
    let configuration = [("TELEMETRY__OTLP_ENDPOINT", collector.endpoint())];
    let configuration = configuration.each_ref().map(|(key, value)| (*key, value.as_str()));
    let Some(fleet) = Fleet::start(test, &configuration).await else { return };
    let application = echo::serve().await;
    let endpoint = collector.endpoint().trim_start_matches("http://").parse().unwrap();
    let recipe = |file| {
        let recipe = Recipe::new(file, &fleet, application).collected_by(endpoint);
        recipe.changed("random_sampling: { value: 1 }", "random_sampling: { value: 100 }")
    };

    let Some(envoy) = recipe("envoy/grpc.yaml").envoy(test, "countersign").await else { return };
    let mut client = AuthServiceClient::connect(format!("http://{}", envoy.http.0)).await.unwrap();
    let (trace, header) = traceparent("a1");
    let mut login = Request::new(LoginRequest {
        username: USER.to_owned(),
        password: PASSWORD.to_owned(),
        ..Default::default()
    });
    login.metadata_mut().insert("traceparent", header.parse().unwrap());
    let tokens = client.login(login).await.unwrap().into_inner().tokens.unwrap();
    let spans = through_envoy(&collector, &trace, LOGIN).await;
    let call = spans.iter().find(|span| span.name == LOGIN).unwrap();
    for (step, store) in [("users.credential", "postgres"), ("sessions.create", "redis")] {
        let step = spans.iter().find(|span| span.name == step).unwrap_or_else(|| panic!("{step}: {spans:?}"));
        assert_eq!(step.parent, call.id, "{spans:?}");
        assert!(step.attribute("db.system.name").starts_with(store), "{step:?}");
    }

    let Some(asking) = recipe("envoy/ext-authz.yaml").envoy(test, "ingress").await else { return };
    let (trace, header) = traceparent("a2");
    let answer = get(asking.http, "/orders", &tokens.access_token, &[("traceparent", &header)]).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    through_envoy(&collector, &trace, CHECK).await;
}

/// The spans of a trace as soon as the call's ancestors are Envoy's, up to the caller.
async fn through_envoy(collector: &Collector, trace: &str, call: &str) -> Vec<Told> {
    collector.trace(trace, &[call]).await;
    let arrived = async {
        loop {
            let mut spans = collector.spans();
            spans.retain(|span| span.trace == trace);
            let mut span = spans.iter().find(|span| span.name == call).unwrap();
            assert_eq!(span.service, "countersign");
            while let Some(parent) = spans.iter().find(|it| it.id == span.parent) {
                assert_eq!(parent.service, "envoy", "{spans:?}");
                span = parent;
            }
            if span.parent == CALLER && span.service == "envoy" {
                return spans;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let arrived = tokio::time::timeout(PATIENCE, arrived).await;
    arrived.unwrap_or_else(|_| panic!("no line from {call} to its caller: {:?}", collector.spans()))
}
