use std::ops::Deref;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use tokio::task::JoinSet;

use super::*;
use crate::model::{ManualClock, UnixMillis};

impl HashingPool {
    /// [`Reservation::verify`] in a place that is taken at once.
    async fn verify(
        &self,
        password: Password,
        against: Option<PasswordHash>,
        deadline: Monotonic,
    ) -> Result<Verdict, PoolError> {
        self.reserve(deadline)?.verify(password, against).await
    }
}

const LATER: Monotonic = Monotonic(Duration::from_mins(1));

/// Holds threads before they hash.
#[derive(Default)]
struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
    panic: AtomicBool,
}

#[derive(Default)]
struct GateState {
    shut: bool,
    held: usize,
}

impl Gate {
    fn shut() -> Arc<Self> {
        let gate = Arc::new(Self::default());
        gate.state.lock().unwrap().shut = true;
        gate
    }

    fn open(&self) {
        self.state.lock().unwrap().shut = false;
        self.changed.notify_all();
    }

    fn wait_until_held(&self, threads: usize) {
        let state = self.state.lock().unwrap();
        drop(self.changed.wait_while(state, |state| state.held < threads).unwrap());
    }

    fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        state.held += 1;
        self.changed.notify_all();
        state = self.changed.wait_while(state, |state| state.shut).unwrap();
        state.held -= 1;
        drop(state);
        assert!(!self.panic.swap(false, Ordering::SeqCst), "the panic that the test asked for");
    }
}

fn small() -> HashParameters {
    HashParameters::new(8, 1, 1).unwrap()
}

fn manual_clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(UnixMillis(0)))
}

/// A pool whose gate opens when a test ends, however it ends: otherwise its threads could not be joined.
struct GatedPool {
    pool: HashingPool,
    gate: Arc<Gate>,
}

impl Deref for GatedPool {
    type Target = HashingPool;

    fn deref(&self) -> &HashingPool {
        &self.pool
    }
}

impl Drop for GatedPool {
    fn drop(&mut self) {
        self.gate.open();
    }
}

fn start(threads: usize, queue: usize, clock: Arc<ManualClock>, gate: &Arc<Gate>) -> GatedPool {
    let options = PoolOptions { threads, queue, parameters: small() };
    let mut shared = Shared::new(options, clock);
    let held_by = Arc::clone(gate);
    shared.before_hash = Box::new(move || held_by.pass());
    GatedPool { pool: HashingPool::launch(shared, options).unwrap(), gate: Arc::clone(gate) }
}

fn password(text: &str) -> Password {
    Password::new(text.to_owned()).unwrap()
}

/// Runs a future up to its first wait: by then a job is in the queue, or refused.
fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test]
async fn a_hash_verifies_its_own_password_and_no_other() {
    let pool = HashingPool::start(
        PoolOptions { threads: 1, queue: 4, parameters: small() },
        Arc::new(crate::model::SystemClock::new()),
    )
    .unwrap();
    let hash = pool.hash(password("secret"), LATER).await.unwrap();
    assert_ne!(pool.hash(password("secret"), LATER).await.unwrap(), hash, "each has a salt of its own");

    let right = pool.verify(password("secret"), Some(hash.clone()), LATER).await;
    assert_eq!(right, Ok(Verdict { matches: true, needs_rehash: false }));
    let wrong = pool.verify(password("secret "), Some(hash), LATER).await;
    assert_eq!(wrong, Ok(Verdict { matches: false, needs_rehash: false }));
}

#[tokio::test]
async fn a_hash_with_other_parameters_needs_a_rehash_once_the_password_is_right() {
    let pool = start(1, 4, manual_clock(), &Arc::default());
    let mut memory = crate::password::WorkingMemory::new(small());
    let costly = HashParameters::new(64, 2, 1).unwrap();
    let old = Argon2idHash::compute(&password("secret"), [1; 16], costly, &mut memory).to_phc();
    let right = pool.verify(password("secret"), Some(old.clone()), LATER).await;
    assert_eq!(right, Ok(Verdict { matches: true, needs_rehash: true }));
    let wrong = pool.verify(password("guess"), Some(old), LATER).await;
    assert_eq!(wrong, Ok(Verdict { matches: false, needs_rehash: false }));
}

