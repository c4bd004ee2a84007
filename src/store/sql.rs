//! What the SQL databases have in common, which is nearly everything: the verbs, the reading of rows, the pool of
//! connections, deadlines, retries and the schema's version. A [`Dialect`] adds its SQL text and its driver.
//!
//! Every call runs in a task of its own, so that it finishes whatever becomes of the caller, and within the
//! store's deadline, so that it finishes at all. A connection goes back to the pool only after a whole answer;
//! any other is closed. So neither a caller that goes away nor a server that falls silent costs a connection.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

pub use self::dialect::{Dialect, Fault, Statements};
pub use self::failure::Failure;
pub use self::schema::{Schema, SchemaError};

pub(in crate::store) use self::schema::migrate;

use self::driver::values;
use self::group::Groups;
pub(in crate::store) use self::pool::{Connection, Pool};

use self::pool::PoolOptions;
use self::probe::Writing;
use crate::model::{Clock, Origin, UnixMillis};
use crate::store::StoreError;

mod audit;
pub mod dialect;
pub mod driver;
mod failure;
mod group;
mod keys;
mod ledger;
mod pool;
mod probe;
mod rows;
mod schema;
mod service_accounts;
mod sessions;
mod silence;
mod users;

/// What opening a network database needs to know.
#[derive(Debug, Clone)]
pub struct NetworkOptions {
    /// Where it is and how to log in, TLS included.
    pub url: secrecy::SecretString,
    /// The most connections that are open at the same time.
    pub connections: u32,
    /// How long any operation may take, waiting included, before it is answered as unavailable.
    pub deadline: Duration,
    /// Whose clock counts.
    pub time: TimeSource,
}

impl NetworkOptions {
    /// The defaults for the database at `url`: 16 connections, 1.5 s, the database's clock.
    pub const fn new(url: secrecy::SecretString) -> Self {
        let deadline = Duration::from_millis(1500);
        Self { url, connections: 16, deadline, time: TimeSource::Database }
    }

    /// After this the server itself gives up a statement, or the wait for a lock: a little before the deadline,
    /// so that a slow query costs no connection.
    pub(in crate::store) fn statement_limit(&self) -> Duration {
        self.deadline.mul_f64(2.0 / 3.0)
    }
}

/// The database's address does not make sense. Nothing of the address is told: it holds a password.
#[derive(Debug, thiserror::Error)]
#[error("not the address of a {database} database: {source}")]
pub struct InvalidUrl {
    /// What kind of database was expected.
    pub database: &'static str,
    /// What is wrong.
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

impl InvalidUrl {
    pub(in crate::store) fn new<E>(database: &'static str, source: E) -> Self
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        Self { database, source: Box::new(source) }
    }
}

/// Whose clock a store goes by.
#[derive(Clone)]
pub enum TimeSource {
    /// The database's, so that replicas whose clocks differ agree.
    Database,
    /// This one: an embedded database has no clock of its own, and tests bring theirs.
    Clock(Arc<dyn Clock>),
}

impl TimeSource {
    /// The time that statements are given; `None` where they ask the database's clock.
    fn given(&self) -> Option<UnixMillis> {
        match self {
            Self::Database => None,
            Self::Clock(clock) => Some(clock.now()),
        }
    }
}

impl std::fmt::Debug for TimeSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Database => "Database",
            Self::Clock(_) => "Clock(…)",
        })
    }
}

/// Users, service accounts, keys, ledger, audit log and sessions in one SQL database. Clones share the connections.
pub struct SqlStore<D: Dialect> {
    pub(in crate::store) readers: Pool<D>,
    pub(in crate::store) writers: Pool<D>,
    time: TimeSource,
    deadline: Duration,
    writing: Arc<Writing>,
    /// Where writes are done together, when one connection does them all.
    groups: Option<Arc<Groups<D>>>,
    /// Where what is changed comes from, for the audit log.
    origin: Arc<Origin>,
}

impl<D: Dialect> Clone for SqlStore<D> {
    fn clone(&self) -> Self {
        Self {
            readers: self.readers.clone(),
            writers: self.writers.clone(),
            time: self.time.clone(),
            deadline: self.deadline,
            writing: Arc::clone(&self.writing),
            groups: self.groups.clone(),
            origin: Arc::clone(&self.origin),
        }
    }
}

impl<D: Dialect> std::fmt::Debug for SqlStore<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqlStore")
            .field("database", &D::NAME)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// How a piece of work wants its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Mode {
    /// It only reads, a statement at a time.
    Read,
    /// It writes, and each statement is a transaction by itself.
    Statements,
    /// All of it is one transaction.
    Transaction,
}

/// What is done with a connection: it borrows its arguments, so that it can be done again after a deadlock.
pub(in crate::store) type Work<A, D, T> = for<'c> fn(&'c A, &'c mut Connection<D>) -> Outcome<'c, T>;
pub(in crate::store) type Outcome<'c, T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send + 'c>>;

impl<D: Dialect> SqlStore<D> {
    /// A store whose reads and writes share the connections.
    pub(in crate::store) fn over_network(options: &NetworkOptions, connect: D::Options) -> Self {
        let pool = Pool::new(connect, PoolOptions::network(options.connections, options.statement_limit()));
        let (time, deadline, writing) = (options.time.clone(), options.deadline, Arc::new(Writing::new()));
        let origin = Arc::default();
        Self { readers: pool.clone(), writers: pool, time, deadline, writing, groups: None, origin }
    }

