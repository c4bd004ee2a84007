//! A bounded pool of connections that cannot leak one: a connection goes back only when it is handed back after a
//! whole answer. Whatever else becomes of it (an error, a deadline, a panic) it is closed, and its place is free.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::Connection as _;
use tokio::runtime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::dialect::{Dialect, Raw, RowOf};
use super::driver::{Driver as _, Value, Values};
use super::silence::Silence;
use super::{Failure, TimeSource};
use crate::model::{Clock as _, Monotonic, SystemClock};
use crate::store::PoolStats;
use crate::store::waits::Waits;

/// How many connections, and for how long.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct PoolOptions {
    /// The most that are open at the same time.
    size: u32,
    /// One that was not used for so long is closed; `None` keeps it.
    idle: Option<Duration>,
    /// One that is so old is closed, so that load finds its way to servers that have been added.
    age: Option<Duration>,
    /// A server that does not greet a new connection within this time is silent; `None` for what cannot be.
    greets: Option<Duration>,
}

impl PoolOptions {
    pub(in crate::store) fn network(size: u32, greets: Duration) -> Self {
        let (idle, age) = (Some(Duration::from_secs(20)), Some(Duration::from_mins(15)));
        Self { size: size.max(1), idle, age, greets: Some(greets) }
    }

    pub(in crate::store) fn file(size: u32) -> Self {
        Self { size: size.max(1), idle: None, age: None, greets: None }
    }
}

/// A pool. Clones are the same pool.
pub(in crate::store) struct Pool<D: Dialect> {
    shared: Arc<Shared<D>>,
}

impl<D: Dialect> Clone for Pool<D> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

struct Shared<D: Dialect> {
    connect: D::Options,
    options: PoolOptions,
    permits: Arc<Semaphore>,
    /// The one used last is on top and used next.
    idle: Mutex<Vec<Pooled<D>>>,
    /// Rises when a connection turns out to be dead: what killed it may have killed all that were opened before.
    generation: AtomicU64,
    /// How many were opened since the start.
    opened: AtomicU64,
    waits: Waits,
    silence: Silence,
    clock: SystemClock,
}

struct Pooled<D: Dialect> {
    raw: Raw<D>,
    /// The runtime that it was opened on, which is the one that hears from its socket.
    home: runtime::Id,
    generation: u64,
    opened: Monotonic,
    used: Monotonic,
}

impl<D: Dialect> Pool<D> {
    /// A pool without connections: they are opened when they are needed.
    pub(in crate::store) fn new(connect: D::Options, options: PoolOptions) -> Self {
        let permits = Arc::new(Semaphore::new(options.size as usize));
        Self {
            shared: Arc::new(Shared {
                connect,
                options,
                permits,
                idle: Mutex::default(),
                generation: AtomicU64::new(0),
                opened: AtomicU64::new(0),
                waits: Waits::new(),
                silence: Silence::default(),
                clock: SystemClock::new(),
            }),
        }
    }

    /// Whether the server is known to be silent: until it has greeted again, nothing need be asked of it.
    pub(in crate::store) fn is_silent(&self) -> bool {
        self.shared.silence.is_known()
    }

    /// Something takes long. Finds out, in a task of its own, whether the server is merely slow: greets it over one
    /// connection more, again and again until it answers. Meanwhile it is known to be silent.
    pub(in crate::store) fn doubt(&self) {
        let Some(limit) = self.shared.options.greets else { return };
        if !self.shared.silence.begin_to_ask(self.shared.clock.monotonic(), limit) {
            return;
        }
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move {
            while !shared.permits.is_closed() {
                match tokio::time::timeout(limit, D::connect(&shared.connect)).await {
                    Ok(Ok(greeted)) => {
                        greeted.close().await.ok();
                        break;
                    }
                    // Whatever is wrong, it answers, and the callers will be told what it is.
                    Ok(Err(_)) => break,
                    Err(_) => shared.silence.found::<D>(),
                }
            }
            shared.silence.ended::<D>();
        });
    }

    /// What it does now; `pool` is what it is called.
    pub(in crate::store) fn stats(&self, pool: &'static str) -> PoolStats {
        let limit = u64::from(self.shared.options.size);
        let in_flight = limit.saturating_sub(self.shared.permits.available_permits() as u64);
        let idle = self.shared.idle.lock().unwrap_or_else(PoisonError::into_inner).len() as u64;
        let opened = self.shared.opened.load(Ordering::Relaxed);
        let waits = &self.shared.waits;
        PoolStats {
            pool,
            in_flight,
            in_flight_limit: limit,
            connections: in_flight + idle,
            opened,
            waiting: waits.now(),
            waits: waits.ever(),
            waited: waits.waited(),
        }
    }

    /// Whether it is the same pool.
    pub(in crate::store) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// What it takes to connect.
    pub(in crate::store) fn connect_options(&self) -> &D::Options {
        &self.shared.connect
    }

    /// A connection, as soon as there is one. How long to wait is the caller's business.
    pub(in crate::store) async fn acquire(&self, time: TimeSource) -> Result<Connection<D>, Failure> {
        let permit = self.shared.permit().await?;
        let (pooled, fresh) = match self.shared.take() {
            Some(pooled) => (pooled, false),
            None => (self.shared.open().await?, true),
        };
        let shared = Arc::clone(&self.shared);
        Ok(Connection { pooled: Some(pooled), shared, time, fresh, decided: false, _permit: permit })
    }

    /// Waits until every connection has been handed back and closes them.
    pub(in crate::store) async fn close(&self) {
        let all = self.shared.permits.acquire_many(self.shared.options.size).await;
        self.shared.permits.close();
        drop(all);
        let idle = std::mem::take(&mut *self.shared.idle.lock().unwrap_or_else(PoisonError::into_inner));
        for pooled in idle {
            // Whether the server hears the farewell makes no difference.
            pooled.raw.close().await.ok();
        }
    }
}

