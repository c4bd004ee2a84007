//! A real Envoy, on ports that it chooses itself.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use super::http::Http;
use super::tool;

/// Whether the tests that need Envoy can run; says SKIPPED otherwise.
pub(crate) fn is_installed(test: &str) -> bool {
    tool::find("envoy", test).is_some()
}

/// One Envoy, gone when this is dropped.
pub(crate) struct Envoy {
    child: Child,
    directory: TempDir,
    listeners: BTreeMap<String, SocketAddr>,
    /// Where its administration is.
    pub(crate) admin: SocketAddr,
}

impl Envoy {
    /// Starts with this configuration (YAML or JSON, without `admin`), whose listeners have a name each and the port 0,
    /// and returns when all of them are served.
    pub(crate) fn start(configuration: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let [file, admin, log] = ["envoy.yaml", "admin", "log"].map(|name| directory.path().join(name));
        fs::write(&file, configuration).unwrap();
        let output = fs::File::create(log).unwrap();
        let child = Command::new(tool::find("envoy", "").expect("Envoy is installed"))
            .args(["--disable-hot-restart", "--concurrency", "1", "--log-level", "warning", "--config-path"])
            .arg(file)
            .args([
                "--config-yaml",
                "admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}",
            ])
            .arg("--admin-address-path")
            .arg(&admin)
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .expect("Envoy starts");
        let nowhere = SocketAddr::from(([0; 4], 0));
        let mut envoy = Self { child, directory, listeners: BTreeMap::new(), admin: nowhere };
        envoy.until("it has an administration port", || {
            fs::read_to_string(&admin).ok().filter(|it| !it.is_empty())
        });
        let admin: SocketAddr = fs::read_to_string(admin).unwrap().trim().parse().unwrap();
        envoy.until("it is live", || get(admin, "/ready").filter(|answer| answer.contains("LIVE")));
        let listeners = get(admin, "/listeners").expect("it tells its listeners");
        envoy.listeners = addresses(&listeners);
        envoy.admin = admin;
        envoy
    }

    /// Where the listener of this name is.
    pub(crate) fn address(&self, listener: &str) -> SocketAddr {
        *self.listeners.get(listener).unwrap_or_else(|| panic!("no {listener} in {:?}", self.listeners))
    }

    /// Waits until it takes every server of its clusters for healthy.
    pub(crate) async fn until_healthy(&self) {
        for _ in 0..1200 {
            let clusters = Http(self.admin).get("/clusters", &[]).await;
            if !String::from_utf8_lossy(&clusters.body).contains("failed_active_hc") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("a server is not healthy to Envoy:\n{}", self.log());
    }

    /// Everything it has logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// What `question` answers at last; panics with the log when it answers nothing, or Envoy is gone.
    fn until<T>(&mut self, what: &str, question: impl Fn() -> Option<T>) -> T {
        for _ in 0..600 {
            if let Some(answer) = question() {
                return answer;
            }
            assert!(self.child.try_wait().unwrap().is_none(), "Envoy ended before {what}:\n{}", self.log());
            thread::sleep(Duration::from_millis(50));
        }
        panic!("Envoy does not come to the point where {what}:\n{}", self.log());
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An answer with status 200, as it is on the wire.
fn get(admin: SocketAddr, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(admin).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.split_whitespace().nth(1).filter(|status| *status == "200")?;
    Some(answer)
}

/// The lines `name::address` of an answer.
fn addresses(listeners: &str) -> BTreeMap<String, SocketAddr> {
    let named = listeners.lines().filter_map(|line| line.split_once("::"));
    named.filter_map(|(name, address)| Some((name.to_owned(), address.parse().ok()?))).collect()
}
