//! A real MariaDB, in the place of MySQL, which Debian does not have.

use std::sync::OnceLock;

use countersign::store::mysql::{MysqlDialect, MysqlStore};
use countersign::store::sql::NetworkOptions;
use sqlx::mysql::MySqlConnection;
use sqlx::{AssertSqlSafe, Connection as _, Row as _};
use tokio::sync::oneshot;

use super::database::{
    Account, Directory, Process, Server, TABLES, database_name, find, free_port, make_certificates, run,
    until, values_of,
};

/// A server of a test's own, or the one that they share.
pub(crate) struct MariaDb {
    process: Process,
    port: u16,
    tls: bool,
}

/// The store's account, and that of other programs. The store's may not write on a server that is read-only: one
/// that may would not notice.
const ACCOUNTS: &str = "\
    CREATE USER IF NOT EXISTS other@'%' IDENTIFIED BY 'tester';
GRANT ALL ON *.* TO other@'%' WITH GRANT OPTION;
CREATE USER IF NOT EXISTS tester@'%' IDENTIFIED BY 'tester';
GRANT ALL ON *.* TO tester@'%';
REVOKE READ_ONLY ADMIN ON *.* FROM tester@'%';
";

impl MariaDb {
    /// One with these settings.
    pub(crate) fn start_with(test: &str, settings: &[&str]) -> Option<Self> {
        Self::launch(test, settings, false)
    }

    /// One that takes no connection without TLS and a certificate of the client's.
    pub(crate) fn start_with_tls(test: &str) -> Option<Self> {
        Self::launch(test, &["--require-secure-transport=ON"], true)
    }

    fn launch(test: &str, settings: &[&str], tls: bool) -> Option<Self> {
        let (install, mariadbd) = (find("mariadb-install-db", test)?, find("mariadbd", test)?);
        let account = Account::unless_root("mysql");
        let directory = Directory::new(&account);
        let path = |name: &str| directory.path().join(name).display().to_string();
        let small = ["--innodb-log-file-size=4M", "--innodb-buffer-pool-size=32M"];
        run(account
            .command(&install)
            .args(["--no-defaults", "--skip-test-db", "--auth-root-authentication-method=normal"])
            .args(small)
            .arg(format!("--tmpdir={}", directory.path().display()))
            .arg(format!("--datadir={}", path("data"))));
        let wanted = if tls { "ALTER USER tester@'%' REQUIRE X509;\n" } else { "" };
        std::fs::write(path("account.sql"), format!("{ACCOUNTS}{wanted}")).unwrap();
        let port = free_port();
        let mut command = account.command(&mariadbd);
        command
            .args([
                "--no-defaults",
                "--bind-address=127.0.0.1",
                "--skip-name-resolve",
                "--max-connections=300",
            ])
            .args(small)
            .arg(format!("--port={port}"))
            .arg(format!("--tmpdir={}", directory.path().display()))
            .arg(format!("--datadir={}", path("data")))
            .arg(format!("--socket={}", path("socket")))
            .arg(format!("--pid-file={}", path("mariadbd.pid")))
            .arg(format!("--init-file={}", path("account.sql")))
            .args(settings);
        if tls {
            make_certificates(&directory, &account);
            command
                .arg(format!("--ssl-ca={}", path("ca.pem")))
                .arg(format!("--ssl-cert={}", path("server.pem")))
                .arg(format!("--ssl-key={}", path("server.key")));
        }
        Some(Self { process: Process::start(directory, command), port, tls })
    }

    /// A connection of another program.
    pub(crate) async fn connect(&self, database: &str) -> MySqlConnection {
        MySqlConnection::connect(&self.url(database).replacen("tester", "other", 1)).await.unwrap()
    }
}

impl Server for MariaDb {
    type Dialect = MysqlDialect;

