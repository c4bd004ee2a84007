//! MySQL, from version 8.0 on, and MariaDB, from version 10.6 on.

use std::collections::BTreeMap;

use secrecy::ExposeSecret as _;
use sqlx::error::DatabaseError;
use sqlx::migrate::Migrator;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlDatabaseError, MySqlQueryResult};
use sqlx::{AssertSqlSafe, ConnectOptions as _};

use crate::connection_url::{self, Kind};
use crate::store::sql::{self, Dialect, Fault, InvalidUrl, NetworkOptions, SqlStore, Statements};

mod statements;

pub use crate::store::sql::SchemaError;

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/mysql");

/// Held until the connection ends. Locks belong to the whole server, so the database is in the name.
const MIGRATION_LOCK: &str = "SELECT GET_LOCK(CONCAT('countersign migrate ', CRC32(DATABASE())), 3600)";

/// Users, ledger and sessions in one database of MySQL or MariaDB.
pub type MysqlStore = SqlStore<MysqlDialect>;

impl MysqlStore {
    /// A store on the database at `mysql://user:password@host:port/database`, with `?ssl-mode=VERIFY_IDENTITY`
    /// and `&ssl-ca=FILE` for TLS. Does not connect yet. Before use call [`SqlStore::migrate`] or
    /// [`SqlStore::check_schema`].
    pub fn open(options: &NetworkOptions) -> Result<Self, InvalidUrl> {
        const DATABASE: &str = "MySQL";
        let url = options.url.expose_secret();
        // Before the driver looks at it, which goes on without a parameter that it does not know.
        connection_url::check(url, Kind::Mysql).map_err(|error| InvalidUrl::new(DATABASE, error))?;
        let connect = url.parse::<MySqlConnectOptions>().map_err(|error| InvalidUrl::new(DATABASE, error))?;
        let connect = connect.disable_statement_logging();
        let limit = options.statement_limit();
        Ok(Self::over_network(options, MysqlConnect { connect, limits: limits(limit) }))
    }
}

/// What each connection is told before it is used. Texts are never cut to fit a column, whatever the server's own
/// mode; `wait_timeout` lets go of what a client holds that was cut off from the network, and is longer than the
/// pool keeps an idle connection. What only one of the two servers knows stands in that server's own comments.
fn limits(limit: std::time::Duration) -> String {
    let (millis, seconds) = (limit.as_millis().max(1), limit.as_secs().max(1));
    let fraction = limit.as_secs_f64().max(0.001);
    format!(
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED;
         SET SESSION sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES'),
             wait_timeout = 30, innodb_lock_wait_timeout = {seconds}, lock_wait_timeout = {seconds}
             /*M! , max_statement_time = {fraction}, idle_transaction_timeout = {seconds} */
             /*!80000 , max_execution_time = {millis} */"
    )
}

/// How to connect.
#[derive(Debug)]
pub struct MysqlConnect {
    connect: MySqlConnectOptions,
    limits: String,
}

/// What is MySQL's and MariaDB's own.
#[derive(Debug)]
pub struct MysqlDialect;

impl Dialect for MysqlDialect {
    type Database = sqlx::MySql;
    type Options = MysqlConnect;

    const NAME: &'static str = "mysql";
    const STATEMENTS: &'static Statements = &statements::STATEMENTS;

    async fn connect(options: &MysqlConnect) -> sqlx::Result<MySqlConnection> {
        let mut connection = options.connect.connect().await?;
        // Made of numbers alone.
        sqlx::raw_sql(AssertSqlSafe(options.limits.clone())).execute(&mut connection).await?;
        Ok(connection)
    }

    async fn connect_to_migrate(options: &MysqlConnect) -> sqlx::Result<MySqlConnection> {
        options.connect.connect().await
    }

