//! The sessions of a user that go on, and how some of them are ended: for operators, and for the user's own client.

use std::cmp::Reverse;
use std::sync::Arc;

use crate::model::{Actor, Origin, Position, Revocation, RevocationReason, Session, SessionId, User};
use crate::store::{Cause, Ledger, SessionRevocation, SessionStore, StoreError, Until};

/// Those that the store has not forgotten and that did not end with all others, the newest first. A store is told of the end of
/// one session after the ledger, which is therefore to be asked, too.
pub(super) async fn stored(sessions: &dyn SessionStore, user: &User) -> Result<Vec<Session>, StoreError> {
    let mut stored = sessions.list(user.id).await?;
    stored.retain(|session| session.epoch >= user.epoch);
    stored.sort_unstable_by_key(|session| Reverse((session.created_at, session.id)));
    Ok(stored)
}

/// Writes into the ledger that these sessions of a user have ended. When this returns, that is durable, and has still to be
/// told. The position is that of the last row; where none was left to end, that of the ledger's head, because what was named
/// may have ended before.
pub(super) async fn revoke(
    ledger: &dyn Ledger,
    ending: &[Session],
    actor: Actor,
    reason: RevocationReason,
    origin: &Arc<Origin>,
) -> Result<(Vec<Revocation>, Position), StoreError> {
    if ending.is_empty() {
        return Ok((Vec::new(), ledger.head().await?));
    }
    let revocation = |session: &Session| {
        let cause = Cause { actor, reason, until: Until::At(session.expires_at) };
        let revocation = SessionRevocation { session: session.id, user: session.user, cause };
        (revocation, Arc::clone(origin))
    };
    let rows = ledger.revoke_from(&ending.iter().map(revocation).collect::<Vec<_>>()).await?;
    let position = match rows.last() {
        Some(last) => last.position(),
        None => ledger.head().await?,
    };
    Ok((rows, position))
}

/// Frees what the session store holds of sessions of a user that the ledger has ended already.
pub(super) async fn forget(sessions: &dyn SessionStore, user: &User, ended: &[Session]) {
    if ended.is_empty() {
        return;
    }
    let ids: Vec<SessionId> = ended.iter().map(|session| session.id).collect();
    if let Err(error) = sessions.delete(user.id, &ids).await {
        tracing::debug!(user = %user.id, %error, "revoked sessions stay in their store until they expire");
    }
}
