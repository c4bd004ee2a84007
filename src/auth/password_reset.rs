//! A password for somebody who has forgotten theirs: a token for whoever may set passwords to send them, and what it is good
//! for.

use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret as _;

use super::audit;
use super::authenticator::Authenticator;
use super::caller::Caller;
use super::change_password::{set, wanted};
use super::error::AuthError;
use super::types::{CallContext, ResetPassword};
use super::user_admin::{UserAdmin, UserRef};
use crate::model::{EventKind, NewEvent, Position, UnixMillis, User};
use crate::reason::Reason;
use crate::store::{AuditStore, EventBatch, Ledger};
use crate::token::{Keyring, PasswordReset, ResetClaims};

/// The longest life of a token.
pub const LONGEST_RESET: Duration = Duration::from_hours(24);

/// Makes tokens.
pub struct PasswordResets {
    users: Arc<UserAdmin>,
    keys: Arc<Keyring>,
    ledger: Arc<dyn Ledger>,
    events: Arc<dyn AuditStore>,
}

impl PasswordResets {
    /// For these users, with the keys that refresh tokens are made with and the clock of the ledger's database. That a token was
    /// made is in the audit log before anybody has it.
    pub fn new(
        users: Arc<UserAdmin>,
        keys: Arc<Keyring>,
        ledger: Arc<dyn Ledger>,
        events: Arc<dyn AuditStore>,
    ) -> Self {
        Self { users, keys, ledger, events }
    }

    /// A token that lives for `ttl`, [`LONGEST_RESET`] at most, and when it expires. Whoever has it can set the user's
    /// password, so that it is to be had by those alone who may.
    pub async fn create(
        &self,
        by: &Caller,
        user: &UserRef,
        ttl: Duration,
    ) -> Result<(PasswordReset, UnixMillis), AuthError> {
        let user = self.users.touchable(by, user).await?;
        let now = self.ledger.time().await?;
        let expires_at = now + ttl.min(LONGEST_RESET);
        let keys = self.keys.current();
        let claims = ResetClaims { user: user.id, epoch: user.epoch, expires_at };
        let token = keys.mac.mint_reset(keys.mac.active(now), &claims).map_err(AuthError::internal)?;
        let event = NewEvent::new(EventKind::PasswordResetCreated, by.actor, &by.origin()).about(user.id);
        self.events.write(EventBatch::new(vec![event])).await?;
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
) -> Result<Position, AuthError> {
    let invalid = || AuthError::new(Reason::ResetTokenInvalid);
    let keys = auth.parts.keys.current();
    let claims = keys.mac.open_reset(request.reset_token.expose_secret()).ok_or_else(invalid)?;
    if claims.expires_at <= auth.store_time().now {
        return Err(invalid());
    }
    let user = auth.parts.users.find(claims.user).await?;
    let good = |user: &User| !user.disabled && user.epoch == claims.epoch;
    let user = user.filter(good).ok_or_else(invalid)?;
    let new = wanted(auth, &request.new_password, &user).await?;
    set(auth, call, &user, new, claims.epoch, EventKind::PasswordReset).await?.ok_or_else(invalid)
}
