//! Writes that wait are done together, in one transaction: for a database in a file each commit is a wait for the disk,
//! whatever is in it. A group forms only while another is under way, so that an idle store adds no wait.
//!
//! Each member does its work as it would alone, one after the other; nobody hears of it before the commit. When anything goes
//! wrong before that, the whole group is rolled back and each member is done by itself, so that a member that fails, fails
//! alone.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::dialect::Dialect;
use super::failure::Failure;
use super::pool::{Connection, Pool};
use super::{Mode, TimeSource, Work, attempt, reset};
use crate::model::{Clock as _, Monotonic, SystemClock};

/// The most members of a group: a bound for how long the first of them waits for the last.
const MOST: usize = 64;

/// Where writes wait.
pub(super) struct Groups<D: Dialect> {
    pool: Pool<D>,
    time: TimeSource,
    /// How long a group may take.
    deadline: Duration,
    clock: SystemClock,
    queue: Mutex<Queue<D>>,
}

struct Queue<D: Dialect> {
    waiting: VecDeque<Box<dyn Member<D>>>,
    /// Whether somebody takes from here.
    taken_from: bool,
}

type Step<'c, T> = Pin<Box<dyn Future<Output = T> + Send + 'c>>;

/// A write that waits for a connection, or for its commit.
trait Member<D: Dialect>: Send {
    /// Does the work in the transaction that is open, unless it is too late for that. The answer waits for the commit.
    fn in_group<'c>(
        &'c mut self,
        connection: &'c mut Connection<D>,
        now: Monotonic,
    ) -> Step<'c, Result<(), Failure>>;

    /// Does the work by itself, unless it is too late for that, and has its answer.
    fn alone<'c>(&'c mut self, pool: &'c Pool<D>, time: &'c TimeSource, now: Monotonic) -> Step<'c, ()>;

    /// Has failed.
    fn fail(&mut self, failure: Failure);

    /// Answers whoever waits.
    fn answer(self: Box<Self>);
}

struct Piece<A, D: Dialect, T> {
    mode: Mode,
    arguments: A,
    work: Work<A, D, T>,
    /// Later than this nothing is begun.
    until: Monotonic,
    limit: Duration,
    outcome: Option<Result<T, Failure>>,
    answer: oneshot::Sender<Result<T, Failure>>,
}

impl<A, D: Dialect, T> Piece<A, D, T> {
    /// Whether it must not be begun any more. A timeout alone does not see to that: it looks at the time after the first step.
    fn is_late(&self, now: Monotonic) -> bool {
        self.until <= now
    }
}

impl<A, D, T> Member<D> for Piece<A, D, T>
where
    A: Send + Sync,
    D: Dialect,
    T: Send,
{
    fn in_group<'c>(
        &'c mut self,
        connection: &'c mut Connection<D>,
        now: Monotonic,
    ) -> Step<'c, Result<(), Failure>> {
        Box::pin(async move {
            if self.is_late(now) {
                self.fail(Failure::Late(self.limit));
                return Ok(());
            }
            self.outcome = Some(Ok((self.work)(&self.arguments, connection).await?));
            Ok(())
        })
    }

    fn alone<'c>(&'c mut self, pool: &'c Pool<D>, time: &'c TimeSource, now: Monotonic) -> Step<'c, ()> {
        Box::pin(async move {
            if self.is_late(now) {
                return self.fail(Failure::Late(self.limit));
            }
            let work = attempt(pool, time, self.mode, &self.arguments, self.work);
            let outcome = timeout(self.until.since(now), work).await;
            self.outcome = Some(outcome.unwrap_or(Err(Failure::Late(self.limit))));
        })
    }

    fn fail(&mut self, failure: Failure) {
        self.outcome = Some(Err(failure));
    }

    fn answer(self: Box<Self>) {
        // Whoever waited may have gone away.
        let _ = self.answer.send(self.outcome.unwrap_or(Err(Failure::Lost)));
    }
}

impl<D: Dialect> Groups<D> {
    pub(super) fn new(pool: Pool<D>, time: TimeSource, deadline: Duration) -> Arc<Self> {
        let queue = Queue { waiting: VecDeque::new(), taken_from: false };
        Arc::new(Self { pool, time, deadline, clock: SystemClock::new(), queue: Mutex::new(queue) })
    }

