//! What kubelet does: lays out the volumes of a pod, starts its container, and asks its probes. Only the container's root
//! is missing; every path of the chart is found below a directory instead.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::rendered::Manifests;
use crate::support::http::Http;

/// What the volumes of a pod are mounted into, instead of the container's root.
pub(super) struct Node {
    root: tempfile::TempDir,
}

impl Node {
    pub(super) fn empty() -> Self {
        Self { root: tempfile::tempdir().unwrap() }
    }

    /// Lays out every volume that the container mounts, as kubelet does; Secrets of `given` were there before.
    pub(super) fn with_volumes(manifests: &Manifests, pod: &Value, given: &[Value]) -> Self {
        let node = Self::empty();
        node.lay_out_missing(manifests, pod, given);
        node
    }

    /// Does so for a further pod on the same node: what is there already is the same for both.
    pub(super) fn lay_out_missing(&self, manifests: &Manifests, pod: &Value, given: &[Value]) {
        for mount in pod["containers"][0]["volumeMounts"].as_array().unwrap() {
            let volumes = pod["volumes"].as_array().unwrap();
            let volume = volumes.iter().find(|volume| volume["name"] == mount["name"]).unwrap();
            let path = self.path(mount["mountPath"].as_str().unwrap());
            if path.exists() {
                continue;
            }
            fs::create_dir_all(&path).unwrap();
            if let Some(name) = volume["configMap"]["name"].as_str() {
                let data = &manifests.named("ConfigMap", name)["data"];
                lay_out(&path, volume, data, 0o644, |text| self.inside(text).into_bytes());
            } else if let Some(name) = volume["secret"]["secretName"].as_str() {
                let mode = volume["secret"]["defaultMode"].as_u64().unwrap().try_into().unwrap();
                let given = given.iter().find(|it| it["metadata"]["name"] == name);
                let data = &given.unwrap_or_else(|| manifests.named("Secret", name))["data"];
                lay_out(&path, volume, data, mode, |text| STANDARD.decode(text).unwrap());
            } else {
                assert!(volume["persistentVolumeClaim"].is_object(), "{volume}");
            }
        }
    }

    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path.trim_start_matches('/'))
    }

    /// The text with the container's paths as they are here.
    pub(super) fn inside(&self, text: &str) -> String {
        let root = self.root.path().to_str().unwrap();
        ["/etc/countersign", "/var/lib/countersign"]
            .iter()
            .fold(text.to_owned(), |text, path| text.replace(path, &format!("{root}{path}")))
    }

    /// The container's process: its arguments and environment, and nothing of ours.
    pub(super) fn command(&self, container: &Value) -> Command {
        assert!(container["env"].is_null() && container["command"].is_null());
        let arguments = container["args"].as_array().unwrap().iter();
        self.binary(arguments.map(|argument| argument.as_str().unwrap()))
    }

    pub(super) fn binary<'a>(&self, arguments: impl Iterator<Item = &'a str>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        command.args(arguments.map(|it| self.inside(it))).env_clear();
        command.current_dir(self.root.path()).stdin(Stdio::null());
        command
    }
}

/// A file for each entry, behind links, so that all of them change in one step.
fn lay_out(folder: &Path, volume: &Value, data: &Value, mode: u32, decode: impl Fn(&str) -> Vec<u8>) {
    let version = folder.join("..2026_01_01");
    fs::create_dir(&version).unwrap();
    symlink("..2026_01_01", folder.join("..data")).unwrap();
    let items = volume["secret"]["items"].as_array();
    for (name, text) in data.as_object().unwrap() {
        if items.is_some_and(|items| items.iter().all(|item| item["key"] != **name)) {
            continue;
        }
        fs::write(version.join(name), decode(text.as_str().unwrap())).unwrap();
        fs::set_permissions(version.join(name), fs::Permissions::from_mode(mode)).unwrap();
        symlink(Path::new("..data").join(name), folder.join(name)).unwrap();
    }
}

/// A process of the pod, until it is dropped.
pub(super) struct Running(pub(super) Child);

impl Running {
    /// SIGTERM, and its exit code.
    pub(super) fn terminate(mut self) -> Option<i32> {
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
pub(super) async fn probe(container: &Value, name: &str) -> bool {
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

pub(super) async fn becomes_true(container: &Value, name: &str) {
    for _ in 0..600 {
        if probe(container, name).await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{name} fails");
}
