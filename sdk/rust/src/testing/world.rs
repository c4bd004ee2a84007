use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use http::Uri;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use super::server::plain_endpoint;
use super::{Mint, TestServer};
use crate::client::proto::test_v1 as v1;
use crate::client::proto::test_v1::test_service_client::TestServiceClient;
use crate::client::proto::v1::create_user_request::Credential;
use crate::client::proto::v1::user_service_client::UserServiceClient;
use crate::client::proto::v1::{CreateUserRequest, DeleteUserRequest, UserRef, user_ref};
use crate::client::{AuthClient, CallOptions, ConnectOptions, LiveVerifier};
use crate::{Clock, Monotonic, Rules, SystemClock, UnixMillis};

/// How long the verifiers of a world are waited for when its clock was moved, and how often they are looked at.
const FRESH_WITHIN: Duration = Duration::from_secs(5);
const LOOKED_AT_EVERY: Duration = Duration::from_millis(2);

/// How calls of a method fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// With a reason of the catalogue, as the server itself tells it: `STORE_UNAVAILABLE`.
    Reason(String),
    /// With a code and no details, as a proxy or a network does.
    Code(Code),
}

/// Whether a verifier knows enough, or is gone.
type IsFresh = Box<dyn Fn() -> bool + Send + Sync>;

/// The time of a world, for verifiers that check tokens in this process: as far ahead of this machine's as the world's is.
pub struct WorldClock {
    machine: SystemClock,
    ahead_millis: AtomicU64,
}

impl Clock for WorldClock {
    fn now(&self) -> UnixMillis {
        self.machine.now() + self.ahead()
    }

    fn monotonic(&self) -> Monotonic {
        Monotonic(self.machine.monotonic().0 + self.ahead())
    }
}

impl WorldClock {
    fn ahead(&self) -> Duration {
        Duration::from_millis(self.ahead_millis.load(Ordering::SeqCst))
    }
}

/// A service of its own within the server: users, sessions, keys, revocations, clock, failures and streams that no other world
/// has. When its test is over, it is deleted as the next one is made.
#[derive(Clone)]
pub struct World {
    name: String,
    http: String,
    issuer: String,
    audience: String,
    endpoint: Endpoint,
    channel: Channel,
    clock: Arc<WorldClock>,
    verifiers: Arc<Mutex<Vec<IsFresh>>>,
    stalled: Arc<AtomicBool>,
    held: Arc<()>,
}

impl World {
    pub(super) fn new(server: &TestServer, name: &str) -> Self {
        let origin = format!("http://{name}.localhost").parse::<Uri>();
        // A name with other characters than it may have names nothing.
        let endpoint = plain_endpoint(server.grpc()).origin(origin.expect("the name of a world"));
        Self {
            name: name.to_owned(),
            http: server.http().to_owned(),
            issuer: server.issuer().to_owned(),
            audience: server.audience().to_owned(),
            channel: endpoint.connect_lazy(),
            endpoint,
            clock: Arc::new(WorldClock { machine: SystemClock::new(), ahead_millis: AtomicU64::new(0) }),
            verifiers: Arc::default(),
            stalled: Arc::default(),
            held: Arc::default(),
        }
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A channel on which every call is in this world, for a client of one's own. A service under test that makes its own is
    /// given [`World::endpoint`], or the server's address and the metadata `x-countersign-world`.
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// What channels of this world are made of, and [`LiveVerifier::connect`] is given.
    pub fn endpoint(&self) -> Endpoint {
        self.endpoint.clone()
    }

    /// The base of its HTTP paths: `http://127.0.0.1:41235/worlds/rust-17-0`. A browser uses `http://NAME.localhost:41235`, so
    /// that cookies of other worlds are not sent.
    pub fn http_url(&self) -> String {
        format!("{}/worlds/{}", self.http, self.name)
    }

    /// Where its key set is.
    pub fn jwks_url(&self) -> String {
        format!("{}/.well-known/jwks.json", self.http_url())
    }

    /// Its time, for whatever checks tokens in this process.
    pub fn clock(&self) -> Arc<WorldClock> {
        Arc::clone(&self.clock)
    }

    /// Logs in, refreshes and logs out here.
    pub fn client(&self) -> AuthClient {
        AuthClient::new(self.channel(), CallOptions::default())
    }

    /// What a verifier in this process goes by here: the server's issuer and default audience, and the time of this world. It
    /// hears quickly of what changes.
    pub fn verifier_options(&self) -> ConnectOptions {
        ConnectOptions {
            clock: self.clock(),
            ping_interval: Duration::from_millis(100),
            ..ConnectOptions::new(Rules::new(&self.issuer, vec![self.audience.clone()]))
        }
    }

    /// A verifier in this process that follows this world, and has loaded what there is.
    pub async fn verifier(&self) -> LiveVerifier {
        let verifier = LiveVerifier::connect(self.endpoint(), self.verifier_options());
        verifier.ready().await;
        let mut verifiers = self.verifiers.lock().unwrap_or_else(PoisonError::into_inner);
        verifiers.push(Box::new(verifier.freshness()));
        verifier
    }

    /// An access token, to be described and made.
    pub fn access_token(&self) -> Mint<'_> {
        self.token(v1::TokenKind::Access)
    }

