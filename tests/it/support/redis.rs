//! Real Redis servers on free ports: one alone, a Cluster of three, a master with a replica and three Sentinels.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{LazyLock, mpsc};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use super::tool;

/// Whether the tests that need Redis can run; says SKIPPED otherwise.
pub(crate) fn is_installed(test: &str) -> bool {
    ["redis-server", "redis-cli", "setpriv"].iter().all(|tool| tool::find(tool, test).is_some())
}

/// Starts children from a thread that lives as long as the process: they are killed with the thread that started
/// them, and a test's own thread ends with the test.
fn spawn(command: Command) -> Child {
    type Order = (Command, mpsc::Sender<Child>);
    static STARTER: LazyLock<mpsc::Sender<Order>> = LazyLock::new(|| {
        let (orders, taken) = mpsc::channel::<Order>();
        thread::spawn(move || {
            for (mut command, reply) in taken {
                let _ = reply.send(command.spawn().expect("redis-server starts"));
            }
        });
        orders
    });
    let (reply, child) = mpsc::channel();
    STARTER.send((command, reply)).unwrap();
    child.recv().unwrap()
}

/// A port that is free, and whose Cluster bus port is too.
pub(crate) fn free_port() -> u16 {
    loop {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        if port < 55_000 && TcpListener::bind(("127.0.0.1", port + 10_000)).is_ok() {
            return port;
        }
    }
}

/// One redis-server.
pub(crate) struct Server {
    child: Child,
    /// Where it listens, on 127.0.0.1.
    pub(crate) port: u16,
    directory: TempDir,
    arguments: Vec<String>,
}

impl Server {
    /// A server that keeps nothing on disk.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same, with more arguments.
    pub(crate) fn start_with(arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect::<Vec<_>>();
        let directory = tempfile::tempdir().unwrap();
        loop {
            let port = free_port();
            let mut child = launch(port, directory.path(), &arguments);
            if answers(&mut child, port) {
                return Self { child, port, directory, arguments };
            }
        }
    }

    /// `redis://…` for it.
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Runs a command on it; returns what it answers.
    pub(crate) fn cli(&self, arguments: &[&str]) -> String {
        cli(self.port, arguments)
    }

    /// How often a command was executed for clients and within scripts since the last `CONFIG RESETSTAT`.
    pub(crate) fn calls(&self, command: &str) -> u64 {
        let stats = self.cli(&["INFO", "commandstats"]);
        let line = stats.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
        line.and_then(|line| line.split(',').next()).map_or(0, |calls| calls.parse().unwrap())
    }

    /// Sends a signal, such as STOP, CONT or KILL.
    pub(crate) fn signal(&self, signal: &str) {
        let status = Command::new("kill").args(["-s", signal, &self.child.id().to_string()]).status();
        assert!(status.unwrap().success());
    }

    /// SIGKILL: nothing of it runs on.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again after it was killed, on its port and with what it has on disk.
    pub(crate) fn restart(&mut self) {
        loop {
            self.child = launch(self.port, self.directory.path(), &self.arguments);
            if answers(&mut self.child, self.port) {
                return;
            }
        }
    }

    /// A copy of what it has on disk, which its log of appended commands is at any moment.
    pub(crate) fn copy(&self) -> TempDir {
        let copy = tempfile::tempdir().unwrap();
        copy_directory(self.directory.path(), copy.path());
        copy
    }

    /// Puts an earlier copy in the place of what is on disk, while it does not run.
    pub(crate) fn fall_back_to(&self, copy: &TempDir) {
        clear(self.directory.path());
        copy_directory(copy.path(), self.directory.path());
    }
}

fn copy_directory(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from.join(".")).arg(to).status();
    assert!(copied.expect("cp runs").success());
}

fn clear(directory: &Path) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn launch(port: u16, directory: &Path, arguments: &[String]) -> Child {
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "redis-server", "--port", &port.to_string(), "--bind", "127.0.0.1"])
        .args(["--save", "", "--logfile", "server.log", "--dir"])
        .arg(directory)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    spawn(command)
}

