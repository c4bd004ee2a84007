//! What a user does with the sessions of their own, by the refresh token of one of them.
//!
//! Never by an access token: a service that was handed one must not be able to see where else its user is logged in, let
//! alone end it.

use std::collections::BTreeSet;
use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};

use super::audit;
use super::authenticator::Authenticator;
use super::error::AuthError;
use super::live_sessions;
use super::refresh::{expired, reused, standing, unreadable};
use super::session_end::{self, Ended};
use super::types::{CallContext, OwnSessions, RevokeOwnSessions, RevokedSessions, WhichSessions};
use crate::model::{Actor, Decision, EventKind, Origin, RevocationReason, Session, User, decide};

/// The user and the session of a refresh token that a Refresh would honour. Nothing is rotated; a token that was left behind
/// ends its session, as it does at Refresh.
pub(super) async fn own_session(
    auth: &Authenticator,
    call: &CallContext,
    refresh_token: &SecretString,
) -> Result<(User, Session), AuthError> {
    let keys = auth.parts.keys.current();
    let claims = keys.mac.open(refresh_token.expose_secret()).map_err(|error| unreadable(error, call))?;
    auth.require_fresh(auth.staleness(), None)?;
    let time = auth.store_time();
    if claims.expires_at <= time.now {
        return Err(expired(time, Some(claims.expires_at)));
    }
    let user = standing(auth, call, &claims).await?;
    let Some(session) = auth.parts.sessions.find(user.id, claims.session()).await? else {
        return Err(session_end::unknown(auth, call, &claims).await);
    };
    if session.epoch != user.epoch {
        return Err(session_end::revoked(auth, call, &claims, Ended::WithAll).await);
    }
    let rotation = &auth.policy.session.rotation;
    if decide(&session.line, claims.presented, time.now, rotation) == Decision::Reuse {
        return Err(reused(auth, &claims, call).await?);
    }
    Ok((user, session))
}

/// The sessions that are neither over nor revoked, the newest first.
async fn alive(auth: &Authenticator, user: &User) -> Result<Vec<Session>, AuthError> {
    let mut sessions = live_sessions::stored(auth.parts.sessions.as_ref(), user).await?;
    let index = &auth.parts.revocations.view().index;
    sessions.retain(|session| !index.is_session_revoked(session.id));
    Ok(sessions)
}

/// Lists them, and says which one asks.
pub(super) async fn list(
    auth: &Authenticator,
    call: &CallContext,
    refresh_token: &SecretString,
) -> Result<OwnSessions, AuthError> {
    let (user, current) = own_session(auth, call, refresh_token).await?;
    Ok(OwnSessions { current: current.id, sessions: alive(auth, &user).await? })
}

/// Ends some of them, and says how many were alive. When this returns, their end is durable.
pub(super) async fn revoke(
    auth: &Authenticator,
    call: &CallContext,
    request: &RevokeOwnSessions,
) -> Result<RevokedSessions, AuthError> {
    let (user, current) = own_session(auth, call, &request.refresh_token).await?;
    let mut ending = alive(auth, &user).await?;
    match &request.which {
        WhichSessions::Others => ending.retain(|session| session.id != current.id),
        WhichSessions::These(ids) => {
            let ids: BTreeSet<_> = ids.iter().collect();
            ending.retain(|session| ids.contains(&session.id));
        }
    }
    let (actor, reason) = (Actor::User(user.id), RevocationReason::Logout);
    let ledger = auth.parts.ledger.as_ref();
    let origin = Origin { kind: Some(EventKind::SessionRevoked), ..call.origin() };
    let (rows, position) = live_sessions::revoke(ledger, &ending, actor, reason, &Arc::new(origin)).await?;
    for row in &rows {
        auth.parts.revocations.announce(row);
    }
    for session in &ending {
        audit::session_revoked(user.id, session.id, reason, call.peer);
    }
    live_sessions::forget(auth.parts.sessions.as_ref(), &user, &ending).await;
    Ok(RevokedSessions { count: ending.len(), position })
}
