//! What operators do with users. Every change that ends sessions is durable, epoch and ledger row together, before
//! it is acknowledged.

use std::sync::Arc;
use std::time::Duration;

use super::audit;
use crate::model::{
    Actor, Clock, Credential, CustomClaims, Monotonic, NewUser, PasswordHash, Revocation, RevocationReason,
    Role, User, Username, new_user_id,
};
use crate::password::{HashingPool, InvalidPassword, Password, PoolError, check_new};
use crate::store::{Cause, CreateUserError, Push, StoreError, Until, UserStore};
use crate::token::access::{AccessTokenIssuer, AttributesTooLarge};

/// How long a password may take to be hashed at the command line; nobody else is waiting there.
const PATIENCE: Duration = Duration::from_secs(30);

/// What an operator asked for could not be done.
#[derive(Debug, thiserror::Error)]
pub enum UserAdminError {
    /// There is no such user.
    #[error("there is no user {:?}", .0.as_str())]
    NotFound(Username),
    /// There is one already.
    #[error("there is a user {:?} already", .0.as_str())]
    Taken(Username),
    /// Roles and claims together are too large for a token.
    #[error(transparent)]
    Attributes(#[from] AttributesTooLarge),
    /// The password is not good enough.
    #[error("the password was refused: {0}")]
    Password(#[from] InvalidPassword),
    /// It could not be hashed.
    #[error("the password could not be hashed: {0}")]
    Hashing(#[from] PoolError),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How the replicas learn that the sessions of a user are over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// They were told, as far as they listen; and each polls the ledger.
    Pushed,
    /// They could not be told, for this reason; each polls the ledger.
    NotPushed(String),
    /// Each polls the ledger: there is nothing to tell them over.
    Polled,
}

/// Changes users on behalf of an operator.
pub struct UserAdmin {
    users: Arc<dyn UserStore>,
    passwords: Arc<HashingPool>,
    clock: Arc<dyn Clock>,
    longest_session: Duration,
    push: Option<Arc<dyn Push>>,
}

impl UserAdmin {
    /// `longest_session` is the absolute life of a session: how long a ledger row about a user matters.
    pub fn new(
        users: Arc<dyn UserStore>,
        passwords: Arc<HashingPool>,
        clock: Arc<dyn Clock>,
        longest_session: Duration,
    ) -> Self {
        Self { users, passwords, clock, longest_session, push: None }
    }

    /// Tells the replicas of what it revokes.
    #[must_use]
    pub fn telling(self, push: Option<Arc<dyn Push>>) -> Self {
        Self { push, ..self }
    }

    /// Creates a user.
    pub async fn create(
        &self,
        username: Username,
        password: Password,
        roles: Vec<Role>,
        claims: CustomClaims,
    ) -> Result<User, UserAdminError> {
        check_new(&password, &username)?;
        AccessTokenIssuer::check_attributes(&roles, &claims)?;
        let password_hash = self.hash(password).await?;
        let new = NewUser { id: new_user_id(), username: username.clone(), password_hash, roles, claims };
        let user = self.users.create(new).await.map_err(|error| match error {
            CreateUserError::UsernameTaken => UserAdminError::Taken(username),
            CreateUserError::Store(error) => error.into(),
        })?;
        audit::user_changed(user.id, Some(&user.username), "created", &Actor::Operator.to_string());
        Ok(user)
    }

    /// The user with this name.
    pub async fn show(&self, username: &Username) -> Result<User, UserAdminError> {
        match self.users.credential(username).await? {
            Some(Credential { user, .. }) => Ok(user),
            None => Err(UserAdminError::NotFound(username.clone())),
        }
    }

    /// At most `limit` users, those after `after`, in order of username.
    pub async fn list(&self, after: Option<&Username>, limit: u32) -> Result<Vec<User>, UserAdminError> {
        Ok(self.users.list(after, limit).await?)
    }

    /// Sets another password; every session of the user ends.
    pub async fn set_password(
        &self,
        username: &Username,
        password: Password,
    ) -> Result<Reach, UserAdminError> {
        let user = self.show(username).await?;
        check_new(&password, &user.username)?;
        let hash = self.hash(password).await?;
        let cause = self.cause(RevocationReason::PasswordChanged);
        let row = self.users.set_password(user.id, &hash, cause).await?;
        Ok(self.tell(&done(user, row, cause)?).await)
    }

    /// Sets the roles; they reach the access tokens with the next Refresh.
    pub async fn set_roles(&self, username: &Username, roles: &[Role]) -> Result<(), UserAdminError> {
        let user = self.show(username).await?;
        AccessTokenIssuer::check_attributes(roles, &user.claims)?;
        let cause = self.cause(RevocationReason::UserChanged);
        let row = self.users.set_attributes(user.id, Some(roles), None, cause).await?;
        done(user, row, cause).map(drop)
    }

    /// Sets the custom claims; they reach the access tokens with the next Refresh.
    pub async fn set_claims(&self, username: &Username, claims: &CustomClaims) -> Result<(), UserAdminError> {
        let user = self.show(username).await?;
        AccessTokenIssuer::check_attributes(&user.roles, claims)?;
        let cause = self.cause(RevocationReason::UserChanged);
        let row = self.users.set_attributes(user.id, None, Some(claims), cause).await?;
        done(user, row, cause).map(drop)
    }

    /// Lets a disabled user in again.
    pub async fn enable(&self, username: &Username) -> Result<(), UserAdminError> {
        let user = self.show(username).await?;
        if !self.users.enable(user.id).await? {
            return Err(UserAdminError::NotFound(user.username));
        }
        audit::user_changed(user.id, Some(&user.username), "enabled", &Actor::Operator.to_string());
        Ok(())
    }

    /// Locks a user out and ends every session.
    pub async fn disable(&self, username: &Username) -> Result<Reach, UserAdminError> {
        let user = self.show(username).await?;
        let cause = self.cause(RevocationReason::UserDisabled);
        let row = self.users.disable(user.id, cause).await?;
        Ok(self.tell(&done(user, row, cause)?).await)
    }

    /// Forgets a user and ends every session.
    pub async fn delete(&self, username: &Username) -> Result<Reach, UserAdminError> {
        let user = self.show(username).await?;
        let cause = self.cause(RevocationReason::UserDeleted);
        let row = self.users.delete(user.id, cause).await?;
        Ok(self.tell(&done(user, row, cause)?).await)
    }

    /// Tells the replicas of a row that is committed. What is lost on the way is found by polling.
    async fn tell(&self, row: &Revocation) -> Reach {
        let Some(push) = &self.push else { return Reach::Polled };
        match push.publish(std::slice::from_ref(row)).await {
            Ok(()) => Reach::Pushed,
            Err(error) => Reach::NotPushed(error.to_string()),
        }
    }

    async fn hash(&self, password: Password) -> Result<PasswordHash, PoolError> {
        let deadline = Monotonic(self.clock.monotonic().0 + PATIENCE);
        self.passwords.hash(password, deadline).await
    }

    fn cause(&self, reason: RevocationReason) -> Cause {
        Cause { actor: Actor::Operator, reason, until: Until::For(self.longest_session) }
    }
}

/// Notes the change, which is this row; without one, the user was deleted while it was asked for.
fn done(user: User, row: Option<Revocation>, cause: Cause) -> Result<Revocation, UserAdminError> {
    let Some(row) = row else { return Err(UserAdminError::NotFound(user.username)) };
    audit::user_changed(user.id, Some(&user.username), cause.reason.as_str(), &cause.actor.to_string());
    Ok(row)
}
