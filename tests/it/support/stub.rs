//! Use cases that answer as a test wants.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use countersign::auth::{
    AuthError, Authenticate, CallContext, Login, LoginRequest, LogoutRequest, Refresh, RefreshRequest,
    SessionSummary, TokenPair, Verification, VerifiedToken, Verify, VerifyRequest,
};
use countersign::model::{Epoch, Position, SessionId, UnixMillis, UserId};
use countersign_verifier::{Memo, SubjectKind};
use serde_json::json;
use tokio::sync::Semaphore;

/// Answers every call: with success unless it is told otherwise.
#[derive(Default)]
pub(crate) struct Stub {
    /// What every use case fails with.
    pub(crate) failure: Option<Box<dyn Fn() -> AuthError + Send + Sync>>,
    /// Whether every use case panics.
    pub(crate) panics: bool,
    /// What Verify answers; a verified token when there is none.
    pub(crate) verification: Option<Verification>,
    /// What holds up every change.
    pub(crate) gate: Option<Arc<Gate>>,
    /// The context of every call, in order.
    pub(crate) contexts: Mutex<Vec<CallContext>>,
}

/// Holds up changes until it is opened, and says how far they got.
pub(crate) struct Gate {
    begun: Semaphore,
    open: Semaphore,
    finished: Semaphore,
}

impl Gate {
    pub(crate) fn closed() -> Arc<Self> {
        let none = || Semaphore::new(0);
        Arc::new(Self { begun: none(), open: none(), finished: none() })
    }

    /// Lets one change go on.
    pub(crate) fn open(&self) {
        self.open.add_permits(1);
    }

    /// Waits until a change has begun.
    pub(crate) async fn begun(&self) {
        reached(&self.begun).await;
    }

    /// Waits until a change has gone through to its end.
    pub(crate) async fn finished(&self) {
        reached(&self.finished).await;
    }

    async fn pass(&self) {
        self.begun.add_permits(1);
        self.open.acquire().await.unwrap().forget();
        self.finished.add_permits(1);
    }
}

/// Fails the test rather than hang when the point is never reached.
async fn reached(point: &Semaphore) {
    let reached = tokio::time::timeout(Duration::from_secs(20), point.acquire()).await;
    reached.expect("the change gets this far").unwrap().forget();
}

impl Stub {
    pub(crate) fn failing(failure: impl Fn() -> AuthError + Send + Sync + 'static) -> Self {
        Self { failure: Some(Box::new(failure)), ..Self::default() }
    }

    pub(crate) fn verifying(verification: Verification) -> Self {
        Self { verification: Some(verification), ..Self::default() }
    }

    pub(crate) fn gated(gate: &Arc<Gate>) -> Self {
        Self { gate: Some(Arc::clone(gate)), ..Self::default() }
    }

    fn enter(&self, context: &CallContext) -> Result<(), AuthError> {
        self.contexts.lock().unwrap().push(context.clone());
        assert!(!self.panics, "the stub was told to panic");
        self.failure.as_ref().map_or(Ok(()), |failure| Err(failure()))
    }

    async fn change(&self, context: &CallContext) -> Result<(), AuthError> {
        self.enter(context)?;
        if let Some(gate) = &self.gate {
            gate.pass().await;
        }
        Ok(())
    }
}

#[async_trait]
impl Authenticate for Stub {
    async fn login(&self, context: CallContext, request: LoginRequest) -> Result<Login, AuthError> {
        self.change(&context).await?;
        let session = SessionSummary {
            id: session_id(),
            user: user_id(),
            username: request.username,
            created_at: UnixMillis(1_000),
            expires_at: UnixMillis(9_500),
        };
        Ok(Login { tokens: tokens(), session })
    }

    async fn refresh(&self, context: CallContext, _: RefreshRequest) -> Result<Refresh, AuthError> {
        self.change(&context).await?;
        Ok(Refresh { tokens: tokens(), unchanged: false })
    }

    async fn logout(&self, context: CallContext, _: LogoutRequest) -> Result<Option<Position>, AuthError> {
        self.change(&context).await?;
        Ok(None)
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

    fn verify(&self, context: &CallContext, _: &VerifyRequest) -> Result<Verify, AuthError> {
        self.enter(context)?;
        let verification = self.verification.clone().unwrap_or_else(|| Verification::Verified(verified()));
        Ok(Verify { verification, revocation_staleness: Some(Duration::from_millis(1500)) })
    }
}

pub(crate) fn user_id() -> UserId {
    UserId::from_bytes([7; 16])
}

pub(crate) fn session_id() -> SessionId {
    SessionId::from_bytes([9; 16])
}

fn tokens() -> TokenPair {
    TokenPair {
        access_token: "access".into(),
        refresh_token: "refresh".into(),
        access_expires_at: UnixMillis(301_250),
        refresh_expires_at: UnixMillis(8_000),
        refresh_expires_in: Duration::from_secs(7),
        expires_in: Duration::from_millis(300_900),
    }
}

pub(crate) fn verified() -> Arc<VerifiedToken> {
    let custom = json!({"tenant": "acme", "limits": {"seats": [1, 2.5, null, true]}});
    Arc::new(VerifiedToken {
        subject: user_id(),
        subject_kind: SubjectKind::User,
        username: "ada".to_owned(),
        external_id: None,
        session: session_id(),
        roles: vec!["admin".to_owned()],
        audiences: vec!["api".to_owned(), "web".to_owned()],
        token_id: "jti-1".to_owned(),
        issued_at: 100,
        expires_at: 400,
        auth_time: 50,
        amr: vec!["pwd".to_owned()],
        epoch: Epoch(0),
        session_expires_at: 4000,
        custom: custom.as_object().unwrap().clone(),
        memo: Memo::default(),
    })
}
