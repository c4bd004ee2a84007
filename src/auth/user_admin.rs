//! What is done to users, by operators at the command line and by callers of `UserService`. Every change that ends sessions is
//! durable, epoch and ledger row together, before it is acknowledged.

use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};

use super::audit;
use super::caller::{Caller, check_reserved};
use super::telling::{Reach, Telling};
use crate::model::{
    Clock, Credential, Monotonic, NewUser, PasswordHash, Position, Revocation, RevocationReason, User,
    Username, new_user_id,
};
use crate::password::{HashingPool, Imported, Password, PasswordPolicy, PoolError, Unfit};
use crate::revocation::Revocations;
use crate::store::{AttributeChange, Cause, CreateUserError, Push, SetAttributesError, Until, UserStore};
use crate::token::access::AccessTokenIssuer;

mod ask;
mod error;
mod import;

pub use ask::{ChangeUser, CreateUser, NewCredential, UserFilter, UserPage, UserRef};
pub use error::UserAdminError;
pub(super) use error::rejected;
pub use import::{
    HashCheck, ImportBatch, ImportRun, RawCredential, RawRow, RefusalReason, RowOutcome, RowRefusal,
    RowResult,
};

/// How long a password may take to be hashed where nobody says how long they wait.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many users are read at once where not all of them may be wanted.
const PAGE_READ: u32 = 1000;
/// The most users that one page is looked for among: what is found so far is the page then, and its end a place to go
/// on from.
const PAGE_READS: u32 = 5;

/// Every session of a user has ended, which is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionsEnded {
    /// How the replicas learn of it.
    pub reach: Reach,
    /// Where the ledger tells of it.
    pub position: Position,
}

/// Changes users.
pub struct UserAdmin {
    users: Arc<dyn UserStore>,
    passwords: Arc<HashingPool>,
    clock: Arc<dyn Clock>,
    longest_session: Duration,
    policy: Arc<PasswordPolicy>,
    telling: Telling,
    count_imported: CountImported,
}

