//! The real binary, as a child process.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// The longest that any step of a start may take before the test gives up; far more than it needs, for busy
/// machines.
const PATIENCE: Duration = Duration::from_mins(1);

/// A `countersign dev` on ports of its own.
pub(crate) struct Dev {
    child: Child,
    /// What it printed until it was ready.
    pub(crate) banner: String,
    /// Where gRPC is.
    pub(crate) grpc: SocketAddr,
    /// Where HTTP is.
    pub(crate) http: SocketAddr,
    /// Where `/readyz` is.
    pub(crate) operations: SocketAddr,
    lines: Receiver<String>,
    log: Arc<Mutex<String>>,
}

impl Dev {
    /// Starts on this data directory and returns when it is ready.
    pub(crate) fn start(data: &Path) -> Self {
        Self::start_with(data, &[])
    }

    /// The same, with these variables in its environment.
    pub(crate) fn start_with_env(data: &Path, variables: &[(&str, &str)]) -> Self {
        Self::spawn(Command::new(binary()), data, &[], variables)
    }

    /// The same, with more arguments.
    pub(crate) fn start_with(data: &Path, arguments: &[&str]) -> Self {
        Self::spawn(Command::new(binary()), data, arguments, &[])
    }

    /// The same, with at most so much data memory in bytes and so many file descriptors.
    pub(crate) fn start_within(
        data: &Path,
        memory: usize,
        descriptors: usize,
        variables: &[(&str, &str)],
    ) -> Self {
        let mut command = Command::new("prlimit");
        command.args([format!("--data={memory}"), format!("--nofile={descriptors}")]).arg("--").arg(binary());
        Self::spawn(command, data, &[], variables)
    }

    fn spawn(mut command: Command, data: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        command
            .args([
                "dev",
                "--grpc-listen",
                "127.0.0.1:0",
                "--http-listen",
                "127.0.0.1:0",
                "--operations-listen",
                "127.0.0.1:0",
                "--data-dir",
            ])
            .arg(data)
            .args(arguments)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let log = Arc::new(Mutex::new(String::new()));
        let lines = follow(&mut child, log.clone());
        let mut banner = String::new();
        let (mut grpc, mut http, mut operations) = (None, None, None);
        loop {
            let Ok(line) = lines.recv_timeout(PATIENCE) else {
                let _ = child.kill();
                panic!("countersign dev was not ready:\n{banner}\n{}", log.lock().unwrap());
            };
            banner += &line;
            banner.push('\n');
            let words: Vec<_> = line.split_whitespace().collect();
            match words.as_slice() {
                ["gRPC", address, ..] => grpc = address.parse().ok(),
                ["HTTP", address, ..] => http = address.split("//").last().unwrap_or_default().parse().ok(),
                ["operations", address, ..] => {
                    operations = address
                        .split("//")
                        .last()
                        .unwrap_or_default()
                        .split('/')
                        .next()
                        .and_then(|a| a.parse().ok());
                }
                ["Ready.", ..] => break,
                _ => {}
            }
        }
        let (grpc, operations) = (grpc.expect("a gRPC address"), operations.expect("an operations address"));
        let http = http.expect("an HTTP address");
        Self { child, banner, grpc, http, operations, lines, log }
    }

    /// The admin's password, as it was printed; none when it was made by an earlier start.
    pub(crate) fn password(&self) -> Option<String> {
        let line =
            self.banner.lines().find(|line| line.contains("password") && line.contains("only this once"))?;
        line.split_whitespace().find(|word| word.matches('-').count() == 3).map(str::to_owned)
    }

    /// The next `count` lines that are not empty after the one that said it was ready.
    pub(crate) fn rest_of_banner(&self, count: usize) -> Vec<String> {
        let next = || self.lines.recv_timeout(PATIENCE).expect("another line of the banner");
        std::iter::repeat_with(next).filter(|line| !line.trim().is_empty()).take(count).collect()
    }

    /// Everything it has logged.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// What it logs, also after it is gone.
    pub(crate) fn log_handle(&self) -> Arc<Mutex<String>> {
        Arc::clone(&self.log)
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    pub(crate) fn is_alive(&mut self) -> bool {
        self.child.try_wait().expect("it can be waited for").is_none()
    }

    /// SIGKILL: nothing of it runs on.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it can be waited for");
    }

    /// SIGTERM, and its exit code.
    pub(crate) fn terminate(mut self) -> Option<i32> {
        let status = Command::new("kill").arg(self.child.id().to_string()).status().expect("kill runs");
        assert!(status.success());
        self.child.wait().expect("it can be waited for").code()
    }
}

/// What is tested: the binary that cargo has built, or the one that `COUNTERSIGN_BIN` names (`make abuse`).
fn binary() -> OsString {
    std::env::var_os("COUNTERSIGN_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_countersign").into())
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Standard output line by line, and standard error into `log`.
fn follow(child: &mut Child, log: Arc<Mutex<String>>) -> Receiver<String> {
    let (sender, lines) = channel();
    let stdout = child.stdout.take().expect("standard output is piped");
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    let mut stderr = child.stderr.take().expect("standard error is piped");
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(n @ 1..) = stderr.read(&mut buffer) {
            log.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..n]));
        }
    });
    lines
}
