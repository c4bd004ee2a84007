//! What is measured: the real binary on real stores, and tokens that are made with its own key files.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use countersign::grpc::proto::v1::VerifyAccessTokenRequest;
use countersign::model::{
    ClientFacts, Clock as _, CustomClaims, Epoch, Generation, Line, MacKeyId, Role, Session, SessionId,
    SystemClock, User, UserId, Username,
};
use countersign::token::{
    AccessGrant, AccessTokenIssuer, KeyDirectory, LoadedKeys, Permissions as KeyPermissions,
};
use prost::bytes::Bytes;
use tempfile::TempDir;

use crate::load::{Connections, frame};
use crate::support::replica::{Deployment, Replica};

/// The method that everything is about.
pub(crate) const VERIFY: &str = "/countersign.v1.AuthService/VerifyAccessToken";
/// How long the tokens live that this program makes: longer than any run.
pub(crate) const ACCESS_TTL: Duration = Duration::from_hours(2);

/// A directory that nobody else may read, as the service wants it for keys.
pub(crate) fn private_directory() -> TempDir {
    tempfile::Builder::new().permissions(Permissions::from_mode(0o700)).tempdir().unwrap()
}

/// What a deployment signs with.
pub(crate) struct Keys {
    directory: TempDir,
}

impl Keys {
    pub(crate) fn new() -> Self {
        Self { directory: private_directory() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn load(&self) -> LoadedKeys {
        KeyDirectory::open(self.path(), KeyPermissions::Strict).unwrap()
    }
}

/// A user as a usual token tells of them.
pub(crate) fn user(number: u64) -> User {
    let now = SystemClock::new().now();
    User {
        id: UserId::from_bytes(u128::from(number).to_be_bytes()),
        username: Username::parse(&format!("user{number}")).unwrap(),
        roles: vec![Role::parse("member").unwrap(), Role::parse("editor").unwrap()],
        claims: CustomClaims::default(),
        external_id: None,
        disabled: false,
        epoch: Epoch(0),
        created_at: now,
        updated_at: now,
    }
}

/// A session for each number. Ids are hashes, as those that the service makes.
pub(crate) fn session_id(number: u64) -> SessionId {
    let hash = digest::digest(&digest::SHA256, &number.to_le_bytes());
    SessionId::from_bytes(hash.as_ref()[..16].try_into().unwrap())
}

/// Makes an access token of another session for each number.
pub(crate) fn access_token(keys: &LoadedKeys, number: u64) -> String {
    let now = SystemClock::new().now();
    let user = user(number);
    let session = Session {
        id: session_id(number),
        user: user.id,
        epoch: Epoch(0),
        line: Line { current: Generation(0), predecessor: None, rotated_at: now },
        audiences: Vec::new(),
        mac_key: MacKeyId::from_bytes([0; 4]),
        created_at: now,
        idle_expires_at: now + ACCESS_TTL,
        expires_at: now + ACCESS_TTL,
        client: ClientFacts::default(),
    };
    let audiences = ["countersign".to_owned()];
    let grant = AccessGrant { user: &user, session: &session, audiences: &audiences, now };
    let issuer = AccessTokenIssuer::new("countersign");
    issuer.mint(keys.signing.signer(now), &grant, ACCESS_TTL).unwrap().expose().to_owned()
}

/// Calls of Verify with the tokens of these numbers, made on two threads.
pub(crate) fn verify_frames(keys: &LoadedKeys, numbers: std::ops::Range<u64>) -> Arc<[Bytes]> {
    let middle = numbers.start.midpoint(numbers.end);
    let make = |numbers: std::ops::Range<u64>| {
        let of = |number| VerifyAccessTokenRequest {
            access_token: access_token(keys, number),
            ..VerifyAccessTokenRequest::default()
        };
        numbers.map(|number| frame(&of(number))).collect::<Vec<_>>()
    };
    std::thread::scope(|scope| {
        let first = scope.spawn(|| make(numbers.start..middle));
        let second = make(middle..numbers.end);
        first.join().unwrap().into_iter().chain(second).collect()
    })
}

/// A service on SQLite alone, which is all that Verify needs.
pub(crate) struct Alone {
    pub(crate) replica: Replica,
    pub(crate) keys: LoadedKeys,
    deployment: Deployment,
    _data: (TempDir, Keys),
}

impl Alone {
    pub(crate) async fn start() -> Self {
        Self::start_after(async |_| ()).await
    }

    /// The same; `fill` is given the address of the database before the service starts.
    pub(crate) async fn start_after(fill: impl AsyncFnOnce(&str)) -> Self {
        let (data, keys) = (private_directory(), Keys::new());
        let database = format!("sqlite://{}", data.path().join("countersign.db").display());
        let deployment = Deployment::on(&database, None)
            .with("KEYS__DIRECTORY", keys.path().to_str().unwrap())
            .with("TOKENS__ACCESS_TTL", "2h");
        deployment.prepare();
        fill(&database).await;
        Self { replica: deployment.start(), keys: keys.load(), deployment, _data: (data, keys) }
    }

    /// One more process on the same database and keys, which has seen no token.
    pub(crate) fn another(&self) -> Replica {
        self.deployment.start()
    }

    /// Makes a user whose password is [`PASSWORD`](crate::support::replica::PASSWORD).
    pub(crate) fn create_user(&self, username: &str) {
        self.deployment.create_user(username);
    }
}

/// Connections for calls of Verify.
pub(crate) async fn verify_connections(replica: &Replica, number: usize) -> Connections {
    Connections::open(replica.grpc, VERIFY, number).await
}
