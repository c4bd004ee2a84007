use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::transport::Channel;

use super::error::VerifyError;
use super::follower::Follower;
use super::options::{ConnectOptions, OnStale};
use super::positions::Positions;
use super::proto::v1;
use super::proto::v1::auth_service_client::AuthServiceClient;
use super::proto::v1::verify_access_token_response::Result as Answer;
use super::server::Server;
use crate::verify::vouched_for;
use crate::{InvalidReason, KeySet, RevocationView, TrustedKeys, VerifiedToken, Verifier};

impl Verifier {
    /// Verifies in this process and follows a server: see [`LiveVerifier::connect`].
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime.
    pub fn connect(server: impl Into<Server>, options: ConnectOptions) -> LiveVerifier {
        LiveVerifier::connect(server, options)
    }
}

/// Verifies access tokens in this process, with the keys and revocations of a server that it follows for as long
/// as a clone of it lives. Knows how old its knowledge is, and past the bound acts by policy.
#[derive(Clone)]
pub struct LiveVerifier {
    shared: Arc<Shared>,
}

struct Shared {
    verifier: Arc<Verifier>,
    options: ConnectOptions,
    server: AuthServiceClient<Channel>,
    loaded: watch::Receiver<bool>,
    positions: Positions,
    _follows_until_dropped: DropGuard,
}

impl LiveVerifier {
    /// Begins to follow the server (a tonic `Endpoint`, or a [`Server`] with TLS), and returns at once: the server
    /// need not be there yet. Until everything is
    /// loaded no token is accepted; [`LiveVerifier::ready`] waits for that.
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime.
    pub fn connect(server: impl Into<Server>, options: ConnectOptions) -> Self {
        let server = server.into().configured(|endpoint| {
            endpoint
                .connect_timeout(options.patience)
                .http2_keep_alive_interval(options.patience)
                .keep_alive_timeout(options.patience)
                .keep_alive_while_idle(true)
        });
        let channel = server.channel();
        let keys = Arc::new(TrustedKeys::new(KeySet::default()));
        let verifier = Verifier::new(options.rules.clone(), keys, Arc::new(RevocationView::new()))
            .with_cache(options.cached_tokens);
        let verifier = Arc::new(verifier);
        let (loading, loaded) = watch::channel(false);
        let stop = CancellationToken::new();
        let (positions, asked) = Positions::new();
        let follower = Follower::new(channel.clone(), verifier.clone(), options.clone(), loading, asked);
        tokio::spawn(stop.clone().run_until_cancelled_owned(follower.run()));
        let server = AuthServiceClient::new(channel);
        let follows = stop.drop_guard();
        let shared = Shared { verifier, options, server, loaded, positions, _follows_until_dropped: follows };
        Self { shared: Arc::new(shared) }
    }

    /// Returns when keys and revocations were loaded for the first time.
    pub async fn ready(&self) {
        // The follower goes on for as long as this lives, so there is always somebody to say it.
        let _ = self.shared.loaded.clone().wait_for(|loaded| *loaded).await;
    }

    /// What verifies.
    pub fn verifier(&self) -> &Verifier {
        &self.shared.verifier
    }

    /// How old the view of revocations is at most; none when nothing was loaded yet. For readiness and metrics.
    pub fn staleness(&self) -> Option<Duration> {
        self.shared.verifier.revocations().staleness(self.shared.options.clock.as_ref())
    }

    /// Tells whether the view is as fresh as it must be; also when nobody uses it any more.
    #[cfg(feature = "testing")]
    pub(crate) fn freshness(&self) -> impl Fn() -> bool + Send + Sync + use<> {
        let shared = Arc::downgrade(&self.shared);
        move || {
            shared.upgrade().is_none_or(|shared| {
                let staleness = shared.verifier.revocations().staleness(shared.options.clock.as_ref());
                staleness.is_some_and(|staleness| staleness <= shared.options.max_staleness)
            })
        }
    }

    /// Decides whether an access token may be used with a service that goes by one of `audiences` (by one of the
    /// rules' own when it names none). Asks the server only where the view is too old and
    /// [`OnStale::AskServer`] says so.
    ///
    /// That a token is bad by itself is said from a stale view too; but then a key that is not known may be a new
    /// one, and says nothing.
    pub async fn verify(&self, token: &str, audiences: &[String]) -> Result<Arc<VerifiedToken>, VerifyError> {
        match self.verify_here(token, audiences) {
            Err(VerifyError::Stale { .. }) if self.shared.options.on_stale == OnStale::AskServer => {
                self.ask(token, audiences, "").await
            }
            answer => answer,
        }
    }

