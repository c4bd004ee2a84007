//! Hashing away from the threads that answer calls: a fixed number of threads, each with memory of its own, fed
//! from a bounded queue that knows until when its callers wait.
//!
//! A login that cannot be served in time is refused at once, so that overload costs the caller nothing but the
//! refusal, and costs Verify and Refresh nothing at all. Nothing here sets a timer: whoever asks is answered when
//! a thread comes to the job, and may stop waiting at any time; the job is then dropped unhashed.

mod queue;
mod worker;

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};

use self::queue::{Job, Queue, Reply, Task};
use super::argon2id::{CorruptHash, HashParameters};
use super::foreign::{Family, ForeignHash, Imported, Stored, Tally, Unusable, Work};
use super::policy::Password;
use crate::model::{Clock, Monotonic, PasswordHash};
use crate::telemetry::buckets::Histogram;

/// Longer than the pauses of a service that is in use, so that only a quiet one takes its next login's memory from the
/// operating system anew, which costs that login some milliseconds.
const KEEP_MEMORY: Duration = Duration::from_secs(30);

/// How large a pool is, and what its hashes cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolOptions {
    /// How many threads hash; at least one. Each has the memory of one hash, from its first one until it has been idle
    /// for a while.
    pub threads: usize,
    /// How many jobs may wait while every thread is busy; at least one.
    pub queue: usize,
    /// What a new hash costs, and the hash that is computed for an unknown user.
    pub parameters: HashParameters,
}

impl Default for PoolOptions {
    /// A thread for each core, 256 waiting jobs, the default cost.
    fn default() -> Self {
        Self {
            threads: thread::available_parallelism().map_or(1, usize::from),
            queue: 256,
            parameters: HashParameters::default(),
        }
    }
}

/// Why there is no answer about a password. None of these says anything of the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// The queue is full, or too long for the deadline.
    #[error("too many passwords are waiting to be hashed")]
    Overloaded {
        /// When it is worth asking again.
        retry_after: Duration,
    },
    /// The deadline passed before a thread came to the job.
    #[error("the deadline passed before the password was hashed")]
    Deadline,
    /// The stored hash cannot be verified against. For the log, and an operator: it took the time of a hash
    /// all the same, so that the caller need not be told.
    #[error(transparent)]
    CorruptHash(#[from] CorruptHash),
    /// The pool is shutting down.
    #[error("the hashing threads have stopped")]
    Closed,
    /// A defect of ours: hashing panicked. The thread goes on.
    #[error("hashing panicked")]
    Panicked,
}

/// Why a hash of another system was not taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AdoptError {
    /// It cannot be used.
    #[error(transparent)]
    Unusable(#[from] Unusable),
    /// There is no answer about it.
    #[error(transparent)]
    Pool(#[from] PoolError),
}

/// What verifying a password found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the password is the one that was hashed. Never true where there was no hash.
    pub matches: bool,
    /// Whether it matches and should be hashed again, because new hashes have other parameters.
    pub needs_rehash: bool,
}

/// What a pool does and has done since it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PoolStats {
    /// Jobs that wait now, and those that a place is kept for.
    pub queued: usize,
    /// Threads that hash now.
    pub busy: usize,
    /// All threads.
    pub threads: usize,
    /// Hashes that were computed.
    pub hashed: u64,
    /// What they took together, in each family.
    pub work: Tally,
    /// Jobs that were refused because of overload.
    pub refused: u64,
    /// Jobs whose deadline passed before they were hashed.
    pub expired: u64,
    /// Jobs that were dropped unhashed because nobody waited for them any more.
    pub abandoned: u64,
    /// Jobs whose hashing panicked.
    pub panicked: u64,
    /// The memory that the threads hold to hash in; none when all have been idle for a while.
    pub memory_bytes: usize,
    /// The moving average of the time that one hash takes; zero before the first.
    pub average: Duration,
    /// How long jobs took on their threads.
    pub took: Histogram,
}

/// The hashing threads. Dropping it is [`HashingPool::shutdown`].
pub struct HashingPool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl HashingPool {
    /// Starts the threads. Fails when the operating system gives no more of them.
    pub fn start(options: PoolOptions, clock: Arc<dyn Clock>) -> io::Result<Self> {
        Self::launch(Shared::new(options, clock), options)
    }