impl<D: Dialect> Shared<D> {
    /// The right to one connection; in the order in which it was asked for.
    async fn permit(&self) -> Result<OwnedSemaphorePermit, Failure> {
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            return Ok(permit);
        }
        let _waiting = self.waits.begin();
        Arc::clone(&self.permits).acquire_owned().await.map_err(|_| Failure::Closed)
    }

    async fn open(&self) -> Result<Pooled<D>, Failure> {
        let generation = self.generation.load(Ordering::Acquire);
        let raw = D::connect(&self.connect).await?;
        self.opened.fetch_add(1, Ordering::Relaxed);
        let now = self.clock.monotonic();
        Ok(Pooled { raw, home: here(), generation, opened: now, used: now })
    }

    /// Of the connections that are still good, the one that was used last; rather one that lives on this runtime, because
    /// an answer to another's has two threads to wake.
    fn take(&self) -> Option<Pooled<D>> {
        let here = here();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|pooled| self.is_good(pooled));
        let ours = idle.iter().rposition(|pooled| pooled.home == here);
        let place = ours.or_else(|| idle.len().checked_sub(1))?;
        Some(idle.remove(place))
    }

    fn put(&self, mut pooled: Pooled<D>) {
        pooled.used = self.clock.monotonic();
        if self.is_good(&pooled) {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(pooled);
        }
    }

    fn is_good(&self, pooled: &Pooled<D>) -> bool {
        let now = self.clock.monotonic();
        pooled.generation == self.generation.load(Ordering::Acquire)
            && self.options.idle.is_none_or(|limit| now.since(pooled.used) < limit)
            && self.options.age.is_none_or(|limit| now.since(pooled.opened) < limit)
    }

    /// Gives up every connection that is as old as this one, once.
    fn suspect(&self, generation: u64) {
        let next = generation.wrapping_add(1);
        self.generation.compare_exchange(generation, next, Ordering::AcqRel, Ordering::Relaxed).ok();
    }
}

fn here() -> runtime::Id {
    runtime::Handle::current().id()
}

/// A connection in use. Dropped before it is released, it was cut off in the middle of something.
pub(in crate::store) struct Connection<D: Dialect> {
    pooled: Option<Pooled<D>>,
    shared: Arc<Shared<D>>,
    time: TimeSource,
    fresh: bool,
    decided: bool,
    _permit: OwnedSemaphorePermit,
}

impl<D: Dialect> Connection<D> {
    /// The parameter *time?*: the time now, or null for that of the database's clock.
    pub(in crate::store) fn time(&self) -> Value {
        self.time.given().into()
    }

    /// Runs a statement and says how many rows it found to change.
    pub(in crate::store) async fn execute(
        &mut self,
        statement: &'static str,
        values: Values,
    ) -> Result<u64, Failure> {
        let keep = !D::is_pooled(&self.shared.connect);
        let result = D::Database::execute(self.raw()?, statement, values, keep).await?;
        Ok(D::affected(&result))
    }

    /// Runs a statement and returns its rows.
    pub(in crate::store) async fn fetch(
        &mut self,
        statement: &'static str,
        values: Values,
    ) -> Result<Vec<RowOf<D>>, Failure> {
        let keep = !D::is_pooled(&self.shared.connect);
        Ok(D::Database::fetch(self.raw()?, statement, values, keep).await?)
    }

    /// Runs a command that cannot be prepared.
    pub(in crate::store) async fn command(&mut self, command: &'static str) -> Result<(), Failure> {
        Ok(D::Database::command(self.raw()?, Cow::Borrowed(command)).await?)
    }

    /// Begins a transaction that writes.
    pub(in crate::store) async fn begin(&mut self) -> Result<(), Failure> {
        let begin = D::begin(&self.shared.connect);
        Ok(D::Database::command(self.raw()?, begin).await?)
    }

    /// What is sent next cannot be done twice: if the connection breaks from here on, nobody knows whether it
    /// happened, and only the caller may repeat it.
    pub(in crate::store) fn point_of_no_return(&mut self) {
        self.decided = true;
    }

    /// Hands the connection back for the next one to use.
    pub(in crate::store) fn release(mut self) {
        if let Some(pooled) = self.pooled.take() {
            self.shared.put(pooled);
        }
    }

    /// Closes a connection that is dead, and gives up all that are as old. Says whether another one may do
    /// better: a new one would not, and nothing is done twice.
    pub(in crate::store) fn discard(self) -> bool {
        !self.fresh && !self.decided
    }

    /// The driver's own connection.
    pub(in crate::store) fn raw(&mut self) -> Result<&mut Raw<D>, Failure> {
        Ok(&mut self.pooled.as_mut().ok_or(Failure::Closed)?.raw)
    }
}

impl<D: Dialect> Drop for Connection<D> {
    fn drop(&mut self) {
        if let Some(pooled) = self.pooled.take() {
            self.shared.suspect(pooled.generation);
        }
    }
}
