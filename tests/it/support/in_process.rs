//! A replica within the test: the real use cases and the real gRPC edge, on a socket, over a database of its own.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use countersign::auth::{Authenticator, EventRecorder, Parts, Policy, ServiceTokens};
use countersign::grpc::proto::v1::auth_service_client::AuthServiceClient;
use countersign::grpc::{self, GrpcOptions, Health, Peer, Published};
use countersign::listener::{self, Limits};
use countersign::model::{
    ClientFacts, Clock, CustomClaims, Epoch, Line, MacKeyId, Revocation, RevocationReason, RevocationScope,
    RotationPolicy, Session, SessionId, SystemClock, UnixMillis, User, UserId, Username,
};
use countersign::password::{HashParameters, HashingPool, PoolOptions};
use countersign::readiness::Readiness;
use countersign::revocation::Revocations;
use countersign::revocation::follower::Follower;
use countersign::store::sqlite::{SqliteOptions, SqliteStore};
use countersign::store::{Ledger, SessionPolicy};
use countersign::token::{AccessGrant, AccessTokenIssuer, KeyDirectory, Keyring, Permissions};
use countersign_verifier::client::{ConnectOptions, LiveVerifier};
use countersign_verifier::{Algorithm, Rules, Verifier};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};

pub(crate) const ISSUER: &str = "countersign";
pub(crate) const AUDIENCE: &str = "orders";
const MAX_STALENESS: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

/// See the module.
pub(crate) struct Replica {
    pub(crate) address: SocketAddr,
    pub(crate) revocations: Revocations,
    pub(crate) keys: Arc<Keyring>,
    keys_directory: PathBuf,
    store: Arc<SqliteStore>,
    stopping: CancellationToken,
    aborting: CancellationToken,
    polling: CancellationToken,
    polled: tokio::task::JoinHandle<()>,
    served: tokio::task::JoinHandle<()>,
}

