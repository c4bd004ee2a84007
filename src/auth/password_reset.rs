//! A password for somebody who has forgotten theirs: a token for whoever may set passwords to send them, and what it is good
//! for.

use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret as _;

use super::audit;
use super::authenticator::Authenticator;
use super::caller::Caller;
use super::error::AuthError;
use super::types::{CallContext, ResetPassword};
use super::user_admin::{UserAdmin, UserRef, new_password, rejected};
use crate::model::{Actor, RevocationReason, UnixMillis};
use crate::reason::Reason;
use crate::revocation::Revocations;
use crate::store::{Cause, Until};
use crate::token::{Keyring, PasswordReset, ResetClaims};

/// The longest life of a token.
pub const LONGEST_RESET: Duration = Duration::from_hours(24);

/// Makes tokens.
pub struct PasswordResets {
    users: Arc<UserAdmin>,
    keys: Arc<Keyring>,
    revocations: Revocations,
}

impl PasswordResets {
    /// For these users, with the keys that refresh tokens are made with.
    pub fn new(users: Arc<UserAdmin>, keys: Arc<Keyring>, revocations: Revocations) -> Self {
        Self { users, keys, revocations }
    }

    /// A token that lives for `ttl`, [`LONGEST_RESET`] at most, and when it expires. Whoever has it can set the user's
    /// password, so that it is to be had by those alone who may.
    pub async fn create(
        &self,
        by: &Caller,
        user: &UserRef,
        ttl: Duration,
    ) -> Result<(PasswordReset, UnixMillis), AuthError> {
        let user = self.users.find(user).await?;
        by.may_touch(&user)?;
        let now = self.revocations.store_time().now;
        let expires_at = now + ttl.min(LONGEST_RESET);
        let keys = self.keys.current();
        let claims = ResetClaims { user: user.id, epoch: user.epoch, expires_at };
        let token = keys.mac.mint_reset(keys.mac.active(now), &claims).map_err(AuthError::internal)?;
        audit::user_changed(user.id, Some(&user.username), "password_reset_created", &by.name);
        Ok((token, expires_at))
    }
}

/// Sets the password that the token is good for, and ends every session. When this returns, that is durable, and the token
/// is spent, with every other one of the user.
pub(super) async fn reset_password(
    auth: &Authenticator,
    call: &CallContext,
    request: ResetPassword,
) -> Result<(), AuthError> {
    let invalid = || AuthError::new(Reason::ResetTokenInvalid);
    let keys = auth.parts.keys.current();
    let claims = keys.mac.open_reset(request.reset_token.expose_secret()).ok_or_else(invalid)?;
    if claims.expires_at <= auth.store_time().now {
        return Err(invalid());
    }
    let user = auth.parts.users.find(claims.user).await?;
    let good = |user: &crate::model::User| !user.disabled && user.epoch == claims.epoch;
    let user = user.filter(good).ok_or_else(invalid)?;
    let new = new_password(&auth.parts.password_policy, &request.new_password, &user.username)
        .await
        .map_err(|error| rejected("new_password", error))?;
    let hash = auth.parts.passwords.hash(new, call.deadline).await?;
    let (actor, reason) = (Actor::User(user.id), RevocationReason::PasswordChanged);
    let cause = Cause { actor, reason, until: Until::For(auth.policy.session.absolute) };
    let row = auth.parts.users.set_password(user.id, &hash, Some(claims.epoch), cause).await?;
    let row = row.ok_or_else(invalid)?;
    auth.parts.revocations.announce(&row);
    audit::user_changed(user.id, Some(&user.username), "password_reset", &actor.to_string());
    Ok(())
}
