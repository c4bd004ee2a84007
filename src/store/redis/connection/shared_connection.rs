//! One connection to one server, shared by many callers, and the task that gets it from the pool.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use deadpool_redis::ObjectId;
use deadpool_redis::redis::aio::{ConnectionLike as _, MultiplexedConnection};
use deadpool_redis::redis::{self, Cmd, Value};
use tokio::runtime::{self, Handle};
use tokio::sync::{mpsc, watch};
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, info, warn};

use super::super::failure::Failure;
use super::Deadline;
use super::pool::{self, Closed, Dialer, Health, Pool, Pooled, Target};

/// How long to wait after a first vain attempt, and at most after later ones.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);
/// How long a connection may be without a sign of life before it is asked for one.
const QUIET: Duration = Duration::from_secs(5);

/// How a command goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    Plain,
    /// To a node of a Cluster that is about to take over the slot.
    Asking,
}

/// Several connections to one server.
pub(super) struct SharedConnections {
    connections: Vec<SharedConnection>,
    next: AtomicUsize,
}

impl SharedConnections {
    /// Begins to open so many connections.
    pub(super) fn open(dialer: &Dialer, target: &Target, count: usize) -> Self {
        let open = |number| SharedConnection::open(dialer, target, &dialer.homes.of(number));
        Self { connections: (0..count.max(1)).map(open).collect(), next: AtomicUsize::new(0) }
    }

    /// How many are open.
    pub(super) fn open_now(&self) -> u64 {
        self.connections.iter().map(|connection| connection.pool.status().size as u64).sum()
    }

    /// Sends a command over a connection that is open, or else waits for one, until the deadline. Of those that are, one
    /// that lives on this runtime, because an answer on another has two threads to wake; or else the next in turn.
    pub(super) async fn send(
        &self,
        command: &Cmd,
        manner: Manner,
        deadline: &mut Deadline<'_>,
    ) -> Result<Value, Failure> {
        let first = self.next.fetch_add(1, Ordering::Relaxed) % self.connections.len();
        let (before, from) = self.connections.split_at(first);
        let here = Handle::current().id();
        let mut open = from.iter().chain(before).filter(|connection| connection.is_open());
        let ours = open.clone().find(|connection| connection.home == here);
        ours.or_else(|| open.next()).unwrap_or(&self.connections[first]).send(command, manner, deadline).await
    }
}

/// A connection that is there, and which of its pool's it is.
#[derive(Clone)]
struct Open {
    connection: MultiplexedConnection,
    id: ObjectId,
}

/// What is known of the connection: it, or why there is none.
type State = Result<Open, Closed>;

/// What a caller found wrong with a connection.
#[derive(Debug, Clone, Copy)]
enum Doubt {
    /// It must not be used any more.
    Broken(ObjectId),
    /// It was silent for too long.
    Silent(ObjectId),
}

/// One connection, shared. A caller that goes away leaves nothing behind in it: its answer is thrown away when it
/// comes.
struct SharedConnection {
    state: watch::Receiver<State>,
    doubts: mpsc::Sender<Doubt>,
    /// Holds the connection, or none.
    pool: Pool,
    /// The runtime that it lives on.
    home: runtime::Id,
    _keeper: AbortOnDropHandle<()>,
}

impl SharedConnection {
    fn open(dialer: &Dialer, target: &Target, home: &Handle) -> Self {
        let (published, state) = watch::channel(Err(Closed { why: "not yet".into(), in_vain: false }));
        let (doubts, heard) = mpsc::channel(16);
        let on_closed = {
            let (published, server) = (published.clone(), target.to_string());
            move |closed: &Closed| {
                publish(&published, Err(closed.clone()));
                warn!(%server, why = %closed.why, "a connection to Redis is given up");
            }
        };
        let pool = pool::shared(dialer, target, on_closed);
        let keeper = Keeper { pool: pool.clone(), server: target.to_string(), published, doubts: heard };
        let keeper = AbortOnDropHandle::new(home.spawn(keeper.run()));
        Self { state, doubts, pool, home: home.id(), _keeper: keeper }
    }

