//! `countersign.v1.AuthService`: decode, call, encode.

use std::pin::Pin;
use std::sync::Arc;

use futures_util::{Stream, StreamExt as _};
use prost::Message as _;
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status, Streaming};

use super::call::Call;
use super::proto::v1;
use super::stream_end::StreamEnd;
use super::{MAX_BATCH_RESPONSE_BYTES, convert, status};
use crate::auth::{
    AuthError, Authenticate, CallContext, ChangedPassword, IssueServiceToken, ResetPassword, RevokedSessions,
    Verify,
};

/// The service, over whatever answers its calls.
pub(super) struct AuthService {
    pub(super) auth: Arc<dyn Authenticate>,
    pub(super) tasks: TaskTracker,
    pub(super) end: StreamEnd,
}

#[tonic::async_trait]
impl v1::auth_service_server::AuthService for AuthService {
    async fn login(&self, request: Request<v1::LoginRequest>) -> Result<Response<v1::LoginResponse>, Status> {
        let (call, message) = Call::split(request);
        let ask =
            convert::login(message, call.peer).map_err(|error| status::refuse(&error, call.language))?;
        let auth = Arc::clone(&self.auth);
        let context = call.context();
        let login = call.carry_through(&self.tasks, async move { auth.login(context, ask).await }).await?;
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
        let refresh = call.carry_through(&self.tasks, answer).await?;
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
        let position =
            call.carry_through(&self.tasks, async move { auth.logout(context, ask).await }).await?;
        let position = position.map(|position| position.to_string()).unwrap_or_default();
        Ok(Response::new(v1::LogoutResponse { position }))
    }

    async fn verify_access_token(
        &self,
        request: Request<v1::VerifyAccessTokenRequest>,
    ) -> Result<Response<v1::VerifyAccessTokenResponse>, Status> {
        let (call, message) = Call::split(request);
        let verify = verify(self.auth.as_ref(), &call.context(), message).await;
        Ok(Response::new(verify.map_err(|error| status::refuse(&error, call.language))?.into()))
    }

    async fn batch_verify_access_tokens(
        &self,
        request: Request<v1::BatchVerifyAccessTokensRequest>,
    ) -> Result<Response<v1::BatchVerifyAccessTokensResponse>, Status> {
        let (call, message) = Call::split(request);
        let answer = self.verify_batch(&call.context(), message).await;
        Ok(Response::new(answer.map_err(|error| status::refuse(&error, call.language))?))
    }

    async fn change_password(
        &self,
        request: Request<v1::ChangePasswordRequest>,
    ) -> Result<Response<v1::ChangePasswordResponse>, Status> {
        let (call, message) = Call::split(request);
        let ask = convert::change_password(message).map_err(|error| status::refuse(&error, call.language))?;
        let auth = Arc::clone(&self.auth);
        let context = call.context();
        let change = async move { auth.change_password(context, ask).await };
        let ChangedPassword { login, position } = call.carry_through(&self.tasks, change).await?;
        let v1::LoginResponse { tokens, session } = login.into();
        let position = position.to_string();
        Ok(Response::new(v1::ChangePasswordResponse { tokens, session, position }))
    }

    async fn reset_password(
        &self,
        request: Request<v1::ResetPasswordRequest>,
    ) -> Result<Response<v1::ResetPasswordResponse>, Status> {
        let (call, message) = Call::split(request);
        let v1::ResetPasswordRequest { reset_token, new_password } = message;
        let ask = ResetPassword { reset_token: reset_token.into(), new_password: new_password.into() };
        ask.check().map_err(|error| status::refuse(&error, call.language))?;
        let auth = Arc::clone(&self.auth);
        let context = call.context();
        let reset = async move { auth.reset_password(context, ask).await };
        let position = call.carry_through(&self.tasks, reset).await?.to_string();
        Ok(Response::new(v1::ResetPasswordResponse { position }))
    }

    async fn issue_service_token(
        &self,
        request: Request<v1::IssueServiceTokenRequest>,
    ) -> Result<Response<v1::IssueServiceTokenResponse>, Status> {
        let (call, message) = Call::split(request);
        let v1::IssueServiceTokenRequest { service_key, audiences } = message;
        let ask = IssueServiceToken { service_key: service_key.into(), account: None, audiences };
        ask.check().map_err(|error| status::refuse(&error, call.language))?;
        let auth = Arc::clone(&self.auth);
        let context = call.context();
        let issue = async move { auth.issue_service_token(context, ask).await };
        let token = call.carry_through(&self.tasks, issue).await?;
        Ok(Response::new(token.into()))
    }

