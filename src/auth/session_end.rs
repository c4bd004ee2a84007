//! Why a Refresh is refused: which revocation ended its session. Read only when the refusal is certain, so that no Refresh
//! that succeeds pays for it; a refusal never waits long for it, nor fails because of it.

use std::time::Duration;

use super::authenticator::Authenticator;
use super::error::AuthError;
use super::types::CallContext;
use crate::model::EndCause;
use crate::reason::Reason;
use crate::store::{Lived, StoreError};
use crate::token::RefreshClaims;

/// The longest that a refusal waits for its cause.
const AT_MOST: Duration = Duration::from_millis(500);

/// What is known of a session that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// The ledger has a row about it.
    BySession,
    /// It ended with all sessions of its user.
    WithAll,
}

/// The refusal of a session that has ended, with the cause where the ledger tells it in time.
pub(super) async fn revoked(
    auth: &Authenticator,
    call: &CallContext,
    claims: &RefreshClaims,
    ended: Ended,
) -> AuthError {
    let cause = async {
        let lived = match ended {
            Ended::BySession => Lived::Unknown,
            Ended::WithAll => match auth.parts.sessions.find(claims.user, claims.session()).await {
                Ok(Some(session)) => Lived::InEpoch(session.epoch),
                Ok(None) | Err(_) => when_issued(claims),
            },
        };
        cause(auth, claims, lived).await
    };
    let refusal = AuthError::new(Reason::SessionRevoked);
    match in_time(auth, call, cause).await {
        Some(cause) => refusal.ended_by(cause),
        None => refusal,
    }
}

/// The refusal of a session that the session store does not know. One that ended with all sessions of its user is
/// forgotten at the user's next login, and the ledger still tells of it. One that has been idle for too long may have
/// been forgotten for that.
pub(super) async fn unknown(auth: &Authenticator, call: &CallContext, claims: &RefreshClaims) -> AuthError {
    let refusal = AuthError::new(Reason::RefreshTokenInvalid);
    if claims.presented.issued_at + auth.policy.session.idle <= auth.store_time().now {
        return refusal;
    }
    match in_time(auth, call, cause(auth, claims, when_issued(claims))).await {
        Some(cause) => AuthError::new(Reason::SessionRevoked).ended_by(cause),
        None => refusal,
    }
}

/// The session was alive when the store made the token.
fn when_issued(claims: &RefreshClaims) -> Lived {
    Lived::At(claims.presented.issued_at)
}

async fn cause(
    auth: &Authenticator,
    claims: &RefreshClaims,
    lived: Lived,
) -> Result<Option<EndCause>, StoreError> {
    let ending = auth.parts.ledger.ending(claims.user, claims.session(), lived).await?;
    Ok(ending.and_then(|ending| ending.revocation.reason.end_cause()))
}

/// Half of the time that the call has left is kept for the answer.
async fn in_time(
    auth: &Authenticator,
    call: &CallContext,
    read: impl Future<Output = Result<Option<EndCause>, StoreError>>,
) -> Option<EndCause> {
    let left = call.deadline.since(auth.parts.clock.monotonic()) / 2;
    match tokio::time::timeout(left.min(AT_MOST), read).await {
        Ok(Ok(cause)) => cause,
        Ok(Err(error)) => {
            tracing::debug!(%error, "a session's end is told without its cause");
            None
        }
        Err(_) => {
            tracing::debug!("a session's end is told without its cause: the stores take too long");
            None
        }
    }
}