    fn launch(shared: Shared, options: PoolOptions) -> io::Result<Self> {
        let mut pool = Self { shared: Arc::new(shared), threads: Vec::new() };
        for number in 0..options.threads.max(1) {
            let shared = Arc::clone(&pool.shared);
            let thread = thread::Builder::new().name(format!("hashing-{number}"));
            pool.threads.push(thread.spawn(move || worker::run(&shared))?);
        }
        Ok(pool)
    }

    /// A place in the queue, before anything else is done for a caller: whoever cannot be served is refused while it
    /// costs nothing. Fails with [`PoolError::Overloaded`], [`PoolError::Deadline`] or [`PoolError::Closed`].
    pub fn reserve(&self, deadline: Monotonic) -> Result<Reservation, PoolError> {
        self.shared.queue().reserve(deadline, self.shared.clock.monotonic())?;
        Ok(Reservation { shared: Arc::clone(&self.shared), deadline, used: false })
    }

    /// [`Reservation::hash`] in a place that is taken at once.
    pub async fn hash(&self, password: Password, deadline: Monotonic) -> Result<PasswordHash, PoolError> {
        self.reserve(deadline)?.hash(password).await
    }

    /// Takes over what another system has stored for a password, and returns what is to be stored here: a hash that would be
    /// guessed too fast is wrapped, plain text is hashed, any other stays as it is.
    pub async fn adopt(&self, text: &str, deadline: Monotonic) -> Result<PasswordHash, AdoptError> {
        let adopted = match Adoption::of(Imported::parse(text)?, text) {
            Adoption::Store(hash) => hash,
            Adoption::Hash(password) => self.hash(password, deadline).await?,
            Adoption::Wrap(hash) => {
                let (reply, answer) = oneshot::channel();
                self.reserve(deadline)?.submit(Task::Wrap { hash, reply })?;
                answer.await.unwrap_or(Err(PoolError::Closed))?
            }
        };
        self.will_be_met(&adopted);
        Ok(adopted)
    }

    /// The same for one of many: what must be hashed is hashed when no login waits.
    pub async fn adopt_in_background(
        &self,
        hash: Imported,
        text: &str,
        deadline: Monotonic,
    ) -> Result<PasswordHash, PoolError> {
        let adopted = match Adoption::of(hash, text) {
            Adoption::Store(hash) => hash,
            Adoption::Hash(password) => {
                self.in_background(deadline, |reply| Task::Hash { password, reply }).await?
            }
            Adoption::Wrap(hash) => self.in_background(deadline, |reply| Task::Wrap { hash, reply }).await?,
        };
        self.will_be_met(&adopted);
        Ok(adopted)
    }

    /// Whether this is a hash of the password, found out when no login waits.
    pub async fn check(
        &self,
        hash: Imported,
        password: Password,
        deadline: Monotonic,
    ) -> Result<bool, PoolError> {
        self.in_background(deadline, |reply| Task::Check { hash, password, reply }).await
    }

    /// Does a job when no other waits. Whoever asks while there are as many such jobs as threads waits until one is done,
    /// or is too late.
    async fn in_background<T>(
        &self,
        deadline: Monotonic,
        task: impl FnOnce(Reply<T>) -> Task,
    ) -> Result<T, PoolError> {
        let _permit = self.shared.background.acquire().await.map_err(|_| PoolError::Closed)?;
        let (reply, answer) = oneshot::channel();
        let job = Job { deadline, task: task(reply) };
        self.shared.queue().admit_to_background(job, self.shared.clock.monotonic())?;
        self.shared.work.notify_one();
        answer.await.unwrap_or(Err(PoolError::Closed))
    }

    /// From now on nobody can tell by the time whether somebody has a hash like this one.
    fn will_be_met(&self, hash: &PasswordHash) {
        if let Ok(hash) = Stored::parse(hash) {
            self.shared.met(&hash.work());
        }
    }

    /// What the pool does and has done.
    pub fn stats(&self) -> PoolStats {
        self.shared.queue().stats()
    }

    /// Takes no more jobs, and answers those that wait with [`PoolError::Closed`]; those being hashed are
    /// finished and answered. Does not wait for them.
    pub fn close(&self) {
        self.shared.background.close();
        self.shared.queue().close();
        self.shared.work.notify_all();
    }

    /// Closes the pool and waits for the threads: as long as one hash takes.
    pub fn shutdown(self) {
        drop(self);
    }
}

