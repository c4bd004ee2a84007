//! What others notice of an attack: probes, an open channel, a new client; and what it costs in memory.

use std::fmt;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::target::Port;
use crate::support::client::{Client, Verified};
use crate::support::process::Dev;

/// Longer than anything may take on a machine that does other things beside the tests.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often probes are sent. Kubernetes is a hundred times slower.
const PROBE_EVERY: Duration = Duration::from_millis(100);
/// How often a token is verified.
const VERIFY_EVERY: Duration = Duration::from_millis(10);

/// What was noticed.
#[derive(Debug, Default)]
pub(super) struct Figures {
    live: Vec<Duration>,
    ready: Vec<Duration>,
    verify: Vec<Duration>,
    /// What went wrong, in words.
    pub(super) failures: Vec<String>,
    /// Resident before it began.
    pub(super) before_mib: usize,
    peak_mib: usize,
    /// Resident when it had recovered, or had time enough to.
    pub(super) after_mib: usize,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let max = |times: &[Duration]| times.iter().max().copied().unwrap_or_default();
        let (live, ready, p99) = (max(&self.live), max(&self.ready), percentile_99(&self.verify));
        let Self { before_mib, peak_mib, after_mib, .. } = self;
        write!(
            f,
            "livez ≤ {live:.1?}, readyz ≤ {ready:.1?} of {} each, verify p99 {p99:.1?} of {}, resident {before_mib} → \
             {peak_mib} → {after_mib} MiB",
            self.live.len(),
            self.verify.len(),
        )
    }
}

fn percentile_99(times: &[Duration]) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted.get((sorted.len() * 99 / 100).min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
}

/// Looks at a service until it is ended.
pub(super) struct Watch {
    process: u32,
    before_mib: usize,
    stop: Arc<AtomicBool>,
    probes: JoinHandle<Figures>,
    verifies: JoinHandle<Figures>,
    peak: JoinHandle<usize>,
}

impl Watch {
    /// Begins when a first Verify is answered.
    pub(super) fn begin(service: &Dev) -> Self {
        let (grpc, operations, process) = (service.grpc, service.operations, service.id());
        let password = service.password();
        let stop = Arc::new(AtomicBool::new(false));
        let (opened, channel_is_open) = std::sync::mpsc::channel();
        let stopped = Arc::clone(&stop);
        let verifies = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(verify(grpc, password, &stopped, &opened))
        });
        channel_is_open.recv().expect("a Verify before the attack");
        let before_mib = resident_mib(process);
        let stopped = Arc::clone(&stop);
        let probes = std::thread::spawn(move || probe(operations, &stopped));
        let stopped = Arc::clone(&stop);
        let peak = std::thread::spawn(move || {
            let mut peak = 0;
            while !stopped.load(Ordering::Relaxed) {
                peak = peak.max(resident_mib(process));
                std::thread::sleep(Duration::from_millis(20));
            }
            peak
        });
        Self { process, before_mib, stop, probes, verifies, peak }
    }

    /// Ends it once no more than the margin is resident beyond what was, or after so long.
    pub(super) fn end(self, recovery: Duration, margin_mib: usize) -> Figures {
        self.stop.store(true, Ordering::Relaxed);
        let probes = self.probes.join().unwrap();
        let verifies = self.verifies.join().unwrap();
        let peak_mib = self.peak.join().unwrap();
        let begun = Instant::now();
        while begun.elapsed() < recovery && resident_mib(self.process) > self.before_mib + margin_mib {
            std::thread::sleep(Duration::from_millis(100));
        }
        Figures {
            failures: [probes.failures, verifies.failures].concat(),
            verify: verifies.verify,
            before_mib: self.before_mib,
            peak_mib,
            after_mib: resident_mib(self.process),
            ..probes
        }
    }
}

/// How much of the process is in memory, in MiB; none when it is gone.
fn resident_mib(process: u32) -> usize {
    resident_kib(process) / 1024
}

/// The same in KiB.
pub(super) fn resident_kib(process: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<usize>().ok());
    kib.unwrap_or(0)
}

async fn verify(
    grpc: SocketAddr,
    password: Option<String>,
    stop: &AtomicBool,
    opened: &std::sync::mpsc::Sender<()>,
) -> Figures {
    let mut figures = Figures::default();
    let mut client = Client::connect(grpc);
    let password = password.expect("the admin's password");
    let token = client.login("admin", &password).await.expect("a login before the attack").access_token;
    client.verify(&token).await.unwrap();
    opened.send(()).unwrap();
    while !stop.load(Ordering::Relaxed) && figures.failures.len() < 10 {
        let begun = Instant::now();
        match tokio::time::timeout(PATIENCE, client.verify(&token)).await {
            Ok(Ok(Verified::As { .. })) => figures.verify.push(begun.elapsed()),
            other => figures.failures.push(format!("Verify on an open channel: {other:?}")),
        }
        tokio::time::sleep(VERIFY_EVERY).await;
    }
    figures
}

fn probe(operations: SocketAddr, stop: &AtomicBool) -> Figures {
    let mut figures = Figures::default();
    while !stop.load(Ordering::Relaxed) && figures.failures.len() < 10 {
        for (path, times) in [("/livez", &mut figures.live), ("/readyz", &mut figures.ready)] {
            let begun = Instant::now();
            match get(operations, path) {
                Ok(answer) if answer.starts_with("HTTP/1.1 200 ") => times.push(begun.elapsed()),
                other => figures.failures.push(format!("{path}: {other:?} after {:?}", begun.elapsed())),
            }
        }
        std::thread::sleep(PROBE_EVERY);
    }
    figures
}

/// One request on a connection of its own, as kubelets make it.
pub(super) fn get(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// What speaks TLS answers what is no TLS with an alert (RFC 8446 §6).
fn alert(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n")?;
    let mut kind = [0];
    stream.read_exact(&mut kind)?;
    assert_eq!(kind, [0x15]);
    Ok(String::new())
}

/// A client that was not there before is served by this port, perhaps not at its first try. Returns how long that took.
pub(super) fn newcomer_is_served(port: Port, address: SocketAddr) -> Duration {
    let begun = Instant::now();
    let mut tries = 0;
    loop {
        let outcome = match port {
            Port::Grpc => verify_once(address),
            Port::Edge => get(address, "/openapi.json").map_err(|error| error.to_string()),
            Port::EdgeInTls => alert(address).map_err(|error| error.to_string()),
            Port::Operations => get(address, "/livez").map_err(|error| error.to_string()),
        };
        tries += 1;
        match outcome {
            Ok(answer) if answer.is_empty() || answer.starts_with("HTTP/1.1 200 ") => return begun.elapsed(),
            other => assert!(
                begun.elapsed() < Duration::from_secs(30),
                "a new client of {port:?} is not served, at the try {tries}: {other:?}"
            ),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn verify_once(grpc: SocketAddr) -> Result<String, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut client = Client::connect(grpc);
        match tokio::time::timeout(PATIENCE, client.verify("no token")).await {
            Ok(Ok(_)) => Ok(String::new()),
            other => Err(format!("{other:?}")),
        }
    })
}
