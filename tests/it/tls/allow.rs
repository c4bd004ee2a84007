//! Which callers may use which methods.

use countersign::grpc::proto::v1;
use countersign::grpc::proto::v1::revocation_service_client::RevocationServiceClient;
use countersign::grpc::proto::v1::watch_revocations_request::Message as Say;
use countersign_verifier::client::ConnectOptions;
use countersign_verifier::{Rules, Verifier};
use tonic::Code;
use tonic::transport::Channel;

use super::{Secured, verify};
use crate::support::grpc::assert_refused;
use crate::support::tls::Authority;

const ORDERS: &str = "spiffe://example.org/ns/shop/sa/orders";
const RULES: &str = r#"[{ methods = ["countersign.v1.RevocationService/*"],
    sans = ["spiffe://example.org/ns/shop/*", "dns:gateway.example.org"] }]"#;

/// Whether there was no answer at all, because the connection never came to be.
fn is_cut(status: &tonic::Status) -> bool {
    std::error::Error::source(status).is_some_and(<dyn std::error::Error>::is::<tonic::transport::Error>)
}

async fn watch(channel: Channel) -> Result<(), tonic::Status> {
    let start = v1::WatchRevocationsRequest { message: Some(Say::Start(v1::WatchStart::default())) };
    let said = tokio_stream::iter([start]);
    RevocationServiceClient::new(channel).watch_revocations(said).await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_without_a_good_certificate_is_refused_where_one_is_required() {
    let secured = Secured::start(&[("GRPC__TLS__CLIENT_CERTIFICATES", "required")]).await;
    let stranger = Authority::new().issue(&[ORDERS]);
    for (name, pair) in [("nobody", None), ("stranger", Some(&stranger))] {
        let refused = verify(secured.channel(name, pair)).await.unwrap_err();
        assert!(is_cut(&refused), "{name}: {refused:?}");
    }
    let known = secured.authority.issue(&[ORDERS]);
    verify(secured.channel("known", Some(&known))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_method_that_a_rule_names_is_open_to_those_whom_it_names_alone() {
    let settings = [("GRPC__TLS__CLIENT_CERTIFICATES", "optional"), ("GRPC__ALLOW", RULES)];
    let secured = Secured::start(&settings).await;
    let issue = |name: &str| secured.authority.issue(&[name]);
    for (name, pair) in [
        ("nobody", None),
        ("other", Some(issue("spiffe://example.org/ns/shopping/sa/orders"))),
        ("host", Some(issue("orders.example.org"))),
    ] {
        let channel = secured.channel(name, pair.as_ref());
        let refused = watch(channel.clone()).await.unwrap_err();
        assert_refused(&refused, Code::PermissionDenied, "CALLER_NOT_ALLOWED");
        verify(channel).await.unwrap();
    }
    for name in [ORDERS, "Gateway.Example.Org"] {
        watch(secured.channel("named", Some(&issue(name)))).await.unwrap();
    }
    let stranger = Authority::new().issue(&[ORDERS]);
    let refused = verify(secured.channel("stranger", Some(&stranger))).await.unwrap_err();
    assert!(is_cut(&refused), "one that is not good is worse than none: {refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_client_crate_follows_a_server_that_wants_a_certificate() {
    let settings = [("GRPC__TLS__CLIENT_CERTIFICATES", "required"), ("GRPC__ALLOW", RULES)];
    let secured = Secured::start(&settings).await;
    let certificate = secured.authority.issue(&[ORDERS]).write(secured.files.path(), "orders");
    let options = ConnectOptions::new(Rules::new("countersign", vec!["orders".to_owned()]));
    let verifier = Verifier::connect(secured.server(Some(certificate)), options);
    tokio::time::timeout(super::PATIENCE, verifier.ready()).await.expect("keys and revocations are loaded");
}

#[tokio::test]
async fn a_rule_that_guards_nothing_stops_the_start() {
    let data = tempfile::tempdir().unwrap();
    let (authority, files) = (Authority::new(), tempfile::tempdir().unwrap());
    let (certificate, key) = authority.issue(&["localhost"]).write(files.path(), "server");
    let settings = [
        ("GRPC__LISTEN", "127.0.0.1:0"),
        ("EDGE__LISTEN", "127.0.0.1:0"),
        ("OPERATIONS__LISTEN", "127.0.0.1:0"),
        ("GRPC__TLS__CERTIFICATE_FILE", certificate.to_str().unwrap()),
        ("GRPC__TLS__KEY_FILE", key.to_str().unwrap()),
        ("GRPC__TLS__CLIENT_CA_FILE", certificate.to_str().unwrap()),
        ("GRPC__TLS__CLIENT_CERTIFICATES", "optional"),
        ("GRPC__ALLOW", r#"[{ methods = ["countersign.v1.RevokationService/*"], sans = ["*"] }]"#),
    ];
    let settings = settings.map(|(key, value)| (format!("COUNTERSIGN__{key}"), value.to_owned()));
    let config = countersign::config::Config::load_dev(data.path(), settings, &[]).unwrap();
    let Err(refused) = countersign::app::App::build(config, true).await else { panic!("it starts") };
    let text = refused.to_string();
    assert!(text.starts_with("grpc.allow: ") && text.contains("RevokationService"), "{text}");
}

/// A replica that other machines reach, by its address on this one.
async fn reached_from_elsewhere(
    allow: &str,
) -> (crate::support::replica::Replica, Channel, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let database = format!("sqlite://{}", directory.path().join("countersign.db").display());
    let deployment = crate::support::replica::Deployment::on(&database, None)
        .with("GRPC__LISTEN", "0.0.0.0:0")
        .with("GRPC__REFLECTION", "true");
    let deployment = if allow.is_empty() { deployment } else { deployment.with("GRPC__ALLOW", allow) };
    deployment.prepare();
    let replica = deployment.start();
    let address = format!("http://127.0.0.1:{}", replica.grpc.port());
    let channel = Channel::from_shared(address).unwrap().connect().await.unwrap();
    (replica, channel, directory)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_machines_are_told_of_revocations_only_by_a_rule() {
    let (replica, channel, _directory) = reached_from_elsewhere("").await;
    let refused = watch(channel.clone()).await.unwrap_err();
    assert_refused(&refused, Code::PermissionDenied, "CALLER_NOT_ALLOWED");
    watch(channel.clone()).await.unwrap_err();
    verify(channel).await.unwrap();
    let log = replica.log();
    assert_eq!(log.matches("[[grpc.allow]]").count(), 1, "which rule opens it is said once: {log}");

    let rule = r#"[{ methods = ["countersign.v1.RevocationService/*"], sans = ["anyone"] }]"#;
    let (_replica, channel, _directory) = reached_from_elsewhere(rule).await;
    watch(channel).await.unwrap();
}