    fn shared(test: &str) -> Option<&'static Self> {
        static SHARED: OnceLock<Option<MariaDb>> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(test)).as_ref()
    }

    /// What is committed survives the server's end, though not the machine's.
    fn start(test: &str) -> Option<Self> {
        Self::start_with(test, &["--innodb-flush-log-at-trx-commit=2", "--innodb-doublewrite=0"])
    }

    fn process(&self) -> &Process {
        &self.process
    }

    fn process_mut(&mut self) -> &mut Process {
        &mut self.process
    }

    async fn ready(&self) {
        until(&self.process, async || MySqlConnection::connect(&self.url("mysql")).await.is_ok()).await;
    }

    fn url(&self, database: &str) -> String {
        let directory = self.process.directory.path().display();
        let tls = if self.tls {
            format!(
                "?ssl-mode=VERIFY_IDENTITY&ssl-ca={directory}/ca.pem\
                 &ssl-cert={directory}/client.pem&ssl-key={directory}/client.key"
            )
        } else {
            String::new()
        };
        let host = if self.tls { "localhost" } else { "127.0.0.1" };
        format!("mysql://tester:tester@{host}:{}/{database}{tls}", self.port)
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
        sqlx::raw_sql(create).execute(&mut self.connect("mysql").await).await.unwrap();
        name
    }

    async fn kick(&self, database: &str) -> u64 {
        let mut connection = self.connect("mysql").await;
        let others =
            sqlx::query("SELECT CAST(id AS SIGNED) FROM information_schema.processlist WHERE db = ?")
                .bind(database)
                .fetch_all(&mut connection)
                .await
                .unwrap();
        for other in &others {
            let kill = AssertSqlSafe(format!("KILL {}", other.get::<i64, _>(0)));
            sqlx::raw_sql(kill).execute(&mut connection).await.unwrap();
        }
        others.len() as u64
    }

    async fn read_only(&self, _: &str, on: bool) {
        let set = AssertSqlSafe(format!("SET GLOBAL read_only = {}", u8::from(on)));
        let mut connection = self.connect("mysql").await;
        sqlx::raw_sql(set).execute(&mut connection).await.unwrap();
    }

    async fn create_account(&self, database: &str) -> String {
        let mut connection = self.connect(database).await;
        let create = AssertSqlSafe(format!("CREATE USER {database}@'%' IDENTIFIED BY 'tester'"));
        sqlx::raw_sql(create).execute(&mut connection).await.unwrap();
        for (table, _) in TABLES {
            let grant = AssertSqlSafe(format!("GRANT SELECT ON {database}.{table} TO {database}@'%'"));
            sqlx::raw_sql(grant).execute(&mut connection).await.unwrap();
        }
        self.set_writable(database, true).await;
        self.url(database).replacen("tester", database, 1)
    }

    /// Rights on a table, unlike those on a database, are looked at with every statement.
    async fn set_writable(&self, database: &str, writable: bool) {
        let (set, whom) = if writable { ("GRANT", "TO") } else { ("REVOKE", "FROM") };
        let mut connection = self.connect(database).await;
        for (table, _) in TABLES {
            let set = AssertSqlSafe(format!(
                "{set} INSERT, UPDATE, DELETE ON {database}.{table} {whom} {database}@'%'"
            ));
            sqlx::raw_sql(set).execute(&mut connection).await.unwrap();
        }
    }

    async fn contents(&self, database: &str) -> Vec<Vec<u8>> {
        let (mut connection, mut values) = (self.connect(database).await, Vec::new());
        for (_, all) in TABLES {
            let rows = sqlx::query(all).fetch_all(&mut connection).await.unwrap();
            values.extend(rows.iter().flat_map(values_of));
        }
        values
    }

    fn open(options: &NetworkOptions) -> MysqlStore {
        MysqlStore::open(options).unwrap()
    }

    async fn late_commit(&self, database: &str) -> oneshot::Sender<()> {
        let mut connection = self.connect(database).await;
        for statement in [
            "START TRANSACTION",
            "UPDATE ledger_head SET seq = seq + 1, mark = 7",
            "INSERT INTO ledger SELECT seq, mark, 'user_changed', '0123456789abcdef', NULL, NULL, 'operator',
                 'operator', 0, 9000000000000 FROM ledger_head",
        ] {
            sqlx::raw_sql(statement).execute(&mut connection).await.unwrap();
        }
        let (commit, told) = oneshot::channel();
        tokio::spawn(async move {
            told.await.unwrap();
            sqlx::raw_sql("COMMIT").execute(&mut connection).await.unwrap();
        });
        commit
    }
}