    /// A refresh token, to be described and made; a user is made for it where none is named.
    pub fn refresh_token(&self) -> Mint<'_> {
        self.token(v1::TokenKind::Refresh)
    }

    fn token(&self, kind: v1::TokenKind) -> Mint<'_> {
        Mint {
            world: self,
            request: v1::MintTokenRequest { kind: kind.into(), ..v1::MintTokenRequest::default() },
        }
    }

    /// Creates a user, and returns the id.
    pub async fn create_user(
        &self,
        username: &str,
        password: &str,
        roles: &[&str],
    ) -> Result<String, Status> {
        let request = CreateUserRequest {
            username: username.to_owned(),
            credential: Some(Credential::Password(password.to_owned())),
            roles: roles.iter().map(|&role| role.to_owned()).collect(),
            ..CreateUserRequest::default()
        };
        let answer = UserServiceClient::new(self.channel()).create_user(request).await?.into_inner();
        Ok(answer.user.unwrap_or_default().id)
    }

    /// Deletes a user, which ends all their sessions. Returns the position of it in the ledger.
    pub async fn delete_user(&self, user_id: &str) -> Result<String, Status> {
        let user = UserRef { user: Some(user_ref::User::UserId(user_id.to_owned())) };
        let request = DeleteUserRequest { user: Some(user) };
        Ok(UserServiceClient::new(self.channel()).delete_user(request).await?.into_inner().position)
    }

    /// Moves the clock of the world forward, and that of [`World::clock`]. What is due by then has happened when it returns, and
    /// the verifiers of [`World::verifier`] are as fresh as before, unless their streams are stalled.
    pub async fn advance(&self, by: Duration) -> Result<(), Status> {
        let by = by.try_into().map_err(|_| Status::invalid_argument("a duration that is too long"))?;
        let answer = self.test_service().advance_clock(v1::AdvanceClockRequest { by: Some(by) }).await?;
        let ahead = answer.into_inner().ahead.unwrap_or_default();
        let ahead = Duration::try_from(ahead).unwrap_or_default();
        self.clock.ahead_millis.store(u64::try_from(ahead.as_millis()).unwrap_or(u64::MAX), Ordering::SeqCst);
        // What a verifier knows is old by the new time, until it has asked again.
        let refreshed = async {
            while !self.stalled.load(Ordering::SeqCst) && !self.are_verifiers_fresh() {
                tokio::time::sleep(LOOKED_AT_EVERY).await;
            }
        };
        let refreshed = tokio::time::timeout(FRESH_WITHIN, refreshed).await;
        refreshed.map_err(|_| Status::deadline_exceeded("a verifier did not hear of the world in time"))
    }

    fn are_verifiers_fresh(&self) -> bool {
        self.verifiers.lock().unwrap_or_else(PoisonError::into_inner).iter().all(|is_fresh| is_fresh())
    }

    /// Makes so many calls of a method fail; every one from now on where that is `None`. The method is
    /// `countersign.v1.AuthService/Login`, `countersign.v1.AuthService/*`, `*`, or `GET /.well-known/jwks.json`.
    pub async fn fail(&self, method: &str, failure: Failure, times: Option<u32>) -> Result<(), Status> {
        use v1::fail_method_request::Failure as Wire;
        let failure = match failure {
            Failure::Reason(reason) => Wire::Reason(reason),
            Failure::Code(code) => Wire::Code(code.into()),
        };
        self.rule(method, Some(failure), times, Duration::ZERO).await
    }

    /// Makes so many calls of a method wait before they go on.
    pub async fn delay(&self, method: &str, delay: Duration, times: Option<u32>) -> Result<(), Status> {
        self.rule(method, None, times, delay).await
    }

    async fn rule(
        &self,
        method: &str,
        failure: Option<v1::fail_method_request::Failure>,
        times: Option<u32>,
        delay: Duration,
    ) -> Result<(), Status> {
        let (method, times) = (method.to_owned(), times.unwrap_or(0));
        let delay = delay.try_into().map_err(|_| Status::invalid_argument("a delay that is too long"))?;
        let rule = v1::FailMethodRequest { method, failure, times, delay: Some(delay) };
        self.test_service().fail_method(rule).await.map(drop)
    }

    /// Takes back what [`World::fail`] and [`World::delay`] have said.
    pub async fn clear_failures(&self) -> Result<(), Status> {
        self.test_service().clear_failures(v1::ClearFailuresRequest::default()).await.map(drop)
    }

    /// Sends nothing more on streams: a verifier that follows the world grows stale.
    pub async fn stall_streams(&self) -> Result<(), Status> {
        self.test_service().stall_streams(v1::StallStreamsRequest {}).await?;
        self.stalled.store(true, Ordering::SeqCst);
        Ok(())
    }

    /// Goes on with them.
    pub async fn resume_streams(&self) -> Result<(), Status> {
        self.test_service().resume_streams(v1::ResumeStreamsRequest {}).await?;
        self.stalled.store(false, Ordering::SeqCst);
        Ok(())
    }

    /// Ends the streams that are open, as a server does that restarts.
    pub async fn end_streams(&self) -> Result<(), Status> {
        self.test_service().end_streams(v1::EndStreamsRequest {}).await.map(drop)
    }

    /// Makes the world anew.
    pub async fn reset(&self) -> Result<(), Status> {
        self.test_service().reset_world(v1::ResetWorldRequest {}).await?;
        self.clock.ahead_millis.store(0, Ordering::SeqCst);
        self.stalled.store(false, Ordering::SeqCst);
        Ok(())
    }

    /// Has the server forget the world at once.
    pub async fn delete(self) -> Result<(), Status> {
        let request = v1::DeleteWorldRequest { name: self.name.clone() };
        self.test_service().delete_world(request).await.map(drop)
    }

    /// Tells whether anybody has the world still.
    pub(super) fn held(&self) -> Weak<()> {
        Arc::downgrade(&self.held)
    }

    pub(super) fn test_service(&self) -> TestServiceClient<Channel> {
        TestServiceClient::new(self.channel())
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("name", &self.name).field("http", &self.http).finish_non_exhaustive()
    }
}
