//! What is done to service accounts and their keys, by operators at the command line and by callers of
//! `ServiceAccountService`.

use std::slice;
use std::sync::Arc;
use std::time::Duration;

use super::audit;
use super::caller::{Caller, check_reserved};
use super::service_token;
use super::telling::Telling;
use crate::model::{
    NewServiceAccount, Position, Revocation, RevocationReason, ServiceAccount, ServiceAccountChange,
    ServiceAccountName, ServiceKey, ServiceKeyId, SessionId, UnixMillis, new_service_account_id,
    new_service_key_id,
};
use crate::revocation::Revocations;
use crate::secret::random;
use crate::store::{Cause, CreateServiceAccountError, KeyCreated, NewServiceKey, Push, ServiceAccountStore};
use crate::token::{PlainServiceKey, service_key_id_of_request};

mod ask;
mod error;

pub use ask::{
    ChangeServiceAccount, CreateServiceAccount, CreateServiceKey, ServiceAccountPage, ServiceAccountRef,
};
pub use error::ServiceAccountError;

/// The most keys that a service account may have at once.
pub const MOST_SERVICE_KEYS: u32 = 20;
/// How long a key is good where nobody says.
pub const USUAL_KEY_TTL: Duration = Duration::from_hours(90 * 24);
/// The longest that a key may be good.
pub const LONGEST_KEY_TTL: Duration = Duration::from_hours(365 * 24);
/// The shortest that a key may be good.
pub const SHORTEST_KEY_TTL: Duration = Duration::from_mins(1);
/// How often a change is tried anew that nobody asked to make only to what they have read.
const TRIES: usize = 10;

/// Changes service accounts, and makes and revokes their keys.
pub struct ServiceAccountAdmin {
    accounts: Arc<dyn ServiceAccountStore>,
    access_ttl: Duration,
    telling: Telling,
}