impl Replica {
    /// Starts on any port, and returns when the ledger is loaded.
    pub(crate) async fn start(directory: &Path) -> Self {
        Self::start_at(directory, SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// Starts on this port.
    pub(crate) async fn start_at(directory: &Path, address: SocketAddr) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let keys_directory = directory.join("keys");
        let keys = Arc::new(Keyring::new(load_keys(&keys_directory, clock.now())));
        let options = SqliteOptions::new(directory.join("countersign.db"));
        let store = Arc::new(SqliteStore::open(options, clock.clone()).await.unwrap());
        store.migrate().await.unwrap();
        let revocations = Revocations::new(store.clone(), None, clock.clone(), HOUR);
        let (stopping, aborting) = (CancellationToken::new(), CancellationToken::new());
        let mut follower =
            Follower::new(revocations.clone(), Readiness::new(None), Duration::from_millis(20));
        follower.step().await;
        let polling = aborting.child_token();
        let polled = tokio::spawn(follower.run(polling.clone()));

        let auth = authenticator(&store, &revocations, &keys, clock.clone());
        let published = Published { revocations: revocations.clone(), keys: keys.announced() };
        let options =
            GrpcOptions { published: Some(published), stopping: stopping.clone(), ..GrpcOptions::new(clock) };
        let routes = grpc::routes(Arc::new(auth), &Health::new().await, options);
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let served = tokio::spawn(listener::serve(
            "grpc",
            listener,
            routes,
            |extensions, peer| {
                extensions.insert(Peer(peer.ip()));
            },
            Limits::default(),
            stopping.clone(),
            aborting.clone(),
        ));
        Self {
            address,
            revocations,
            keys,
            keys_directory,
            store,
            stopping,
            aborting,
            polling,
            polled,
            served,
        }
    }

    /// As when the process is killed: connections are dropped, and nothing answers any more.
    pub(crate) async fn kill(self) {
        self.aborting.cancel();
        self.stopping.cancel();
        self.served.await.unwrap();
        self.store.close().await;
    }

    /// As SIGTERM does: returns when every call has ended by itself.
    pub(crate) async fn stop(self) {
        self.stopping.cancel();
        self.served.await.unwrap();
        self.aborting.cancel();
    }

    /// Forgets that anything was ever loaded, and loads nothing more.
    pub(crate) async fn unload(&mut self) {
        self.polling.cancel();
        (&mut self.polled).await.unwrap();
        self.revocations.view().freshness.invalidate();
    }

    /// Adds a key that signs in an hour.
    pub(crate) fn announce_key(&self, now: UnixMillis) -> String {
        let id =
            KeyDirectory::generate_signing_key(&self.keys_directory, Algorithm::EdDSA, now + HOUR).unwrap();
        self.reload_keys();
        id.to_string()
    }

    /// Takes away a key.
    pub(crate) fn withdraw_key(&self, id: &str) {
        std::fs::remove_file(self.keys_directory.join(format!("signing/{id}.pem"))).unwrap();
        self.reload_keys();
    }

    fn reload_keys(&self) {
        self.keys.replace(KeyDirectory::open(&self.keys_directory, Permissions::Strict).unwrap());
    }

    /// The ledger, as another replica has it.
    pub(crate) fn ledger(&self) -> &dyn Ledger {
        self.store.as_ref()
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        endpoint(self.address)
    }

    pub(crate) fn client(&self) -> AuthServiceClient<Channel> {
        AuthServiceClient::new(self.endpoint().connect_lazy())
    }

    /// A verifier that follows it, with everything loaded.
    pub(crate) async fn verifier(&self, options: ConnectOptions) -> LiveVerifier {
        let verifier = Verifier::connect(self.endpoint(), options);
        verifier.ready().await;
        verifier
    }

    /// An access token of this session as a Login makes it, signed with the key that signs at `at`.
    pub(crate) fn token_signed_at(&self, session: SessionId, at: UnixMillis) -> String {
        let now = SystemClock::new().now();
        let (user, session) = (user(), session_of(session, now));
        let grant = AccessGrant { user: &user, session: &session, audiences: &[AUDIENCE.to_owned()], now };
        let keys = self.keys.current();
        let token = AccessTokenIssuer::new(ISSUER).mint(keys.signing.signer(at), &grant, HOUR).unwrap();
        token.expose().to_owned()
    }

    /// An access token of this session.
    pub(crate) fn token(&self, session: SessionId) -> String {
        self.token_signed_at(session, SystemClock::new().now())
    }

    /// Takes in the ledger's row about a session, as one that was just committed.
    pub(crate) fn revoke(&self, session: SessionId) {
        self.revocations.apply(&Revocation {
            seq: 0,
            mark: 0,
            scope: RevocationScope::Session { session, user: user_id() },
            reason: RevocationReason::Logout,
            at: SystemClock::new().now(),
            until: UnixMillis(i64::MAX),
        });
    }
}

pub(crate) fn endpoint(address: SocketAddr) -> Endpoint {
    Endpoint::from_shared(format!("http://{address}")).unwrap()
}

/// The `number`th session.
pub(crate) fn session(number: u32) -> SessionId {
    let mut bytes = [0x5e; 16];
    bytes[12..].copy_from_slice(&number.to_be_bytes());
    SessionId::from_bytes(bytes)
}

pub(crate) fn user_id() -> UserId {
    UserId::from_bytes([0x42; 16])
}

/// What a verifier of the tests is told, with everything quicker than in production.
pub(crate) fn quick() -> ConnectOptions {
    ConnectOptions {
        ping_interval: Duration::from_millis(20),
        max_backoff: Duration::from_millis(100),
        cached_tokens: 64,
        ..ConnectOptions::new(rules())
    }
}

pub(crate) fn rules() -> Rules {
    Rules::new(ISSUER, vec![AUDIENCE.to_owned()])
}

pub(crate) fn load_keys(directory: &Path, now: UnixMillis) -> countersign::token::LoadedKeys {
    KeyDirectory::create_missing(directory, Algorithm::EdDSA, now).unwrap();
    KeyDirectory::open(directory, Permissions::Strict).unwrap()
}

fn authenticator(
    store: &Arc<SqliteStore>,
    revocations: &Revocations,
    keys: &Arc<Keyring>,
    clock: Arc<dyn Clock>,
) -> Authenticator {
    Authenticator::new(parts(store, revocations, keys, clock), policy())
}

/// Of which one login can be hashed, and one can wait.
pub(crate) fn parts(
    store: &Arc<SqliteStore>,
    revocations: &Revocations,
    keys: &Arc<Keyring>,
    clock: Arc<dyn Clock>,
) -> Parts {
    let hashing = PoolOptions { threads: 1, queue: 1, parameters: HashParameters::new(8, 1, 1).unwrap() };
    Parts {
        users: store.clone(),
        ledger: store.clone(),
        sessions: store.clone(),
        revocations: revocations.clone(),
        keys: keys.clone(),
        passwords: Arc::new(HashingPool::start(hashing, clock.clone()).unwrap()),
        password_policy: Arc::default(),
        service_tokens: ServiceTokens::new(store.clone(), clock.clone()),
        throttle: None,
        events: EventRecorder::default(),
        clock,
    }
}

pub(crate) fn policy() -> Policy {
    Policy {
        session: SessionPolicy {
            idle: HOUR,
            absolute: HOUR,
            limit: countersign::model::SessionLimit::Unlimited,
            class_limit: countersign::model::SessionLimit::Unlimited,
            rotation: RotationPolicy { grace: HOUR, deadline: HOUR, strict: false },
        },
        classes: BTreeMap::new(),
        access_ttl: HOUR,
        audiences: vec![AUDIENCE.to_owned()],
        default_audience: AUDIENCE.to_owned(),
        access_tokens: AccessTokenIssuer::new(ISSUER),
        rules: rules(),
        max_staleness: MAX_STALENESS,
        serve_when_stale: false,
        verified_cache: Verifier::CACHED_TOKENS,
    }
}

fn user() -> User {
    User {
        id: user_id(),
        username: Username::parse("ada").unwrap(),
        roles: Vec::new(),
        claims: CustomClaims::default(),
        external_id: None,
        disabled: false,
        epoch: Epoch(3),
        created_at: UnixMillis(0),
        updated_at: UnixMillis(0),
    }
}

fn session_of(id: SessionId, now: UnixMillis) -> Session {
    Session {
        id,
        user: user_id(),
        epoch: Epoch(3),
        line: Line::begin(now),
        audiences: Vec::new(),
        mac_key: MacKeyId::from_bytes([0; 4]),
        created_at: now,
        idle_expires_at: now + HOUR,
        expires_at: now + HOUR,
        client: ClientFacts::default(),
    }
}