    /// As [`LiveVerifier::verify`], once everything is known here up to a position of the ledger: the text that the answer to
    /// a Logout, to a change of a password or to the end of sessions told. Takes a round trip to the server, and nothing the
    /// next time with the same position. Waits for `ask_timeout` at most.
    ///
    /// [`VerifyError::Stale`] where the position is not reached in time, or is none of the server's ledger, whatever
    /// [`OnStale::Serve`] says; with [`OnStale::AskServer`] the server is asked for the token then.
    pub async fn verify_at_least(
        &self,
        token: &str,
        audiences: &[String],
        position: &str,
    ) -> Result<Arc<VerifiedToken>, VerifyError> {
        let options = &self.shared.options;
        if position.is_empty() || self.shared.positions.reach(position, options.ask_timeout).await {
            return self.verify(token, audiences).await;
        }
        match options.on_stale {
            OnStale::AskServer => self.ask(token, audiences, position).await,
            OnStale::FailClosed | OnStale::Serve => Err(VerifyError::Stale { staleness: self.staleness() }),
        }
    }

    /// As [`LiveVerifier::verify`], without the server: [`OnStale::AskServer`] is [`OnStale::FailClosed`] here.
    pub fn verify_here(&self, token: &str, audiences: &[String]) -> Result<Arc<VerifiedToken>, VerifyError> {
        verify_here(&self.shared.verifier, &self.shared.options, token, audiences)
    }

    async fn ask(
        &self,
        token: &str,
        audiences: &[String],
        at_least: &str,
    ) -> Result<Arc<VerifiedToken>, VerifyError> {
        let options = &self.shared.options;
        let audiences = if audiences.is_empty() { &options.rules.default_audiences } else { audiences };
        let mut request = tonic::Request::new(v1::VerifyAccessTokenRequest {
            access_token: token.to_owned(),
            audiences: audiences.to_vec(),
            max_staleness: options.max_staleness.try_into().ok(),
            at_least: at_least.to_owned(),
        });
        request.set_timeout(options.ask_timeout);
        let answer = self.shared.server.clone().verify_access_token(request).await;
        match answer.map_err(|status| VerifyError::Unanswered(Box::new(status)))?.into_inner().result {
            Some(Answer::Verified(_)) => {
                vouched_for(token, &options.rules).map(Arc::new).map_err(VerifyError::Invalid)
            }
            Some(Answer::Invalid(invalid)) => Err(VerifyError::Invalid(invalid_reason(invalid.reason()))),
            None => {
                Err(VerifyError::Unanswered(Box::new(tonic::Status::unknown("an answer of another kind"))))
            }
        }
    }
}

/// See [`LiveVerifier::verify_here`].
pub(super) fn verify_here(
    verifier: &Verifier,
    options: &ConnectOptions,
    token: &str,
    audiences: &[String],
) -> Result<Arc<VerifiedToken>, VerifyError> {
    let (now, monotonic) = (options.clock.now(), options.clock.monotonic());
    let staleness = verifier.revocations().staleness_at(now, monotonic);
    let fresh = staleness.is_some_and(|staleness| staleness <= options.max_staleness);
    let serve = fresh || (staleness.is_some() && options.on_stale == OnStale::Serve);
    match verifier.verify(token, audiences, now) {
        Ok(token) if serve => Ok(token),
        Err(reason) if fresh || reason != InvalidReason::UnknownKey => Err(VerifyError::Invalid(reason)),
        Ok(_) | Err(_) => Err(VerifyError::Stale { staleness }),
    }
}

/// A reason that a newer server has and we do not: whatever it is, the token is none that could be taken.
const fn invalid_reason(reason: v1::InvalidReason) -> InvalidReason {
    match reason {
        v1::InvalidReason::Expired => InvalidReason::Expired,
        v1::InvalidReason::NotYetValid => InvalidReason::NotYetValid,
        v1::InvalidReason::Malformed | v1::InvalidReason::Unspecified => InvalidReason::Malformed,
        v1::InvalidReason::BadSignature => InvalidReason::BadSignature,
        v1::InvalidReason::UnknownKey => InvalidReason::UnknownKey,
        v1::InvalidReason::WrongAudience => InvalidReason::WrongAudience,
        v1::InvalidReason::WrongIssuer => InvalidReason::WrongIssuer,
        v1::InvalidReason::WrongType => InvalidReason::WrongType,
        v1::InvalidReason::Revoked => InvalidReason::Revoked,
    }
}

impl fmt::Debug for LiveVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveVerifier")
            .field("verifier", &self.shared.verifier)
            .field("staleness", &self.staleness())
            .finish_non_exhaustive()
    }
}
