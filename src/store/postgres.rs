//! PostgreSQL, from version 13 on.

use std::borrow::Cow;
use std::collections::BTreeMap;

use secrecy::ExposeSecret as _;
use sqlx::error::DatabaseError;
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgQueryResult};
use sqlx::{ConnectOptions as _, Connection as _};

use crate::connection_url::{self, Kind};
use crate::store::sql::{self, Dialect, Fault, InvalidUrl, NetworkOptions, SqlStore, Statements};

use self::connect::PostgresConnect;

mod connect;
mod statements;

pub use crate::store::sql::SchemaError;

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/postgres");

/// Users, ledger and sessions in one PostgreSQL database.
pub type PostgresStore = SqlStore<PostgresDialect>;

impl PostgresStore {
    /// A store on the database at `postgres://user:password@host:port/database`, with `?sslmode=verify-full` and
    /// `&sslrootcert=FILE` for TLS. Does not connect yet. Before use call [`SqlStore::migrate`] or
    /// [`SqlStore::check_schema`].
    pub fn open(options: &NetworkOptions) -> Result<Self, InvalidUrl> {
        const DATABASE: &str = "PostgreSQL";
        let url = options.url.expose_secret();
        // Before the driver looks at it, which logs the value of a parameter that it does not know.
        connection_url::check(url, Kind::Postgres).map_err(|error| InvalidUrl::new(DATABASE, error))?;
        let mode = std::env::var("PGSSLMODE").ok();
        connection_url::check_environment(url, mode.as_deref())
            .map_err(|error| InvalidUrl::new(DATABASE, error))?;
        let url = connection_url::with_user(url, runs_as().as_deref());
        let connect = url.parse::<PgConnectOptions>().map_err(|error| InvalidUrl::new(DATABASE, error))?;
        let named = connect.get_application_name().is_some();
        let connect = if named { connect } else { connect.application_name("countersign") };
        let connect = connect.disable_statement_logging();
        Ok(Self::over_network(options, PostgresConnect::new(connect, options.statement_limit())))
    }
}

/// Who runs this process, for a URL that names nobody; the driver does not find out. PGUSER is the driver's to read.
fn runs_as() -> Option<String> {
    let given = |name| std::env::var(name).ok().filter(|name| !name.is_empty());
    if given("PGUSER").is_some() { None } else { given("USER").or_else(|| given("LOGNAME")) }
}

/// Held until the end of the transaction that migrates. Behind a pooler the driver's own lock, which belongs to a
/// session, ends before the transaction does. The number is this lock's alone.
const MIGRATION_LOCK: &str = "SELECT pg_advisory_xact_lock(7165629341280531)";

/// What is PostgreSQL's own.
#[derive(Debug)]
pub struct PostgresDialect;

impl Dialect for PostgresDialect {
    type Database = sqlx::Postgres;
    type Options = PostgresConnect;

    const NAME: &'static str = "postgres";
    const STATEMENTS: &'static Statements = &statements::STATEMENTS;

    async fn connect(options: &PostgresConnect) -> sqlx::Result<PgConnection> {
        options.connect().await
    }

    async fn connect_to_migrate(options: &PostgresConnect) -> sqlx::Result<PgConnection> {
        options.connect_patiently().await
    }

    fn is_pooled(options: &PostgresConnect) -> bool {
        options.is_pooled()
    }

    fn begin(options: &PostgresConnect) -> Cow<'static, str> {
        if options.is_pooled() { options.begin().into() } else { Self::STATEMENTS.begin.into() }
    }

    /// Behind a pooler all in one transaction, which keeps to one connection. It leaves no statements there that the
    /// driver has named.
    async fn migrate(connection: &mut PgConnection, options: &PostgresConnect) -> Result<(), SchemaError> {
        if !options.is_pooled() {
            return sql::migrate::<Self>(connection).await;
        }
        let unavailable = |error: sqlx::Error| SchemaError::of::<Self>(error.into());
        let mut transaction =
            connection.begin_with("BEGIN ISOLATION LEVEL READ COMMITTED").await.map_err(unavailable)?;
        for command in [MIGRATION_LOCK, "DEALLOCATE ALL"] {
            sqlx::raw_sql(command).execute(&mut *transaction).await.map_err(unavailable)?;
        }
        sql::migrate::<Self>(&mut transaction).await?;
        sqlx::raw_sql("DEALLOCATE ALL").execute(&mut *transaction).await.map_err(unavailable)?;
        transaction.commit().await.map_err(unavailable)
    }

    fn migrations() -> &'static Migrator {
        &MIGRATIONS
    }

    fn affected(result: &PgQueryResult) -> u64 {
        result.rows_affected()
    }

    /// By SQLSTATE: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
    fn fault(error: &dyn DatabaseError) -> Fault {
        match error.code().as_deref() {
            // Serialization failure, deadlock.
            Some("40001" | "40P01") => Fault::Conflict,
            // Shut down, crashed, starting, dropped for idleness; a standby, or a primary that has become one.
            Some("57P01" | "57P02" | "57P03" | "57P05" | "25P03" | "25006") => Fault::Broken,
            Some(code) if code.starts_with("08") => Fault::Broken,
            // A table has changed under a statement that was prepared before.
            Some("0A000" | "26000") => Fault::Broken,
            Some("XX001" | "XX002") => Fault::Damage,
            _ => Fault::Other,
        }
    }

    fn concerns(settings: &BTreeMap<String, String>) -> Vec<String> {
        let is_off = |name: &str| settings.get(name).is_some_and(|setting| setting == "off");
        let mut concerns = Vec::new();
        for (name, what) in [
            ("synchronous_commit", "an acknowledged logout may be lost when the server crashes"),
            ("fsync", "a crash may lose acknowledged logouts, and the whole database"),
            ("full_page_writes", "a crash may damage the database"),
        ] {
            if is_off(name) {
                concerns.push(format!("PostgreSQL's {name} is off: {what}; set it to on"));
            }
        }
        let version = settings.get("server_version_num").and_then(|version| version.parse::<u32>().ok());
        if let Some(version) = version.filter(|version| *version < 130_000) {
            concerns.push(format!("PostgreSQL {} is older than 13, the oldest supported", version / 10_000));
        }
        concerns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_none_is_refused_without_telling_the_password() {
        for url in ["postgres://ada:hunter2@host:port/db", "postgres://ada:hunter2@h/db?sslmode=hunter2x"] {
            let error = PostgresStore::open(&NetworkOptions::new(url.into())).unwrap_err();
            assert!(!error.to_string().contains("ada"), "{error}");
        }
    }

    #[test]
    fn settings_that_forget_are_named() {
        let settings = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, setting)| ((*name).to_owned(), (*setting).to_owned())).collect()
        };
        let concerns = PostgresDialect::concerns(&settings(&[
            ("fsync", "off"),
            ("synchronous_commit", "off"),
            ("server_version_num", "120011"),
        ]));
        for (concern, named) in concerns.iter().zip(["synchronous_commit", "fsync", "PostgreSQL 12"]) {
            assert!(concern.contains(named), "{concern}");
        }
        assert_eq!(concerns.len(), 3);
        let safe = settings(&[
            ("fsync", "on"),
            ("synchronous_commit", "remote_apply"),
            ("server_version_num", "150001"),
        ]);
        assert_eq!(PostgresDialect::concerns(&safe), Vec::<String>::new());
    }
}