    /// A store in one file: one connection writes, others read.
    pub(in crate::store) fn in_file(
        readers: (D::Options, u32),
        writer: D::Options,
        clock: Arc<dyn Clock>,
        deadline: Duration,
    ) -> Self {
        let (writers, time) = (Pool::new(writer, PoolOptions::file(1)), TimeSource::Clock(clock));
        Self {
            readers: Pool::new(readers.0, PoolOptions::file(readers.1)),
            groups: Some(Groups::new(writers.clone(), time.clone(), deadline)),
            writers,
            time,
            deadline,
            writing: Arc::new(Writing::new()),
            origin: Arc::default(),
        }
    }

    /// Waits for what is under way and closes the connections. Afterwards every operation is answered as
    /// unavailable.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writers.close().await;
        D::leave(self.writers.connect_options()).await;
    }

    /// Settings of the database under which it may forget what it has acknowledged, each with its name; for the
    /// log, at start.
    pub async fn warnings(&self) -> Vec<String> {
        let Some(statement) = D::STATEMENTS.settings else { return Vec::new() };
        let settings = self.run(Mode::Read, statement, |&statement, connection| {
            Box::pin(async move { rows::settings(&connection.fetch(statement, values![]).await?) })
        });
        match settings.await {
            Ok(settings) => D::concerns(&settings),
            Err(error) => vec![format!("what the database promises to keep could not be checked: {error}")],
        }
    }

    /// Does a piece of work in a task of its own, within the deadline.
    pub(in crate::store) async fn run<A, T>(
        &self,
        mode: Mode,
        arguments: A,
        work: Work<A, D, T>,
    ) -> Result<T, StoreError>
    where
        A: Send + Sync + 'static,
        T: Send + 'static,
    {
        self.run_within(self.deadline, mode, arguments, work).await
    }

    /// The same, for work that must not be done later than `limit` from now either.
    pub(in crate::store) async fn run_within<A, T>(
        &self,
        limit: Duration,
        mode: Mode,
        arguments: A,
        work: Work<A, D, T>,
    ) -> Result<T, StoreError>
    where
        A: Send + Sync + 'static,
        T: Send + 'static,
    {
        let deadline = self.deadline.min(limit);
        if mode != Mode::Read
            && let Some(groups) = &self.groups
        {
            let outcome = groups.run(mode, arguments, work, deadline).await.map_err(Failure::of::<D>);
            if outcome.is_err() {
                self.writing.failed();
            }
            return outcome;
        }
        let time = self.time.clone();
        let pool = if mode == Mode::Read { self.readers.clone() } else { self.writers.clone() };
        let doubtful = self.deadline / 5;
        let task = tokio::spawn(async move {
            if pool.is_silent() {
                return Err(Failure::Silent);
            }
            let work = attempt(&pool, &time, mode, &arguments, work);
            let mut work = pin!(tokio::time::timeout(deadline, work));
            let outcome = if let Ok(outcome) = tokio::time::timeout(doubtful, &mut work).await {
                outcome
            } else {
                pool.doubt();
                work.await
            };
            outcome.unwrap_or(Err(Failure::Late(deadline)))
        });
        let outcome = task.await.unwrap_or_else(|cut_off| Err(Failure::CutOff(cut_off)));
        let outcome = outcome.map_err(Failure::of::<D>);
        if mode != Mode::Read && outcome.is_err() {
            self.writing.failed();
        }
        outcome
    }
}

/// How often a piece of work is done again after a deadlock, or a connection that turned out to be dead.
const ATTEMPTS: u32 = 8;

async fn attempt<D: Dialect, A, T>(
    pool: &Pool<D>,
    time: &TimeSource,
    mode: Mode,
    arguments: &A,
    work: Work<A, D, T>,
) -> Result<T, Failure> {
    let mut attempts = 1;
    loop {
        D::check_place(pool.connect_options())?;
        let mut connection = pool.acquire(time.clone()).await?;
        let mode = if D::is_pooled(pool.connect_options()) { Mode::Transaction } else { mode };
        let outcome = match mode {
            Mode::Transaction => transact(&mut connection, arguments, work).await,
            Mode::Read | Mode::Statements => work(arguments, &mut connection).await,
        };
        let failure = match outcome {
            Ok(value) => {
                connection.release();
                // What went elsewhere in the meantime is not acknowledged.
                D::check_place(pool.connect_options())?;
                return Ok(value);
            }
            Err(failure) => failure,
        };
        let again = match failure.fault::<D>() {
            Fault::Broken => connection.discard(),
            Fault::Conflict => reset(connection, mode).await,
            Fault::Damage | Fault::Other => {
                reset(connection, mode).await;
                false
            }
        };
        if !again || attempts == ATTEMPTS {
            return Err(failure);
        }
        attempts += 1;
    }
}

async fn transact<D: Dialect, A, T>(
    connection: &mut Connection<D>,
    arguments: &A,
    work: Work<A, D, T>,
) -> Result<T, Failure> {
    connection.begin().await?;
    let value = work(arguments, connection).await?;
    connection.point_of_no_return();
    connection.command("COMMIT").await?;
    Ok(value)
}

/// Ends the transaction that failed and keeps the connection, or closes it where even that fails. Returns `true`:
/// nothing has happened.
async fn reset<D: Dialect>(mut connection: Connection<D>, mode: Mode) -> bool {
    if mode != Mode::Transaction || connection.command("ROLLBACK").await.is_ok() {
        connection.release();
    } else {
        connection.discard();
    }
    true
}