/// A hash from before the parameters were raised is made up for, whatever the verdict, so that it takes no less than any other.
#[tokio::test]
async fn a_cheaper_hash_costs_one_more_of_the_difference() {
    let pool = HashingPool::start(
        PoolOptions { threads: 1, queue: 4, parameters: HashParameters::new(64, 2, 1).unwrap() },
        Arc::new(crate::model::SystemClock::new()),
    )
    .unwrap();
    let cheap = HashParameters::new(16, 1, 1).unwrap();
    let mut memory = crate::password::WorkingMemory::new(cheap);
    let old = Argon2idHash::compute(&password("secret"), [1; 16], cheap, &mut memory).to_phc();
    for (guess, matches) in [("secret", true), ("guess", false)] {
        let before = pool.stats().hashed;
        let verdict = pool.verify(password(guess), Some(old.clone()), LATER).await;
        assert_eq!(verdict, Ok(Verdict { matches, needs_rehash: matches }));
        assert_eq!(pool.stats().hashed - before, 2, "{guess}");
    }
    let today = pool.hash(password("secret"), LATER).await.unwrap();
    let before = pool.stats().hashed;
    pool.verify(password("guess"), Some(today), LATER).await.unwrap();
    assert_eq!(pool.stats().hashed - before, 1, "one of today's is all that it takes");
}

#[tokio::test]
async fn an_unknown_user_and_a_corrupt_hash_each_cost_one_hash() {
    let pool = start(1, 4, manual_clock(), &Arc::default());
    let unknown = pool.verify(password("secret"), None, LATER).await;
    assert_eq!(unknown, Ok(Verdict { matches: false, needs_rehash: false }));
    assert_eq!(pool.stats().hashed, 1);

    let corrupt = PasswordHash::from_phc("$argon2id$v=19$m=99999999,t=1,p=1$AAAA$AAAA".to_owned());
    let error = pool.verify(password("secret"), Some(corrupt), LATER).await.unwrap_err();
    assert!(matches!(error, PoolError::CorruptHash(CorruptHash::Parameters(_))), "{error}");
    assert_eq!(pool.stats().hashed, 2);
}

#[test]
fn a_full_queue_is_refused_before_any_wait() {
    let gate = Gate::shut();
    let pool = start(1, 1, manual_clock(), &gate);
    let mut hashing = pin!(pool.verify(password("secret"), None, LATER));
    assert!(poll_once(hashing.as_mut()).is_pending());
    gate.wait_until_held(1);
    let mut waiting = pin!(pool.verify(password("secret"), None, LATER));
    assert!(poll_once(waiting.as_mut()).is_pending());
    assert_eq!((pool.stats().busy, pool.stats().queued), (1, 1));

    let refused = pin!(pool.verify(password("secret"), None, LATER));
    assert!(matches!(poll_once(refused), Poll::Ready(Err(PoolError::Overloaded { .. }))));
    let refused = pin!(pool.hash(password("secret"), LATER));
    assert!(matches!(poll_once(refused), Poll::Ready(Err(PoolError::Overloaded { .. }))));
    assert_eq!(pool.stats().refused, 2);
    gate.open();
}

#[test]
fn a_deadline_that_has_passed_is_refused_without_hashing() {
    let (gate, clock) = (Gate::shut(), manual_clock());
    let pool = start(1, 4, Arc::clone(&clock), &gate);
    let refused = pin!(pool.verify(password("secret"), None, Monotonic::default()));
    assert_eq!(poll_once(refused), Poll::Ready(Err(PoolError::Deadline)));

    let mut hashing = pin!(pool.verify(password("secret"), None, LATER));
    assert!(poll_once(hashing.as_mut()).is_pending());
    gate.wait_until_held(1);
    let late = pool.verify(password("secret"), None, Monotonic(Duration::from_secs(1)));
    let mut late = pin!(late);
    assert!(poll_once(late.as_mut()).is_pending());
    clock.advance(Duration::from_secs(1));
    gate.open();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(runtime.block_on(late), Err(PoolError::Deadline));
    assert!(runtime.block_on(hashing).is_ok());
    assert_eq!((pool.stats().hashed, pool.stats().expired), (1, 2));
}

