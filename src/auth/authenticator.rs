//! The use cases' common ground: what they are made of, and what they are told to do.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use countersign_verifier::{CacheStats, Rules, Verifier};
use secrecy::ExposeSecret as _;

use super::error::AuthError;
use super::event_recorder::EventRecorder;
use super::login_turns::LoginTurns;
use super::service_token::{self, IssueServiceToken, ServiceToken, ServiceTokens};
use super::types::{
    CallContext, ChangePassword, ChangedPassword, Login, LoginRequest, LogoutRequest, OwnSessions, Refresh,
    RefreshRequest, ResetPassword, RevokeOwnSessions, RevokedSessions, TokenPair, Verify, VerifyRequest,
};
use super::{Authenticate, change_password, login, logout, own_session, password_reset, refresh, verify};
use crate::model::{Clock, Position, Session, SessionId, SessionLimit, User, UserId};
use crate::password::{HashingPool, PasswordPolicy};
use crate::reason::Reason;
use crate::revocation::Revocations;
use crate::revocation::store_time::Reading;
use crate::store::{Ledger, LoginThrottle, SessionPolicy, SessionStore, UserStore};
use crate::token::access::{AccessGrant, AccessTokenIssuer};
use crate::token::{Keyring, SessionSecret};

/// How long a call without a deadline waits for a position: a stream has none.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// What the operator decided.
#[derive(Debug, Clone)]
pub struct Policy {
    /// How long sessions live, how many there may be, and what is honoured of old refresh tokens.
    pub session: SessionPolicy,
    /// The classes of clients that there are, and how many sessions of each a user may have.
    pub classes: BTreeMap<String, SessionLimit>,
    /// How long an access token lives; never past its session's end.
    pub access_ttl: Duration,
    /// The audiences that a login may ask for.
    pub audiences: Vec<String>,
    /// The audience of a login that asks for none.
    pub default_audience: String,
    /// Makes the access tokens.
    pub access_tokens: AccessTokenIssuer,
    /// What Verify checks.
    pub rules: Rules,
    /// How many tokens Verify remembers, see [`Verifier::with_cache`].
    pub verified_cache: usize,
    /// How old the view of the ledger may be.
    pub max_staleness: Duration,
    /// Whether to go on answering when it is older.
    pub serve_when_stale: bool,
}

/// The stores and engines that the use cases work with.
pub struct Parts {
    /// Users and password hashes.
    pub users: Arc<dyn UserStore>,
    /// The durable list of what was revoked.
    pub ledger: Arc<dyn Ledger>,
    /// Sessions.
    pub sessions: Arc<dyn SessionStore>,
    /// This replica's hold on the ledger.
    pub revocations: Revocations,
    /// Signing and MAC keys.
    pub keys: Arc<Keyring>,
    /// Where passwords are hashed.
    pub passwords: Arc<HashingPool>,
    /// What may become a password.
    pub password_policy: Arc<PasswordPolicy>,
    /// What service accounts get tokens by.
    pub service_tokens: ServiceTokens,
    /// How many logins may be tried; `None` for as many as one likes.
    pub throttle: Option<Arc<dyn LoginThrottle>>,
    /// Takes the events of logins.
    pub events: EventRecorder,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Login, Refresh, Logout and Verify.
pub struct Authenticator {
    pub(super) parts: Parts,
    pub(super) policy: Policy,
    pub(super) verifier: Verifier,
    pub(super) login_turns: LoginTurns,
}

impl Authenticator {
    /// Use cases over these parts, by this policy.
    pub fn new(parts: Parts, policy: Policy) -> Self {
        let (keys, view) = (parts.keys.trusted().clone(), parts.revocations.view().clone());
        let verifier = Verifier::new(policy.rules.clone(), keys, view).with_cache(policy.verified_cache);
        Self { parts, policy, verifier, login_turns: LoginTurns::default() }
    }

    /// How often Verify knew a token already.
    pub fn cache_stats(&self) -> CacheStats {
        self.verifier.cache_stats()
    }

    /// How many verified tokens are remembered, and how many can be. Counts them: for metrics.
    pub fn cached_tokens(&self) -> (usize, usize) {
        (self.verifier.cached_tokens(), self.verifier.cache_capacity())
    }

    /// Begins a session of a user whose password nobody has looked at. For the test server, which anybody may ask for tokens.
    #[cfg(feature = "test-server")]
    pub async fn begin_session_unchecked(
        &self,
        user: &User,
        audiences: Vec<String>,
    ) -> Result<Login, AuthError> {
        let deadline = self.parts.clock.monotonic();
        let call = CallContext { deadline, peer: None, request_id: "".into() };
        let client = crate::model::ClientFacts::default();
        login::begin_session(self, user, audiences, client, &self.policy.session, &call).await
    }

    /// How old the view of the ledger is. Asked before the view is used: what is loaded in between makes the
    /// answer better than was said, and never worse.
    pub(super) fn staleness(&self) -> Option<Duration> {
        self.parts.revocations.view().staleness(self.parts.clock.as_ref())
    }

    /// What time it is by the stores' clock, by which sessions live.
    pub(super) fn store_time(&self) -> Reading {
        self.parts.revocations.store_time()
    }

