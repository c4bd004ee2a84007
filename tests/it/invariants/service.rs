//! The real use cases over the real store, without a socket, on a clock that stands still until it is moved.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use countersign::auth::{Authenticator, CallContext, EventRecorder, Parts, Policy, ServiceTokens, UserAdmin};
use countersign::model::{Actor, Clock, ManualClock, Monotonic, RevocationReason, SessionId, UserId};
use countersign::password::{HashParameters, HashingPool, PoolOptions};
use countersign::readiness::Readiness;
use countersign::revocation::Revocations;
use countersign::revocation::follower::Follower;
use countersign::secret;
use countersign::store::{Cause, SessionRevocation, Until, UserStore};
use countersign::token::{AccessTokenIssuer, KeyDirectory, Keyring, Permissions};
use countersign_verifier::Rules;

use crate::conformance::{ABSOLUTE, HOUR, POLICY, session_id};
use crate::support::landscape::{Landscape, Opened};

pub(super) const ACCESS_TTL: Duration = Duration::from_mins(5);
pub(super) const MAX_STALENESS: Duration = Duration::from_mins(1);
const ISSUER: &str = "countersign";
const AUDIENCE: &str = "orders";

/// What one process holds in memory.
pub(super) struct Service {
    pub(super) auth: Authenticator,
    pub(super) keys: Arc<Keyring>,
    pub(super) stores: Opened,
    revocations: Revocations,
    follower: Follower,
}

impl Service {
    /// A process that has just started: it has not loaded the ledger yet.
    pub(super) async fn start<L: Landscape>(landscape: &L, keys: &Path, clock: Arc<ManualClock>) -> Self {
        let stores = landscape.open(clock.clone()).await;
        let keys = Arc::new(Keyring::new(KeyDirectory::open(keys, Permissions::Strict).unwrap()));
        let horizon = ACCESS_TTL + 2 * MAX_STALENESS;
        let revocations = Revocations::new(stores.ledger.clone(), None, clock.clone(), horizon);
        let readiness = Readiness::new(Some(MAX_STALENESS));
        let follower = Follower::new(revocations.clone(), readiness, Duration::from_secs(1));
        let parts = Parts {
            users: stores.users.clone(),
            ledger: stores.ledger.clone(),
            sessions: stores.sessions.clone(),
            revocations: revocations.clone(),
            keys: keys.clone(),
            passwords: Arc::new(hashing(clock.clone())),
            password_policy: Arc::default(),
            service_tokens: ServiceTokens::new(stores.accounts.clone(), clock.clone()),
            throttle: None,
            events: EventRecorder::default(),
            clock,
        };
        Self { auth: Authenticator::new(parts, policy()), keys, stores, revocations, follower }
    }

    pub(super) async fn poll(&mut self) {
        self.follower.step().await;
    }

    /// Waits for what was left under way for these users: each store does one thing after the other, and this is
    /// asked for after all else. The session that it ends is nobody's. Says whether the ledger could be written.
    pub(super) async fn settle(&self, clock: &ManualClock, users: impl Iterator<Item = UserId>) -> bool {
        let (session, user) = (session_id(), UserId::from_bytes(secret::random()));
        let written =
            self.revocations.revoke_session(revocation(session, user, clock), Arc::default()).await.is_ok();
        for user in users {
            self.stores.sessions.find(user, session_id()).await.ok();
        }
        written
    }
}

/// An operator's revocation of one session.
pub(super) fn revocation(session: SessionId, user: UserId, clock: &ManualClock) -> SessionRevocation {
    let until = Until::At(clock.now() + ABSOLUTE);
    let cause = Cause { actor: Actor::Operator, reason: RevocationReason::Operator, until };
    SessionRevocation { session, user, cause }
}

/// Within what time a store answers, however busy the machine is.
pub(super) const DEADLINE: Duration = Duration::from_secs(20);

pub(super) fn operator(users: Arc<dyn UserStore>, clock: Arc<ManualClock>) -> UserAdmin {
    UserAdmin::new(users, Arc::new(hashing(clock.clone())), clock, ABSOLUTE)
}

pub(super) fn call(clock: &ManualClock) -> CallContext {
    let deadline = Monotonic(clock.monotonic().0 + HOUR);
    CallContext { deadline, peer: None, request_id: "".into() }
}

fn hashing(clock: Arc<ManualClock>) -> HashingPool {
    let parameters = HashParameters::new(8, 1, 1).unwrap();
    HashingPool::start(PoolOptions { threads: 1, queue: 4, parameters }, clock).unwrap()
}

fn policy() -> Policy {
    Policy {
        session: POLICY,
        classes: BTreeMap::new(),
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
