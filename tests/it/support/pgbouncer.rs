//! A real PgBouncer before a PostgreSQL.

use sqlx::Connection as _;
use sqlx::postgres::{PgConnectOptions, PgConnection};

use super::database::{Account, Directory, Process, find, free_port, run, until};
use super::postgres::Postgres;

/// A pooler with few connections to the server, so that clients get each other's.
pub(crate) struct PgBouncer {
    process: Process,
    port: u16,
}

impl PgBouncer {
    /// One with this `pool_mode` and more lines of configuration, before the server; none when it is not installed.
    pub(crate) fn start(test: &str, server: &Postgres, mode: &str, lines: &str) -> Option<Self> {
        let program = find("pgbouncer", test)?;
        let account = Account::unless_root("postgres");
        let directory = Directory::new(&account);
        let (port, behind) = (free_port(), server.port());
        let users = directory.path().join("users.txt");
        std::fs::write(&users, "\"postgres\" \"\"\n").unwrap();
        let file = directory.path().join("pgbouncer.ini");
        let configuration = format!(
            "[databases]\n* = host=127.0.0.1 port={behind}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = trust\nauth_file = {}\npool_mode = {mode}\n\
             default_pool_size = {}\nmax_client_conn = 500\nserver_idle_timeout = 1\n{lines}\n",
            users.display(),
            // In session mode a connection that waits for another one waits for its whole life.
            if mode == "session" { 40 } else { 4 },
        );
        std::fs::write(&file, configuration).unwrap();
        run(std::process::Command::new("chmod").arg("-R").arg("a+rX").arg(directory.path()));
        let mut command = account.command(&program);
        command.arg(&file);
        Some(Self { process: Process::start(directory, command), port })
    }

    /// The address of one of the server's databases, once the pooler answers.
    pub(crate) async fn url(&self, database: &str) -> String {
        until(&self.process, async || self.connect(database).await.is_ok()).await;
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// A connection of another program.
    pub(crate) async fn connect(&self, database: &str) -> sqlx::Result<PgConnection> {
        let options = PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(self.port);
        let options = options.username("postgres").database(database).extra_float_digits(None);
        PgConnection::connect_with(&options).await
    }
}
