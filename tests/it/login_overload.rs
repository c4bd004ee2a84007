//! A flood of logins costs the stores no more than what can be hashed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use countersign::auth::{Authenticate as _, Authenticator, CallContext, Login, LoginRequest};
use countersign::model::throttle::{Admission, LoginAttempt};
use countersign::model::{Clock as _, Monotonic, SystemClock};
use countersign::reason::Reason;
use countersign::revocation::Revocations;
use countersign::store::sqlite::{SqliteOptions, SqliteStore};
use countersign::store::{LoginThrottle, StoreError};
use countersign::token::Keyring;
use tokio::sync::Semaphore;
use tokio::task::yield_now;

use crate::support::in_process::{load_keys, parts, policy};

/// The first store that a login asks. It answers when it is let.
struct Gate {
    asked: AtomicU32,
    answers: Semaphore,
}

#[async_trait]
impl LoginThrottle for Gate {
    async fn admit(&self, _: LoginAttempt) -> Result<Admission, StoreError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.answers.acquire().await.unwrap().forget();
        Ok(Admission::Admitted)
    }

    async fn succeeded(&self, _: LoginAttempt) -> Result<(), StoreError> {
        Ok(())
    }
}

struct World {
    auth: Authenticator,
    gate: Arc<Gate>,
    clock: Arc<SystemClock>,
    _directory: tempfile::TempDir,
}

impl World {
    async fn new() -> Arc<Self> {
        let directory = tempfile::tempdir().unwrap();
        let clock = Arc::new(SystemClock::new());
        let keys = Arc::new(Keyring::new(load_keys(&directory.path().join("keys"), clock.now())));
        let options = SqliteOptions::new(directory.path().join("countersign.db"));
        let store = Arc::new(SqliteStore::open(options, clock.clone()).await.unwrap());
        store.migrate().await.unwrap();
        let policy = policy();
        let revocations = Revocations::new(store.clone(), None, clock.clone(), policy.access_ttl);
        let gate = Arc::new(Gate { asked: AtomicU32::new(0), answers: Semaphore::new(0) });
        let mut parts = parts(&store, &revocations, &keys, clock.clone());
        parts.throttle = Some(gate.clone());
        Arc::new(Self { auth: Authenticator::new(parts, policy), gate, clock, _directory: directory })
    }

    /// Of a user whom there is not.
    async fn login(&self) -> Result<Login, Reason> {
        let request = LoginRequest {
            username: "nobody".to_owned(),
            password: "correct horse".to_owned().into(),
            audiences: Vec::new(),
            client: countersign::model::ClientFacts::default(),
        };
        let deadline = Monotonic(self.clock.monotonic().0 + std::time::Duration::from_mins(1));
        let call = CallContext { deadline, peer: None, request_id: "".into() };
        self.auth.login(call, request).await.map_err(|error| error.reason)
    }

    fn asked(&self) -> u32 {
        self.gate.asked.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn a_login_that_cannot_be_hashed_is_refused_before_any_store_is_asked() {
    let world = World::new().await;
    let login = |world: &Arc<World>| {
        let world = Arc::clone(world);
        tokio::spawn(async move { world.login().await.map(drop) })
    };
    let (hashed, waiting) = (login(&world), login(&world));
    while world.asked() < 2 {
        yield_now().await;
    }

    assert_eq!(world.login().await.map(drop), Err(Reason::LoginOverloaded));
    assert_eq!(world.asked(), 2);

    // The places of the two are free when they are through, and that of one who went away at once.
    world.gate.answers.add_permits(2);
    assert_eq!(hashed.await.unwrap(), Err(Reason::InvalidCredentials));
    assert_eq!(waiting.await.unwrap(), Err(Reason::InvalidCredentials));
    for round in 0..4 {
        let gone = login(&world);
        while world.asked() < 3 + round {
            yield_now().await;
        }
        gone.abort();
        assert!(gone.await.unwrap_err().is_cancelled());
    }
    world.gate.answers.add_permits(1);
    assert_eq!(world.login().await.map(drop), Err(Reason::InvalidCredentials));
}
