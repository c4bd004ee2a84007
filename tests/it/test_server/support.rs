//! The test server as a child process, and its clients in a world.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use countersign::grpc::proto::test_v1::test_service_client::TestServiceClient;
use countersign::grpc::proto::test_v1::{
    AdvanceClockRequest, MintTokenRequest, MintTokenResponse, TokenKind, TokenState,
};
use countersign::grpc::proto::v1::auth_service_client::AuthServiceClient;
use countersign::grpc::proto::v1::create_user_request::Credential;
use countersign::grpc::proto::v1::revocation_service_client::RevocationServiceClient;
use countersign::grpc::proto::v1::user_service_client::UserServiceClient;
use countersign::grpc::proto::v1::verify_access_token_response::Result as Verdict;
use countersign::grpc::proto::v1::{
    CreateUserRequest, LoginRequest, RefreshRequest, Tokens, VerifyAccessTokenRequest,
};
use serde_json::Value;
use tonic::metadata::MetadataValue;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use crate::support::client::Refused;

/// Far more than a start takes, for busy machines.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);
pub(super) const PASSWORD: &str = "correct horse battery staple";

/// A running test server, which ends with this.
pub(super) struct TestServer {
    pub(super) child: Child,
    pub(super) announcement: Value,
    pub(super) grpc: SocketAddr,
    pub(super) http: SocketAddr,
}

impl TestServer {
    pub(super) fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_countersign"))
            .arg("test-server")
            .args(arguments)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let (sender, line) = channel();
        let stdout = child.stdout.take().unwrap();
        thread::spawn(move || sender.send(BufReader::new(stdout).lines().next()));
        let Ok(Some(Ok(line))) = line.recv_timeout(PATIENCE) else {
            let _ = child.kill();
            panic!("the test server did not start");
        };
        let announcement: Value = serde_json::from_str(&line).unwrap();
        let grpc = announcement["grpc"].as_str().unwrap().parse().unwrap();
        let http = announcement["http"].as_str().unwrap().strip_prefix("http://").unwrap().parse().unwrap();
        Self { child, announcement, grpc, http }
    }

    /// Its clients in this world; each has a connection of its own.
    pub(super) fn world(&self, name: &str) -> World {
        World::on(Endpoint::from_shared(format!("http://{}", self.grpc)).unwrap().connect_lazy(), name)
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Names the world of every call.
#[derive(Clone)]
pub(super) struct Named(MetadataValue<tonic::metadata::Ascii>);

impl Interceptor for Named {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if !self.0.is_empty() {
            request.metadata_mut().insert("x-countersign-world", self.0.clone());
        }
        Ok(request)
    }
}

pub(super) type InWorld = InterceptedService<Channel, Named>;

/// The clients of one world.
#[derive(Clone)]
pub(super) struct World {
    pub(super) auth: AuthServiceClient<InWorld>,
    pub(super) users: UserServiceClient<InWorld>,
    pub(super) revocations: RevocationServiceClient<InWorld>,
    pub(super) test: TestServiceClient<InWorld>,
}

impl World {
    pub(super) fn on(channel: Channel, name: &str) -> Self {
        let named = Named(name.parse().unwrap());
        let channel = InterceptedService::new(channel, named);
        Self {
            auth: AuthServiceClient::new(channel.clone()),
            users: UserServiceClient::new(channel.clone()),
            revocations: RevocationServiceClient::new(channel.clone()),
            test: TestServiceClient::new(channel),
        }
    }

    pub(super) async fn create_user(&mut self, username: &str, roles: &[&str]) -> Result<String, Refused> {
        let request = CreateUserRequest {
            username: username.to_owned(),
            credential: Some(Credential::Password(PASSWORD.to_owned())),
            roles: roles.iter().map(|&role| role.to_owned()).collect(),
            ..CreateUserRequest::default()
        };
        Ok(self.users.create_user(request).await?.into_inner().user.unwrap().id)
    }

    pub(super) async fn login(&mut self, username: &str) -> Result<Tokens, Refused> {
        let (username, password) = (username.to_owned(), PASSWORD.to_owned());
        let request = LoginRequest { username, password, ..LoginRequest::default() };
        Ok(self.auth.login(request).await?.into_inner().tokens.unwrap())
    }

    pub(super) async fn refresh(&mut self, token: &str) -> Result<Tokens, Refused> {
        let request = RefreshRequest { refresh_token: token.to_owned() };
        Ok(self.auth.refresh(request).await?.into_inner().tokens.unwrap())
    }

    /// The name of whoever the token speaks for, or why it is not good: `REVOKED`.
    pub(super) async fn verify(&mut self, token: &str) -> Result<Result<String, String>, Refused> {
        let request = VerifyAccessTokenRequest { access_token: token.to_owned(), ..Default::default() };
        let answer = self.auth.verify_access_token(request).await?.into_inner();
        Ok(match answer.result.unwrap() {
            Verdict::Verified(token) => Ok(token.username),
            Verdict::Invalid(invalid) => {
                Err(invalid.reason().as_str_name().strip_prefix("INVALID_REASON_").unwrap().to_owned())
            }
        })
    }

    pub(super) async fn mint(
        &mut self,
        kind: TokenKind,
        state: TokenState,
        change: impl FnOnce(&mut MintTokenRequest),
    ) -> Result<MintTokenResponse, Refused> {
        let mut request =
            MintTokenRequest { kind: kind.into(), state: state.into(), ..MintTokenRequest::default() };
        change(&mut request);
        Ok(self.test.mint_token(request).await?.into_inner())
    }

    pub(super) async fn advance(&mut self, by: Duration) {
        let by = Some(by.try_into().unwrap());
        self.test.advance_clock(AdvanceClockRequest { by }).await.unwrap();
    }
}