    /// Refuses to go on with a view of the ledger that is older than the operator allows, or than the caller
    /// does. The operator's bound can be waived by the operator, the caller's cannot.
    pub(super) fn require_fresh(
        &self,
        staleness: Option<Duration>,
        asked: Option<Duration>,
    ) -> Result<(), AuthError> {
        let bound = if self.policy.serve_when_stale { None } else { Some(self.policy.max_staleness) };
        let bound = asked.into_iter().chain(bound).min();
        // A view that was never loaded knows of no revocation at all; nobody may choose to serve from it.
        let fresh = staleness.is_some_and(|staleness| bound.is_none_or(|bound| staleness <= bound));
        if fresh { Ok(()) } else { Err(AuthError::new(Reason::RevocationsStale)) }
    }

    /// The answer to a Login or Refresh: the session's current refresh token, and a fresh access token.
    pub(super) fn tokens(
        &self,
        user: &User,
        session: &Session,
        secret: &SessionSecret,
    ) -> Result<TokenPair, AuthError> {
        let (now, store_time) = (self.parts.clock.now(), self.store_time().now);
        let keys = self.parts.keys.current();
        let refresh_token = keys
            .mac
            .mint(secret, session.user, session.mac_key, session.current(), session.expires_at)
            // Another replica has the key already, and so will this one: the token is worth another try.
            .map_err(|error| AuthError::new(Reason::StoreUnavailable).caused_by(error))?;
        let audiences = self.audiences_of(session);
        let grant = AccessGrant { user, session, audiences: &audiences, now };
        let access_token = self
            .policy
            .access_tokens
            .mint(keys.signing.signer(store_time), &grant, self.policy.access_ttl)
            .map_err(AuthError::internal)?;
        Ok(TokenPair {
            access_token: access_token.expose().into(),
            refresh_token: refresh_token.expose().into(),
            access_expires_at: access_token.expires_at(),
            refresh_expires_at: session.idle_expires_at,
            refresh_expires_in: session.idle_expires_at.since(store_time),
            expires_in: access_token.expires_at().since(now),
        })
    }

    /// Frees what the session store holds of a session that the ledger has ended already.
    pub(super) async fn forget(&self, user: UserId, session: SessionId) {
        if let Err(error) = self.parts.sessions.delete(user, &[session]).await {
            tracing::debug!(%session, %error, "a revoked session stays in its store until it expires");
        }
    }

    /// What the session was opened for, less what the operator has taken away since; the default audience when
    /// it named none or none is left.
    fn audiences_of(&self, session: &Session) -> Vec<String> {
        let mut audiences = session.audiences.clone();
        audiences.retain(|audience| self.policy.audiences.contains(audience));
        if audiences.is_empty() {
            audiences.push(self.policy.default_audience.clone());
        }
        audiences
    }
}

#[async_trait]
impl Authenticate for Authenticator {
    async fn login(&self, context: CallContext, request: LoginRequest) -> Result<Login, AuthError> {
        login::login(self, &context, request).await
    }

    async fn refresh(&self, context: CallContext, request: RefreshRequest) -> Result<Refresh, AuthError> {
        refresh::refresh(self, &context, &request).await
    }

    async fn logout(
        &self,
        context: CallContext,
        request: LogoutRequest,
    ) -> Result<Option<Position>, AuthError> {
        logout::logout(self, &context, &request).await
    }

    async fn change_password(
        &self,
        context: CallContext,
        request: ChangePassword,
    ) -> Result<ChangedPassword, AuthError> {
        change_password::change_password(self, &context, request).await
    }

    async fn reset_password(
        &self,
        context: CallContext,
        request: ResetPassword,
    ) -> Result<Position, AuthError> {
        password_reset::reset_password(self, &context, request).await
    }

    async fn issue_service_token(
        &self,
        context: CallContext,
        request: IssueServiceToken,
    ) -> Result<ServiceToken, AuthError> {
        service_token::issue(self, &context, request).await
    }

    async fn list_own_sessions(
        &self,
        context: CallContext,
        request: RefreshRequest,
    ) -> Result<OwnSessions, AuthError> {
        own_session::list(self, &context, &request.refresh_token).await
    }

    async fn revoke_own_sessions(
        &self,
        context: CallContext,
        request: RevokeOwnSessions,
    ) -> Result<RevokedSessions, AuthError> {
        own_session::revoke(self, &context, &request).await
    }

    fn verify(&self, _: &CallContext, request: &VerifyRequest) -> Result<Verify, AuthError> {
        let token = request.access_token.expose_secret();
        verify::verify(self, token, &request.audiences, request.max_staleness)
    }

    async fn reach(&self, context: &CallContext, position: Position) -> Result<(), AuthError> {
        // So long that the answer, that it is not known, still comes in time.
        let left = context.deadline.since(self.parts.clock.monotonic());
        let wait = left.min(LONGEST_WAIT) * 9 / 10;
        let reached = self.parts.revocations.reach_within(position, wait).await;
        if reached { Ok(()) } else { Err(Reason::RevocationsStale.into()) }
    }

    fn verify_at_once(
        &self,
        token: &str,
        audiences: &[String],
        max_staleness: Option<Duration>,
    ) -> Option<Verify> {
        verify::verify(self, token, audiences, max_staleness).ok()
    }
}
