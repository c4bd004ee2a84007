//! Service accounts and their keys in SQL. Storing a key, and deleting an account, lock the account's row first, so that no
//! key is stored for an account that is gone, and none beyond the limit.

use std::sync::Arc;

use async_trait::async_trait;

use super::dialect::Dialect;
use super::driver::{Value, Values, values};
use super::failure::Failure;
use super::pool::Connection;
use super::{Mode, SqlStore, audit, ledger, rows};
use crate::model::{
    Actor, Epoch, EventKind, NewEvent, NewServiceAccount, Note, Origin, Revocation, RevocationScope,
    ServiceAccount, ServiceAccountChange, ServiceAccountId, ServiceAccountName, ServiceKey, ServiceKeyId,
    SessionId, UnixMillis,
};
use crate::secret;
use crate::store::{
    Cause, CreateServiceAccountError, KeyCreated, NewServiceKey, ServiceAccountStore, StoreError, StoredKey,
};

#[async_trait]
impl<D: Dialect> ServiceAccountStore for SqlStore<D> {
    fn attributed_to(&self, origin: Arc<Origin>) -> Arc<dyn ServiceAccountStore> {
        Arc::new(self.attributed(origin))
    }

    async fn create(&self, account: NewServiceAccount) -> Result<ServiceAccount, CreateServiceAccountError> {
        let new = (account, Arc::clone(&self.origin));
        self.run(Mode::Transaction, new, |(account, origin), connection| {
            Box::pin(create(account, origin, connection))
        })
        .await?
        .ok_or(CreateServiceAccountError::NameTaken)
    }

    async fn find(&self, id: ServiceAccountId) -> Result<Option<ServiceAccount>, StoreError> {
        self.run(Mode::Read, id, |&id, connection| {
            Box::pin(account(connection, D::STATEMENTS.service_account, values![id]))
        })
        .await
    }

    async fn named(&self, name: &ServiceAccountName) -> Result<Option<ServiceAccount>, StoreError> {
        self.run(Mode::Read, name.clone(), |name, connection| {
            Box::pin(account(connection, D::STATEMENTS.service_account_named, values![name.as_str()]))
        })
        .await
    }

    async fn list(
        &self,
        after: Option<&ServiceAccountName>,
        limit: u32,
    ) -> Result<Vec<ServiceAccount>, StoreError> {
        // No name is empty, so that every one comes after the empty text.
        let after = after.map_or("", ServiceAccountName::as_str).to_owned();
        self.run(Mode::Read, (after, limit), |(after, limit), connection| {
            Box::pin(async move {
                let page = values![after.as_str(), *limit];
                let found = connection.fetch(D::STATEMENTS.service_accounts_after, page).await?;
                found.iter().map(rows::service_account).collect()
            })
        })
        .await
    }

    async fn change(
        &self,
        id: ServiceAccountId,
        change: ServiceAccountChange,
        unchanged_since: Option<UnixMillis>,
        cause: Cause,
    ) -> Result<Option<(ServiceAccount, Option<Revocation>)>, StoreError> {
        let change = (id, change, unchanged_since, cause, Arc::clone(&self.origin));
        self.run(Mode::Transaction, change, |(id, change, unchanged_since, cause, origin), connection| {
            Box::pin(async move {
                let set = vec![
                    change.description.as_ref().map(Note::as_str).into(),
                    change.roles.as_deref().map(rows::roles_json).as_deref().into(),
                    change.disabled.map(u64::from).into(),
                    connection.time(),
                    (*id).into(),
                    (*unchanged_since).into(),
                ];
                if connection.execute(D::STATEMENTS.change_service_account, set).await? == 0 {
                    return Ok(None);
                }
                let disables = change.disabled == Some(true);
                if disables {
                    connection.execute(D::STATEMENTS.raise_service_account_epoch, values![*id]).await?;
                }
                let found = account(connection, D::STATEMENTS.service_account, values![*id]).await?;
                let Some(changed) = found else { return Ok(None) };
                let ended = if disables {
                    Some(end(connection, of_account(*id, changed.epoch), *cause).await?)
                } else {
                    None
                };
                let event = event(what_changed(change), *id, origin).named(changed.name.as_str());
                audit::note(connection, &[event]).await?;
                Ok(Some((changed, ended)))
            })
        })
        .await
    }

