//! One connection to one server, shared by many callers, and the task that keeps it open.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use deadpool_redis::redis::aio::{ConnectionLike as _, MultiplexedConnection};
use deadpool_redis::redis::{self, Cmd, Value};
use tokio::runtime::{self, Handle};
use tokio::sync::{mpsc, watch};
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, info, warn};

use super::super::failure::Failure;
use super::Deadline;
use super::pool::{Dialer, Target, within};

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
        let open = |number| SharedConnection::open(dialer.clone(), target.clone(), &dialer.homes.of(number));
        Self { connections: (0..count.max(1)).map(open).collect(), next: AtomicUsize::new(0) }
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

/// A connection that is there, and the how many-th it is.
#[derive(Clone)]
struct Open {
    connection: MultiplexedConnection,
    number: u64,
}

/// What is known of the connection: it, or why there is none.
type State = Result<Open, Closed>;

/// Why there is no connection.
#[derive(Clone)]
struct Closed {
    why: Arc<str>,
    /// Whether another one was tried for in vain. Then nobody waits for it any more, and all are refused at once: the
    /// server is gone or silent, and will be for longer than a call may take.
    in_vain: bool,
}

/// What a caller thinks of the connection with a number.
#[derive(Debug, Clone, Copy)]
enum Doubt {
    /// It must not be used any more.
    Broken(u64),
    /// It was silent for too long.
    Silent(u64),
}

/// One connection, shared. A caller that goes away leaves nothing behind in it: its answer is thrown away when it
/// comes.
struct SharedConnection {
    state: watch::Receiver<State>,
    doubts: mpsc::Sender<Doubt>,
    /// The runtime that it lives on.
    home: runtime::Id,
    _keeper: AbortOnDropHandle<()>,
}

impl SharedConnection {
    fn open(dialer: Dialer, target: Target, home: &Handle) -> Self {
        let (published, state) = watch::channel(Err(Closed { why: "not yet".into(), in_vain: false }));
        let (doubts, heard) = mpsc::channel(16);
        let keeper = Keeper { dialer, target, published, doubts: heard, number: 0 };
        let keeper = AbortOnDropHandle::new(home.spawn(keeper.run()));
        Self { state, doubts, home: home.id(), _keeper: keeper }
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
        let Open { mut connection, number } = self.opened(deadline).await?;
        // The keeper hears of many doubts at once; that one is lost does not matter.
        let answer = tokio::select! {
            answer = exchange(&mut connection, command, manner) => answer,
            () = deadline.passed() => {
                let _ = self.doubts.try_send(Doubt::Silent(number));
                return Err(deadline.failure());
            }
        };
        if answer.as_ref().is_err_and(Failure::ends_connection) {
            let _ = self.doubts.try_send(Doubt::Broken(number));
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

/// Opens the connection, and another one whenever there is reason to. Runs on its own, so that opening may take
/// longer than any caller waits, and is not cut off with the caller.
struct Keeper {
    dialer: Dialer,
    target: Target,
    published: watch::Sender<State>,
    doubts: mpsc::Receiver<Doubt>,
    number: u64,
}

impl Keeper {
    async fn run(mut self) {
        loop {
            let connection = self.dial().await;
            self.number += 1;
            info!(server = %self.target, "connected to Redis");
            let open = Open { connection: connection.clone(), number: self.number };
            self.publish(Ok(open));
            let _counted = self.dialer.opened.count();
            let Some(why) = self.watch(connection).await else { return };
            warn!(server = %self.target, %why, "a connection to Redis is given up");
        }
    }

    fn publish(&self, state: State) {
        self.published.send_modify(|known| *known = state);
    }

    async fn dial(&self) -> MultiplexedConnection {
        let limit = 2 * self.dialer.patience;
        let mut pause = FIRST_PAUSE;
        loop {
            let failure = match tokio::time::timeout(limit, self.dialer.dial(&self.target)).await {
                Ok(Ok(connection)) => return connection,
                Ok(Err(failure)) => failure,
                Err(_) => Failure::Late(limit),
            };
            debug!(server = %self.target, %failure, "cannot connect to Redis");
            self.publish(Err(Closed { why: failure.to_string().into(), in_vain: true }));
            tokio::time::sleep(pause).await;
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }

    /// Returns why the connection is not good any more; nothing when nobody needs one.
    async fn watch(&mut self, mut connection: MultiplexedConnection) -> Option<Arc<str>> {
        loop {
            match tokio::time::timeout(QUIET, self.doubts.recv()).await {
                Ok(None) => return None,
                Ok(Some(Doubt::Broken(number))) if number == self.number => {
                    let why: Arc<str> = "it broke, or leads to no master".into();
                    self.publish(Err(Closed { why: Arc::clone(&why), in_vain: false }));
                    return Some(why);
                }
                // About an earlier connection.
                Ok(Some(Doubt::Broken(_))) => continue,
                Ok(Some(Doubt::Silent(number))) if number != self.number => continue,
                Ok(Some(Doubt::Silent(_))) | Err(_) => {}
            }
            let ping = redis::cmd("PING");
            let sign = within(self.dialer.patience, ping.query_async::<()>(&mut connection)).await;
            if let Err(failure) = sign {
                let why: Arc<str> = failure.to_string().into();
                self.publish(Err(Closed { why: Arc::clone(&why), in_vain: true }));
                return Some(why);
            }
        }
    }
}
