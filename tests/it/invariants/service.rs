//! The real use cases over the real store, without a socket, on a clock that stands still until it is moved.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use countersign::auth::{Authenticator, CallContext, Parts, Policy, UserAdmin};
use countersign::model::{Actor, Clock, ManualClock, Monotonic, RevocationReason, SessionId, UserId};
use countersign::password::{HashParameters, HashingPool, PoolOptions};
use countersign::readiness::Readiness;
use countersign::revocation::Revocations;
use countersign::revocation::follower::Follower;
use countersign::secret;
use countersign::store::sqlite::{SqliteOptions, SqliteStore};
use countersign::store::{Cause, SessionRevocation};
use countersign::token::{AccessTokenIssuer, KeyDirectory, Keyring, Permissions};
use countersign_verifier::Rules;

use crate::conformance::{ABSOLUTE, HOUR, POLICY};

pub(super) const ACCESS_TTL: Duration = Duration::from_mins(5);
pub(super) const MAX_STALENESS: Duration = Duration::from_mins(1);
const ISSUER: &str = "countersign";
const AUDIENCE: &str = "orders";

/// What one process holds in memory.
pub(super) struct Service {
    pub(super) auth: Authenticator,
    pub(super) keys: Arc<Keyring>,
    pub(super) store: Arc<SqliteStore>,
    revocations: Revocations,
    follower: Follower,
}

impl Service {
    /// A process that has just started: it has not loaded the ledger yet.
    pub(super) async fn start(directory: &Path, keys: &Path, clock: Arc<ManualClock>) -> Self {
        let store = Arc::new(open(directory, clock.clone()).await);
        let keys = Arc::new(Keyring::new(KeyDirectory::open(keys, Permissions::Strict).unwrap()));
        let horizon = ACCESS_TTL + 2 * MAX_STALENESS;
        let revocations = Revocations::new(store.clone(), None, clock.clone(), horizon);
        let readiness = Readiness::new(Some(MAX_STALENESS));
        let follower = Follower::new(revocations.clone(), readiness, Duration::from_secs(1));
        let parts = Parts {
            users: store.clone(),
            ledger: store.clone(),
            sessions: store.clone(),
            revocations: revocations.clone(),
            keys: keys.clone(),
            passwords: Arc::new(hashing(clock.clone())),
            throttle: None,
            clock,
        };
        Self { auth: Authenticator::new(parts, policy()), keys, store, revocations, follower }
    }

    pub(super) async fn poll(&mut self) {
        self.follower.step().await;
    }

    /// Waits for what was left under way: the store has one writer, and this is written after all else. The
    /// session that it ends is nobody's.
    pub(super) async fn settle(&self, clock: &ManualClock) -> bool {
        let (session, user) = (SessionId::from_bytes(secret::random()), UserId::from_bytes(secret::random()));
        self.revocations.revoke_session(revocation(session, user, clock)).await.is_ok()
    }
}

/// An operator's revocation of one session.
pub(super) fn revocation(session: SessionId, user: UserId, clock: &ManualClock) -> SessionRevocation {
    let until = clock.now() + ABSOLUTE;
    let cause = Cause { actor: Actor::Operator, reason: RevocationReason::Operator, until };
    SessionRevocation { session, user, cause }
}

/// A store in its own process, as it were. Nobody else writes while the test does, except where the test holds the
/// lock: so there is no point in waiting for it. The deadline is one that a busy machine keeps.
pub(super) async fn open(directory: &Path, clock: Arc<ManualClock>) -> SqliteStore {
    let options = SqliteOptions {
        busy_timeout: Duration::from_millis(5),
        deadline: DEADLINE,
        ..SqliteOptions::new(path(directory))
    };
    SqliteStore::open(options, clock).await.unwrap()
}

/// The store's deadline.
pub(super) const DEADLINE: Duration = Duration::from_secs(20);

pub(super) fn path(directory: &Path) -> PathBuf {
    directory.join("countersign.db")
}

pub(super) fn operator(store: Arc<SqliteStore>, clock: Arc<ManualClock>) -> UserAdmin {
    UserAdmin::new(store, Arc::new(hashing(clock.clone())), clock, ABSOLUTE)
}

pub(super) fn call(clock: &ManualClock) -> CallContext {
    let deadline = Monotonic(clock.monotonic().0 + HOUR);
    CallContext { deadline, peer: None, request_id: String::new() }
}

fn hashing(clock: Arc<ManualClock>) -> HashingPool {
    let parameters = HashParameters::new(8, 1, 1).unwrap();
    HashingPool::start(PoolOptions { threads: 1, queue: 4, parameters }, clock).unwrap()
}

fn policy() -> Policy {
    Policy {
        session: POLICY,
        access_ttl: ACCESS_TTL,
        audiences: vec![AUDIENCE.to_owned()],
        default_audience: AUDIENCE.to_owned(),
        access_tokens: AccessTokenIssuer::new(ISSUER),
        rules: Rules::new(ISSUER, vec![AUDIENCE.to_owned()]),
        max_staleness: MAX_STALENESS,
        serve_when_stale: false,
        verified_cache: countersign_verifier::Verifier::CACHED_TOKENS,
    }
}