    fn migrations() -> &'static Migrator {
        &MIGRATIONS
    }

    /// Behind a lock of our own: the driver asks for one that MariaDB does not grant.
    async fn migrate(connection: &mut MySqlConnection, _: &MysqlConnect) -> Result<(), SchemaError> {
        let granted: Option<i64> = sqlx::query_scalar(MIGRATION_LOCK)
            .fetch_one(&mut *connection)
            .await
            .map_err(|error| SchemaError::of::<Self>(error.into()))?;
        if granted != Some(1) {
            return Err(SchemaError::Migration("another migration has been going on for an hour".into()));
        }
        sql::migrate::<Self>(connection).await
    }

    /// A row that was in the way of an insertion, and stays as it is, would be counted: the statements say so by a number.
    fn affected(result: &MySqlQueryResult) -> u64 {
        if result.last_insert_id() == statements::IN_THE_WAY { 0 } else { result.rows_affected() }
    }

    /// By error number: <https://mariadb.com/kb/en/mariadb-error-codes/>.
    fn fault(error: &dyn DatabaseError) -> Fault {
        match error.try_downcast_ref::<MySqlDatabaseError>().map(MySqlDatabaseError::number) {
            // Deadlock; a row has changed since the last read (MariaDB 11).
            Some(1213 | 1020) => Fault::Conflict,
            // Shutting down, killed, aborted, idle too long; a server that is read-only, or has become so; a
            // statement that the server has forgotten, or whose table has changed.
            Some(1053 | 1152..=1161 | 1184 | 1243 | 1290 | 1615 | 1792 | 1836 | 1927 | 3169 | 4031) => {
                Fault::Broken
            }
            // A damaged table, index or tablespace.
            Some(126 | 127 | 1034 | 1194 | 1712 | 1877) => Fault::Damage,
            _ => Fault::Other,
        }
    }

    fn concerns(settings: &BTreeMap<String, String>) -> Vec<String> {
        let setting = |name: &str| settings.get(name).map_or("", String::as_str);
        let mut concerns = Vec::new();
        if setting("innodb_flush_log_at_trx_commit") != "1" {
            concerns.push(
                "innodb_flush_log_at_trx_commit is not 1: an acknowledged logout may be lost when the server \
                 crashes; set it to 1"
                    .to_owned(),
            );
        }
        if matches!(setting("innodb_doublewrite"), "0" | "OFF") {
            concerns
                .push("innodb_doublewrite is off: a crash may damage the database; set it to ON".to_owned());
        }
        if setting("log_bin") == "1" && setting("sync_binlog") != "1" {
            concerns.push(
                "sync_binlog is not 1: after a crash the replicas may lack an acknowledged logout; set it to 1"
                    .to_owned(),
            );
        }
        concerns.extend(too_old(setting("version")));
        concerns
    }
}

fn too_old(version: &str) -> Option<String> {
    let mut numbers = version.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    let found = (numbers.next()?, numbers.next()?);
    let (product, oldest) =
        if version.contains("MariaDB") { ("MariaDB", (10, 6)) } else { ("MySQL", (8, 0)) };
    let (major, minor) = oldest;
    (found < oldest)
        .then(|| format!("{product} {version} is older than {major}.{minor}, the oldest supported"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_forget_are_named() {
        let settings = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, setting)| ((*name).to_owned(), (*setting).to_owned())).collect()
        };
        let concerns = MysqlDialect::concerns(&settings(&[
            ("innodb_flush_log_at_trx_commit", "2"),
            ("innodb_doublewrite", "0"),
            ("log_bin", "1"),
            ("sync_binlog", "0"),
            ("version", "10.5.22-MariaDB"),
        ]));
        let named = [
            "innodb_flush_log_at_trx_commit",
            "innodb_doublewrite",
            "sync_binlog",
            "MariaDB 10.5.22-MariaDB",
        ];
        for (concern, named) in concerns.iter().zip(named) {
            assert!(concern.contains(named), "{concern}");
        }
        assert_eq!(concerns.len(), 4);
        let safe = settings(&[
            ("innodb_flush_log_at_trx_commit", "1"),
            ("innodb_doublewrite", "1"),
            ("log_bin", "0"),
            ("sync_binlog", "0"),
            ("version", "8.0.36"),
        ]);
        assert_eq!(MysqlDialect::concerns(&safe), Vec::<String>::new());
    }
}