    async fn delete(&self, id: ServiceAccountId, cause: Cause) -> Result<Option<Revocation>, StoreError> {
        self.run(
            Mode::Transaction,
            (id, cause, Arc::clone(&self.origin)),
            |(id, cause, origin), connection| {
                Box::pin(async move {
                    let id = *id;
                    let Some(locked) = lock(connection, id).await? else { return Ok(None) };
                    connection.execute(D::STATEMENTS.delete_service_keys, values![id]).await?;
                    connection.execute(D::STATEMENTS.delete_service_account, values![id]).await?;
                    let epoch = Epoch(locked.epoch.0.saturating_add(1));
                    let ended = end(connection, of_account(id, epoch), *cause).await?;
                    audit::note(connection, &[event(EventKind::ServiceAccountDeleted, id, origin)]).await?;
                    Ok(Some(ended))
                })
            },
        )
        .await
    }

    async fn create_key(&self, key: NewServiceKey) -> Result<KeyCreated, StoreError> {
        let key = (key, Arc::clone(&self.origin));
        self.run(Mode::Transaction, key, |(key, origin), connection| {
            Box::pin(create_key(key, origin, connection))
        })
        .await
    }

    async fn keys(&self, account: ServiceAccountId) -> Result<Vec<ServiceKey>, StoreError> {
        self.run(Mode::Read, account, |&account, connection| Box::pin(keys(connection, account))).await
    }

    async fn revoke_key(
        &self,
        account: ServiceAccountId,
        key: ServiceKeyId,
        cause: Cause,
    ) -> Result<Option<Revocation>, StoreError> {
        let which = (account, key, cause, Arc::clone(&self.origin));
        self.run(Mode::Transaction, which, |(account, key, cause, origin), connection| {
            Box::pin(async move {
                let Some(ended) = delete_key(connection, *account, *key, *cause).await? else {
                    return Ok(None);
                };
                let mut event = event(EventKind::ServiceKeyRevoked, *account, origin);
                event.facts.key = key.to_string();
                audit::note(connection, &[event]).await?;
                Ok(Some(ended))
            })
        })
        .await
    }

    async fn end_tokens(
        &self,
        account: ServiceAccountId,
        session: SessionId,
        cause: Cause,
    ) -> Result<Revocation, StoreError> {
        // Drawn before the first try, so that another one sets the same.
        let next = SessionId::from_bytes(secret::random());
        let change = (account, session, next, cause, Arc::clone(&self.origin));
        self.run(Mode::Transaction, change, |(account, session, next, cause, origin), connection| {
            Box::pin(async move {
                let (account, session, cause) = (*account, *session, *cause);
                let renew = values![*next, account, session];
                connection.execute(D::STATEMENTS.renew_service_key_session, renew).await?;
                let ended = end(connection, of_key(account, session), cause).await?;
                let mut event = NewEvent::new(EventKind::Logout, cause.actor, origin).session(session);
                event.facts.service_account = account.to_string();
                audit::note(connection, &[ledger::caused(event, cause)]).await?;
                Ok(ended)
            })
        })
        .await
    }

    async fn stored_key(&self, key: ServiceKeyId) -> Result<Option<StoredKey>, StoreError> {
        self.run(Mode::Read, key, |&key, connection| {
            Box::pin(async move {
                let which = vec![key.into(), connection.time()];
                let found = connection.fetch(D::STATEMENTS.service_key_to_check, which).await?;
                found.first().map(rows::stored_key).transpose()
            })
        })
        .await
    }
}

async fn account<D: Dialect>(
    connection: &mut Connection<D>,
    statement: &'static str,
    which: Values,
) -> Result<Option<ServiceAccount>, Failure> {
    let found = connection.fetch(statement, which).await?;
    found.first().map(rows::service_account).transpose()
}

async fn keys<D: Dialect>(
    connection: &mut Connection<D>,
    account: ServiceAccountId,
) -> Result<Vec<ServiceKey>, Failure> {
    let found = connection.fetch(D::STATEMENTS.service_keys, values![account]).await?;
    found.iter().map(rows::service_key).collect()
}

/// The account, or `None` when another one has the name. The same call again finds the account that it made.
async fn create<D: Dialect>(
    new: &NewServiceAccount,
    origin: &Origin,
    connection: &mut Connection<D>,
) -> Result<Option<ServiceAccount>, Failure> {
    let NewServiceAccount { id, name, description, roles } = new;
    let mut values = values![*id, name.as_str(), description.as_str(), rows::roles_json(roles)];
    values.push(connection.time());
    let inserted = connection.execute(D::STATEMENTS.create_service_account, values).await?;
    let found = account(connection, D::STATEMENTS.service_account_named, values![name.as_str()]).await?;
    // Whichever had the name may have been deleted in between.
    let holder = found.ok_or(Failure::Contended)?;
    if holder.id == *id && inserted == 1 {
        let event = event(EventKind::ServiceAccountCreated, *id, origin).named(name.as_str());
        audit::note(connection, &[event]).await?;
    }
    Ok((holder.id == *id).then_some(holder))
}

