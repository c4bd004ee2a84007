//! The pools that every connection to Redis comes from: deadpool's, with a manager of our own.
//!
//! A pool opens connections, checks each before it is used again, drops those that fail the check, limits how long all of
//! this may take, and counts what is open. The managers of deadpool-redis send two commands for a check, and take neither
//! time limits nor certificates for a Cluster.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use deadpool::managed::{self, Hook, Manager, PoolBuilder, PoolError, RecycleError, RecycleResult};
use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{self, PushInfo};
use deadpool_redis::{Metrics, Runtime, Timeouts};
use tokio::sync::mpsc;

use crate::store::redis::failure::Failure;

mod dial;

pub(in crate::store::redis) use self::dial::{Credentials, Dialer, Homes, Target, within};

const HAS_RUNTIME: &str = "a pool with time limits has a runtime";

/// A pool of connections to one server.
pub(super) type Pool = managed::Pool<Connector>;
/// A connection that returns to its pool when it is dropped.
pub(in crate::store::redis) type Pooled = managed::Object<Connector>;

/// One connection.
pub(in crate::store::redis) struct Connection {
    pub(in crate::store::redis) commands: MultiplexedConnection,
    /// None unless it was opened for messages.
    messages: Option<mpsc::Receiver<PushInfo>>,
    pub(super) health: Health,
}

impl Connection {
    /// The next message; none once the connection is closed, or when it was opened for commands alone.
    pub(in crate::store::redis) async fn message(&mut self) -> Option<PushInfo> {
        self.messages.as_mut()?.recv().await
    }
}

/// What is known of a connection that returns to its pool.
pub(super) enum Health {
    Good,
    /// It has to answer a PING before it is used again.
    Unknown,
    /// It must not be used again.
    Bad(Closed),
}

/// Why there is no connection.
#[derive(Debug, Clone)]
pub(super) struct Closed {
    pub(super) why: Arc<str>,
    /// Whether the server does not answer. Then callers do not wait for another connection but are refused at once: the
    /// server is gone or silent, and will be for longer than a call may take.
    pub(super) in_vain: bool,
}

impl Closed {
    pub(super) fn in_vain(failure: &Failure) -> Self {
        Self { why: failure.to_string().into(), in_vain: true }
    }
}

/// The manager of a pool: opens its connections, and checks them.
pub(in crate::store::redis) struct Connector {
    dialer: Dialer,
    target: Target,
    /// How many messages may wait to be read; none for a connection for commands alone.
    unread: Option<usize>,
    on_closed: Box<dyn Fn(&Closed) + Send + Sync>,
}

impl Manager for Connector {
    type Type = Connection;
    type Error = Failure;

    async fn create(&self) -> Result<Connection, Failure> {
        let (commands, messages) = match self.unread {
            None => (self.dialer.dial(&self.target).await?, None),
            Some(unread) => {
                let (sender, messages) = mpsc::channel(unread);
                (self.dialer.listen(&self.target, sender).await?, Some(messages))
            }
        };
        Ok(Connection { commands, messages, health: Health::Good })
    }

    /// Costs a round trip only where nothing was heard from the server for a while.
    async fn recycle(&self, connection: &mut Connection, _: &Metrics) -> RecycleResult<Failure> {
        match &connection.health {
            Health::Good => Ok(()),
            Health::Bad(closed) => Err(RecycleError::message(closed.why.to_string())),
            Health::Unknown => {
                // This is how it stays if the pool stops waiting.
                connection.health = Health::Bad(Closed::in_vain(&Failure::Late(self.dialer.patience)));
                let answer = redis::cmd("PING").query_async::<()>(&mut connection.commands).await;
                if let Err(error) = answer {
                    let failure = Failure::from(error);
                    connection.health = Health::Bad(Closed::in_vain(&failure));
                    return Err(failure.into());
                }
                connection.health = Health::Good;
                Ok(())
            }
        }
    }

    fn detach(&self, connection: &mut Connection) {
        if let Health::Bad(closed) = &connection.health {
            (self.on_closed)(closed);
        }
    }
}

/// A pool of one connection, which its user shares with others. Calls `on_closed` when it drops the connection.
pub(super) fn shared(
    dialer: &Dialer,
    target: &Target,
    on_closed: impl Fn(&Closed) + Send + Sync + 'static,
) -> Pool {
    let opened = Arc::clone(&dialer.opened);
    let count = Hook::sync_fn(move |_: &mut Connection, _: &Metrics| {
        opened.fetch_add(1, Ordering::Relaxed);
        Ok(())
    });
    let connector = Connector {
        dialer: dialer.clone(),
        target: target.clone(),
        unread: None,
        on_closed: Box::new(on_closed),
    };
    builder(connector, dialer.longest()).post_create(count).build().expect(HAS_RUNTIME)
}

/// Opens a connection for a few commands.
pub(super) async fn open(dialer: &Dialer, target: &Target, limit: Duration) -> Result<Pooled, Failure> {
    open_one(dialer, target, None, limit).await
}

/// Opens a connection that messages arrive on too. So many of them may wait to be read; more are dropped.
pub(in crate::store::redis) async fn listen(
    dialer: &Dialer,
    target: &Target,
    unread: usize,
) -> Result<Pooled, Failure> {
    open_one(dialer, target, Some(unread), dialer.longest()).await
}

/// The pool ends with its one connection, which is used once.
async fn open_one(
    dialer: &Dialer,
    target: &Target,
    unread: Option<usize>,
    limit: Duration,
) -> Result<Pooled, Failure> {
    let on_closed = Box::new(|_: &Closed| {});
    let connector = Connector { dialer: dialer.clone(), target: target.clone(), unread, on_closed };
    get(&builder(connector, limit).build().expect(HAS_RUNTIME)).await
}

fn builder(connector: Connector, create: Duration) -> PoolBuilder<Connector> {
    let recycle = Some(connector.dialer.patience);
    Pool::builder(connector).max_size(1).runtime(Runtime::Tokio1).timeouts(Timeouts {
        wait: Some(create),
        create: Some(create),
        recycle,
    })
}

/// A connection that has passed the check, or a new one.
pub(super) async fn get(pool: &Pool) -> Result<Pooled, Failure> {
    pool.get().await.map_err(|error| match error {
        PoolError::Backend(failure) => failure,
        PoolError::Timeout(_) => Failure::Late(pool.timeouts().create.unwrap_or_default()),
        other => Failure::NotConnected(other.to_string().into()),
    })
}
