use std::error::Error as _;
use std::fmt;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use tonic::transport::Channel;
use tonic::{Code, ConnectError, Request, Status};
use tonic_types::StatusExt as _;

use super::backoff::{Backoff, chance};
use super::error::reason;
use super::proto::v1;
use super::proto::v1::auth_service_client::AuthServiceClient;
use super::proto::v1::logout_request::Token;
use crate::{Clock, SystemClock, UnixMillis};

/// How long a call may take and how often it is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallOptions {
    /// All attempts together, pauses included; 10 s.
    pub deadline: Duration,
    /// One attempt; 3 s, which is longer than the server takes over a Refresh.
    pub attempt: Duration,
    /// The longest pause between two attempts where the server does not say how long to wait; 1 s.
    pub max_backoff: Duration,
}

impl Default for CallOptions {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(10),
            attempt: Duration::from_secs(3),
            max_backoff: Duration::from_secs(1),
        }
    }
}

/// What a client holds of a session. `Debug` shows no token.
#[derive(Clone, PartialEq, Eq)]
pub struct Tokens {
    /// Goes with each request, as `Authorization: Bearer …`.
    pub access_token: String,
    /// Goes to [`AuthClient::refresh`] and [`AuthClient::logout`] and nowhere else. Keep it until the next one has
    /// arrived, whatever else happens.
    pub refresh_token: String,
    /// How long the access token is accepted from now on.
    pub expires_in: Duration,
    /// From when on the refresh token is refused unless it was used before, by the server's clock.
    pub refresh_expires_at: UnixMillis,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens")
            .field("expires_in", &self.expires_in)
            .field("refresh_expires_at", &self.refresh_expires_at)
            .finish_non_exhaustive()
    }
}

/// Logs in, refreshes and logs out, with a deadline, and again where that is safe and helps:
///
/// - **Refresh and Logout** after UNAVAILABLE (`REFRESH_IN_PROGRESS` and a store that is down among it) and after
///   an attempt that was not answered in time. Whatever became of the first attempt, the second gets the answer
///   that it would have had; no session is lost.
/// - **Login** only where the server was not reached at all, or says that it did not look at the password
///   (`LOGIN_OVERLOADED`). A login that may have succeeded is not made twice: it would begin a second session,
///   which may end another one.
///
/// Pauses double, are drawn at random, and are as long as the server says where it does
/// (`google.rpc.RetryInfo`). An answer of UNAUTHENTICATED is never tried again. [`reason`] tells what a status
/// means.
#[derive(Debug, Clone)]
pub struct AuthClient {
    server: AuthServiceClient<Channel>,
    options: CallOptions,
}

/// Whether a call that may have been carried out may be made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Repeatable {
    Always,
    WhenNotBegun,
}

impl AuthClient {
    /// Calls over this channel.
    pub fn new(channel: Channel, options: CallOptions) -> Self {
        Self { server: AuthServiceClient::new(channel), options }
    }

    /// Checks a username and a password and begins a session, with an access token for these audiences (the
    /// server's default when there are none).
    pub async fn login(
        &self,
        username: &str,
        password: &str,
        audiences: &[String],
    ) -> Result<Tokens, Status> {
        let request = v1::LoginRequest {
            username: username.to_owned(),
            password: password.to_owned(),
            audiences: audiences.to_vec(),
            client: None,
        };
        let call =
            |mut server: AuthServiceClient<Channel>, request| async move { server.login(request).await };
        let answer = self.call(Repeatable::WhenNotBegun, request, call).await?;
        tokens(answer.tokens)
    }

    /// Exchanges a refresh token for the next tokens.
    pub async fn refresh(&self, refresh_token: &str) -> Result<Tokens, Status> {
        let request = v1::RefreshRequest { refresh_token: refresh_token.to_owned() };
        let call =
            |mut server: AuthServiceClient<Channel>, request| async move { server.refresh(request).await };
        let answer = self.call(Repeatable::Always, request, call).await?;
        tokens(answer.tokens)
    }

    /// Ends the session of a refresh token, or all sessions of its user. When it returns, the end is durable. Returns the
    /// position of it in the ledger, for [`LiveVerifier::verify_at_least`](super::LiveVerifier::verify_at_least); empty where
    /// there is none to tell.
    pub async fn logout(&self, refresh_token: &str, everywhere: bool) -> Result<String, Status> {
        let token = Some(Token::RefreshToken(refresh_token.to_owned()));
        let request = v1::LogoutRequest { token, everywhere };
        let call =
            |mut server: AuthServiceClient<Channel>, request| async move { server.logout(request).await };
        Ok(self.call(Repeatable::Always, request, call).await?.position)
    }