/// What ends every access token of an account that was made before this epoch.
const fn of_account(id: ServiceAccountId, epoch: Epoch) -> RevocationScope {
    RevocationScope::User { user: id.as_subject(), epoch }
}

/// What ends the access tokens that were got with one key.
const fn of_key(account: ServiceAccountId, session: SessionId) -> RevocationScope {
    RevocationScope::Session { session, user: account.as_subject() }
}

/// Writes a row to the ledger, at the end of the transaction that is open.
async fn end<D: Dialect>(
    connection: &mut Connection<D>,
    scope: RevocationScope,
    cause: Cause,
) -> Result<Revocation, Failure> {
    let written = ledger::append(connection, &[(scope, cause)]).await?.pop();
    written.ok_or(Failure::Corrupt("the ledger did not take the row"))
}

/// Forgets a key, and ends its tokens. `None` when there is no such key.
async fn delete_key<D: Dialect>(
    connection: &mut Connection<D>,
    account: ServiceAccountId,
    key: ServiceKeyId,
    cause: Cause,
) -> Result<Option<Revocation>, Failure> {
    let locked = connection.fetch(D::STATEMENTS.service_key_session, values![key, account]).await?;
    let Some(locked) = locked.first() else { return Ok(None) };
    let session = SessionId::from_bytes(rows::bytes(locked, "session_id")?);
    connection.execute(D::STATEMENTS.delete_service_key, values![key, account]).await?;
    end(connection, of_key(account, session), cause).await.map(Some)
}

/// An account that is locked until the commit.
struct Locked {
    epoch: Epoch,
    updated_at: UnixMillis,
    /// What time it is.
    now: UnixMillis,
}

async fn lock<D: Dialect>(
    connection: &mut Connection<D>,
    id: ServiceAccountId,
) -> Result<Option<Locked>, Failure> {
    let which = vec![connection.time(), Value::from(id)];
    let locked = connection.fetch(D::STATEMENTS.lock_service_account, which).await?;
    let Some(locked) = locked.first() else { return Ok(None) };
    let (updated_at, now) = (rows::time(locked, "updated_at")?, rows::time(locked, "now")?);
    Ok(Some(Locked { epoch: rows::epoch(locked)?, updated_at, now }))
}

const fn what_changed(change: &ServiceAccountChange) -> EventKind {
    match change.disabled {
        Some(true) => EventKind::ServiceAccountDisabled,
        Some(false) => EventKind::ServiceAccountEnabled,
        None => EventKind::ServiceAccountUpdated,
    }
}

fn event(kind: EventKind, account: ServiceAccountId, origin: &Origin) -> NewEvent {
    let mut event = NewEvent::new(kind, Actor::System, origin);
    event.facts.service_account = account.to_string();
    event
}

async fn create_key<D: Dialect>(
    key: &NewServiceKey,
    origin: &Origin,
    connection: &mut Connection<D>,
) -> Result<KeyCreated, Failure> {
    let NewServiceKey { id, account, digest, session, label, created_by, ttl, unchanged_since, most, cause } =
        key;
    let now = match lock(connection, *account).await? {
        Some(Locked { updated_at, now, .. }) if updated_at == *unchanged_since => now,
        _ => return Ok(KeyCreated::Changed),
    };
    let (mut kept, mut replaced, mut kind) = (0, None, EventKind::ServiceKeyCreated);
    for stored in keys(connection, *account).await? {
        if stored.id == *id {
            kind = EventKind::ServiceKeyReplaced;
            replaced = delete_key(connection, *account, *id, *cause).await?;
        } else if stored.expires_at <= now {
            // Its tokens have expired before it.
            let which = values![stored.id, *account];
            connection.execute(D::STATEMENTS.delete_service_key, which).await?;
        } else {
            kept += 1;
        }
    }
    if kept >= *most {
        return Ok(KeyCreated::LimitReached);
    }
    let made = ServiceKey {
        id: *id,
        account: *account,
        label: label.clone(),
        created_by: created_by.clone(),
        created_at: now,
        expires_at: now + *ttl,
    };
    let new = values![
        *id,
        *account,
        *digest,
        *session,
        label.as_str(),
        created_by.as_str(),
        made.created_at,
        made.expires_at
    ];
    connection.execute(D::STATEMENTS.create_service_key, new).await?;
    let mut event = event(kind, *account, origin).named(label.as_str());
    event.facts.key = id.to_string();
    audit::note(connection, &[event]).await?;
    Ok(KeyCreated::Key(made, replaced))
}
