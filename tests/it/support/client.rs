//! A gRPC client for tests: every answer is either tokens, a verdict, or a status with its reason.

use std::net::SocketAddr;
use std::time::Duration;

use countersign::grpc::proto::v1::auth_service_client::AuthServiceClient;
use countersign::grpc::proto::v1::logout_request::Token;
use countersign::grpc::proto::v1::verify_access_token_response::Result as Verdict;
use countersign::grpc::proto::v1::{
    ChangePasswordRequest, InvalidReason, LoginRequest, LogoutRequest, RefreshRequest, ResetPasswordRequest,
    Tokens, VerifyAccessTokenRequest,
};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// What went wrong: the canonical code, and the reason in `ErrorInfo`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) code: Code,
    pub(crate) reason: String,
    pub(crate) retry_after: Option<Duration>,
}

impl From<Status> for Refused {
    fn from(status: Status) -> Self {
        let details = status.get_error_details();
        Self {
            code: status.code(),
            reason: details.error_info().map(|info| info.reason.clone()).unwrap_or_default(),
            retry_after: details.retry_info().and_then(|info| info.retry_delay),
        }
    }
}

/// What Verify says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verified {
    As { username: String, session: String, roles: Vec<String> },
    Invalid(InvalidReason),
}

/// Speaks to one server over one connection.
#[derive(Debug, Clone)]
pub(crate) struct Client(AuthServiceClient<Channel>);

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        Self(AuthServiceClient::new(endpoint.connect_lazy()))
    }

    pub(crate) async fn login(&mut self, username: &str, password: &str) -> Result<Tokens, Refused> {
        let request = LoginRequest {
            username: username.to_owned(),
            password: password.to_owned(),
            ..LoginRequest::default()
        };
        Ok(self.0.login(request).await?.into_inner().tokens.unwrap())
    }

    pub(crate) async fn refresh(&mut self, refresh_token: &str) -> Result<Tokens, Refused> {
        let request = RefreshRequest { refresh_token: refresh_token.to_owned() };
        Ok(self.0.refresh(request).await?.into_inner().tokens.unwrap())
    }

    pub(crate) async fn logout(&mut self, refresh_token: &str) -> Result<(), Refused> {
        self.end(Token::RefreshToken(refresh_token.to_owned()), false).await
    }

    pub(crate) async fn logout_with_access_token(&mut self, access_token: &str) -> Result<(), Refused> {
        self.end(Token::AccessToken(access_token.to_owned()), false).await
    }

    pub(crate) async fn logout_everywhere(&mut self, refresh_token: &str) -> Result<(), Refused> {
        self.end(Token::RefreshToken(refresh_token.to_owned()), true).await
    }

    async fn end(&mut self, token: Token, everywhere: bool) -> Result<(), Refused> {
        self.0.logout(LogoutRequest { token: Some(token), everywhere }).await?;
        Ok(())
    }

    /// Returns the tokens of the new session, and the position.
    pub(crate) async fn change_password(
        &mut self,
        refresh_token: &str,
        current: &str,
        new: &str,
    ) -> Result<(Tokens, String), Refused> {
        let request = ChangePasswordRequest {
            refresh_token: refresh_token.to_owned(),
            current_password: current.to_owned(),
            new_password: new.to_owned(),
        };
        let answer = self.0.change_password(request).await?.into_inner();
        Ok((answer.tokens.unwrap(), answer.position))
    }

    pub(crate) async fn reset_password(&mut self, token: &str, new: &str) -> Result<(), Refused> {
        let request = ResetPasswordRequest { reset_token: token.to_owned(), new_password: new.to_owned() };
        self.0.reset_password(request).await?;
        Ok(())
    }

    pub(crate) async fn verify(&mut self, access_token: &str) -> Result<Verified, Refused> {
        self.verify_at_least(access_token, "").await
    }

    /// By a replica that knows at least of this position.
    pub(crate) async fn verify_at_least(
        &mut self,
        access_token: &str,
        position: &str,
    ) -> Result<Verified, Refused> {
        let (access_token, at_least) = (access_token.to_owned(), position.to_owned());
        let request = VerifyAccessTokenRequest { access_token, at_least, ..Default::default() };
        let answer = self.0.verify_access_token(request).await?.into_inner();
        Ok(match answer.result.expect("one of the two arms") {
            Verdict::Verified(token) => {
                Verified::As { username: token.username, session: token.session_id, roles: token.roles }
            }
            Verdict::Invalid(invalid) => Verified::Invalid(invalid.reason()),
        })
    }
}
