//! The edge beside a gateway: a real Envoy with `grpc_json_transcoder` over the build's own descriptors, and the edge
//! with `refresh_transport = "body"` and `errors = "status"`, get the same requests. Both stand before one service.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use countersign::model::Position;
use countersign::transport::DESCRIPTORS;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::envoy::{self, Envoy};
use crate::support::http::{Answer, Http, access_token, credentials, request, service};

/// Envoy in front of gRPC, with the contract's descriptors as they are built into the binary.
fn transcoder(grpc: SocketAddr, directory: &TempDir) -> Envoy {
    let descriptors = directory.path().join("descriptors.bin");
    std::fs::write(&descriptors, DESCRIPTORS).unwrap();
    let filters = "type.googleapis.com/envoy.extensions.filters";
    Envoy::start(&format!(
        r#"
static_resources:
  listeners:
  - name: transcoder
    address: {{ socket_address: {{ address: 127.0.0.1, port_value: 0 }} }}
    filter_chains:
    - filters:
      - name: http
        typed_config:
          "@type": {filters}.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: transcoder
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes: [{{ match: {{ prefix: / }}, route: {{ cluster: countersign }} }}]
          http_filters:
          - name: transcoder
            typed_config:
              "@type": {filters}.http.grpc_json_transcoder.v3.GrpcJsonTranscoder
              proto_descriptor: {descriptors}
              services: [countersign.v1.AuthService]
              convert_grpc_status: true
          - name: router
            typed_config: {{ "@type": {filters}.http.router.v3.Router }}
  clusters:
  - name: countersign
    load_assignment:
      cluster_name: countersign
      endpoints:
      - lb_endpoints:
        - endpoint: {{ address: {{ socket_address: {{ address: {ip}, port_value: {port} }} }} }}
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {{ http2_protocol_options: {{}} }}
"#,
        descriptors = descriptors.display(),
        ip = grpc.ip(),
        port = grpc.port(),
    ))
}

