//! A user changes their own password: every session is over, but for the one that they go on with.

use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};

use super::audit;
use super::authenticator::Authenticator;
use super::error::AuthError;
use super::login::{begin_session, with_password};
use super::own_session::own_session;
use super::types::{CallContext, ChangePassword, ChangedPassword};
use super::user_admin;
use crate::model::{Actor, Epoch, EventKind, Origin, Position, RevocationReason, SessionLimit, User};
use crate::password::Password;
use crate::reason::Reason;
use crate::store::{Cause, SessionPolicy, Until};

/// Checks the refresh token and the current password, sets the new one, and begins a session in the place of the one that
/// asked. When this returns, everything of before is over, and that is durable.
///
/// A guess of the current password counts as one at Login does, so that a stolen refresh token is no way round the
/// throttle.
pub(super) async fn change_password(
    auth: &Authenticator,
    call: &CallContext,
    request: ChangePassword,
) -> Result<ChangedPassword, AuthError> {
    let (user, session) = own_session(auth, call, &request.refresh_token).await?;
    let current = Password::new(request.current_password.expose_secret().to_owned())
        .map_err(|_| AuthError::new(Reason::InvalidCredentials))?;
    // Before a guess is counted: whoever chose badly need not have guessed.
    let new = wanted(auth, &request.new_password, &user).await?;

    let shown = with_password(auth, &user.username, current, call).await?;
    // The session was ended meanwhile; or the user was deleted, and somebody else has the name.
    if (shown.id, shown.epoch) != (user.id, session.epoch) {
        return Err(Reason::SessionRevoked.into());
    }
    // In the epoch of the session that asks, in which the old password was shown: if all sessions were ended since, by an
    // operator who shuts somebody out, say, it is the other change that counts.
    let position = set(auth, call, &user, new, session.epoch, EventKind::PasswordChanged).await?;
    let position = position.ok_or(Reason::SessionRevoked)?;

    // The password is changed, and that is what is to be answered, even if the user was disabled or deleted since, or cannot be
    // read again: the session then begins in an epoch that is over.
    let user = auth.parts.users.find(user.id).await.ok().flatten().unwrap_or(user);
    // The sessions of before take no room any more, and nobody else's session makes room for this one.
    let policy = SessionPolicy { limit: SessionLimit::Unlimited, ..auth.policy.session };
    // Whatever has raised the epoch since has ended this session, too.
    let user = User { epoch: session.epoch.next(), ..user };
    // The session that asked stays in its store until it expires or a login clears it away, as after a Logout everywhere: its
    // epoch says that it is over, and its refresh token is told so.
    let login = begin_session(auth, &user, session.audiences, session.client, &policy, call).await?;
    Ok(ChangedPassword { login, position })
}

/// The password that a user wants, if it may become one.
pub(super) async fn wanted(
    auth: &Authenticator,
    new_password: &SecretString,
    user: &User,
) -> Result<Password, AuthError> {
    let new = user_admin::new_password(&auth.parts.password_policy, new_password, &user.username).await;
    new.map_err(|error| user_admin::rejected("new_password", error))
}

/// Sets the password, if the user is still in this epoch, and ends every session; `kind` says to the audit log what was done.
/// Returns where the ledger tells of it: then it is durable. `None`: the user is not in this epoch any more.
pub(super) async fn set(
    auth: &Authenticator,
    call: &CallContext,
    user: &User,
    new: Password,
    epoch: Epoch,
    kind: EventKind,
) -> Result<Option<Position>, AuthError> {
    let hash = auth.parts.passwords.hash(new, call.deadline).await?;
    let (actor, reason) = (Actor::User(user.id), RevocationReason::PasswordChanged);
    let cause = Cause { actor, reason, until: Until::For(auth.policy.session.absolute) };
    let origin = Origin { kind: Some(kind), ..call.origin() };
    let users = auth.parts.users.attributed_to(Arc::new(origin));
    let Some(row) = users.set_password(user.id, &hash, Some(epoch), cause).await? else {
        return Ok(None);
    };
    auth.parts.revocations.announce(&row);
    let note = if kind == EventKind::PasswordReset { "password_reset" } else { reason.as_str() };
    audit::user_changed(user.id, Some(&user.username), note, &actor.to_string());
    Ok(Some(row.position()))
}
