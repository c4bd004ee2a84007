//! Real Envoy in front of the replicas, by `examples/gateways/envoy/grpc.yaml`: the JSON of a transcoding gateway is the
//! edge's.

use serde_json::{Value, json};

use super::fleet::{ADMIN, Fleet};
use super::proxy::Recipe;
use crate::support::client::{Client, Verified};
use crate::support::http::Http;
use crate::support::replica::PASSWORD;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transcoder_and_the_edge_give_the_same() {
    let test = "a_transcoder_and_the_edge_give_the_same";
    let Some(fleet) = Fleet::start(test, &[("EDGE__REFRESH_TRANSPORT", "body")]).await else { return };
    let Some(envoy) = Recipe::new("envoy/grpc.yaml", &fleet, fleet.edges[0]).envoy(test, "countersign").await
    else {
        return;
    };
    let (gateway, edge) = (envoy.http, Http(fleet.edges[0]));

    let credentials = json!({ "username": ADMIN, "password": PASSWORD });
    let login = gateway.post("/v1/auth/login", &[], &credentials).await;
    assert_eq!(login.status, 200, "{login:?}");
    let tokens = &login.json()["tokens"];
    let verify = json!({ "accessToken": tokens["accessToken"] });
    let mut answers = Vec::new();
    for http in [gateway, edge] {
        let mut answer = http.post("/v1/auth/verify", &[], &verify).await.json();
        let staleness = answer.as_object_mut().unwrap().remove("revocationStaleness");
        assert!(staleness.is_some_and(|it| it.as_str().is_some_and(|it| it.ends_with('s'))));
        answers.push(answer);
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0]["verified"]["roles"], json!(["admin"]));

    let refresh = json!({ "refreshToken": tokens["refreshToken"] });
    let refreshed = gateway.post("/v1/auth/refresh", &[], &refresh).await;
    assert_eq!(shape(&refreshed.json()), shape(&edge.post("/v1/auth/refresh", &[], &refresh).await.json()));

    let wrong = gateway.post("/v1/auth/login", &[], &json!({ "username": ADMIN, "password": "wrong" })).await;
    assert_eq!(wrong.status, 401, "{wrong:?}");
    assert_eq!(wrong.json()["code"], 16, "{wrong:?}");
    assert_eq!(wrong.json()["details"][0]["reason"], "INVALID_CREDENTIALS");
    assert_eq!(
        gateway.get("/v1/auth/session", &[]).await.status,
        404,
        "the edge's own is not the contract's"
    );

    // gRPC goes through as it is; what gateways ask does not.
    let mut client = Client::connect(envoy.http.0);
    let token = tokens["accessToken"].as_str().unwrap();
    assert!(matches!(client.verify(token).await.unwrap(), Verified::As { .. }));
    let asked = gateway.post("/envoy.service.auth.v3.Authorization/Check", &[], &json!({})).await;
    assert_eq!(asked.status, 404);
}

/// The names of all fields.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(map) => map.iter().map(|(name, value)| (name.clone(), shape(value))).collect(),
        _ => Value::Null,
    }
}