/// Counts a row of an import that was `created`, `unchanged` or `refused`.
pub type CountImported = Arc<dyn Fn(&'static str) + Send + Sync>;

impl UserAdmin {
    /// `longest_session` is the absolute life of a session: how long a ledger row about a user matters.
    pub fn new(
        users: Arc<dyn UserStore>,
        passwords: Arc<HashingPool>,
        clock: Arc<dyn Clock>,
        longest_session: Duration,
    ) -> Self {
        let policy = Arc::default();
        let (telling, count_imported) = (Telling::Nobody, Arc::new(|_: &'static str| ()));
        Self { users, passwords, clock, longest_session, policy, telling, count_imported }
    }

    /// Counts the rows of imports.
    #[must_use]
    pub fn counting_imported(self, count_imported: CountImported) -> Self {
        Self { count_imported, ..self }
    }

    /// Goes by this policy where passwords are set; by the default one otherwise.
    #[must_use]
    pub fn with_policy(self, policy: Arc<PasswordPolicy>) -> Self {
        Self { policy, ..self }
    }

    /// Tells the replicas of what it revokes.
    #[must_use]
    pub fn telling(self, push: Option<Arc<dyn Push>>) -> Self {
        Self { telling: Telling::from_outside(push), ..self }
    }

    /// Is part of a replica, which knows of what it revokes at once and tells the others.
    #[must_use]
    pub fn within(self, revocations: Revocations) -> Self {
        Self { telling: Telling::Ourselves(revocations), ..self }
    }

    /// Creates a user.
    pub async fn create(
        &self,
        by: &Caller,
        new: CreateUser,
        deadline: Option<Monotonic>,
    ) -> Result<User, UserAdminError> {
        let CreateUser { id, username, credential, roles, claims, external_id } = new;
        check_reserved(&roles)?;
        by.may_assign(&roles)?;
        let credential = self.checked(credential, &username).await?;
        AccessTokenIssuer::check_attributes(&roles, &claims, external_id.as_ref())?;
        // The same call again finds the user that it made, whatever has become of them since.
        if let Some(id) = id
            && let Some(user) = self.users.find(id).await?
        {
            return if user.username == username {
                Ok(user)
            } else {
                Err(UserAdminError::IdTaken(user.username))
            };
        }
        let password_hash = match credential {
            Checked::Password(password) => self.hash(password, deadline).await?,
            Checked::Hash(hash) => {
                self.passwords.adopt(hash.expose_secret(), self.or_patience(deadline)).await?
            }
        };
        let id = id.unwrap_or_else(new_user_id);
        let new = NewUser { id, username, password_hash, roles, claims, external_id };
        let user = self.users_for(by).create(new.clone()).await.map_err(|error| in_the_way(error, new))?;
        audit::user_changed(user.id, Some(&user.username), "created", &by.name);
        Ok(user)
    }

    /// The user who is meant.
    pub async fn find(&self, user: &UserRef) -> Result<User, UserAdminError> {
        let found = match user {
            UserRef::Id(id) => self.users.find(*id).await?,
            UserRef::Name(username) => {
                self.users.credential(username).await?.map(|Credential { user, .. }| user)
            }
            UserRef::External(id) => self.users.find_external(id).await?,
        };
        found.ok_or_else(|| UserAdminError::NotFound(user.clone()))
    }

    /// The user who is meant, if the caller may change them.
    pub(super) async fn touchable(&self, by: &Caller, user: &UserRef) -> Result<User, UserAdminError> {
        let user = self.find(user).await?;
        by.may_touch(&user)?;
        Ok(user)
    }

    /// At most `limit` users, those after `after`, in order of username.
    pub async fn list(&self, after: Option<&Username>, limit: u32) -> Result<Vec<User>, UserAdminError> {
        Ok(self.users.list(after, limit).await?)
    }

    /// The same with their password hashes, for an export.
    pub async fn list_credentials(
        &self,
        after: Option<&Username>,
        limit: u32,
    ) -> Result<Vec<Credential>, UserAdminError> {
        Ok(self.users.list_credentials(after, limit).await?)
    }

    /// At most `size` of the users that the filter admits, those after `after`, in order of username. Fewer, and a place
    /// to go on from, when they are few among many.
    pub async fn page(
        &self,
        filter: &UserFilter,
        after: Option<Username>,
        size: u32,
    ) -> Result<UserPage, UserAdminError> {
        let size = size as usize;
        let mut users = Vec::new();
        let mut last = after;
        if let (Some(prefix), None) = (&filter.prefix, &last) {
            // Only what comes after it is listed, and it may be a whole name.
            let named = self.users.credential(prefix).await?.map(|Credential { user, .. }| user);
            users.extend(named.filter(|user| filter.admits(user)));
            last = Some(prefix.clone());
        }
        // One more than is wanted tells whether there are more.
        let most = if filter.role.is_none() && filter.disabled.is_none() {
            u32::try_from(size + 1).unwrap_or(PAGE_READ)
        } else {
            PAGE_READ
        };
        for _ in 0..PAGE_READS {
            let read = self.users.list(last.as_ref(), most).await?;
            let ended = read.len() < most as usize;
            for user in read {
                if filter.is_past(&user.username) {
                    return Ok(UserPage { users, next: None });
                }
                if users.len() == size {
                    return Ok(UserPage { users, next: last });
                }
                last = Some(user.username.clone());
                if filter.admits(&user) {
                    users.push(user);
                }
            }
            if ended {
                return Ok(UserPage { users, next: None });
            }
        }
        Ok(UserPage { users, next: last })
    }

    /// Sets another password; every session of the user ends.
    pub async fn set_password(
        &self,
        by: &Caller,
        user: &UserRef,
        password: SecretString,
        deadline: Option<Monotonic>,
    ) -> Result<SessionsEnded, UserAdminError> {
        let user = self.touchable(by, user).await?;
        let password = new_password(&self.policy, &password, &user.username).await?;
        let hash = self.hash(password, deadline).await?;
        let cause = self.cause(by, RevocationReason::PasswordChanged);
        let row = self.users_for(by).set_password(user.id, &hash, None, cause).await?;
        self.ended(by, user, row, cause).await
    }

    /// Sets roles, claims and external id; they reach the access tokens with the next Refresh. Returns the user as they are then.
    pub async fn change(
        &self,
        by: &Caller,
        user: &UserRef,
        change: ChangeUser,
    ) -> Result<User, UserAdminError> {
        const TRIES: usize = 10;
        for _ in 0..TRIES {
            match self.change_once(by, user, &change).await {
                // Nobody asked for what it was: it is looked at anew.
                Err(UserAdminError::Changed) if change.unchanged_since.is_none() => {}
                outcome => return outcome,
            }
        }
        Err(UserAdminError::Changed)
    }

    /// What is looked at is what is changed: neither the bound nor a right may go by what is no longer so.
    async fn change_once(
        &self,
        by: &Caller,
        user: &UserRef,
        change: &ChangeUser,
    ) -> Result<User, UserAdminError> {
        let user = self.touchable(by, user).await?;
        let (roles, claims) = (change.roles.as_deref(), change.claims.as_ref());
        if let Some(roles) = roles {
            check_reserved(roles)?;
            by.may_assign(roles)?;
        }
        let external_id = change.external_id.as_ref().map(Option::as_ref);
        AccessTokenIssuer::check_attributes(
            roles.unwrap_or(&user.roles),
            claims.unwrap_or(&user.claims),
            external_id.unwrap_or(user.external_id.as_ref()),
        )?;
        let since = change.unchanged_since.unwrap_or(user.updated_at);
        if since != user.updated_at {
            return Err(UserAdminError::Changed);
        }
        let cause = self.cause(by, RevocationReason::UserChanged);
        let id = user.id;
        let set = AttributeChange { roles, claims, external_id };
        let row = self.users_for(by).set_attributes(id, set, Some(since), cause).await;
        let row = row.map_err(|error| match (error, external_id.flatten()) {
            (SetAttributesError::ExternalIdTaken, Some(taken)) => {
                UserAdminError::ExternalIdTaken(taken.clone())
            }
            (SetAttributesError::ExternalIdTaken, None) => UserAdminError::Changed,
            (SetAttributesError::Store(error), _) => error.into(),
        })?;
        let now = self.users.find(id).await?;
        if row.is_none() && now.is_some() {
            return Err(UserAdminError::Changed);
        }
        done(by, user, row, cause)?;
        now.ok_or(UserAdminError::NotFound(UserRef::Id(id)))
    }

    /// Lets a disabled user in again.
    pub async fn enable(&self, by: &Caller, user: &UserRef) -> Result<(), UserAdminError> {
        let user = self.touchable(by, user).await?;
        if !self.users_for(by).enable(user.id).await? {
            return Err(UserAdminError::NotFound(UserRef::Name(user.username)));
        }
        audit::user_changed(user.id, Some(&user.username), "enabled", &by.name);
        Ok(())
    }

    /// Locks a user out and ends every session.
    pub async fn disable(&self, by: &Caller, user: &UserRef) -> Result<SessionsEnded, UserAdminError> {
        let user = self.touchable(by, user).await?;
        let cause = self.cause(by, RevocationReason::UserDisabled);
        let row = self.users_for(by).disable(user.id, cause).await?;
        self.ended(by, user, row, cause).await
    }

    /// Forgets a user and ends every session.
    pub async fn delete(&self, by: &Caller, user: &UserRef) -> Result<SessionsEnded, UserAdminError> {
        let user = self.touchable(by, user).await?;
        let cause = self.cause(by, RevocationReason::UserDeleted);
        let row = self.users_for(by).delete(user.id, cause).await?;
        self.ended(by, user, row, cause).await
    }

    /// Ends every session of a user who is [`Self::touchable`], and nothing else.
    pub(super) async fn revoke_all(&self, by: &Caller, user: User) -> Result<SessionsEnded, UserAdminError> {
        let cause = self.cause(by, RevocationReason::Operator);
        let row = self.users_for(by).revoke_all(user.id, cause).await?;
        self.ended(by, user, row, cause).await
    }

    /// Notes that every session of the user has ended, which is this row, and tells of it.
    async fn ended(
        &self,
        by: &Caller,
        user: User,
        row: Option<Revocation>,
        cause: Cause,
    ) -> Result<SessionsEnded, UserAdminError> {
        let row = done(by, user, row, cause)?;
        let reach = self.tell(std::slice::from_ref(&row)).await;
        Ok(SessionsEnded { reach, position: row.position() })
    }

    /// Tells whoever is to be told of rows that are committed.
    pub(super) async fn tell(&self, rows: &[Revocation]) -> Reach {
        self.telling.tell(rows).await
    }

    /// What a user may be created with: before anything is asked of the store, or made.
    async fn checked(
        &self,
        credential: NewCredential,
        username: &Username,
    ) -> Result<Checked, UserAdminError> {
        match credential {
            NewCredential::Password(password) => {
                Ok(Checked::Password(new_password(&self.policy, &password, username).await?))
            }
            NewCredential::Hash(hash) => {
                Imported::parse(hash.expose_secret())?;
                Ok(Checked::Hash(hash))
            }
        }
    }

    async fn hash(&self, password: Password, deadline: Option<Monotonic>) -> Result<PasswordHash, PoolError> {
        self.passwords.hash(password, self.or_patience(deadline)).await
    }

    fn or_patience(&self, deadline: Option<Monotonic>) -> Monotonic {
        deadline.unwrap_or_else(|| Monotonic(self.clock.monotonic().0 + PATIENCE))
    }

    /// The users, as the caller changes them.
    fn users_for(&self, by: &Caller) -> Arc<dyn UserStore> {
        self.users.attributed_to(by.origin())
    }

    fn cause(&self, by: &Caller, reason: RevocationReason) -> Cause {
        Cause { actor: by.actor, reason, until: Until::For(self.longest_session) }
    }
}

/// A credential that may become one.
enum Checked {
    Password(Password),
    Hash(SecretString),
}

/// The password, if it may become one.
pub(super) async fn new_password(
    policy: &Arc<PasswordPolicy>,
    text: &SecretString,
    username: &Username,
) -> Result<Password, Unfit> {
    let password = Password::new(text.expose_secret().to_owned())?;
    if policy.breached.is_none() {
        policy.check(&password, username)?;
        return Ok(password);
    }
    let (policy, username) = (Arc::clone(policy), username.clone());
    let checked = tokio::task::spawn_blocking(move || policy.check(&password, &username).map(|()| password));
    checked.await.unwrap_or_else(|panicked| Err(std::io::Error::other(panicked).into()))
}

/// Why this user could not be created.
fn in_the_way(error: CreateUserError, new: NewUser) -> UserAdminError {
    match (error, new.external_id) {
        (CreateUserError::ExternalIdTaken, Some(id)) => UserAdminError::ExternalIdTaken(id),
        (CreateUserError::UsernameTaken | CreateUserError::ExternalIdTaken, _) => {
            UserAdminError::Taken(new.username)
        }
        (CreateUserError::Store(error), _) => error.into(),
    }
}

/// Notes the change, which is this row; without one, the user was deleted while it was asked for.
fn done(
    by: &Caller,
    user: User,
    row: Option<Revocation>,
    cause: Cause,
) -> Result<Revocation, UserAdminError> {
    let Some(row) = row else { return Err(UserAdminError::NotFound(UserRef::Name(user.username))) };
    audit::user_changed(user.id, Some(&user.username), cause.reason.as_str(), &by.name);
    Ok(row)
}