impl Drop for HashingPool {
    fn drop(&mut self) {
        self.close();
        for thread in self.threads.drain(..) {
            // A thread that panicked has nothing to tell that its caller was not told.
            let _ = thread.join();
        }
    }
}

impl std::fmt::Debug for HashingPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("HashingPool").field(&self.stats()).finish()
    }
}

/// How something is taken over from another system.
enum Adoption {
    Store(PasswordHash),
    Hash(Password),
    Wrap(ForeignHash),
}

impl Adoption {
    /// `text` is what the hash was read from.
    fn of(hash: Imported, text: &str) -> Self {
        match hash {
            Imported::Own(hash) => Self::Store(hash.to_phc()),
            Imported::Wrapped(hash) => Self::Store(hash.to_stored()),
            Imported::Plain(password) => Self::Hash(password),
            Imported::Foreign(hash) if hash.is_fast() => Self::Wrap(hash),
            Imported::Foreign(_) => Self::Store(PasswordHash::from_phc(text.to_owned())),
        }
    }
}

/// A place that is kept in the queue. Dropped unused, it is free again.
#[must_use]
pub struct Reservation {
    shared: Arc<Shared>,
    deadline: Monotonic,
    used: bool,
}

impl Reservation {
    /// Hashes a new password with a fresh salt.
    pub async fn hash(self, password: Password) -> Result<PasswordHash, PoolError> {
        let (reply, answer) = oneshot::channel();
        self.submit(Task::Hash { password, reply })?;
        answer.await.unwrap_or(Err(PoolError::Closed))
    }

    /// Verifies a password against a hash of any kind. Unless it matches and its owner `may_enter`, which tells itself, it
    /// takes the same work whatever the hash: one with the pool's own parameters, and the dearest of each other family
    /// that this pool has met. So does one without a hash, or with one that is corrupt.
    pub async fn verify(
        self,
        password: Password,
        against: Option<PasswordHash>,
        may_enter: bool,
    ) -> Result<Verdict, PoolError> {
        let (reply, answer) = oneshot::channel();
        self.submit(Task::Verify { password, against, may_enter, reply })?;
        answer.await.unwrap_or(Err(PoolError::Closed))
    }

    fn submit(mut self, task: Task) -> Result<(), PoolError> {
        self.used = true;
        let job = Job { deadline: self.deadline, task };
        self.shared.queue().admit(job, self.shared.clock.monotonic())?;
        self.shared.work.notify_one();
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if !self.used {
            self.shared.queue().give_back();
        }
    }
}

impl std::fmt::Debug for Reservation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reservation").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

/// What the pool and its threads share.
struct Shared {
    queue: Mutex<Queue>,
    /// Told when a job is admitted, and when the queue is closed.
    work: Condvar,
    /// How many jobs in the background may wait or be done.
    background: Semaphore,
    clock: Arc<dyn Clock>,
    parameters: HashParameters,
    /// The work of the dearest hash of each family that was met, and of those that the pool makes.
    dearest: Mutex<Tally>,
    /// How long an idle thread keeps its memory.
    keep_memory: Duration,
    /// Called by a thread before each hash, so that a test can hold the threads or make them panic.
    #[cfg(test)]
    before_hash: Box<dyn Fn() + Send + Sync>,
}

impl Shared {
    fn new(options: PoolOptions, clock: Arc<dyn Clock>) -> Self {
        let mut dearest = Tally::default();
        dearest.add(Work { family: Family::Argon2, units: options.parameters.work_kib() });
        Self {
            queue: Mutex::new(Queue::new(options.queue.max(1), options.threads.max(1))),
            work: Condvar::new(),
            background: Semaphore::new(options.threads.max(1)),
            clock,
            parameters: options.parameters,
            dearest: Mutex::new(dearest),
            keep_memory: KEEP_MEMORY,
            #[cfg(test)]
            before_hash: Box::new(|| ()),
        }
    }

    /// The work of the dearest hashes so far.
    fn dearest(&self) -> Tally {
        *self.dearest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A hash was met that takes so much.
    fn met(&self, work: &Tally) {
        let mut dearest = self.dearest.lock().unwrap_or_else(PoisonError::into_inner);
        dearest.raise_to(&work.within_a_login());
    }

    /// The queue is whole after each of its methods, so a panic elsewhere while it was locked spoils nothing.
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
