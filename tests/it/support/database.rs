//! Real database servers as child processes, each in a directory of its own, which goes away with the test
//! however it ends.

use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use countersign::store::sql::{Dialect, NetworkOptions, SqlStore};
use sqlx::{ColumnIndex, Row};

use super::tls::Authority;
use super::tool;

/// A kind of database server that tests can start, stop and hurt.
pub(crate) trait Server: Send + Sync + Sized + 'static {
    type Dialect: Dialect;

    /// The one that all tests share; none when it is not installed.
    fn shared(test: &str) -> Option<&'static Self>;

    /// One of a test's own; none when it is not installed.
    fn start(test: &str) -> Option<Self>;

    fn process(&self) -> &Process;
    fn process_mut(&mut self) -> &mut Process;

    /// Waits until it answers.
    async fn ready(&self);

    /// The address of one of its databases.
    fn url(&self, database: &str) -> String;

    /// Runs statements in a database, one after the other, as another program would.
    async fn run(&self, database: &str, statements: &[&'static str]);

    /// Makes an empty database; returns its name.
    async fn create_database(&self) -> String;

    /// Ends every connection to a database but the one that does it; returns how many there were.
    async fn kick(&self, database: &str) -> u64;

    /// Makes it refuse to write, as a standby does, or write again.
    async fn read_only(&self, database: &str, on: bool);

    /// Makes an account named as a database, which may read and write in the tables that are there and do nothing
    /// else; returns its address.
    async fn create_account(&self, database: &str) -> String;

    /// Forbids that account to write, or allows it again; it may always read.
    async fn set_writable(&self, database: &str, writable: bool);

    /// Every value in the tables of a database.
    async fn contents(&self, database: &str) -> Vec<Vec<u8>>;

    fn open(options: &NetworkOptions) -> SqlStore<Self::Dialect>;

    /// A transaction of another program that has numbered a row of the ledger and written it, but has not
    /// committed: committed when told to.
    async fn late_commit(&self, database: &str) -> tokio::sync::oneshot::Sender<()>;
}

/// The tables of the service, each with what reads all of it.
pub(crate) const TABLES: [(&str, &str); 6] = [
    ("users", "SELECT * FROM users"),
    ("ledger_head", "SELECT * FROM ledger_head"),
    ("ledger", "SELECT * FROM ledger"),
    ("sessions", "SELECT * FROM sessions"),
    ("audit_head", "SELECT * FROM audit_head"),
    ("audit_events", "SELECT * FROM audit_events"),
];

/// Every value of a row, as it came over the network.
pub(crate) fn values_of<R>(row: &R) -> Vec<Vec<u8>>
where
    R: Row,
    usize: ColumnIndex<R>,
    for<'r> Option<Vec<u8>>: sqlx::Decode<'r, R::Database>,
{
    (0..row.columns().len())
        .filter_map(|column| row.try_get_unchecked::<Option<Vec<u8>>, _>(column).unwrap())
        .collect()
}

static DATABASES: AtomicU32 = AtomicU32::new(0);

/// A name that no other test of this run has.
pub(crate) fn database_name() -> String {
    format!("test_{}", DATABASES.fetch_add(1, Ordering::Relaxed))
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The account that a server runs as: they refuse to run as root.
#[derive(Debug, Clone)]
pub(crate) struct Account(Option<String>);

impl Account {
    /// `name` when the tests run as root, else whoever runs them.
    pub(crate) fn unless_root(name: &str) -> Self {
        let id = Command::new("id").arg("-u").output().expect("id runs").stdout;
        Self((id.trim_ascii() == b"0").then(|| name.to_owned()))
    }

    /// Whoever runs the tests.
    pub(crate) const fn own() -> Self {
        Self(None)
    }

    /// A command that will run as this account.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let Some(name) = &self.0 else { return Command::new(program) };
        let mut command = Command::new("setpriv");
        command.args(["--reuid", name, "--regid", name, "--clear-groups", "--"]).arg(program);
        command
    }

    fn give(&self, directory: &Path) {
        if let Some(name) = &self.0 {
            run(Command::new("chown").arg("-R").arg(name).arg(directory));
        }
    }
}

/// Finds a server's program, in `PATH` or where Debian puts it.
pub(crate) fn find(name: &'static str, test: &str) -> Option<PathBuf> {
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|entries| entries.filter_map(|entry| Some(entry.ok()?.path().join("bin"))).collect())
        .unwrap_or_default();
    versions.sort();
    versions.push("/usr/sbin".into());
    versions
        .iter()
        .map(|folder| folder.join(name))
        .rfind(|path| path.is_file())
        .or_else(|| tool::find(name, test))
}

