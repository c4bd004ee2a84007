//! A proxy with a recipe of `examples/gateways`: the very file, but for the ports, and for the time that Envoy gives a
//! check, which is for builds that are optimised and machines that do nothing else.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use countersign::transport::DESCRIPTORS;

use super::fleet::Fleet;
use crate::support::database::{Account, Directory, Process, find, free_port, until};
use crate::support::envoy::{self, Envoy};
use crate::support::http::Http;

/// Where the recipes say that things are.
const INGRESS: &str = "10000";
const APPLICATION: &str = "3000";
const GRPC: [&str; 2] = ["50051", "50052"];
const EDGE: [&str; 2] = ["8080", "8081"];
const COLLECTOR: &str = "4317";
/// Their path of the contract's descriptors.
const DESCRIPTORS_FILE: &str = "countersign.pb";

/// A recipe in front of these replicas and this application.
pub(super) struct Recipe(String);

impl Recipe {
    /// A file of `examples/gateways`.
    pub(super) fn new(file: &str, fleet: &Fleet, application: SocketAddr) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/gateways").join(file);
        let mut text = fs::read_to_string(path).unwrap();
        let mut ports = vec![(APPLICATION, application.port())];
        for (number, replica) in fleet.replicas.iter().enumerate() {
            ports.push((GRPC[number], replica.grpc.port()));
            ports.push((EDGE[number], fleet.edges[number].port()));
        }
        // By way of a name, for one port may be another's number in the recipe.
        for (written, _) in &ports {
            text = with_port(&text, written, &format!("@{written}@"));
        }
        for (written, port) in &ports {
            text = text.replace(&format!("@{written}@"), &port.to_string());
        }
        Self(text)
    }

    /// With its spans sent here.
    pub(super) fn collected_by(self, collector: SocketAddr) -> Self {
        Self(with_port(&self.0, COLLECTOR, &collector.port().to_string()))
    }

    /// With something else in the place of what is there.
    pub(super) fn changed(self, from: &str, to: &str) -> Self {
        assert!(self.0.contains(from), "the recipe has no {from}");
        Self(self.0.replace(from, to))
    }

    /// Starts Envoy, with this listener; none when it is not installed. Every replica is healthy.
    pub(super) async fn envoy(self, test: &str, listener: &str) -> Option<Proxy> {
        envoy::is_installed(test).then_some(())?;
        let directory = tempfile::tempdir().unwrap();
        let descriptors = directory.path().join(DESCRIPTORS_FILE);
        fs::write(&descriptors, DESCRIPTORS).unwrap();
        let recipe =
            with_port(&self.0, INGRESS, "0").replace(DESCRIPTORS_FILE, descriptors.to_str().unwrap());
        let recipe =
            recipe.replace("timeout: 0.2s", "timeout: 2s").replace("max_interval: 0.1s", "max_interval: 1s");
        let envoy = tokio::task::block_in_place(|| Envoy::start(&recipe));
        let proxy = Proxy { http: Http(envoy.address(listener)), server: Server::Envoy(envoy) };
        proxy.until_healthy().await;
        Some(proxy)
    }

    /// Starts nginx; none when it is not installed.
    pub(super) async fn nginx(self, test: &str) -> Option<Proxy> {
        let program = find("nginx", test)?;
        self.start("nginx.conf", |directory| {
            // Its workers are another user's when it is started by root.
            fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).unwrap();
            let mut command = Command::new(program);
            command.arg("-p").arg(directory).arg("-c").arg(directory.join("nginx.conf"));
            command.args(["-g", "daemon off;"]);
            command
        })
        .await
    }

    /// Starts Caddy; none when it is not installed.
    pub(super) async fn caddy(self, test: &str) -> Option<Proxy> {
        let program: PathBuf = find("caddy", test)?;
        self.start("Caddyfile", |directory| {
            let mut command = Command::new(program);
            command.args(["run", "--adapter", "caddyfile", "--config", "Caddyfile"]).current_dir(directory);
            command.env("HOME", directory).env("XDG_DATA_HOME", directory).env("XDG_CONFIG_HOME", directory);
            command
        })
        .await
    }

    async fn start(self, file: &str, command: impl FnOnce(&Path) -> Command) -> Option<Proxy> {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let directory = Directory::new(&Account::own());
        let text = with_port(&self.0, INGRESS, &address.port().to_string());
        fs::write(directory.path().join(file), text).unwrap();
        let command = command(directory.path());
        let process = Process::start(directory, command);
        until(&process, async || TcpStream::connect(address).is_ok()).await;
        Some(Proxy { http: Http(address), server: Server::Other(process) })
    }
}

/// Envoy writes an address in two fields, the others in one word.
fn with_port(text: &str, written: &str, port: &str) -> String {
    let text = text.replace(&format!("port_value: {written}"), &format!("port_value: {port}"));
    text.replace(&format!("127.0.0.1:{written}"), &format!("127.0.0.1:{port}"))
}

/// One proxy, until it is dropped.
pub(super) struct Proxy {
    pub(super) http: Http,
    server: Server,
}

enum Server {
    Envoy(Envoy),
    Other(Process),
}

impl Proxy {
    /// Waits until Envoy takes every replica for healthy.
    pub(super) async fn until_healthy(&self) {
        if let Server::Envoy(envoy) = &self.server {
            envoy.until_healthy().await;
        }
    }

    /// What it has logged.
    pub(super) fn log(&self) -> String {
        match &self.server {
            Server::Envoy(envoy) => envoy.log(),
            Server::Other(process) => process.log(),
        }
    }
}