/// Waits until the server answers; false when it has ended instead, because another process took its port.
fn answers(child: &mut Child, port: u16) -> bool {
    loop {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        if ["PONG", "NOAUTH"].iter().any(|answer| cli(port, &["PING"]).contains(answer)) {
            return true;
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// Runs a command on the server at this port.
pub(crate) fn cli(port: u16, arguments: &[&str]) -> String {
    let output = run_cli(port, arguments);
    String::from_utf8_lossy(&output.stdout).trim().to_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// The same; returns what it answers as it is.
pub(crate) fn cli_bytes(port: u16, arguments: &[&str]) -> Vec<u8> {
    run_cli(port, arguments).stdout
}

fn run_cli(port: u16, arguments: &[&str]) -> Output {
    Command::new("timeout")
        .args(["5", "redis-cli", "-h", "127.0.0.1", "-p", &port.to_string()])
        .args(arguments)
        .output()
        .expect("redis-cli runs")
}

/// Waits for something that a server does in its own time.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..3000 {
        if holds() {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("{what}: it never came to that");
}

/// A Cluster of three masters.
pub(crate) struct Cluster {
    /// The nodes; each serves a third of the slots.
    pub(crate) nodes: Vec<Server>,
}

impl Cluster {
    /// Starts it and waits until every node takes it for whole.
    pub(crate) fn start() -> Self {
        let options = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"];
        let nodes: Vec<Server> = (0..3).map(|_| Server::start_with(&options)).collect();
        let addresses: Vec<String> = nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
        let made = Command::new("redis-cli")
            .args(["--cluster", "create"])
            .args(&addresses)
            .args(["--cluster-replicas", "0", "--cluster-yes"])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stdout));
        let cluster = Self { nodes };
        until("the cluster is whole", || {
            cluster.nodes.iter().all(|node| node.cli(&["CLUSTER", "INFO"]).contains("cluster_state:ok"))
        });
        cluster
    }

    /// `redis-cluster://…` by one of its nodes.
    pub(crate) fn url(&self) -> String {
        format!("redis-cluster://127.0.0.1:{}", self.nodes[0].port)
    }
}

/// A master, a replica, and three Sentinels that watch them.
pub(crate) struct Sentinels {
    /// The master at first.
    pub(crate) master: Server,
    /// Its replica at first.
    pub(crate) replica: Server,
    watchers: Vec<(Child, u16)>,
    _directory: TempDir,
}

impl Sentinels {
    /// Starts all and waits until the Sentinels know each other and the replica.
    pub(crate) fn start() -> Self {
        let master = Server::start();
        let replica = Server::start_with(&["--replicaof", "127.0.0.1", &master.port.to_string()]);
        until("the replica follows", || {
            replica.cli(&["INFO", "replication"]).contains("master_link_status:up")
        });
        let directory = tempfile::tempdir().unwrap();
        let watchers: Vec<_> = (0..3).map(|number| sentinel(number, directory.path(), master.port)).collect();
        let all = Self { master, replica, watchers, _directory: directory };
        until("the Sentinels know all", || {
            all.watchers.iter().all(|(_, port)| {
                let state = cli(*port, &["INFO", "sentinel"]);
                state.contains("slaves=1,sentinels=3") && state.contains("status=ok")
            })
        });
        all
    }

    /// `redis-sentinel://…`
    pub(crate) fn url(&self) -> String {
        let ports: Vec<_> = self.watchers.iter().map(|(_, port)| format!("127.0.0.1:{port}")).collect();
        format!("redis-sentinel://{}/main", ports.join(","))
    }
}

impl Drop for Sentinels {
    fn drop(&mut self) {
        for (child, _) in &mut self.watchers {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn sentinel(number: usize, directory: &Path, master: u16) -> (Child, u16) {
    let file: PathBuf = directory.join(format!("sentinel-{number}.conf"));
    loop {
        let port = free_port();
        let configuration = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\nsentinel monitor main 127.0.0.1 {master} 2\n\
             sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 5000\n",
            directory.display()
        );
        fs::write(&file, configuration).unwrap();
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "redis-server"])
            .arg(&file)
            .arg("--sentinel")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut child = spawn(command);
        if answers(&mut child, port) {
            return (child, port);
        }
    }
}