impl ServiceAccountAdmin {
    /// Over this store. `access_ttl` is how long an access token lives: how long a ledger row about an account matters.
    pub fn new(accounts: Arc<dyn ServiceAccountStore>, access_ttl: Duration) -> Self {
        Self { accounts, access_ttl, telling: Telling::Nobody }
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

    /// Why access tokens of an account end.
    fn cause(&self, by: &Caller, reason: RevocationReason) -> Cause {
        Cause { actor: by.actor, reason, until: service_token::until(self.access_ttl) }
    }

    /// Tells of a row that is committed, and says where it is.
    async fn tell(&self, row: &Revocation) -> Position {
        self.telling.tell(slice::from_ref(row)).await;
        row.position()
    }

    /// Creates an account without keys. The same call again, with the same id, finds the account that it made, whatever has
    /// become of it since.
    pub async fn create(
        &self,
        by: &Caller,
        new: CreateServiceAccount,
    ) -> Result<ServiceAccount, ServiceAccountError> {
        let CreateServiceAccount { id, name, description, roles } = new;
        check_reserved(&roles)?;
        by.may_hand_out(&roles)?;
        if let Some(id) = id
            && let Some(account) = self.accounts.find(id).await?
        {
            return if account.name == name {
                Ok(account)
            } else {
                Err(ServiceAccountError::IdTaken(account.name))
            };
        }
        let id = id.unwrap_or_else(new_service_account_id);
        let new = NewServiceAccount { id, name: name.clone(), description, roles };
        let account = self.accounts_for(by).create(new).await.map_err(|error| match error {
            CreateServiceAccountError::NameTaken => ServiceAccountError::Taken(name),
            CreateServiceAccountError::Store(error) => error.into(),
        })?;
        audit::service_account_changed(&account, "created", &by.name);
        Ok(account)
    }

    /// The account that is meant.
    pub async fn find(&self, account: &ServiceAccountRef) -> Result<ServiceAccount, ServiceAccountError> {
        let found = match account {
            ServiceAccountRef::Id(id) => self.accounts.find(*id).await?,
            ServiceAccountRef::Name(name) => self.accounts.named(name).await?,
        };
        found.ok_or_else(|| ServiceAccountError::NotFound(account.clone()))
    }

    /// At most `size` accounts, those after `after`, in order of name.
    pub async fn page(
        &self,
        after: Option<&ServiceAccountName>,
        size: u32,
    ) -> Result<ServiceAccountPage, ServiceAccountError> {
        // One more than is wanted tells whether there are more.
        let mut accounts = self.accounts.list(after, size.saturating_add(1)).await?;
        let more = accounts.len() > size as usize;
        accounts.truncate(size as usize);
        let next = accounts.last().filter(|_| more).map(|account| account.name.clone());
        Ok(ServiceAccountPage { accounts, next })
    }

    /// Sets description, roles or both, and returns the account as it is then.
    pub async fn change(
        &self,
        by: &Caller,
        account: &ServiceAccountRef,
        change: ChangeServiceAccount,
    ) -> Result<ServiceAccount, ServiceAccountError> {
        let ChangeServiceAccount { description, roles, unchanged_since } = change;
        if let Some(roles) = &roles {
            check_reserved(roles)?;
        }
        let set = ServiceAccountChange { description, roles, disabled: None };
        Ok(self.apply(by, account, set, unchanged_since, "changed").await?.0)
    }

    /// Makes a change to what the caller may change, and returns the account as it is then.
    async fn apply(
        &self,
        by: &Caller,
        account: &ServiceAccountRef,
        set: ServiceAccountChange,
        unchanged_since: Option<UnixMillis>,
        what: &'static str,
    ) -> Result<(ServiceAccount, Option<Revocation>), ServiceAccountError> {
        let cause = self.cause(by, RevocationReason::UserDisabled);
        for _ in 0..TRIES {
            let read = self.touchable(by, account).await?;
            if let Some(roles) = &set.roles {
                let given: Vec<_> = roles.iter().filter(|role| !read.roles.contains(role)).cloned().collect();
                by.may_hand_out(&given)?;
            }
            if unchanged_since.is_some_and(|since| since != read.updated_at) {
                return Err(ServiceAccountError::Changed);
            }
            // What was looked at is what is changed: no right may go by what is no longer so.
            let unchanged = Some(read.updated_at);
            let changed = self.accounts_for(by).change(read.id, set.clone(), unchanged, cause).await?;
            if let Some((now, ended)) = changed {
                audit::service_account_changed(&now, what, &by.name);
                return Ok((now, ended));
            }
        }
        Err(ServiceAccountError::Changed)
    }

    /// From now on the account's keys are refused, and its access tokens. Returns where the ledger tells of it.
    pub async fn disable(
        &self,
        by: &Caller,
        account: &ServiceAccountRef,
    ) -> Result<Position, ServiceAccountError> {
        let set = ServiceAccountChange { disabled: Some(true), ..ServiceAccountChange::default() };
        let (account, ended) = self.apply(by, account, set, None, "disabled").await?;
        let ended = ended.ok_or_else(|| ServiceAccountError::NotFound(ServiceAccountRef::Id(account.id)))?;
        Ok(self.tell(&ended).await)
    }

    /// From now on the account's keys are good again.
    pub async fn enable(&self, by: &Caller, account: &ServiceAccountRef) -> Result<(), ServiceAccountError> {
        let set = ServiceAccountChange { disabled: Some(false), ..ServiceAccountChange::default() };
        self.apply(by, account, set, None, "enabled").await?;
        Ok(())
    }

    /// Forgets the account and its keys, and ends its access tokens. Returns where the ledger tells of it.
    pub async fn delete(
        &self,
        by: &Caller,
        account: &ServiceAccountRef,
    ) -> Result<Position, ServiceAccountError> {
        let read = self.touchable(by, account).await?;
        let cause = self.cause(by, RevocationReason::UserDeleted);
        let Some(ended) = self.accounts_for(by).delete(read.id, cause).await? else {
            return Err(ServiceAccountError::NotFound(account.clone()));
        };
        audit::service_account_changed(&read, "deleted", &by.name);
        Ok(self.tell(&ended).await)
    }

    /// Makes a key of the account. With a `request_id`, the same call again replaces the key that it made: an answer that was
    /// lost leaves no key behind that is good.
    pub async fn create_key(
        &self,
        by: &Caller,
        account: &ServiceAccountRef,
        new: CreateServiceKey,
    ) -> Result<(PlainServiceKey, ServiceKey), ServiceAccountError> {
        let CreateServiceKey { label, ttl, request_id } = new;
        for _ in 0..TRIES {
            let read = self.touchable(by, account).await?;
            by.may_hand_out(&read.roles)?;
            let id = request_id.as_deref().map(|request| service_key_id_of_request(read.id, request));
            let (plain, presented) = PlainServiceKey::generate(id.unwrap_or_else(new_service_key_id));
            let key = NewServiceKey {
                id: presented.id,
                account: read.id,
                digest: presented.digest,
                session: SessionId::from_bytes(random()),
                label: label.clone(),
                created_by: by.actor.to_string(),
                ttl,
                unchanged_since: read.updated_at,
                most: MOST_SERVICE_KEYS,
                cause: self.cause(by, RevocationReason::Operator),
            };
            match self.accounts_for(by).create_key(key).await? {
                KeyCreated::Key(key, replaced) => {
                    if let Some(ended) = replaced {
                        self.tell(&ended).await;
                    }
                    audit::service_key_created(&read, key.id, &by.name);
                    return Ok((plain, key));
                }
                KeyCreated::LimitReached => return Err(ServiceAccountError::KeyLimitReached),
                // Its roles may be others now: whether the caller may is looked at anew.
                KeyCreated::Changed => {}
            }
        }
        Err(ServiceAccountError::Changed)
    }

    /// The keys of the account, the oldest first, among them those that have expired and were not forgotten yet.
    pub async fn keys(&self, account: &ServiceAccountRef) -> Result<Vec<ServiceKey>, ServiceAccountError> {
        let account = self.find(account).await?;
        Ok(self.accounts.keys(account.id).await?)
    }

    /// From now on the key is refused, and the access tokens that were got with it. Returns where the ledger tells of it.
    pub async fn revoke_key(
        &self,
        by: &Caller,
        account: &ServiceAccountRef,
        key: ServiceKeyId,
    ) -> Result<Position, ServiceAccountError> {
        let read = self.touchable(by, account).await?;
        let cause = self.cause(by, RevocationReason::Operator);
        let Some(ended) = self.accounts_for(by).revoke_key(read.id, key, cause).await? else {
            return Err(ServiceAccountError::KeyNotFound(key));
        };
        audit::service_key_revoked(&read, key, &by.name);
        Ok(self.tell(&ended).await)
    }

    /// The accounts, as the caller changes them.
    fn accounts_for(&self, by: &Caller) -> Arc<dyn ServiceAccountStore> {
        self.accounts.attributed_to(by.origin())
    }

    /// The account that is meant, if the caller may change it.
    async fn touchable(
        &self,
        by: &Caller,
        account: &ServiceAccountRef,
    ) -> Result<ServiceAccount, ServiceAccountError> {
        let account = self.find(account).await?;
        by.may_assign(&account.roles)?;
        Ok(account)
    }
}