    async fn list_own_sessions(
        &self,
        request: Request<v1::ListOwnSessionsRequest>,
    ) -> Result<Response<v1::ListOwnSessionsResponse>, Status> {
        /// As many as a page of `ListSessions` has.
        const MOST: usize = 500;

        let (call, message) = Call::split(request);
        let ask = v1::RefreshRequest { refresh_token: message.refresh_token };
        let ask = convert::refresh(ask).map_err(|error| status::refuse(&error, call.language))?;
        let auth = Arc::clone(&self.auth);
        let context = call.context();
        // A token that was left behind ends its session, so that this can be a change, too.
        let list = async move { auth.list_own_sessions(context, ask).await };
        let own = call.carry_through(&self.tasks, list).await?;
        Ok(Response::new(v1::ListOwnSessionsResponse {
            current_session_id: own.current.to_string(),
            sessions: own.sessions.into_iter().take(MOST).map(Into::into).collect(),
        }))
    }

    async fn revoke_own_sessions(
        &self,
        request: Request<v1::RevokeOwnSessionsRequest>,
    ) -> Result<Response<v1::RevokeOwnSessionsResponse>, Status> {
        let (call, message) = Call::split(request);
        let ask =
            convert::revoke_own_sessions(message).map_err(|error| status::refuse(&error, call.language))?;
        let auth = Arc::clone(&self.auth);
        let context = call.context();
        let revoke = async move { auth.revoke_own_sessions(context, ask).await };
        let RevokedSessions { count, position } = call.carry_through(&self.tasks, revoke).await?;
        let (revoked, position) = (i32::try_from(count).unwrap_or(i32::MAX), position.to_string());
        Ok(Response::new(v1::RevokeOwnSessionsResponse { revoked, position }))
    }

    type VerifyStreamStream = Pin<Box<dyn Stream<Item = Result<v1::VerifyStreamResponse, Status>> + Send>>;

    /// Each answer is made when the client has room for it, from the request that is then read: nothing is kept in
    /// between, whatever the client does.
    async fn verify_stream(
        &self,
        request: Request<Streaming<v1::VerifyStreamRequest>>,
    ) -> Result<Response<Self::VerifyStreamStream>, Status> {
        let (call, messages) = Call::split(request);
        let (auth, context, language) = (Arc::clone(&self.auth), call.context(), call.language);
        let answer = move |message: Result<v1::VerifyStreamRequest, Status>| {
            let (auth, context) = (Arc::clone(&auth), context.clone());
            async move {
                let verify = verify(auth.as_ref(), &context, message?.into()).await;
                verify.map(Into::into).map_err(|error| status::refuse(&error, language))
            }
        };
        Ok(Response::new(Box::pin(messages.then(answer).take_until(self.end.reached()))))
    }
}

async fn verify(
    auth: &dyn Authenticate,
    context: &CallContext,
    message: v1::VerifyAccessTokenRequest,
) -> Result<Verify, AuthError> {
    let (ask, at_least) = convert::verify(message)?;
    auth.verify_at_least(context, &ask, at_least).await
}

impl AuthService {
    /// Verifies one token after the other, and lets others have the thread in between: a thousand tokens that were
    /// never seen before are a thousand signatures to check.
    async fn verify_batch(
        &self,
        context: &CallContext,
        message: v1::BatchVerifyAccessTokensRequest,
    ) -> Result<v1::BatchVerifyAccessTokensResponse, AuthError> {
        const TOKENS_AT_ONCE: usize = 16;

        let mut response = v1::BatchVerifyAccessTokensResponse::default();
        let mut bytes = 0;
        let (requests, at_least) = convert::batch(message)?;
        if let Some(position) = at_least {
            self.auth.reach(context, position).await?;
        }
        for (place, ask) in requests.enumerate() {
            if place % TOKENS_AT_ONCE == TOKENS_AT_ONCE - 1 {
                tokio::task::yield_now().await;
            }
            let Verify { verification, revocation_staleness } = self.auth.verify(context, &ask)?;
            let verification = v1::AccessTokenVerification::from(verification);
            bytes += verification.encoded_len() + FIELD_BYTES;
            if bytes > MAX_BATCH_RESPONSE_BYTES - FIELD_BYTES {
                let what = format!("must have answers of at most {MAX_BATCH_RESPONSE_BYTES} bytes");
                return Err(AuthError::invalid_field("access_tokens", what));
            }
            response.verifications.push(verification);
            // The oldest view speaks for all.
            let staleness = revocation_staleness.and_then(|staleness| staleness.try_into().ok());
            response.revocation_staleness = match (place, response.revocation_staleness) {
                (0, _) => staleness,
                (_, before) => before.zip(staleness).map(|(a, b)| convert::longer(a, b)),
            };
        }
        Ok(response)
    }
}

/// What protobuf puts around an element of 4 MiB or less, and around a duration.
const FIELD_BYTES: usize = 32;
