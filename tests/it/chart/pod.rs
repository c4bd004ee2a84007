//! Does with the rendered chart what kubelet would: lays out the volumes, starts the binary with the container's
//! arguments, asks its probes, and runs what `helm test` and the notes say.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::rendered::{Chart, Manifests};
use crate::support::client::{Client, Verified};
use crate::support::database::free_port;
use crate::support::http::Http;

const TEST: &str = "the_binary_starts_as_the_chart_says_and_takes_a_login";
const PASSWORD: &str = "correct horse battery";

/// What the volumes of a pod are mounted into, instead of the container's root.
struct Node {
    root: tempfile::TempDir,
}

impl Node {
    /// Lays out every volume that the container mounts, as kubelet does.
    fn with_volumes(manifests: &Manifests, pod: &Value) -> Self {
        let node = Self { root: tempfile::tempdir().unwrap() };
        for mount in pod["containers"][0]["volumeMounts"].as_array().unwrap() {
            let volumes = pod["volumes"].as_array().unwrap();
            let volume = volumes.iter().find(|volume| volume["name"] == mount["name"]).unwrap();
            let path = node.path(mount["mountPath"].as_str().unwrap());
            fs::create_dir_all(&path).unwrap();
            if let Some(name) = volume["configMap"]["name"].as_str() {
                let data = &manifests.named("ConfigMap", name)["data"];
                lay_out(&path, data, 0o644, |text| node.inside(text).into_bytes());
            } else if let Some(name) = volume["secret"]["secretName"].as_str() {
                let mode = volume["secret"]["defaultMode"].as_u64().unwrap().try_into().unwrap();
                let data = &manifests.named("Secret", name)["data"];
                lay_out(&path, data, mode, |text| STANDARD.decode(text).unwrap());
            } else {
                assert!(volume["persistentVolumeClaim"].is_object(), "{volume}");
            }
        }
        node
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path.trim_start_matches('/'))
    }

    /// The text with the container's paths as they are here.
    fn inside(&self, text: &str) -> String {
        let root = self.root.path().to_str().unwrap();
        ["/etc/countersign", "/var/lib/countersign"]
            .iter()
            .fold(text.to_owned(), |text, path| text.replace(path, &format!("{root}{path}")))
    }

    /// The container's process: its arguments and environment, and nothing of ours.
    fn command(&self, container: &Value) -> Command {
        assert!(container["env"].is_null() && container["command"].is_null());
        let arguments = container["args"].as_array().unwrap().iter();
        self.binary(arguments.map(|argument| argument.as_str().unwrap()))
    }

    fn binary<'a>(&self, arguments: impl Iterator<Item = &'a str>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        command.args(arguments.map(|it| self.inside(it))).env_clear();
        command.current_dir(self.root.path()).stdin(Stdio::null());
        command
    }
}

/// A file for each entry, behind links, so that all of them change in one step.
fn lay_out(folder: &Path, data: &Value, mode: u32, decode: impl Fn(&str) -> Vec<u8>) {
    let version = folder.join("..2026_01_01");
    fs::create_dir(&version).unwrap();
    symlink("..2026_01_01", folder.join("..data")).unwrap();
    for (name, text) in data.as_object().unwrap() {
        fs::write(version.join(name), decode(text.as_str().unwrap())).unwrap();
        fs::set_permissions(version.join(name), fs::Permissions::from_mode(mode)).unwrap();
        symlink(Path::new("..data").join(name), folder.join(name)).unwrap();
    }
}

struct Running(Child);

impl Running {
    /// SIGTERM, and its exit code.
    fn terminate(mut self) -> Option<i32> {
        assert!(Command::new("kill").arg(self.0.id().to_string()).status().unwrap().success());
        self.0.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port of the container, by its name or its number.
fn port(container: &Value, named: &Value) -> u16 {
    let ports = container["ports"].as_array().unwrap();
    let found = ports.iter().find(|it| it["name"] == *named || it["containerPort"] == *named);
    found.unwrap_or_else(|| panic!("no port {named}"))["containerPort"].as_u64().unwrap().try_into().unwrap()
}

/// Asks a probe as kubelet does, once.
async fn probe(container: &Value, name: &str) -> bool {
    let probe = &container[name];
    if probe["grpc"].is_object() {
        let port = port(container, &probe["grpc"]["port"]);
        let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{port}")).unwrap();
        let Ok(channel) = endpoint.connect().await else { return false };
        let service = probe["grpc"]["service"].as_str().unwrap().to_owned();
        let answer = HealthClient::new(channel).check(HealthCheckRequest { service }).await;
        return answer.is_ok_and(|it| it.into_inner().status() == ServingStatus::Serving);
    }
    let address = ([127, 0, 0, 1], port(container, &probe["httpGet"]["port"])).into();
    if std::net::TcpStream::connect(address).is_err() {
        return false;
    }
    Http(address).get(probe["httpGet"]["path"].as_str().unwrap(), &[]).await.status.is_success()
}

async fn becomes_true(container: &Value, name: &str) {
    for _ in 0..600 {
        if probe(container, name).await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{name} fails");
}

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_binary_starts_as_the_chart_says_and_takes_a_login() {
    let Some(chart) = Chart::find(TEST) else { return };
    let (grpc, http, operations) =
        (free_port().to_string(), free_port().to_string(), free_port().to_string());
    let set = [
        ("ports.grpc", grpc.as_str()),
        ("ports.http", &http),
        ("ports.operations", &operations),
        ("shutdown.drainSeconds", "0"),
    ];
    let manifests = chart.render("examples/1-embedded.yaml", &set).unwrap();
    let pod = &manifests.only("Deployment")["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    let node = Node::with_volumes(&manifests, pod);
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
    let mut client = Client::connect(([127, 0, 0, 1], grpc.parse().unwrap()).into());
    let tokens = client.login("ada", PASSWORD).await.unwrap();
    let Verified::As { roles, .. } = client.verify(&tokens.access_token).await.unwrap() else { panic!() };
    assert_eq!(roles, ["admin"]);

    // `helm test`: the name of the Service is this machine here.
    let mut check = manifests.only("Pod")["spec"]["containers"][0].clone();
    for argument in check["args"].as_array_mut().unwrap() {
        *argument = argument.as_str().unwrap().replace("countersign.default.svc", "127.0.0.1").into();
    }
    let told = succeed(&node.command(&check).output().unwrap());
    assert!(told.contains("logged in, verified, refreshed, logged out"), "{told}");

    let stopped = tokio::task::spawn_blocking(move || running.terminate()).await.unwrap();
    assert_eq!(stopped, Some(0));
}

#[test]
fn every_example_is_a_configuration_that_the_binary_takes() {
    let Some(chart) = Chart::find("every_example_is_a_configuration_that_the_binary_takes") else { return };
    for example in super::EXAMPLES {
        let manifests = chart.render(example, &[]).unwrap();
        for file in manifests.all("ConfigMap") {
            let Some(text) = file["data"]["countersign.toml"].as_str() else { continue };
            let node = Node { root: tempfile::tempdir().unwrap() };
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
            let arguments = ["config", "check", "--config", config.to_str().unwrap()];
            let output = Command::new(env!("CARGO_BIN_EXE_countersign")).args(arguments).env_clear().output();
            let output = output.unwrap();
            let error = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{example}, {}: {error}\n{text}", file["metadata"]["name"]);
        }
    }
}