    fn is_open(&self) -> bool {
        self.state.borrow().is_ok()
    }

    async fn send(
        &self,
        command: &Cmd,
        manner: Manner,
        deadline: &mut Deadline<'_>,
    ) -> Result<Value, Failure> {
        let Open { mut connection, id } = self.opened(deadline).await?;
        // The keeper hears of many doubts at once; that one is lost does not matter.
        let answer = tokio::select! {
            answer = exchange(&mut connection, command, manner) => answer,
            () = deadline.passed() => {
                let _ = self.doubts.try_send(Doubt::Silent(id));
                return Err(deadline.failure());
            }
        };
        if answer.as_ref().is_err_and(Failure::ends_connection) {
            let _ = self.doubts.try_send(Doubt::Broken(id));
        }
        answer
    }

    async fn opened(&self, deadline: &mut Deadline<'_>) -> Result<Open, Failure> {
        let mut state = self.state.clone();
        let is_settled = |state: &State| state.as_ref().map_or_else(|closed| closed.in_vain, |_| true);
        tokio::select! {
            biased;
            _ = state.wait_for(is_settled) => {}
            () = deadline.passed() => {}
        }
        let known = state.borrow().clone();
        known.map_err(|closed| Failure::NotConnected(closed.why))
    }
}

async fn exchange(
    connection: &mut MultiplexedConnection,
    command: &Cmd,
    manner: Manner,
) -> Result<Value, Failure> {
    let answer = match manner {
        Manner::Plain => connection.req_packed_command(command).await?,
        Manner::Asking => {
            let mut both = redis::pipe();
            both.cmd("ASKING").add_command(command.clone());
            let answers = connection.req_packed_commands(&both, 1, 1).await?;
            answers.into_iter().next().unwrap_or(Value::Nil)
        }
    };
    Ok(answer.extract_error()?)
}

fn publish(published: &watch::Sender<State>, state: State) {
    published.send_modify(|known| *known = state);
}

/// Takes the connection from the pool and lets the callers have it, and returns it whenever there is reason to check it.
/// Runs on its own, so that opening may take longer than any caller waits, and is not cut off with the caller.
struct Keeper {
    pool: Pool,
    server: String,
    published: watch::Sender<State>,
    doubts: mpsc::Receiver<Doubt>,
}

impl Keeper {
    async fn run(mut self) {
        let (mut pause, mut current) = (FIRST_PAUSE, None);
        loop {
            let mut pooled = match pool::get(&self.pool).await {
                Ok(pooled) => pooled,
                Err(failure) => {
                    debug!(server = %self.server, %failure, "cannot connect to Redis");
                    publish(&self.published, Err(Closed::in_vain(&failure)));
                    tokio::time::sleep(pause).await;
                    pause = LONGEST_PAUSE.min(pause * 2);
                    continue;
                }
            };
            pause = FIRST_PAUSE;
            let id = Pooled::id(&pooled);
            if current.replace(id) != Some(id) {
                info!(server = %self.server, "connected to Redis");
                publish(&self.published, Ok(Open { connection: pooled.commands.clone(), id }));
            }
            let Some(health) = self.doubted(id).await else { return };
            pooled.health = health;
        }
    }

    /// Waits until a connection is to be checked; returns nothing once nobody needs it.
    async fn doubted(&mut self, current: ObjectId) -> Option<Health> {
        loop {
            match tokio::time::timeout(QUIET, self.doubts.recv()).await {
                Ok(None) => return None,
                Ok(Some(Doubt::Broken(id))) if id == current => {
                    let why = "it broke, or leads to no master".into();
                    return Some(Health::Bad(Closed { why, in_vain: false }));
                }
                Ok(Some(Doubt::Silent(id))) if id == current => return Some(Health::Unknown),
                // About an earlier connection.
                Ok(Some(_)) => {}
                Err(_) => return Some(Health::Unknown),
            }
        }
    }
}
