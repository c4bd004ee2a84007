//! The edge beside a gateway: a real Envoy with `grpc_json_transcoder` over the build's own descriptors, and the edge
//! with the refresh token in the bodies, get the same requests.

use std::net::SocketAddr;

use countersign::transport::DESCRIPTORS;
use tempfile::TempDir;

use crate::support::envoy::{self, Envoy};
use crate::support::http::{Answer, Http, credentials, service};

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

#[tokio::test]
async fn a_transcoding_envoy_serves_the_contract() {
    if !envoy::is_installed("a_transcoding_envoy_serves_the_contract") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let service = service(&[("EDGE__REFRESH_TRANSPORT", "body")]).await;
    let envoy = transcoder(service.grpc, &directory);
    let answer: Answer = Http(envoy.address("transcoder")).post("/v1/auth/login", &[], &credentials()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["session"]["username"], "ada");
}