    fn queue(&self) -> MutexGuard<'_, Queue<D>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does a piece of work, by itself or with others, and not later than `limit` from now.
    pub(super) async fn run<A, T>(
        self: &Arc<Self>,
        mode: Mode,
        arguments: A,
        work: Work<A, D, T>,
        limit: Duration,
    ) -> Result<T, Failure>
    where
        A: Send + Sync + 'static,
        T: Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let until = Monotonic(self.clock.monotonic().0.saturating_add(limit));
        let member = Box::new(Piece { mode, arguments, work, until, limit, outcome: None, answer });
        let begin = {
            let mut queue = self.queue();
            queue.waiting.push_back(member);
            !std::mem::replace(&mut queue.taken_from, true)
        };
        if begin {
            let groups = Arc::clone(self);
            tokio::spawn(Taker { groups, is_done: false }.run());
        }
        match timeout(limit, answered).await {
            Ok(answer) => answer.unwrap_or(Err(Failure::Lost)),
            Err(_elapsed) => Err(Failure::Late(limit)),
        }
    }
}

/// Whoever takes from the queue. When it goes away, by a panic or because its runtime does, those who wait are told, and the
/// next write begins anew.
struct Taker<D: Dialect> {
    groups: Arc<Groups<D>>,
    /// Nobody waited any more. From then on the queue is another one's.
    is_done: bool,
}

impl<D: Dialect> Drop for Taker<D> {
    fn drop(&mut self) {
        if self.is_done {
            return;
        }
        let mut queue = self.groups.queue();
        queue.taken_from = false;
        queue.waiting.clear();
    }
}

impl<D: Dialect> Taker<D> {
    async fn run(mut self) {
        while let Some(mut members) = self.next() {
            match &mut members[..] {
                [member] => member.alone(&self.groups.pool, &self.groups.time, self.now()).await,
                members => self.together(members).await,
            }
            for member in members {
                member.answer();
            }
        }
    }

    fn now(&self) -> Monotonic {
        self.groups.clock.monotonic()
    }

    /// Those who wait, in the order in which they came; `None`, and this is over, when nobody does.
    fn next(&mut self) -> Option<Vec<Box<dyn Member<D>>>> {
        let mut queue = self.groups.queue();
        let some = queue.waiting.len().min(MOST);
        queue.taken_from = some > 0;
        self.is_done = some == 0;
        (some > 0).then(|| queue.waiting.drain(..some).collect())
    }

    async fn together(&self, members: &mut [Box<dyn Member<D>>]) {
        let group = timeout(self.groups.deadline, self.transact(members)).await;
        match group.unwrap_or(Err(Broken::Forever(Failure::Late(self.groups.deadline)))) {
            Ok(()) => {}
            Err(Broken::BeforeCommit(failure)) => {
                tracing::debug!(database = D::NAME, %failure, "a group of writes is done one by one");
                for member in members {
                    member.alone(&self.groups.pool, &self.groups.time, self.now()).await;
                }
            }
            Err(Broken::Forever(failure)) => {
                let failure = Arc::new(failure);
                for member in members {
                    member.fail(Failure::OfGroup(Arc::clone(&failure)));
                }
            }
        }
    }

    async fn transact(&self, members: &mut [Box<dyn Member<D>>]) -> Result<(), Broken> {
        let Groups { pool, time, .. } = &*self.groups;
        D::check_place(pool.connect_options()).map_err(Broken::BeforeCommit)?;
        let mut connection = pool.acquire(time.clone()).await.map_err(Broken::BeforeCommit)?;
        let mut done = connection.begin().await;
        for member in members {
            if done.is_ok() {
                done = member.in_group(&mut connection, self.now()).await;
            }
        }
        if let Err(failure) = done {
            reset(connection, Mode::Transaction).await;
            return Err(Broken::BeforeCommit(failure));
        }
        if let Err(failure) = connection.command("COMMIT").await {
            reset(connection, Mode::Transaction).await;
            return Err(Broken::Forever(failure));
        }
        connection.release();
        // What went elsewhere in the meantime is not acknowledged.
        D::check_place(pool.connect_options()).map_err(Broken::Forever)
    }
}

/// A group was not committed, as far as is known.
enum Broken {
    /// Nothing has happened: each member may be done by itself.
    BeforeCommit(Failure),
    /// Nobody knows.
    Forever(Failure),
}
