//! The client of Login, Refresh and Logout: what it tries again, and what it never does.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use countersign::auth::{
    AuthError, Authenticate, CallContext, Login, LoginRequest, LogoutRequest, Refresh, RefreshRequest,
    Verify, VerifyRequest,
};
use countersign::grpc::Health;
use countersign::model::Position;
use countersign::reason::Reason;
use countersign_verifier::client::{AuthClient, CallOptions, reason};
use tonic::Code;
use tonic::transport::{Channel, Endpoint};

use crate::support::grpc::{options, serve_shared};
use crate::support::stub::Stub;

/// Fails some calls, and then answers.
struct Unwell {
    stub: Stub,
    reason: Reason,
    failures_left: AtomicUsize,
    calls: AtomicUsize,
}

impl Unwell {
    fn new(reason: Reason, failures: usize) -> Arc<Self> {
        let (failures_left, calls) = (failures.into(), 0.into());
        Arc::new(Self { stub: Stub::default(), reason, failures_left, calls })
    }

    fn fail(&self) -> Result<(), AuthError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let left = |left: usize| left.checked_sub(1);
        match self.failures_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, left) {
            Ok(_) => Err(AuthError::new(self.reason).retry_after(Duration::from_millis(50))),
            Err(_) => Ok(()),
        }
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Authenticate for Unwell {
    async fn login(&self, context: CallContext, request: LoginRequest) -> Result<Login, AuthError> {
        self.fail()?;
        self.stub.login(context, request).await
    }

    async fn refresh(&self, context: CallContext, request: RefreshRequest) -> Result<Refresh, AuthError> {
        self.fail()?;
        self.stub.refresh(context, request).await
    }

    async fn logout(
        &self,
        context: CallContext,
        request: LogoutRequest,
    ) -> Result<Option<Position>, AuthError> {
        self.fail()?;
        self.stub.logout(context, request).await
    }

    async fn change_password(
        &self,
        _: CallContext,
        _: countersign::auth::ChangePassword,
    ) -> Result<countersign::auth::ChangedPassword, AuthError> {
        Err(countersign::reason::Reason::Internal.into())
    }

    async fn reset_password(
        &self,
        _: CallContext,
        _: countersign::auth::ResetPassword,
    ) -> Result<Position, AuthError> {
        Err(countersign::reason::Reason::Internal.into())
    }

    async fn issue_service_token(
        &self,
        _: CallContext,
        _: countersign::auth::IssueServiceToken,
    ) -> Result<countersign::auth::ServiceToken, AuthError> {
        Err(countersign::reason::Reason::Internal.into())
    }

    async fn list_own_sessions(
        &self,
        _: CallContext,
        _: RefreshRequest,
    ) -> Result<countersign::auth::OwnSessions, AuthError> {
        Err(countersign::reason::Reason::Internal.into())
    }

    async fn revoke_own_sessions(
        &self,
        _: CallContext,
        _: countersign::auth::RevokeOwnSessions,
    ) -> Result<countersign::auth::RevokedSessions, AuthError> {
        Err(countersign::reason::Reason::Internal.into())
    }

    fn verify(&self, context: &CallContext, request: &VerifyRequest) -> Result<Verify, AuthError> {
        self.stub.verify(context, request)
    }
}

async fn client(server: &Arc<Unwell>, options_of_calls: CallOptions) -> AuthClient {
    let wire = serve_shared(server.clone(), &Health::new().await, options()).await;
    AuthClient::new(channel(&wire.origin.to_string()), options_of_calls)
}

fn channel(address: &str) -> Channel {
    Endpoint::from_shared(address.to_owned()).unwrap().connect_lazy()
}

#[tokio::test]
async fn a_refresh_in_progress_is_waited_for_and_asked_again() {
    let server = Unwell::new(Reason::RefreshInProgress, 2);
    let tokens = client(&server, CallOptions::default()).await.refresh("token").await.unwrap();
    assert_eq!((tokens.access_token.as_str(), tokens.refresh_token.as_str()), ("access", "refresh"));
    assert_eq!(tokens.expires_in, Duration::from_mins(5));
    assert_eq!(server.calls(), 3);
    assert!(!format!("{tokens:?}").contains("refresh\""), "{tokens:?}");
}

#[tokio::test]
async fn a_store_that_is_down_is_tried_again_by_all_but_a_login() {
    let server = Unwell::new(Reason::StoreUnavailable, 1);
    client(&server, CallOptions::default()).await.logout("token", true).await.unwrap();
    assert_eq!(server.calls(), 2);

    let server = Unwell::new(Reason::StoreUnavailable, 1);
    let refused =
        client(&server, CallOptions::default()).await.login("ada", "secret", &[]).await.unwrap_err();
    assert_eq!((refused.code(), server.calls()), (Code::Unavailable, 1), "it may have begun a session");

    let server = Unwell::new(Reason::LoginOverloaded, 1);
    client(&server, CallOptions::default()).await.login("ada", "secret", &[]).await.unwrap();
    assert_eq!(server.calls(), 2, "nobody looked at the password");
}

#[tokio::test]
async fn a_refusal_is_final() {
    let server = Unwell::new(Reason::RefreshTokenReused, usize::MAX);
    let refused = client(&server, CallOptions::default()).await.refresh("token").await.unwrap_err();
    assert_eq!(reason(&refused).as_deref(), Some("REFRESH_TOKEN_REUSED"));
    assert_eq!(server.calls(), 1);
}

#[tokio::test]
async fn the_deadline_is_for_all_attempts_together() {
    let server = Unwell::new(Reason::StoreUnavailable, usize::MAX);
    let options = CallOptions { deadline: Duration::from_millis(400), ..CallOptions::default() };
    let call = client(&server, options).await;
    let refused =
        tokio::time::timeout(Duration::from_secs(10), call.refresh("token")).await.unwrap().unwrap_err();
    assert_eq!(reason(&refused).as_deref(), Some("STORE_UNAVAILABLE"), "the last answer is told");
    assert!(server.calls() > 1);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_no_news_about_the_session() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let options = CallOptions { deadline: Duration::from_millis(400), ..CallOptions::default() };
    let client = AuthClient::new(channel(&format!("http://{nobody}")), options);
    for refused in [client.refresh("token").await, client.login("ada", "secret", &[]).await] {
        assert_eq!(refused.unwrap_err().code(), Code::Unavailable);
    }
}
