//! The use cases over real stores in this process, so that a test can stop between two of their steps, or move the
//! clock by weeks: users and ledger in PostgreSQL, sessions in Redis.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use countersign::auth::{
    AuthError, Authenticate as _, Authenticator, CallContext, EventRecorder, LoginRequest, LogoutRequest,
    LogoutToken, Parts, Policy, RefreshRequest, ServiceTokens, Verification, VerifyRequest,
};
use countersign::config::Algorithm;
use countersign::model::{ClientFacts, Clock, ManualClock, Monotonic, NewUser, SessionLimit, UserId};
use countersign::password::{HashParameters, HashingPool, Password, PoolOptions};
use countersign::readiness::Readiness;
use countersign::reason::Reason;
use countersign::revocation::Revocations;
use countersign::revocation::follower::Follower;
use countersign::store::redis::{RedisStore, TimeSource};
use countersign::store::{Ledger, Probe as _, ServiceAccountStore, SessionPolicy, SessionStore, UserStore};
use countersign::token::access::AccessTokenIssuer;
use countersign::token::{KeyDirectory, Keyring, Permissions};
use countersign_verifier::Rules;
use secrecy::ExposeSecret as _;

use crate::conformance::{DEADLINE, POLICY, START, new_user};
use crate::redis_store::options;
use crate::sql_faults::on_shared;
use crate::support::postgres::Postgres;
use crate::support::redis::{Server, is_installed};

const PASSWORD: &str = "correct horse battery";
const ACCESS_TTL: Duration = Duration::from_mins(5);
pub(super) const DAY: Duration = Duration::from_hours(24);

/// The stores, one user, and the clock of all.
pub(super) struct World {
    pub(super) clock: Arc<ManualClock>,
    pub(super) redis: Server,
    pub(super) users: Arc<dyn UserStore>,
    pub(super) ledger: Arc<dyn Ledger>,
    accounts: Arc<dyn ServiceAccountStore>,
    pub(super) user: UserId,
    /// How many sessions the user may have.
    pub(super) limit: SessionLimit,
    keys: Arc<Keyring>,
    passwords: Arc<HashingPool>,
    redis_options: countersign::store::redis::RedisOptions,
}

impl World {
    /// None when a server is not installed.
    pub(super) async fn new(test: &str) -> Option<Self> {
        is_installed(test).then_some(())?;
        let clock = Arc::new(ManualClock::new(START));
        let sql = on_shared::<Postgres>(clock.clone()).await?;
        let redis = Server::start_with(&["--appendonly", "yes", "--appendfsync", "always"]);
        let parameters = HashParameters::new(64, 1, 1).unwrap();
        let hashing = PoolOptions { threads: 1, parameters, ..PoolOptions::default() };
        let passwords = HashingPool::start(hashing, clock.clone()).unwrap();
        let hash = passwords.hash(Password::new(PASSWORD.to_owned()).unwrap(), LATER).await.unwrap();
        let user = sql.users.create(NewUser { password_hash: hash, ..new_user("ada") }).await.unwrap().id;
        Some(Self {
            redis_options: options(&redis.url()),
            keys: Arc::new(keys(clock.as_ref())),
            passwords: Arc::new(passwords),
            limit: SessionLimit::Unlimited,
            users: sql.users,
            ledger: sql.ledger,
            accounts: sql.accounts,
            clock,
            redis,
            user,
        })
    }

    /// A connection to the sessions.
    pub(super) async fn sessions(&self) -> Arc<RedisStore> {
        let store = RedisStore::open(&self.redis_options, TimeSource::Clock(self.clock.clone()));
        while store.check().await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Arc::new(store)
    }

    /// A process that has just started, and knows of revocations what a new one knows.
    pub(super) async fn replica(&self) -> Replica {
        self.replica_on(self.ledger.clone(), self.sessions().await).await
    }

