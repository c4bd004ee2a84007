//! Logout: the end of a session, or of all of a user's.
//!
//! Idempotent, as RFC 7009 §2.2 asks: a token that is unknown or not ours succeeds, for there is nothing to end.

use std::sync::Arc;

use countersign_verifier::SubjectKind;
use secrecy::{ExposeSecret as _, SecretString};

use super::audit;
use super::authenticator::Authenticator;
use super::error::AuthError;
use super::service_token;
use super::types::{CallContext, LogoutRequest, LogoutToken};
use crate::model::{
    Actor, Decision, EndCause, Position, RevocationReason, SessionId, UnixMillis, UserId, decide,
};
use crate::reason::Reason;
use crate::store::{Cause, SessionRevocation, Until};
use crate::token::RefreshClaims;

/// Ends what the token belongs to. When this returns, the end is durable, and the ledger has it at the position or before.
pub(super) async fn logout(
    auth: &Authenticator,
    call: &CallContext,
    request: &LogoutRequest,
) -> Result<Option<Position>, AuthError> {
    match (&request.token, request.everywhere) {
        (LogoutToken::Access(_), true) => Err(AuthError::invalid_field(
            "everywhere",
            "needs the refresh token: whoever was handed an access token must not end other sessions",
        )),
        (LogoutToken::Access(token), false) => with_access_token(auth, token, call).await,
        (LogoutToken::Refresh(token), everywhere) => {
            let Ok(claims) = auth.parts.keys.current().mac.open(token.expose_secret()) else {
                return Ok(None);
            };
            if everywhere {
                end_all(auth, &claims, call).await
            } else {
                end_session(auth, claims.user, claims.session(), claims.expires_at, call).await
            }
        }
    }
}

async fn with_access_token(
    auth: &Authenticator,
    token: &SecretString,
    call: &CallContext,
) -> Result<Option<Position>, AuthError> {
    let keys = auth.parts.keys.trusted().current();
    match countersign_verifier::authenticate(token.expose_secret(), auth.verifier.rules(), &keys) {
        Ok(token) if token.subject_kind == SubjectKind::Service => {
            service_token::end(auth, call, &token).await.map(Some)
        }
        Ok(token) => {
            let until = UnixMillis::from_secs(token.session_expires_at);
            end_session(auth, token.subject, token.session, until, call).await
        }
        Err(_) => Ok(None),
    }
}

/// Writes the row for every authentic token: expired, superseded or unknown to the session store makes no
/// difference, for the store may have forgotten what another copy of it still knows.
async fn end_session(
    auth: &Authenticator,
    user: UserId,
    session: SessionId,
    until: UnixMillis,
    call: &CallContext,
) -> Result<Option<Position>, AuthError> {
    if auth.parts.revocations.view().index.is_session_revoked(session) {
        return Ok(ended_before(auth).await);
    }
    let reason = RevocationReason::Logout;
    let cause = Cause { actor: Actor::User(user), reason, until: Until::At(until) };
    let revocation = SessionRevocation { session, user, cause };
    let position = auth.parts.revocations.revoke_session(revocation, Arc::new(call.origin())).await?;
    audit::session_revoked(user, session, reason, call.peer);
    auth.forget(user, session).await;
    Ok(Some(position))
}

/// Where the ledger tells of something that had ended before: at its head or earlier. That it has ended is durable whether or
/// not the ledger can be asked now.
async fn ended_before(auth: &Authenticator) -> Option<Position> {
    let head = auth.parts.revocations.head().await;
    head.inspect_err(|error| tracing::debug!(%error, "the ledger's head could not be read")).ok()
}

/// Ends every session of the user, if the token is one that a Refresh would honour: a stolen token that the line
/// has left behind must not reach beyond its own session.
async fn end_all(
    auth: &Authenticator,
    claims: &RefreshClaims,
    call: &CallContext,
) -> Result<Option<Position>, AuthError> {
    let (user, session) = (claims.user, claims.session());
    let standing = auth.parts.ledger.standing(user, session).await?;
    let Some(stored) = standing.user else { return Ok(ended_before(auth).await) };
    let live = auth.parts.sessions.find(user, session).await?;
    if standing.session_revoked {
        return Err(AuthError::new(Reason::SessionRevoked));
    }
    let Some(live) = live else { return Err(AuthError::new(Reason::RefreshTokenInvalid)) };
    if live.epoch != stored.epoch {
        // All sessions of that epoch have ended: what was asked for holds already.
        return Ok(ended_before(auth).await);
    }
    let rotation = &auth.policy.session.rotation;
    if decide(&live.line, claims.presented, auth.store_time().now, rotation) == Decision::Reuse {
        end_session(auth, user, session, claims.expires_at, call).await?;
        return Err(AuthError::new(Reason::RefreshTokenReused).ended_by(EndCause::TokenReused));
    }

    let reason = RevocationReason::LogoutEverywhere;
    let until = Until::For(auth.policy.session.absolute);
    let cause = Cause { actor: Actor::User(user), reason, until };
    let Some(row) = auth.parts.users.attributed_to(Arc::new(call.origin())).revoke_all(user, cause).await?
    else {
        return Ok(ended_before(auth).await);
    };
    auth.parts.revocations.announce(&row);
    audit::user_changed(user, None, reason.as_str(), &cause.actor.to_string());
    // The sessions stay in their store until they expire or the next login clears them away: their epoch says
    // that they are over, and lets the same call succeed when it is repeated.
    Ok(Some(row.position()))
}