    async fn call<M: Clone, R, F>(
        &self,
        repeatable: Repeatable,
        message: M,
        call: impl Fn(AuthServiceClient<Channel>, Request<M>) -> F,
    ) -> Result<R, Status>
    where
        F: Future<Output = Result<tonic::Response<R>, Status>>,
    {
        let clock = SystemClock::new();
        let begun = clock.monotonic();
        let left = || self.options.deadline.saturating_sub(clock.monotonic().since(begun));
        let mut backoff = Backoff::new(self.options.max_backoff);
        loop {
            let attempt = self.options.attempt.min(left());
            let mut request = Request::new(message.clone());
            request.set_timeout(attempt);
            let answer = match timeout(attempt, call(self.server.clone(), request)).await {
                Ok(answer) => answer,
                Err(_elapsed) => Err(Status::deadline_exceeded("the server did not answer in time")),
            };
            let status = match answer {
                Ok(answer) => return Ok(answer.into_inner()),
                Err(status) => status,
            };
            let pause = pause(&status, repeatable, &mut backoff).filter(|pause| *pause < left());
            let Some(pause) = pause else { return Err(status) };
            sleep(pause).await;
        }
    }
}

/// How long to wait before the call is made again; none when it must not be or cannot help.
fn pause(status: &Status, repeatable: Repeatable, backoff: &mut Backoff) -> Option<Duration> {
    let again = match repeatable {
        Repeatable::Always => {
            // tonic tells an attempt that its own clock has cut off as CANCELLED.
            matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled)
        }
        Repeatable::WhenNotBegun => {
            never_sent(status) || reason(status).is_some_and(|reason| reason == "LOGIN_OVERLOADED")
        }
    };
    let asked = status.get_details_retry_info().and_then(|info| info.retry_delay).unwrap_or_default();
    // Never earlier than was asked, and not all at once.
    let asked = asked.mul_f64(1.0 + 0.2 * chance());
    again.then(|| asked.max(backoff.pause()))
}

/// Whether there was no connection to send the call on.
fn never_sent(status: &Status) -> bool {
    let mut cause = status.source();
    while let Some(error) = cause {
        if error.is::<ConnectError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

fn tokens(message: Option<v1::Tokens>) -> Result<Tokens, Status> {
    let message = message.ok_or_else(|| Status::unknown("an answer without tokens"))?;
    let refresh_expires_at = message.refresh_expires_at.unwrap_or_default();
    Ok(Tokens {
        access_token: message.access_token,
        refresh_token: message.refresh_token,
        expires_in: Duration::from_secs(message.expires_in.try_into().unwrap_or(0)),
        refresh_expires_at: UnixMillis::from_secs(refresh_expires_at.seconds),
    })
}

#[cfg(test)]
mod tests {
    use tonic_types::ErrorDetails;

    use super::*;

    fn refusal(code: Code, reason: &str, retry_after: Option<Duration>) -> Status {
        let mut details = ErrorDetails::new();
        details.set_error_info(reason, "countersign", []);
        if let Some(delay) = retry_after {
            details.set_retry_info(Some(delay));
        }
        Status::with_error_details(code, "", details)
    }

    fn paused(status: &Status, repeatable: Repeatable) -> Option<Duration> {
        pause(status, repeatable, &mut Backoff::new(Duration::from_millis(100)))
    }

    #[test]
    fn the_server_says_how_long_to_wait() {
        let delay = Duration::from_secs(2);
        let status = refusal(Code::Unavailable, "REFRESH_IN_PROGRESS", Some(delay));
        let pause = paused(&status, Repeatable::Always).unwrap();
        assert!((delay..delay * 2).contains(&pause), "{pause:?}");
        assert!(paused(&Status::unavailable(""), Repeatable::Always).unwrap() <= Duration::from_millis(100));
    }

    #[test]
    fn only_what_is_safe_and_helps_is_tried_again() {
        let unavailable = refusal(Code::Unavailable, "STORE_UNAVAILABLE", None);
        assert!(paused(&unavailable, Repeatable::Always).is_some());
        assert!(paused(&unavailable, Repeatable::WhenNotBegun).is_none(), "the login may have succeeded");
        let overloaded = refusal(Code::ResourceExhausted, "LOGIN_OVERLOADED", Some(Duration::from_secs(1)));
        assert!(paused(&overloaded, Repeatable::WhenNotBegun).is_some(), "the password was not looked at");
        for (code, reason) in [
            (Code::Unauthenticated, "REFRESH_TOKEN_REUSED"),
            (Code::ResourceExhausted, "RATE_LIMIT_EXCEEDED"),
            (Code::InvalidArgument, "INVALID_REQUEST"),
            (Code::Internal, "INTERNAL"),
        ] {
            for repeatable in [Repeatable::Always, Repeatable::WhenNotBegun] {
                assert!(paused(&refusal(code, reason, None), repeatable).is_none(), "{reason}");
            }
        }
    }
}