/// What comes back from the service: the status and every member of the JSON are the same. `{access}` and `{refresh}`
/// are the tokens of a session of each side's own.
const ANSWERED: [(&str, &str); 39] = [
    ("login", r#"{"username":"ada","password":"correct horse battery"}"#),
    ("login", r#"{"username":"\u0061da","password":"correct horse battery","audiences":["orders"]}"#),
    (
        "login",
        r#"{"username":"ada","password":"correct horse battery","client":{"user_agent":"x","name":"y"}}"#,
    ),
    (
        "login",
        r#"{"username":"ada","password":"correct horse battery","news":{"a":[1]},"client":{"news":1}}"#,
    ),
    ("login", r#"{"username":"ada","password":"correct horse battery","audiences":null,"client":null}"#),
    ("login", r#"{"username":"ada","password":"correct horse battery","audiences":[]}"#),
    ("login", r#"{"username":"ada","password":"wrong"}"#),
    ("login", r#"{"username":"nobody","password":"wrong"}"#),
    ("login", r#"{"username":"a\u0000da","password":"wrong"}"#),
    ("login", ""),
    ("login", "{}"),
    ("login", r#"{"username":null,"password":"correct horse battery"}"#),
    ("login", r#"{"username":"ada","password":"correct horse battery","audiences":["nobody"]}"#),
    ("login", r#"{"username":"ada","password":"correct horse battery","audiences":["","orders"]}"#),
    ("refresh", r#"{"refreshToken":"{refresh}"}"#),
    ("refresh", r#"{"refresh_token":"{refresh}"}"#),
    ("refresh", r#"{"refreshToken":"{refresh}x"}"#),
    ("refresh", r#"{"refreshToken":"{access}"}"#),
    ("refresh", ""),
    ("verify", r#"{"accessToken":"{access}"}"#),
    ("verify", r#"{"accessToken":"{access}","audiences":["countersign","orders"]}"#),
    ("verify", r#"{"accessToken":"{access}","audiences":["orders"]}"#),
    ("verify", r#"{"accessToken":"{access}","maxStaleness":"10.500s"}"#),
    ("verify", r#"{"accessToken":"{access}","max_staleness":null}"#),
    ("verify", r#"{"accessToken":"{refresh}"}"#),
    ("verify", r#"{"accessToken":"x"}"#),
    ("verify", r#"{"accessToken":"{access}","maxStaleness":"-1s"}"#),
    ("verify", r#"{"accessToken":"{access}","maxStaleness":"0s"}"#),
    ("verify", "{}"),
    ("logout", r#"{"refreshToken":"x"}"#),
    ("logout", r#"{"accessToken":"x","everywhere":null}"#),
    ("logout", r#"{"refreshToken":null,"accessToken":"x"}"#),
    ("logout", r#"{"refreshToken":""}"#),
    ("logout", "{}"),
    ("logout", r#"{"accessToken":"{access}","everywhere":true}"#),
    ("logout", r#"{"refreshToken":"{refresh}","everywhere":false}"#),
    ("logout", r#"{"accessToken":"{access}"}"#),
    ("verify", r#"{"accessToken":"{access}"}"#),
    ("refresh", r#"{"refreshToken":"{refresh}"}"#),
];

/// What is no message, and never gets as far as the service. Envoy tells it in plain text of its own, so that it is
/// the status that is the same.
const UNREADABLE: [(&str, &str); 21] = [
    ("login", "{"),
    ("login", r#"{"username":"ada""#),
    ("login", "[]"),
    ("login", "null"),
    ("login", "17"),
    ("login", "\"ada\""),
    ("login", "\u{feff}{}"),
    ("login", r#"{"username":"ada","password":"correct horse battery"} x"#),
    ("login", r#"{"username":"ada","password":"correct horse battery"}{}"#),
    ("login", r#"{"username":17,"password":"correct horse battery"}"#),
    ("login", r#"{"username":true,"password":"correct horse battery"}"#),
    ("login", r#"{"username":{},"password":"correct horse battery"}"#),
    ("login", r#"{"username":["ada"],"password":"correct horse battery"}"#),
    ("login", r#"{"username":"ada","password":"correct horse battery","audiences":[1]}"#),
    ("login", r#"{"username":"ada","password":"correct horse battery","client":"x"}"#),
    ("logout", r#"{"refreshToken":"x","accessToken":"y"}"#),
    ("logout", r#"{"refreshToken":"x","everywhere":1}"#),
    ("verify", r#"{"accessToken":"x","maxStaleness":"10"}"#),
    ("verify", r#"{"accessToken":"x","maxStaleness":10}"#),
    ("verify", r#"{"accessToken":"x","maxStaleness":"1e1s"}"#),
    ("verify", r#"{"accessToken":"x","maxStaleness":"315576000001s"}"#),
];

/// What Envoy's parser reads and proto3's conformance tests forbid.
const READ_BY_ENVOY_ALONE: &[(&str, &str)] =
    &[("login", r#"{"username":"bob","username":"ada","password":"correct horse battery"}"#)];

/// One of the two, and the session that it has begun.
struct Side {
    http: Http,
    access: String,
    refresh: String,
}

impl Side {
    async fn new(http: Http) -> Self {
        let login = http.post("/v1/auth/login", &[], &credentials()).await;
        let refresh = login.json()["tokens"]["refreshToken"].as_str().unwrap().to_owned();
        Self { http, access: access_token(&login), refresh }
    }

    async fn ask(&self, method: &str, body: &str) -> Answer {
        let body = body.replace("{access}", &self.access).replace("{refresh}", &self.refresh);
        let headers = [("content-type", "application/json"), ("accept-language", "zh-CN, en;q=0.5")];
        self.http.send(request("POST", &format!("/v1/auth/{method}"), &headers, &body)).await
    }
}

/// Puts the shape in the place of what differs from one session, or one moment, to the next.
fn without_chance(json: &mut Value) {
    match json {
        Value::Array(items) => items.iter_mut().for_each(without_chance),
        Value::Object(members) => {
            for (name, value) in members {
                match (name.as_str(), value.as_str()) {
                    ("accessToken", Some(token)) => {
                        *value = token.split('.').next().unwrap_or_default().into();
                    }
                    ("refreshToken" | "id" | "sessionId" | "tokenId", Some(text)) => {
                        *value = text.len().into();
                    }
                    ("position", Some(position)) => *value = position.parse::<Position>().is_ok().into(),
                    ("revocationStaleness", Some(text)) => *value = text.ends_with('s').into(),
                    (name, Some(time)) if name.ends_with("At") || name == "authTime" => {
                        *value = shape(time).into();
                    }
                    _ => without_chance(value),
                }
            }
        }
        _ => {}
    }
}

/// A time with zeros for its digits, and without the milliseconds that it may have.
fn shape(time: &str) -> String {
    let zeros: String = time.chars().map(|each| if each.is_ascii_digit() { '0' } else { each }).collect();
    zeros.replace(".000Z", "Z")
}

#[tokio::test]
async fn the_edge_and_a_transcoding_envoy_cannot_be_told_apart() {
    if !envoy::is_installed("the_edge_and_a_transcoding_envoy_cannot_be_told_apart") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let settings =
        [("EDGE__REFRESH_TRANSPORT", "body"), ("EDGE__ERRORS", "status"), ("THROTTLE__ENABLED", "false")];
    let service = service(&settings).await;
    let envoy = transcoder(service.grpc, &directory);
    let edge = Side::new(service.http).await;
    let gateway = Side::new(Http(envoy.address("transcoder"))).await;

    let mut statuses = BTreeMap::new();
    for (method, body) in ANSWERED {
        let (ours, theirs) = (edge.ask(method, body).await, gateway.ask(method, body).await);
        assert_eq!(ours.status, theirs.status, "{method} {body}: {ours:?} {theirs:?}");
        assert_eq!(ours.header("content-type"), theirs.header("content-type"), "{method} {body}");
        let (mut our_json, mut their_json) = (ours.json(), theirs.json());
        [&mut our_json, &mut their_json].into_iter().for_each(without_chance);
        assert_eq!(our_json, their_json, "{method} {body}");
        *statuses.entry(ours.status.as_u16()).or_insert(0) += 1;
    }
    println!("the same status and JSON, by status: {statuses:?}");
    assert_eq!(statuses.keys().copied().collect::<Vec<_>>(), [200, 400, 401, 503]);

    for (method, body) in UNREADABLE {
        let (ours, theirs) = (edge.ask(method, body).await, gateway.ask(method, body).await);
        assert_eq!((ours.status.as_u16(), theirs.status.as_u16()), (400, 400), "{method} {body}: {theirs:?}");
        assert_eq!(ours.json()["details"][0]["reason"], "INVALID_REQUEST", "{ours:?}");
        assert_eq!(theirs.header("content-type"), "text/plain", "{theirs:?}");
    }
    for (method, body) in READ_BY_ENVOY_ALONE {
        let (ours, theirs) = (edge.ask(method, body).await, gateway.ask(method, body).await);
        assert_eq!((ours.status.as_u16(), theirs.status.as_u16()), (400, 200), "{method} {body}: {theirs:?}");
    }
    println!("the same status: {} requests that are no message", UNREADABLE.len());
}
