//! Replicas: real `countersign serve` processes that share their stores and their keys, and are configured by
//! environment variables alone.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::client::Client;

/// The longest that any step of a start may take before the test gives up; far more than it needs, for busy
/// machines.
const PATIENCE: Duration = Duration::from_mins(1);

/// The password of every user that [`Deployment::create_user`] makes.
pub(crate) const PASSWORD: &str = "correct horse battery";

/// What replicas have in common: a database, perhaps a Redis, a directory of keys, and their configuration.
pub(crate) struct Deployment {
    keys: TempDir,
    variables: BTreeMap<String, String>,
}

impl Deployment {
    /// On these stores, with cheap password hashes and without throttling; everything else is the default.
    pub(crate) fn on(database: &str, redis: Option<&str>) -> Self {
        // Keys are refused where others may read them.
        let keys = tempfile::Builder::new().permissions(Permissions::from_mode(0o700)).tempdir().unwrap();
        let deployment = Self { keys, variables: BTreeMap::new() };
        let directory = deployment.keys.path().to_str().unwrap().to_owned();
        deployment
            .with("DATABASE__URL", database)
            .with("REDIS__URL", redis.unwrap_or_default())
            .with("KEYS__DIRECTORY", &directory)
            .with("GRPC__LISTEN", "127.0.0.1:0")
            .with("OPERATIONS__LISTEN", "127.0.0.1:0")
            .with("EDGE__ENABLED", "false")
            .with("LOG__FORMAT", "json")
            .with("SHUTDOWN__DRAIN_DELAY", "0s")
            .with("PASSWORDS__MEMORY_KIB", "64")
            .with("PASSWORDS__ITERATIONS", "1")
            .with("THROTTLE__ENABLED", "false")
    }

    /// With a key of the configuration set, such as `ROTATION__GRACE`.
    pub(crate) fn with(mut self, key: &str, value: &str) -> Self {
        self.variables.insert(format!("COUNTERSIGN__{key}"), value.to_owned());
        self
    }

    /// Brings the database to the schema, and makes the first keys, which are in use at once.
    pub(crate) fn prepare(&self) {
        self.run(&["migrate"], "");
        for kind in ["signing", "refresh"] {
            self.generate_key(kind, "0s");
        }
    }

    /// Makes a user, whose password is [`PASSWORD`].
    pub(crate) fn create_user(&self, username: &str) {
        self.run(&["user", "create", username, "--password-stdin"], &format!("{PASSWORD}\n"));
    }

    /// Makes a key that every replica uses `activate_in` from now; replicas have it once they have looked.
    pub(crate) fn generate_key(&self, kind: &str, activate_in: &str) -> String {
        self.run(&["key", "generate", "--kind", kind, "--activate-in", activate_in], "")
    }

    /// Runs a subcommand in the environment of the replicas, which must succeed; returns what it printed.
    pub(crate) fn run(&self, arguments: &[&str], input: &str) -> String {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Starts one more replica and returns when it is ready.
    pub(crate) fn start(&self) -> Replica {
        self.start_with(&[])
    }

    /// The same, with these variables in its environment, by their full names.
    pub(crate) fn start_with(&self, variables: &[(&str, &str)]) -> Replica {
        let replica = self.spawn(variables);
        replica.wait_until_ready();
        replica
    }

    /// Starts one more replica and returns when it listens, ready or not.
    pub(crate) fn spawn(&self, variables: &[(&str, &str)]) -> Replica {
        let mut command = self.command(&["serve"]);
        command.envs(variables.iter().copied());
        Replica::spawn(command)
    }

    /// A subcommand in the environment of the replicas.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        command.args(arguments).envs(&self.variables);
        command
    }
}

/// One process.
pub(crate) struct Replica {
    child: Child,
    /// Where gRPC is.
    pub(crate) grpc: SocketAddr,
    /// Where `/readyz` is.
    pub(crate) operations: SocketAddr,
    log: Arc<Mutex<String>>,
}

impl Replica {
    fn spawn(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let log = Arc::new(Mutex::new(String::new()));
        let listening = follow(&mut child, log.clone());
        let Ok((grpc, operations)) = listening.recv_timeout(PATIENCE) else {
            let _ = child.kill();
            let _ = child.wait();
            panic!("countersign serve did not listen:\n{}", log.lock().unwrap());
        };
        Self { child, grpc, operations, log }
    }

    /// Speaks to it over a connection of its own.
    pub(crate) fn client(&self) -> Client {
        Client::connect(self.grpc)
    }

    /// Waits until `/readyz` says yes.
    pub(crate) fn wait_until_ready(&self) {
        const STEP: Duration = Duration::from_millis(10);
        for _ in 0..PATIENCE.as_millis() / STEP.as_millis() {
            if self.is_ready() {
                return;
            }
            thread::sleep(STEP);
        }
        panic!("the replica is not ready: {:?}\n{}", self.readyz(), self.log());
    }

    /// Whether `/readyz` says yes.
    pub(crate) fn is_ready(&self) -> bool {
        self.readyz().is_some_and(|(status, _)| status == 200)
    }

    /// The status of `/readyz` and its report; none when it does not answer.
    pub(crate) fn readyz(&self) -> Option<(u16, Value)> {
        readyz(self.operations)
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything it has logged: one JSON object on each line.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// SIGKILL: nothing of it runs on.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it can be waited for");
    }

    /// SIGTERM, and its exit code.
    pub(crate) fn terminate(mut self) -> Option<i32> {
        let status = Command::new("kill").arg(self.pid().to_string()).status().expect("kill runs");
        assert!(status.success());
        self.child.wait().expect("it can be waited for").code()
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        if thread::panicking() {
            let log = self.log();
            let lines: Vec<_> = log.lines().filter(|line| !line.contains(r#""level":"INFO""#)).collect();
            eprintln!(
                "the replica on {} said:\n{}",
                self.grpc,
                lines[lines.len().saturating_sub(20)..].join("\n")
            );
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The status of `/readyz` at this address and its report; none when it does not answer.
pub(crate) fn readyz(operations: SocketAddr) -> Option<(u16, Value)> {
    let mut stream = TcpStream::connect(operations).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, serde_json::from_str(body).ok()?))
}

/// Standard error into `log`; the addresses of gRPC and of the operations port as soon as it tells them.
fn follow(child: &mut Child, log: Arc<Mutex<String>>) -> Receiver<(SocketAddr, SocketAddr)> {
    let (sender, listening) = channel();
    let stderr = child.stderr.take().expect("standard error is piped");
    thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            if let Some(addresses) = addresses(&line) {
                let _ = sender.send(addresses);
            }
            let mut log = log.lock().unwrap();
            log.push_str(&line);
            log.push('\n');
        }
    });
    listening
}

fn addresses(line: &str) -> Option<(SocketAddr, SocketAddr)> {
    let line: Value = serde_json::from_str(line).ok()?;
    (line["message"] == "listening").then_some(())?;
    Some((line["grpc"].as_str()?.parse().ok()?, line["operations"].as_str()?.parse().ok()?))
}
