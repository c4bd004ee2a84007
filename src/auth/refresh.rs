//! Refresh: the next refresh token of a session's line, and a fresh access token.
//!
//! Everything that can fail comes first; the rotation comes last and is one atomic step of the session store.

use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret as _;

use super::audit;
use super::authenticator::Authenticator;
use super::error::AuthError;
use super::session_end::{self, Ended};
use super::types::{CallContext, Refresh, RefreshRequest};
use crate::model::{Actor, EndCause, RevocationReason, UnixMillis, User};
use crate::reason::Reason;
use crate::revocation::store_time::Reading;
use crate::store::{Cause, Honoured, Presentation, Rotation, SessionRevocation, Until};
use crate::token::{RefreshClaims, RefreshTokenDefect, RefreshTokenError};

/// Answers a refresh token by the rules of rotation.
pub(super) async fn refresh(
    auth: &Authenticator,
    call: &CallContext,
    request: &RefreshRequest,
) -> Result<Refresh, AuthError> {
    let keys = auth.parts.keys.current();
    let claims = keys.mac.open(request.refresh_token.expose_secret()).map_err(|error| {
        // A key that is not known here may have been announced since: an honest client must not be logged out for it.
        let unknown = matches!(error.defect(), RefreshTokenDefect::UnknownMacKey(_));
        match auth.require_fresh(auth.staleness(), None) {
            Err(stale) if unknown => stale,
            _ => unreadable(error, call),
        }
    })?;
    // Before the token's life is looked at: a clock that has stepped must not tell an honest client that it has expired.
    auth.require_fresh(auth.staleness(), None)?;
    let time = auth.store_time();
    if claims.expires_at <= time.now {
        return Err(expired(time, Some(claims.expires_at)));
    }
    let user = standing(auth, call, &claims).await?;

    let ask = Presentation {
        session: claims.session(),
        user: user.id,
        presented: claims.presented,
        expires_at: claims.expires_at,
        user_epoch: user.epoch,
        mac_key: keys.mac.active(time.now),
        within: time_left(auth, call)?,
    };
    match auth.parts.sessions.rotate(ask, &auth.policy.session).await? {
        Rotation::Honoured(how, session) => {
            let tokens = auth.tokens(&user, &session, claims.secret())?;
            audit::refreshed(user.id, session.id, how, call.peer);
            Ok(Refresh { tokens, unchanged: how == Honoured::Unchanged })
        }
        Rotation::InProgress => {
            Err(AuthError::new(Reason::RefreshInProgress).retry_after(auth.policy.session.rotation.deadline))
        }
        Rotation::Reused => Err(reused(auth, &claims, call).await?),
        Rotation::Idle => Err(expired(time, None)),
        Rotation::Superseded => Err(session_end::revoked(auth, call, &claims, Ended::WithAll).await),
        Rotation::Unknown => {
            // It may have been revoked, and forgotten, since we looked.
            standing(auth, call, &claims).await?;
            Err(session_end::unknown(auth, call, &claims).await)
        }
    }
}

/// The token is none of ours. That it names a key which is not there is worth seeing: a key that was taken away too early logs
/// its users out, and they cannot say why.
pub(super) fn unreadable(error: RefreshTokenError, call: &CallContext) -> AuthError {
    if let RefreshTokenDefect::UnknownMacKey(key) = error.defect() {
        audit::unknown_mac_key(key, call.peer);
    }
    AuthError::new(Reason::RefreshTokenInvalid).caused_by(error)
}

/// The session is past its life, or past its end where that is known. While the clock has just stepped ahead the answer is
/// that the store is unavailable: the clock may have to be put right, and a client discards a token that has expired.
pub(super) fn expired(time: Reading, end: Option<UnixMillis>) -> AuthError {
    if time.is_doubted() && end.is_none_or(|end| end > time.at_least) {
        return AuthError::new(Reason::StoreUnavailable)
            .caused_by("the clock that sessions expire by has stepped ahead");
    }
    AuthError::new(Reason::RefreshTokenExpired)
}

/// How much of the refresh deadline is left for the decision. A Refresh that was held up beyond it must not be decided
/// any more: its caller has been told to ask again, and may be several tokens further by now.
fn time_left(auth: &Authenticator, call: &CallContext) -> Result<Duration, AuthError> {
    let left = call.deadline.since(auth.parts.clock.monotonic());
    if left.is_zero() {
        return Err(AuthError::new(Reason::DeadlineExceeded));
    }
    Ok(left.min(auth.policy.session.rotation.deadline))
}

/// The user as they are now, if the session may go on at all.
pub(super) async fn standing(
    auth: &Authenticator,
    call: &CallContext,
    claims: &RefreshClaims,
) -> Result<User, AuthError> {
    let ended = if auth.parts.revocations.view().index.is_session_revoked(claims.session()) {
        Ended::BySession
    } else {
        let standing = auth.parts.ledger.standing(claims.user, claims.session()).await?;
        match standing.user.filter(|user| !user.disabled) {
            Some(user) if !standing.session_revoked => return Ok(user),
            _ if standing.session_revoked => Ended::BySession,
            _ => Ended::WithAll,
        }
    };
    Err(session_end::revoked(auth, call, claims, ended).await)
}

/// Revokes the session of a token that came back. The caller hears of the reuse only when the ledger holds it;
/// should we die in between, the next presentation finds the same reuse again.
pub(super) async fn reused(
    auth: &Authenticator,
    claims: &RefreshClaims,
    call: &CallContext,
) -> Result<AuthError, AuthError> {
    let (session, user) = (claims.session(), claims.user);
    let cause = Cause {
        actor: Actor::System,
        reason: RevocationReason::RefreshTokenReused,
        until: Until::At(claims.expires_at),
    };
    let revocation = SessionRevocation { session, user, cause };
    auth.parts.revocations.revoke_session(revocation, Arc::new(call.origin())).await?;
    audit::refresh_token_reused(user, session, call.peer);
    auth.forget(user, session).await;
    Ok(AuthError::new(Reason::RefreshTokenReused).ended_by(EndCause::TokenReused))
}
