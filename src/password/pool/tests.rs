use std::ops::Deref;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use tokio::task::JoinSet;

use super::*;
use crate::model::{ManualClock, UnixMillis};
use crate::password::foreign::{Imported, Stored};
use crate::password::{Argon2idHash, WorkingMemory};

impl HashingPool {
    /// [`Reservation::verify`] in a place that is taken at once.
    async fn verify(
        &self,
        password: Password,
        against: Option<PasswordHash>,
        deadline: Monotonic,
    ) -> Result<Verdict, PoolError> {
        self.reserve(deadline)?.verify(password, against, true).await
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

/// A hash from before the parameters were raised is made up for, so that a refusal takes no less than any other.
#[tokio::test]
async fn a_cheaper_hash_costs_one_more_of_the_difference() {
    let pool = HashingPool::start(
        PoolOptions { threads: 1, queue: 4, parameters: HashParameters::new(64, 2, 1).unwrap() },
        Arc::new(crate::model::SystemClock::new()),
    )
    .unwrap();
    let cheap = HashParameters::new(16, 1, 1).unwrap();
    let mut memory = WorkingMemory::new(cheap);
    let old = Argon2idHash::compute(&password("secret"), [1; 16], cheap, &mut memory).to_phc();
    for (guess, hashes) in [("secret", 1), ("guess", 2)] {
        let matches = guess == "secret";
        let before = pool.stats().hashed;
        let verdict = pool.verify(password(guess), Some(old.clone()), LATER).await;
        assert_eq!(verdict, Ok(Verdict { matches, needs_rehash: matches }));
        assert_eq!(pool.stats().hashed - before, hashes, "{guess}");
    }
    let today = pool.hash(password("secret"), LATER).await.unwrap();
    let before = pool.stats().hashed;
    pool.verify(password("guess"), Some(today), LATER).await.unwrap();
    assert_eq!(pool.stats().hashed - before, 1, "one of today's is all that it takes");
}

/// One hash of each family, and some that are dearer or cheaper than another of theirs, all of `secret`; as they are stored.
fn one_of_each() -> Vec<PasswordHash> {
    let mut memory = WorkingMemory::default();
    let of = |memory_kib, iterations| HashParameters::new(memory_kib, iterations, 1).unwrap();
    let own = [of(64, 2), of(16, 1), of(512, 3)];
    let mut hashes: Vec<_> = own
        .into_iter()
        .map(|cost| Argon2idHash::compute(&password("secret"), [1; 16], cost, &mut memory).to_phc())
        .collect();
    // What is tried below is never the password of these; only what they cost matters.
    for text in [
        "$2b$04$e3.qnd8KukY1RwztNd/4sOOOOMzZi8FzUhOZP0pAVovs3k6xZrBEW",
        "$2b$05$e3.qnd8KukY1RwztNd/4sOOOOMzZi8FzUhOZP0pAVovs3k6xZrBEW",
        "$2b$10$e3.qnd8KukY1RwztNd/4sOOOOMzZi8FzUhOZP0pAVovs3k6xZrBEW",
        "$argon2i$v=19$m=2048,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZg$MDEyMzQ1Njc4OWFiY2RlZg",
        "$scrypt$ln=6,r=8,p=1$c2FsdHNhbHQ$MDEyMzQ1Njc4OWFiY2RlZg",
        "$scrypt$ln=7,r=8,p=3$c2FsdHNhbHQ$MDEyMzQ1Njc4OWFiY2RlZg",
        "pbkdf2_sha256$1000$salt$MDEyMzQ1Njc4OWFiY2RlZg==",
        "pbkdf2_sha256$100000$salt$MDEyMzQ1Njc4OWFiY2RlZg==",
        "pbkdf2_sha1$700$salt$MDEyMzQ1Njc4OWFiY2RlZg==",
        "$pbkdf2-sha512$300$c2FsdA$MDEyMzQ1Njc4OWFiY2RlZg",
        "$P$912345678aaaaaaaaaaaaaaaaaaaaaa",
        "$S$512345678aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "md5:password::0123456789abcdef0123456789abcdef",
    ] {
        let Ok(Imported::Foreign(hash)) = Imported::parse(text) else { panic!("{text} is not read") };
        hashes.push(if hash.is_fast() {
            hash.wrap([1; 16], small(), &mut memory).to_stored()
        } else {
            PasswordHash::from_phc(text.to_owned())
        });
    }
    hashes
}

/// Whatever kind of hash somebody has, or none: a refusal is the same work in every family.
#[tokio::test]
async fn every_refused_login_does_the_same_work_once_a_hash_of_each_kind_was_met() {
    let parameters = HashParameters::new(64, 2, 1).unwrap();
    let pool = start_with(PoolOptions { threads: 1, queue: 4, parameters });
    let hashes = one_of_each();
    for hash in &hashes {
        assert!(Stored::parse(hash).is_ok());
        pool.verify(password("guess"), Some(hash.clone()), LATER).await.unwrap();
    }
    let corrupt = PasswordHash::from_phc("$2x$10$".to_owned());
    let others = [None, Some(corrupt)];
    let mut works = Vec::new();
    for against in hashes.iter().cloned().map(Some).chain(others) {
        let before = pool.stats().work;
        let verdict = pool.reserve(LATER).unwrap().verify(password("guess"), against, true).await;
        assert!(!matches!(verdict, Ok(Verdict { matches: true, .. })));
        works.push(pool.stats().work.since(&before));
    }
    // A disabled user's right password is refused, too.
    let before = pool.stats().work;
    let right = Some(hashes[0].clone());
    assert!(
        pool.reserve(LATER).unwrap().verify(password("secret"), right.clone(), false).await.unwrap().matches
    );
    works.push(pool.stats().work.since(&before));

    let unknown = works[hashes.len()];
    for family in Family::ALL {
        assert!(
            unknown.of(family) > 0 || matches!(family, Family::Sha256Crypt | Family::Sha512Crypt),
            "{family:?}"
        );
        for (kind, work) in works.iter().enumerate() {
            // Argon2 and scrypt are filled in whole KiB in each pass.
            let apart = work.of(family).abs_diff(unknown.of(family));
            assert!(
                apart <= 16,
                "{family:?}: the hash {kind} takes {} and none {}",
                work.of(family),
                unknown.of(family)
            );
        }
    }
    let before = pool.stats().work;
    assert!(pool.verify(password("secret"), right, LATER).await.unwrap().matches);
    let work = pool.stats().work.since(&before);
    assert_eq!(
        (work.of(Family::Argon2), work.of(Family::Bcrypt)),
        (128, 0),
        "one that is let in pays for no other"
    );
}

#[tokio::test]
async fn a_hash_of_another_system_is_taken_over_and_nobody_can_tell_from_then_on() {
    let parameters = HashParameters::new(64, 2, 1).unwrap();
    let pool = start_with(PoolOptions { threads: 1, queue: 4, parameters });
    let adopted = async |text: &str| pool.adopt(text, LATER).await.map(|hash| hash.as_phc().to_owned());
    let bcrypt = "$2b$10$e3.qnd8KukY1RwztNd/4sOOOOMzZi8FzUhOZP0pAVovs3k6xZrBEW";
    assert_eq!(adopted(bcrypt).await.as_deref(), Ok(bcrypt), "a slow one stays as it is");
    let before = pool.stats().work;
    pool.verify(password("guess"), None, LATER).await.unwrap();
    let work = pool.stats().work.since(&before);
    assert_eq!(
        (work.of(Family::Bcrypt), work.of(Family::Argon2)),
        (1024, 128),
        "an unknown user costs it, too"
    );

    let md5 = pool.adopt("md5:password::e10adc3949ba59abbe56e057f20f883e", LATER).await.unwrap();
    assert!(md5.as_phc().starts_with("$wrapped$v=1$md5$"), "a fast one is wrapped");
    let verdict = pool.verify(password("123456"), Some(md5), LATER).await;
    assert_eq!(verdict, Ok(Verdict { matches: true, needs_rehash: true }));
    let plain = pool.adopt("plain:123456", LATER).await.unwrap();
    assert!(plain.as_phc().starts_with("$argon2id$v=19$m=64,t=2,p=1$"));
    let verdict = pool.verify(password("123456"), Some(plain), LATER).await;
    assert_eq!(verdict, Ok(Verdict { matches: true, needs_rehash: false }), "and is one of ours");
    assert_eq!(adopted("$1$no").await, Err(AdoptError::Unusable(Unusable::UnknownFormat)));
}

/// A pool by the machine's clock, whose threads nobody holds.
fn start_with(options: PoolOptions) -> HashingPool {
    HashingPool::start(options, Arc::new(crate::model::SystemClock::new())).unwrap()
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
