//! A real PostgreSQL.

use std::sync::OnceLock;

use countersign::store::postgres::{PostgresDialect, PostgresStore};
use countersign::store::sql::NetworkOptions;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _, Row as _};
use tokio::sync::oneshot;

use super::database::{
    Account, Directory, Process, Server, TABLES, database_name, find, free_port, make_certificates, run,
    until, values_of,
};

/// A server with one account, `postgres`, which needs no password from this machine.
pub(crate) struct Postgres {
    process: Process,
    port: u16,
    tls: bool,
}

impl Postgres {
    /// One with these settings.
    pub(crate) fn start_with(test: &str, settings: &[&str]) -> Option<Self> {
        Self::launch(test, settings, false)
    }

    /// One that takes no connection without TLS and a certificate of the client's.
    pub(crate) fn start_with_tls(test: &str) -> Option<Self> {
        Self::launch(
            test,
            &[
                "fsync=off",
                "ssl=on",
                "ssl_cert_file=../server.pem",
                "ssl_key_file=../server.key",
                "ssl_ca_file=../ca.pem",
            ],
            true,
        )
    }

    fn launch(test: &str, settings: &[&str], tls: bool) -> Option<Self> {
        let (initdb, postgres) = (find("initdb", test)?, find("postgres", test)?);
        let account = Account::unless_root("postgres");
        let directory = Directory::new(&account);
        let data = directory.path().join("data");
        run(account
            .command(&initdb)
            .args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "-D"])
            .arg(&data));
        if tls {
            make_certificates(&directory, &account);
            let line = "hostssl all all all trust clientcert=verify-ca\n";
            std::fs::write(data.join("pg_hba.conf"), line).unwrap();
        }
        let port = free_port();
        let mut command = account.command(&postgres);
        command.arg("-D").arg(&data);
        for setting in [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "max_connections=300",
            "shared_buffers=16MB",
            &format!("port={port}"),
        ]
        .iter()
        .chain(settings)
        {
            command.args(["-c", setting]);
        }
        Some(Self { process: Process::start(directory, command), port, tls })
    }

    /// Where it listens, on 127.0.0.1.
    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// A connection of another program.
    pub(crate) async fn connect(&self, database: &str) -> PgConnection {
        PgConnection::connect(&self.url(database)).await.unwrap()
    }
}

impl Server for Postgres {
    type Dialect = PostgresDialect;

    fn shared(test: &str) -> Option<&'static Self> {
        static SHARED: OnceLock<Option<Postgres>> = OnceLock::new();
        SHARED.get_or_init(|| Self::start_with(test, &["fsync=off"])).as_ref()
    }

    fn start(test: &str) -> Option<Self> {
        Self::start_with(test, &["fsync=off"])
    }

    fn process(&self) -> &Process {
        &self.process
    }

    fn process_mut(&mut self) -> &mut Process {
        &mut self.process
    }

    async fn ready(&self) {
        until(&self.process, async || PgConnection::connect(&self.url("postgres")).await.is_ok()).await;
    }

    fn url(&self, database: &str) -> String {
        let directory = self.process.directory.path().display();
        let tls = if self.tls {
            format!(
                "?sslmode=verify-full&sslrootcert={directory}/ca.pem\
                 &sslcert={directory}/client.pem&sslkey={directory}/client.key"
            )
        } else {
            String::new()
        };
        let host = if self.tls { "localhost" } else { "127.0.0.1" };
        format!("postgres://postgres@{host}:{}/{database}{tls}", self.port)
    }

    async fn run(&self, database: &str, statements: &[&'static str]) {
        let mut connection = self.connect(database).await;
        for statement in statements {
            sqlx::raw_sql(*statement).execute(&mut connection).await.unwrap();
        }
    }

    async fn create_database(&self) -> String {
        self.ready().await;
        let name = database_name();
        let create = AssertSqlSafe(format!("CREATE DATABASE {name}"));
        sqlx::raw_sql(create).execute(&mut self.connect("postgres").await).await.unwrap();
        name
    }

    async fn kick(&self, database: &str) -> u64 {
        sqlx::query("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = $1")
            .bind(database)
            .fetch_one(&mut self.connect("postgres").await)
            .await
            .unwrap()
            .get::<i64, _>(0)
            .cast_unsigned()
    }

    /// For new connections; those there are go on until they are ended.
    async fn read_only(&self, database: &str, on: bool) {
        let set =
            AssertSqlSafe(format!("ALTER DATABASE {database} SET default_transaction_read_only = {on}"));
        sqlx::raw_sql(set).execute(&mut self.connect("postgres").await).await.unwrap();
        if on {
            self.kick(database).await;
        }
    }

    async fn create_account(&self, database: &str) -> String {
        let create = AssertSqlSafe(format!(
            "CREATE ROLE {database} LOGIN;
             GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {database}"
        ));
        sqlx::raw_sql(create).execute(&mut self.connect(database).await).await.unwrap();
        self.url(database).replacen("postgres@", &format!("{database}@"), 1)
    }

    async fn set_writable(&self, database: &str, writable: bool) {
        let (set, whom) = if writable { ("GRANT", "TO") } else { ("REVOKE", "FROM") };
        let set = AssertSqlSafe(format!(
            "{set} INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public {whom} {database}"
        ));
        sqlx::raw_sql(set).execute(&mut self.connect(database).await).await.unwrap();
    }

    async fn contents(&self, database: &str) -> Vec<Vec<u8>> {
        let (mut connection, mut values) = (self.connect(database).await, Vec::new());
        for (_, all) in TABLES {
            let rows = sqlx::query(all).fetch_all(&mut connection).await.unwrap();
            values.extend(rows.iter().flat_map(values_of));
        }
        values
    }

    fn open(options: &NetworkOptions) -> PostgresStore {
        PostgresStore::open(options).unwrap()
    }

    async fn late_commit(&self, database: &str) -> oneshot::Sender<()> {
        let mut connection = self.connect(database).await;
        sqlx::raw_sql(
            "BEGIN; UPDATE ledger_head SET seq = seq + 1, mark = 7;
             INSERT INTO ledger SELECT seq, mark, 'user_changed', '0123456789abcdef', NULL, NULL, 'operator',
                 'operator', 0, 9000000000000 FROM ledger_head",
        )
        .execute(&mut connection)
        .await
        .unwrap();
        let (commit, told) = oneshot::channel();
        tokio::spawn(async move {
            told.await.unwrap();
            sqlx::raw_sql("COMMIT").execute(&mut connection).await.unwrap();
        });
        commit
    }
}