    /// The same, on these stores.
    pub(super) async fn replica_on(
        &self,
        ledger: Arc<dyn Ledger>,
        sessions: Arc<dyn SessionStore>,
    ) -> Replica {
        let clock: Arc<dyn Clock> = self.clock.clone();
        let horizon = ACCESS_TTL + Duration::from_mins(2);
        let revocations = Revocations::new(ledger.clone(), None, clock.clone(), horizon);
        let readiness = Readiness::new(None);
        Follower::new(revocations.clone(), readiness.clone(), Duration::from_secs(1)).step().await;
        assert!(readiness.report().ready);
        let parts = Parts {
            users: self.users.clone(),
            ledger,
            sessions,
            revocations,
            keys: self.keys.clone(),
            passwords: self.passwords.clone(),
            password_policy: Arc::default(),
            service_tokens: ServiceTokens::new(self.accounts.clone(), clock.clone()),
            throttle: None,
            events: EventRecorder::default(),
            clock,
        };
        Replica { auth: Authenticator::new(parts, policy(self.limit)), clock: self.clock.clone() }
    }
}

const LATER: Monotonic = Monotonic(Duration::MAX);

fn keys(clock: &dyn Clock) -> Keyring {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys");
    KeyDirectory::create_missing(&path, Algorithm::EdDsa.into(), clock.now()).unwrap();
    Keyring::new(KeyDirectory::open(&path, Permissions::Strict).unwrap())
}

/// The defaults, but that a session may rest for a month.
fn policy(limit: SessionLimit) -> Policy {
    let audience = "countersign".to_owned();
    Policy {
        session: SessionPolicy { idle: 30 * DAY, absolute: 90 * DAY, limit, ..POLICY },
        classes: BTreeMap::new(),
        access_ttl: ACCESS_TTL,
        audiences: vec![audience.clone()],
        access_tokens: AccessTokenIssuer::new("countersign"),
        rules: Rules::new("countersign", vec![audience.clone()]),
        default_audience: audience,
        max_staleness: Duration::from_mins(1),
        serve_when_stale: true,
        verified_cache: countersign_verifier::Verifier::CACHED_TOKENS,
    }
}

/// One process.
pub(super) struct Replica {
    auth: Authenticator,
    clock: Arc<ManualClock>,
}

/// What a client holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tokens {
    pub(super) access: String,
    pub(super) refresh: String,
}

impl From<countersign::auth::TokenPair> for Tokens {
    fn from(tokens: countersign::auth::TokenPair) -> Self {
        let text = |secret: &secrecy::SecretString| secret.expose_secret().to_owned();
        Self { access: text(&tokens.access_token), refresh: text(&tokens.refresh_token) }
    }
}

impl Replica {
    pub(super) async fn login(&self) -> Tokens {
        let request = LoginRequest {
            username: "ada".to_owned(),
            password: PASSWORD.into(),
            audiences: Vec::new(),
            client: ClientFacts::default(),
        };
        self.auth.login(self.context(), request).await.unwrap().tokens.into()
    }

    pub(super) async fn refresh(&self, token: &str) -> Result<Tokens, Reason> {
        self.exchange(token).await.map_err(|error| error.reason)
    }

    /// Why a Refresh is refused, and what ended the session.
    pub(super) async fn refused(&self, token: &str) -> (Reason, Option<&'static str>) {
        let error = self.exchange(token).await.unwrap_err();
        (error.reason, error.end_cause())
    }

    async fn exchange(&self, token: &str) -> Result<Tokens, AuthError> {
        let request = RefreshRequest { refresh_token: token.into() };
        self.auth.refresh(self.context(), request).await.map(|refresh| refresh.tokens.into())
    }

    pub(super) async fn logout(&self, token: &str) {
        let request = LogoutRequest { token: LogoutToken::Refresh(token.into()), everywhere: false };
        self.auth.logout(self.context(), request).await.unwrap();
    }

    pub(super) fn verify(&self, token: &str) -> Verification {
        let request =
            VerifyRequest { access_token: token.into(), audiences: Vec::new(), max_staleness: None };
        self.auth.verify(&self.context(), &request).unwrap().verification
    }

    fn context(&self) -> CallContext {
        let deadline = Monotonic(self.clock.monotonic().0 + DEADLINE);
        CallContext { deadline, peer: None, request_id: "".into() }
    }
}
