//! Connecting to PostgreSQL, or to a pooler before it.
//!
//! A pooler such as PgBouncer gives a client another connection to the server after each transaction, or after each
//! session. What is set for a session then vanishes or is found by the next client, and a prepared statement may be that
//! of somebody else. So each connection is sent a mark in its startup packet and asked for it: only a server that was
//! started for this client has it. Behind anything else every piece of work is one transaction, which sets its own limits
//! and prepares nothing that outlives it; that is right in every mode that keeps a transaction together.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Connection as _, Row as _};

use crate::secret;

/// A setting that no server has by itself.
const MARK: &str = "countersign.connection";

/// How to connect.
#[derive(Debug)]
pub struct PostgresConnect {
    /// To a server: with limits, but for the mark.
    limited: PgConnectOptions,
    /// Without limits, for migrations.
    patient: PgConnectOptions,
    /// To a pooler: nothing at the start that it might not know, and no statement that is kept.
    pooled: PgConnectOptions,
    /// What begins a transaction there.
    begin: String,
    is_pooled: AtomicBool,
}

impl PostgresConnect {
    /// By these options; `limit` is how long a statement, or the wait for a lock, may take.
    pub(super) fn new(patient: PgConnectOptions, limit: Duration) -> Self {
        let limit = format!("{}ms", limit.as_millis().max(1));
        let limited = patient.clone().options([
            ("statement_timeout", limit.as_str()),
            ("lock_timeout", limit.as_str()),
            // A client that was cut off from the network in the middle may hold the ledger's head.
            ("idle_in_transaction_session_timeout", limit.as_str()),
            ("default_transaction_isolation", "read committed"),
        ]);
        let pooled = patient.clone().extra_float_digits(None).statement_cache_capacity(0);
        let begin = format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED;
             SET LOCAL statement_timeout = '{limit}';
             SET LOCAL lock_timeout = '{limit}';
             SET LOCAL idle_in_transaction_session_timeout = '{limit}'"
        );
        Self { limited, patient, pooled, begin, is_pooled: AtomicBool::new(false) }
    }

    /// Whether a pooler was met.
    pub(super) fn is_pooled(&self) -> bool {
        self.is_pooled.load(Ordering::Acquire)
    }

    /// What begins a transaction behind it.
    pub(super) fn begin(&self) -> String {
        self.begin.clone()
    }

    /// A connection with limits.
    pub(super) async fn connect(&self) -> sqlx::Result<PgConnection> {
        if self.is_pooled() {
            return self.pooled.connect().await;
        }
        let mark = format!("{:032x}", u128::from_ne_bytes(secret::random()));
        match self.limited.clone().options([(MARK, &mark)]).connect().await {
            Ok(mut connection) => {
                if has(&mut connection, &mark).await? {
                    return Ok(connection);
                }
                connection.close().await.ok();
            }
            Err(error) if is_about_startup(&error) => {}
            Err(error) => return Err(error),
        }
        self.meet_pooler()?;
        self.pooled.connect().await
    }

    /// A connection without limits.
    pub(super) async fn connect_patiently(&self) -> sqlx::Result<PgConnection> {
        // Finds out what is there.
        self.connect().await?.close().await.ok();
        if self.is_pooled() { self.pooled.connect().await } else { self.patient.connect().await }
    }

    fn meet_pooler(&self) -> sqlx::Result<()> {
        // At best it would refuse them; others drop them without a word, and a search_path among them.
        if self.patient.get_options().is_some() {
            let error = "a connection pooler stands before the database, and does not pass on the options of \
                         database.url or PGOPTIONS: leave them out and set them with ALTER ROLE … SET …, or connect to the server \
                         itself";
            return Err(sqlx::Error::Configuration(error.into()));
        }
        if !self.is_pooled.swap(true, Ordering::AcqRel) {
            tracing::info!(
                store = "postgres",
                "a connection pooler stands before the database: each call is a transaction of its own, which takes \
                 longer than a direct connection"
            );
        }
        Ok(())
    }
}

async fn has(connection: &mut PgConnection, mark: &str) -> sqlx::Result<bool> {
    // Not prepared: a pooler may give the next statement another connection.
    let asked = sqlx::raw_sql("SELECT current_setting('countersign.connection', true)");
    let found: Option<String> = asked.fetch_one(connection).await?.try_get(0)?;
    Ok(found.as_deref() == Some(mark))
}

/// `unsupported startup parameter: extra_float_digits`, `unsupported startup parameter in options: …`: PgBouncer
/// refuses what it cannot follow.
fn is_about_startup(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.message().contains("startup parameter"))
}
