//! The use cases: login, refresh, logout, verify. They know stores, tokens and passwords, and no transport.

use std::time::Duration;

use async_trait::async_trait;

use crate::model::Position;
use crate::reason::Reason;

mod audit;
mod authenticator;
pub mod bounds;
mod caller;
mod change_password;
pub mod error;
mod event_log;
mod event_recorder;
mod key_admin;
mod key_keeper;
mod live_sessions;
mod login;
mod login_turns;
mod logout;
mod own_session;
mod password_reset;
mod refresh;
mod request_limit;
mod service_account_admin;
mod service_keys;
mod service_token;
mod session_admin;
mod session_end;
mod telling;
pub mod types;
mod user_admin;
mod verify;

pub use crate::store::{EventPage, EventsAfter};
pub use crate::token::{KeyState, PlainServiceKey, PresentedKey};
pub use authenticator::{Authenticator, Parts, Policy};
pub use caller::{Caller, LacksRole, NeedsAdministrator, UnknownRole};
pub use error::{AuthError, FieldViolation};
pub use event_log::{EventLog, MOST_EVENTS};
pub use event_recorder::{EventRecorder, EventStats};
pub use key_admin::{DatabaseKeys, KeyAdmin, KeyAdminError, KeyEntry, KeyTelling, Withdrawn};
pub use key_keeper::{KeeperError, KeeperOptions, KeyKeeper};
pub use password_reset::{LONGEST_RESET, PasswordResets};
pub use request_limit::RequestLimit;
pub use service_account_admin::{
    ChangeServiceAccount, CreateServiceAccount, CreateServiceKey, LONGEST_KEY_TTL, MOST_SERVICE_KEYS,
    SHORTEST_KEY_TTL, ServiceAccountAdmin, ServiceAccountError, ServiceAccountPage, ServiceAccountRef,
    USUAL_KEY_TTL,
};
pub use service_keys::ServiceKeys;
pub use service_token::{IssueServiceToken, ServiceToken, ServiceTokens};
pub use session_admin::{
    Explanation, MOST_SESSIONS_AT_ONCE, SessionAdmin, SessionEnd, SessionPage, SessionPlace,
};
pub use telling::Reach;
pub use types::{
    CallContext, ChangePassword, ChangedPassword, InvalidReason, Login, LoginRequest, LogoutRequest,
    LogoutToken, OwnSessions, Refresh, RefreshRequest, ResetPassword, RevokeOwnSessions, RevokedSessions,
    SessionSummary, TokenPair, Verification, VerifiedToken, Verify, VerifyRequest, WhichSessions,
};
pub use user_admin::{
    ChangeUser, CountImported, CreateUser, HashCheck, ImportBatch, ImportRun, NewCredential, RawCredential,
    RawRow, RefusalReason, RowOutcome, RowRefusal, RowResult, SessionsEnded, UserAdmin, UserAdminError,
    UserFilter, UserPage, UserRef,
};

/// What the transports call. A request has passed its `violations` (see [`bounds`]) before it gets here.
///
/// The methods that change something are not to be cut off in the middle: a transport runs them in a task that
/// goes on when the caller goes away. Each gives up by itself when [`CallContext::deadline`] has passed.
#[async_trait]
pub trait Authenticate: Send + Sync + 'static {
    /// Checks a username and a password and begins a session.
    async fn login(&self, context: CallContext, request: LoginRequest) -> Result<Login, AuthError>;

    /// Exchanges a refresh token for the next tokens of its session.
    async fn refresh(&self, context: CallContext, request: RefreshRequest) -> Result<Refresh, AuthError>;

    /// Ends a session, or all sessions of its user. An unknown token succeeds. Returns where the ledger tells of the end;
    /// `None` where nothing had to be ended, or where that had ended before and the ledger cannot be asked.
    async fn logout(
        &self,
        context: CallContext,
        request: LogoutRequest,
    ) -> Result<Option<Position>, AuthError>;

    /// Sets another password for the user of a refresh token, ends every session, and begins one to go on with.
    async fn change_password(
        &self,
        context: CallContext,
        request: ChangePassword,
    ) -> Result<ChangedPassword, AuthError>;

    /// Sets another password for the user of a reset token, and ends every session. Returns where the ledger tells of it.
    async fn reset_password(
        &self,
        context: CallContext,
        request: ResetPassword,
    ) -> Result<Position, AuthError>;

    /// Gives an access token to a service account that shows a key.
    async fn issue_service_token(
        &self,
        context: CallContext,
        request: IssueServiceToken,
    ) -> Result<ServiceToken, AuthError>;

    /// The sessions of the user of a refresh token.
    async fn list_own_sessions(
        &self,
        context: CallContext,
        request: RefreshRequest,
    ) -> Result<OwnSessions, AuthError>;

    /// Ends sessions of the user of a refresh token, and says how many of them were alive.
    async fn revoke_own_sessions(
        &self,
        context: CallContext,
        request: RevokeOwnSessions,
    ) -> Result<RevokedSessions, AuthError>;

    /// Says whether an access token may be used, and whose it is. Does no I/O, and so has nothing to wait for.
    fn verify(&self, context: &CallContext, request: &VerifyRequest) -> Result<Verify, AuthError>;

    /// Waits until everything up to this position of the ledger is known here, so that the next [`Authenticate::verify`]
    /// takes it into account. `REVOCATIONS_STALE` where that is not so in time, or where the ledger does not have it.
    async fn reach(&self, context: &CallContext, position: Position) -> Result<(), AuthError> {
        let _ = (context, position);
        Err(Reason::RevocationsStale.into())
    }

    /// [`Authenticate::verify`], once everything up to `at_least` is known here; at once where there is none.
    async fn verify_at_least(
        &self,
        context: &CallContext,
        request: &VerifyRequest,
        at_least: Option<Position>,
    ) -> Result<Verify, AuthError> {
        if let Some(position) = at_least {
            self.reach(context, position).await?;
        }
        self.verify(context, request)
    }

    /// What [`Authenticate::verify`] answers, where that takes nothing but the token itself: for a transport that has
    /// it in a buffer of its own. `None` where the answer is an error, or where there is no such short cut; the
    /// transport then asks the ordinary way.
    fn verify_at_once(
        &self,
        token: &str,
        audiences: &[String],
        max_staleness: Option<Duration>,
    ) -> Option<Verify> {
        let _ = (token, audiences, max_staleness);
        None
    }
}