#[test]
fn nobody_hashes_for_a_caller_who_has_gone() {
    let gate = Gate::shut();
    let pool = start(1, 4, manual_clock(), &gate);
    let mut hashing = Box::pin(pool.verify(password("secret"), None, LATER));
    assert!(poll_once(hashing.as_mut()).is_pending());
    gate.wait_until_held(1);
    let mut gone = Box::pin(pool.hash(password("secret"), LATER));
    assert!(poll_once(gone.as_mut()).is_pending());
    drop(gone);
    // This one goes while its hash is being computed: the thread must survive that, too.
    drop(hashing);
    gate.open();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert!(runtime.block_on(pool.verify(password("secret"), None, LATER)).is_ok());
    assert_eq!((pool.stats().hashed, pool.stats().abandoned), (2, 1));
}

#[tokio::test]
async fn a_panic_costs_one_answer_and_no_thread() {
    let gate = Arc::<Gate>::default();
    let pool = start(1, 4, manual_clock(), &gate);
    gate.panic.store(true, Ordering::SeqCst);
    assert_eq!(pool.hash(password("secret"), LATER).await, Err(PoolError::Panicked));
    let hash = pool.hash(password("secret"), LATER).await.unwrap();
    assert!(pool.verify(password("secret"), Some(hash), LATER).await.unwrap().matches);
    let stats = pool.stats();
    assert_eq!((stats.panicked, stats.hashed, stats.busy, stats.queued), (1, 2, 0, 0));
}

#[test]
fn closing_finishes_what_is_being_hashed_and_answers_the_rest() {
    let gate = Gate::shut();
    let pool = start(1, 4, manual_clock(), &gate);
    let shared = Arc::downgrade(&pool.shared);
    {
        let mut hashing = pin!(pool.verify(password("secret"), None, LATER));
        assert!(poll_once(hashing.as_mut()).is_pending());
        gate.wait_until_held(1);
        let mut waiting = pin!(pool.hash(password("secret"), LATER));
        assert!(poll_once(waiting.as_mut()).is_pending());
        pool.close();
        assert_eq!(poll_once(waiting), Poll::Ready(Err(PoolError::Closed)));
        let refused = pin!(pool.hash(password("secret"), LATER));
        assert_eq!(poll_once(refused), Poll::Ready(Err(PoolError::Closed)));
        gate.open();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert!(runtime.block_on(hashing).is_ok());
    }
    drop(pool);
    assert_eq!(shared.strong_count(), 0, "every thread has ended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_at_once_on_two_threads_are_all_answered() {
    let pool = Arc::new(start(2, 100, manual_clock(), &Arc::default()));
    let hash = pool.hash(password("secret"), LATER).await.unwrap();
    let mut callers = JoinSet::new();
    for number in 0..1000 {
        let (pool, hash) = (Arc::clone(&pool), hash.clone());
        let text = if number % 2 == 0 { "secret" } else { "guess" };
        callers.spawn(async move { (text, pool.verify(password(text), Some(hash), LATER).await) });
    }
    let answers =
        tokio::time::timeout(Duration::from_mins(1), callers.join_all()).await.expect("no one hangs");
    let mut hashed = 1;
    for (text, answer) in answers {
        match answer {
            Ok(verdict) => {
                assert_eq!(verdict.matches, text == "secret");
                hashed += 1;
            }
            Err(error) => assert!(matches!(error, PoolError::Overloaded { .. }), "{error}"),
        }
    }
    let stats = pool.stats();
    assert_eq!((stats.hashed, stats.hashed + stats.refused), (hashed, 1001));
    assert_eq!((stats.busy, stats.queued), (0, 0));
}

#[tokio::test]
async fn memory_is_taken_for_the_first_hash_and_given_back_by_an_idle_thread() {
    let options = PoolOptions { threads: 2, queue: 8, parameters: small() };
    let pool = HashingPool::start(options, manual_clock()).unwrap();
    assert_eq!(pool.stats().memory_bytes, 0, "nothing is held before there is anything to hash");
    pool.hash(password("correct horse"), LATER).await.unwrap();
    assert_eq!(pool.stats().memory_bytes, 8 * 1024, "by the one thread that hashed");
    pool.shutdown();

    let hasty = Shared { keep_memory: Duration::ZERO, ..Shared::new(options, manual_clock()) };
    let pool = HashingPool::launch(hasty, options).unwrap();
    pool.hash(password("correct horse"), LATER).await.unwrap();
    // Bounded, so that a pool that keeps its memory fails the test instead of running for ever.
    let given_back = (0..10_000_000).any(|_| {
        thread::yield_now();
        pool.stats().memory_bytes == 0
    });
    assert!(given_back);
    assert!(pool.hash(password("battery staple"), LATER).await.is_ok(), "and takes it again");
}
