//! The binary, started as the rendered chart says: the same arguments, files, paths and ports. Its probes answer, and what
//! the notes and `helm test` do works.

use std::fs;
use std::process::{Command, Output, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Value, json};

use super::kubelet::{Node, Running, becomes_true, probe};
use super::rendered::{Chart, Manifests};
use crate::support::client::{Client, Verified};
use crate::support::database::free_port;

const TEST: &str = "the_binary_starts_as_the_chart_says_and_takes_a_login";
const PASSWORD: &str = "correct horse battery";

fn succeed(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The line of the notes that makes a user without a prompt, as arguments of the binary.
fn user_create(notes: &str) -> Vec<&str> {
    let notes: Vec<&str> = notes.split_whitespace().collect();
    let end = notes.iter().position(|word| *word == "<password.txt").unwrap();
    let start = notes[..end].iter().rposition(|word| *word == "/usr/local/bin/countersign").unwrap();
    notes[start + 1..end].iter().copied().filter(|word| *word != "\\").collect()
}

/// Where the pods of one test listen.
struct Ports {
    grpc: String,
    http: String,
    operations: String,
}

impl Ports {
    fn free() -> Self {
        let port = || free_port().to_string();
        Self { grpc: port(), http: port(), operations: port() }
    }

    /// The values that say so, no time to drain, and others.
    fn set<'a>(&'a self, others: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        let mut set = vec![
            ("ports.grpc", self.grpc.as_str()),
            ("ports.http", &self.http),
            ("ports.operations", &self.operations),
            ("shutdown.drainSeconds", "0"),
        ];
        set.extend(others);
        set
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_binary_starts_as_the_chart_says_and_takes_a_login() {
    let Some(chart) = Chart::find(TEST) else { return };
    let ports = Ports::free();
    let set = ports.set(&[]);
    let manifests = chart.render("examples/1-embedded.yaml", &set).unwrap();
    let pod = &manifests.only("Deployment")["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    let node = Node::with_volumes(&manifests, pod, &[]);
    let running = Running(node.command(container).stderr(Stdio::null()).spawn().unwrap());

    becomes_true(container, "startupProbe").await;
    becomes_true(container, "readinessProbe").await;
    assert!(probe(container, "livenessProbe").await);

    let notes = chart.notes("examples/1-embedded.yaml", &set);
    let password = node.path("password.txt");
    fs::write(&password, PASSWORD).unwrap();
    let mut create = node.binary(user_create(&notes).into_iter());
    let created = create.stdin(fs::File::open(password).unwrap()).output().unwrap();
    assert!(succeed(&created).starts_with("ada is created"));
    let mut client = Client::connect(([127, 0, 0, 1], ports.grpc.parse().unwrap()).into());
    let tokens = client.login("ada", PASSWORD).await.unwrap();
    let Verified::As { roles, .. } = client.verify(&tokens.access_token).await.unwrap() else { panic!() };
    assert_eq!(roles, ["admin"]);

    helm_test(&node, &manifests);
    let stopped = tokio::task::spawn_blocking(move || running.terminate()).await.unwrap();
    assert_eq!(stopped, Some(0));
}

/// Runs what `helm test` runs; the name of the Service is this machine here.
fn helm_test(node: &Node, manifests: &Manifests) {
    let mut check = manifests.only("Pod")["spec"]["containers"][0].clone();
    for argument in check["args"].as_array_mut().unwrap() {
        *argument = argument.as_str().unwrap().replace("countersign.default.svc", "127.0.0.1").into();
    }
    let told = succeed(&node.command(&check).output().unwrap());
    assert!(told.contains("logged in, verified, refreshed, logged out"), "{told}");
}

/// Secrets as cert-manager makes them: of the server and of a client, by one authority.
fn certificates() -> [Value; 2] {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    [("server", "127.0.0.1"), ("client", "test.example")].map(|(name, subject)| {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new([subject.to_owned()]).unwrap();
        let certificate = certificate.signed_by(&key, &authority).unwrap();
        let encode = |text: String| STANDARD.encode(text);
        json!({ "metadata": { "name": name }, "data": {
            "ca.crt": encode(authority.pem()),
            "tls.crt": encode(certificate.pem()),
            "tls.key": encode(key.serialize_pem()),
        } })
    })
}

/// What `helm test` runs, less the client's certificate.
fn without_certificate(manifests: &Manifests) -> Value {
    let mut check = manifests.only("Pod")["spec"]["containers"][0].clone();
    let arguments = check["args"].as_array().unwrap().iter().map(|it| it.as_str().unwrap());
    let mut kept: Vec<String> =
        arguments.map(|it| it.replace("countersign.default.svc", "127.0.0.1")).collect();
    let at = kept.iter().position(|it| it == "--certificate-file").unwrap();
    kept.truncate(at);
    check["args"] = json!(kept);
    check
}

/// Starts the chart's pod with TLS on the gRPC port and these values, runs `helm test`, and lets a client without a
/// certificate try the same; returns the container and how that client fared.
async fn a_client_without_a_certificate(chart: &Chart, values: &[(&str, &str)]) -> (Value, Output) {
    let ports = Ports::free();
    let mut others = vec![
        ("tls.grpc.enabled", "true"),
        ("tls.grpc.existingSecret", "server"),
        ("tls.grpc.clientCaSecret", "client"),
        ("test.clientSecret", "client"),
    ];
    others.extend(values);
    let manifests = chart.render("values.yaml", &ports.set(&others)).unwrap();
    let pod = &manifests.only("Deployment")["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    let secrets = certificates();
    let node = Node::with_volumes(&manifests, pod, &secrets);
    let running = Running(node.command(container).stderr(Stdio::null()).spawn().unwrap());
    becomes_true(container, "readinessProbe").await;

    // A pod of its own, with the same database.
    node.lay_out_missing(&manifests, &manifests.only("Pod")["spec"], &secrets);
    helm_test(&node, &manifests);

    let without = node.command(&without_certificate(&manifests)).output().unwrap();
    let stopped = tokio::task::spawn_blocking(move || running.terminate()).await.unwrap();
    assert_eq!(stopped, Some(0));
    (container.clone(), without)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_mtls_the_operations_port_is_probed_and_helm_test_has_a_certificate() {
    let test = "under_mtls_the_operations_port_is_probed_and_helm_test_has_a_certificate";
    let Some(chart) = Chart::find(test) else { return };
    let required = [("tls.grpc.clientCertificates", "required")];
    let (container, refused) = a_client_without_a_certificate(&chart, &required).await;
    assert!(container["readinessProbe"]["grpc"].is_null());
    assert_eq!(refused.status.code(), Some(1), "{}", String::from_utf8_lossy(&refused.stderr));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_grpc_allow_keeps_for_some_callers_the_binary_refuses_to_others() {
    let test = "what_grpc_allow_keeps_for_some_callers_the_binary_refuses_to_others";
    let Some(chart) = Chart::find(test) else { return };
    let allowed = [
        ("tls.grpc.clientCertificates", "optional"),
        ("grpc.allow[0].methods", "{countersign.v1.AuthService/Login}"),
        ("grpc.allow[0].sans", "{dns:test.example,spiffe://example.org/ns/shop/*}"),
    ];
    let (_, refused) = a_client_without_a_certificate(&chart, &allowed).await;
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && told.contains("This program may not do that."), "{told}");
}

#[test]
fn every_example_is_a_configuration_that_the_binary_takes() {
    let Some(chart) = Chart::find("every_example_is_a_configuration_that_the_binary_takes") else { return };
    for example in super::EXAMPLES {
        let manifests = chart.render(example, &[]).unwrap();
        for file in manifests.all("ConfigMap") {
            let Some(text) = file["data"]["countersign.toml"].as_str() else { continue };
            let node = Node::empty();
            fs::create_dir_all(node.path("/etc/countersign/secrets")).unwrap();
            for (secret, value) in [
                ("database-url", "postgres://countersign@postgres:5432/countersign"),
                ("redis-url", "redis://redis:6379"),
                ("redis-sentinel-password", "of the Sentinels"),
            ] {
                fs::write(node.path("/etc/countersign/secrets").join(secret), value).unwrap();
            }
            let config = node.path("/etc/countersign/countersign.toml");
            fs::write(&config, node.inside(text)).unwrap();
            let arguments = ["config", "check", "--skip-files", "--config", config.to_str().unwrap()];
            let output = Command::new(env!("CARGO_BIN_EXE_countersign")).args(arguments).env_clear().output();
            let output = output.unwrap();
            let error = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{example}, {}: {error}\n{text}", file["metadata"]["name"]);
        }
    }
}