/// Runs a command that must succeed.
pub(crate) fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().expect("the command runs");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// An authority in this directory (`ca.pem`), and from it a certificate for `localhost` (`server.pem`, `server.key`)
/// and one for a client (`client.pem`, `client.key`).
pub(crate) fn make_certificates(directory: &Directory, account: &Account) {
    let authority = Authority::new();
    std::fs::write(directory.path().join("ca.pem"), &authority.pem).unwrap();
    for (name, host) in [("server", "localhost"), ("client", "countersign")] {
        let (_, key) = authority.issue(&[host]).write(directory.path(), name);
        // PostgreSQL takes no key that others may read.
        std::fs::set_permissions(key, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    account.give(directory.path());
}

/// A directory for a server. Whatever becomes of the tests, a shell that waits for their end removes it, and
/// kills the server that is noted there.
pub(crate) struct Directory {
    path: PathBuf,
    janitor: Child,
}

impl Directory {
    pub(crate) fn new(account: &Account) -> Self {
        let path = tempfile::Builder::new().prefix("countersign-test-").tempdir().unwrap().keep();
        account.give(&path);
        // The end of the tests is the end of its standard input.
        let janitor = Command::new("sh")
            .args([
                "-c",
                r#"read -r _; [ ! -f "$0/pid" ] || kill -s KILL "$(cat "$0/pid")"; sleep 0.2; rm -rf "$0""#,
            ])
            .arg(&path)
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("sh runs");
        Self { path, janitor }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = self.janitor.stdin.take().map(|mut stdin| stdin.write_all(b"\n"));
        let _ = self.janitor.wait();
    }
}

/// A server's process.
pub(crate) struct Process {
    pub(crate) directory: Directory,
    command: Command,
    child: Option<Child>,
}

impl Process {
    /// Starts it.
    pub(crate) fn start(directory: Directory, mut command: Command) -> Self {
        let log = std::fs::File::create(directory.path().join("log")).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let mut process = Self { directory, command, child: None };
        process.spawn();
        process
    }

    /// Starts it again.
    pub(crate) fn spawn(&mut self) {
        let child = self.command.spawn().expect("the server starts");
        std::fs::write(self.note(), child.id().to_string()).unwrap();
        self.child = Some(child);
    }

    /// SIGKILL: nothing of it runs on.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let processes = Self::processes(child.id());
            for process in &processes[1..] {
                signal(*process, "KILL");
            }
            let _ = child.kill();
            let _ = child.wait();
            let _ = std::fs::remove_file(self.note());
        }
    }

    /// SIGSTOP to all of its processes: what is connected stays connected, and gets no answer.
    pub(crate) fn freeze(&self) {
        self.signal_all("STOP");
        // A process has stopped when the last of its threads has.
        while self.all().into_iter().any(is_running) {
            std::thread::yield_now();
        }
    }

    /// SIGCONT.
    pub(crate) fn thaw(&self) {
        self.signal_all("CONT");
    }

    fn signal_all(&self, name: &str) {
        self.all().into_iter().for_each(|process| signal(process, name));
    }

    fn all(&self) -> Vec<u32> {
        Self::processes(self.child.as_ref().expect("it runs").id())
    }

    /// A process and those that it has started.
    fn processes(id: u32) -> Vec<u32> {
        let children = Command::new("ps").args(["-o", "pid=", "--ppid", &id.to_string()]).output().unwrap();
        let children = String::from_utf8(children.stdout).unwrap();
        std::iter::once(id).chain(children.split_whitespace().map(|child| child.parse().unwrap())).collect()
    }

    fn note(&self) -> PathBuf {
        self.directory.path().join("pid")
    }

    /// What it has logged, for the message of a test that fails.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }
}

/// Whether any thread of a process is not stopped.
fn is_running(process: u32) -> bool {
    let threads =
        Command::new("ps").args(["-L", "-o", "state=", "-p", &process.to_string()]).output().unwrap();
    String::from_utf8(threads.stdout).unwrap().split_whitespace().any(|state| !matches!(state, "T" | "Z"))
}

fn signal(process: u32, name: &str) {
    // One that has just ended by itself is as good.
    let _ = Command::new("kill").args(["-s", name, &process.to_string()]).stderr(Stdio::null()).status();
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Asks until the answer is yes; a server needs a moment to start.
pub(crate) async fn until(process: &Process, mut yes: impl AsyncFnMut() -> bool) {
    for _ in 0..1200 {
        if yes().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the server did not start:\n{}", process.log());
}
