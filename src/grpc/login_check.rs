//! A login as a client makes it: over the network, and to its end.

use tonic::transport::Channel;

use super::proto::v1::auth_service_client::AuthServiceClient;
use super::proto::v1::logout_request::Token;
use super::proto::v1::verify_access_token_response::Result as Verdict;
use super::proto::v1::{
    InvalidReason, LoginRequest, LogoutRequest, RefreshRequest, Tokens, VerifyAccessTokenRequest,
};
use super::target::{Connector, Target};

/// Any error; its text is for the operator.
type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Which step failed, and why.
#[derive(Debug, thiserror::Error)]
#[error("{step} failed")]
pub struct LoginCheckFailed {
    step: &'static str,
    source: BoxError,
}

impl LoginCheckFailed {
    fn at<E: Into<BoxError>>(step: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self { step, source: source.into() }
    }
}

/// Logs in, verifies, refreshes and logs out, and sees that the access token is refused afterwards. All of it goes over
/// one connection, and so to one replica.
pub async fn login_check(
    target: Target<impl Connector>,
    username: &str,
    password: &str,
) -> Result<(), LoginCheckFailed> {
    let channel = target.connect().await.map_err(LoginCheckFailed::at("connecting"))?;
    let mut client = AuthServiceClient::new(channel);

    let credentials =
        LoginRequest { username: username.into(), password: password.into(), ..LoginRequest::default() };
    let answer = client.login(credentials).await.map_err(LoginCheckFailed::at("Login"))?;
    let tokens = required("Login", answer.into_inner().tokens)?;
    expect_verified(&mut client, &tokens, username).await?;

    let request = RefreshRequest { refresh_token: tokens.refresh_token };
    let answer = client.refresh(request).await.map_err(LoginCheckFailed::at("Refresh"))?;
    let tokens = required("Refresh", answer.into_inner().tokens)?;
    expect_verified(&mut client, &tokens, username).await?;

    let token = Some(Token::RefreshToken(tokens.refresh_token));
    let logout = LogoutRequest { token, everywhere: false };
    client.logout(logout).await.map_err(LoginCheckFailed::at("Logout"))?;
    match verdict(&mut client, tokens.access_token).await? {
        Verdict::Invalid(invalid) if invalid.reason() == InvalidReason::Revoked => Ok(()),
        _ => Err(LoginCheckFailed::at("refusing the access token after Logout")(
            "VerifyAccessToken does not answer that it is revoked",
        )),
    }
}

fn required(step: &'static str, tokens: Option<Tokens>) -> Result<Tokens, LoginCheckFailed> {
    tokens.ok_or("the answer has no tokens").map_err(LoginCheckFailed::at(step))
}

async fn expect_verified(
    client: &mut AuthServiceClient<Channel>,
    tokens: &Tokens,
    username: &str,
) -> Result<(), LoginCheckFailed> {
    match verdict(client, tokens.access_token.clone()).await? {
        Verdict::Verified(token) if token.username == username => Ok(()),
        Verdict::Verified(_) => Err(LoginCheckFailed::at("VerifyAccessToken")("it names somebody else")),
        Verdict::Invalid(invalid) => {
            let why = format!("a new access token is invalid: {}", invalid.reason().as_str_name());
            Err(LoginCheckFailed::at("VerifyAccessToken")(why))
        }
    }
}

async fn verdict(
    client: &mut AuthServiceClient<Channel>,
    access_token: String,
) -> Result<Verdict, LoginCheckFailed> {
    const STEP: &str = "VerifyAccessToken";
    let request = VerifyAccessTokenRequest { access_token, ..VerifyAccessTokenRequest::default() };
    let answer = client.verify_access_token(request).await.map_err(LoginCheckFailed::at(STEP))?;
    answer.into_inner().result.ok_or("the answer says nothing").map_err(LoginCheckFailed::at(STEP))
}
