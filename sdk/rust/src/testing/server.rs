use std::env;
use std::ffi::OsString;
use std::fmt;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak, mpsc};
use std::thread;
use std::time::Duration;

use serde::Deserialize;
use tonic::transport::{Channel, Endpoint};

use super::World;
use crate::client::proto::test_v1::DeleteWorldRequest;
use crate::client::proto::test_v1::test_service_client::TestServiceClient;

/// How the server is started.
#[derive(Debug, Clone)]
pub struct Options {
    /// The program; `None` for what the variable `COUNTERSIGN_BIN` names, or else `countersign` on the `PATH`.
    pub binary: Option<PathBuf>,
    /// More arguments for `countersign test-server`, such as `--issuer` and `--audience`.
    pub arguments: Vec<String>,
    /// How long the start may take; 30 s.
    pub patience: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { binary: None, arguments: Vec::new(), patience: Duration::from_secs(30) }
    }
}

/// The server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There is no such program, or it cannot be run.
    #[error(
        "cannot run {program}: {source}. Install it (cargo install --git … countersign), or name it in COUNTERSIGN_BIN",
        program = .program.display()
    )]
    Program {
        /// What was run.
        program: PathBuf,
        /// Why it was not.
        source: io::Error,
    },
    /// It said nothing in time, or ended.
    #[error("countersign test-server did not start: {0}")]
    NotReady(String),
}

/// A running `countersign test-server`, which ends when this is dropped.
pub struct TestServer {
    child: Child,
    /// The server ends when this is closed, which the operating system does when this process ends.
    _input: Option<ChildStdin>,
    announcement: Announcement,
    numbers: AtomicU64,
    worlds: Given,
}

/// The worlds that tests were given, each with whether anybody has it still.
type Given = Arc<Mutex<Vec<(String, Weak<()>)>>>;

/// What the server says when it is ready.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Announcement {
    grpc: String,
    http: String,
    issuer: String,
    audience: String,
    audiences: Vec<String>,
}

impl TestServer {
    /// The server that all tests of this process share; the first to ask starts it.
    ///
    /// # Panics
    ///
    /// When it does not start: no test could go on.
    #[expect(clippy::panic, reason = "it is for tests")]
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<TestServer> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(&Options::default()).unwrap_or_else(|error| panic!("{error}")))
    }

    /// Starts a server of one's own.
    pub fn start(options: &Options) -> Result<Self, StartError> {
        let named = || env::var_os("COUNTERSIGN_BIN").filter(|name| !name.is_empty()).map(PathBuf::from);
        let program = options.binary.clone().or_else(named);
        let program = program.unwrap_or_else(|| OsString::from("countersign").into());
        let mut child = Command::new(&program)
            .args(["test-server", "--until-stdin-closes"])
            .args(&options.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|source| StartError::Program { program, source })?;
        match announced(&mut child, options.patience) {
            Ok(announcement) => {
                let input = child.stdin.take();
                Ok(Self {
                    child,
                    _input: input,
                    announcement,
                    numbers: AtomicU64::new(0),
                    worlds: Given::default(),
                })
            }
            Err(what) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(StartError::NotReady(what))
            }
        }
    }

    /// A world for a test, which no other test has. Call it within a Tokio runtime. The worlds of tests that are over are
    /// deleted on this occasion.
    pub fn world(&self) -> World {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let world = self.world_named(&format!("rust-{}-{number}", std::process::id()));
        let over: Vec<_> = {
            let mut given = self.worlds.lock().unwrap_or_else(PoisonError::into_inner);
            let (kept, over): (Vec<_>, Vec<_>) =
                given.drain(..).partition(|(_, held)| held.strong_count() > 0);
            *given = kept;
            given.push((world.name().to_owned(), world.held()));
            over
        };
        if !over.is_empty() {
            // In the world of calls that name none: there may be no room for another one yet.
            let channel = plain_endpoint(self.grpc()).connect_lazy();
            tokio::spawn(delete(over, TestServiceClient::new(channel), Arc::clone(&self.worlds)));
        }
        world
    }

    /// The world of this name: 1 to 63 of `a-z 0-9 -`.
    pub fn world_named(&self, name: &str) -> World {
        World::new(self, name)
    }

    /// Where gRPC is served: `127.0.0.1:41234`.
    pub fn grpc(&self) -> &str {
        &self.announcement.grpc
    }

    /// Where HTTP is served: `http://127.0.0.1:41235`.
    pub fn http(&self) -> &str {
        &self.announcement.http
    }

    /// The issuer of its access tokens.
    pub fn issuer(&self) -> &str {
        &self.announcement.issuer
    }

    /// The audience of tokens that name none.
    pub fn audience(&self) -> &str {
        &self.announcement.audience
    }

    /// Every audience that tokens can have.
    pub fn audiences(&self) -> &[String] {
        &self.announcement.audiences
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

/// The server's address, which it has said itself.
pub(super) fn plain_endpoint(address: &str) -> Endpoint {
    Endpoint::from_shared(format!("http://{address}")).expect("the server's address")
}

/// Deletes worlds; those that could not be are left for the next time.
async fn delete(over: Vec<(String, Weak<()>)>, mut server: TestServiceClient<Channel>, given: Given) {
    for (name, held) in over {
        if server.delete_world(DeleteWorldRequest { name: name.clone() }).await.is_err() {
            given.lock().unwrap_or_else(PoisonError::into_inner).push((name, held));
        }
    }
}

/// Waits for the line that says where it is, and passes on what it logs.
fn announced(child: &mut Child, patience: Duration) -> Result<Announcement, String> {
    let (sender, first) = mpsc::channel();
    let (out, errors) = (child.stdout.take(), child.stderr.take());
    let spawn = |work: Box<dyn FnOnce() + Send>| {
        thread::Builder::new().name("countersign-test-server".to_owned()).spawn(work)
    };
    let read = move || {
        let mut line = String::new();
        let read = out.map(|out| BufReader::new(out).read_line(&mut line));
        let _ = sender.send(matches!(read, Some(Ok(length)) if length > 0).then_some(line));
    };
    spawn(Box::new(read)).map_err(|error| error.to_string())?;
    let line = match first.recv_timeout(patience) {
        Ok(Some(line)) => line,
        Ok(None) => {
            let mut said = String::new();
            let _ = errors.map(|errors| errors.take(64 * 1024).read_to_string(&mut said));
            return Err(said.trim().to_owned());
        }
        Err(_) => return Err(format!("it said nothing within {patience:?}")),
    };
    // Its log is where that of the tests is.
    if let Some(mut errors) = errors {
        let pass_on = move || {
            let _ = io::copy(&mut errors, &mut io::stderr());
        };
        spawn(Box::new(pass_on)).map_err(|error| error.to_string())?;
    }
    serde_json::from_str(&line).map_err(|error| format!("it said {line:?}: {error}"))
}

impl Drop for TestServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl fmt::Debug for TestServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestServer")
            .field("grpc", &self.announcement.grpc)
            .field("http", &self.announcement.http)
            .finish_non_exhaustive()
    }
}
