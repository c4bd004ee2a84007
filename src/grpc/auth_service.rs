//! `countersign.v1.AuthService`: decode, call, encode.

use std::sync::Arc;

use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status};

use super::call::Call;
use super::proto::v1;
use super::{convert, status};
use crate::auth::{AuthError, Authenticate};
use crate::reason::Language;
use crate::transport::carry_through;

/// The service, over whatever answers its calls.
pub(super) struct AuthService {
    pub(super) auth: Arc<dyn Authenticate>,
    pub(super) tasks: TaskTracker,
}

#[tonic::async_trait]
impl v1::auth_service_server::AuthService for AuthService {
    async fn login(&self, request: Request<v1::LoginRequest>) -> Result<Response<v1::LoginResponse>, Status> {
        let (call, message) = Call::split(request);
        let ask =
            convert::login(message, call.peer).map_err(|error| status::refuse(&error, call.language))?;
        let auth = Arc::clone(&self.auth);
        let context = call.context();
        let login = self.carry_through(call.language, async move { auth.login(context, ask).await }).await?;
        Ok(Response::new(login.into()))
    }

    async fn refresh(
        &self,
        request: Request<v1::RefreshRequest>,
    ) -> Result<Response<v1::RefreshResponse>, Status> {
        let (call, message) = Call::split(request);
        let ask = convert::refresh(message).map_err(|error| status::refuse(&error, call.language))?;
        let auth = Arc::clone(&self.auth);
        let context = call.context();
        let answer = async move { auth.refresh(context, ask).await };
        let refresh = self.carry_through(call.language, answer).await?;
        Ok(Response::new(v1::RefreshResponse { tokens: Some(refresh.tokens.into()) }))
    }

    async fn logout(
        &self,
        request: Request<v1::LogoutRequest>,
    ) -> Result<Response<v1::LogoutResponse>, Status> {
        let (call, message) = Call::split(request);
        let ask = convert::logout(message).map_err(|error| status::refuse(&error, call.language))?;
        let auth = Arc::clone(&self.auth);
        let context = call.context();
        self.carry_through(call.language, async move { auth.logout(context, ask).await }).await?;
        Ok(Response::new(v1::LogoutResponse {}))
    }

    async fn verify_access_token(
        &self,
        request: Request<v1::VerifyAccessTokenRequest>,
    ) -> Result<Response<v1::VerifyAccessTokenResponse>, Status> {
        let (call, message) = Call::split(request);
        let answer = convert::verify(message).and_then(|ask| self.auth.verify(&call.context(), &ask));
        let verify = answer.map_err(|error| status::refuse(&error, call.language))?;
        Ok(Response::new(verify.into()))
    }
}

impl AuthService {
    /// Runs a change to its end, whatever becomes of its caller.
    async fn carry_through<T: Send + 'static>(
        &self,
        language: Language,
        change: impl Future<Output = Result<T, AuthError>> + Send + 'static,
    ) -> Result<T, Status> {
        let change = async move { change.await.map_err(|error| status::refuse(&error, language)) };
        let outcome = carry_through(&self.tasks, change).await;
        outcome.unwrap_or_else(|panicked| Err(status::refuse(&panicked.into(), language)))
    }
}
