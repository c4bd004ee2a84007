//! Users in SQL. Whatever ends sessions is one transaction that changes the user's row first and moves the
//! ledger's head last, always in this order, so that no two of them wait for each other.

use std::sync::Arc;

use async_trait::async_trait;

use super::dialect::Dialect;
use super::driver::{Value, Values, values};
use super::failure::Failure;
use super::pool::Connection;
use super::{Mode, SqlStore, audit, ledger, rows};
use crate::model::{
    Actor, Credential, CustomClaims, Epoch, EventKind, ExternalId, Identity, ImportedUser, NewEvent, NewUser,
    Origin, PasswordHash, Revocation, RevocationScope, UnixMillis, User, UserId, Username,
};
use crate::store::{
    AttributeChange, Cause, CreateUserError, ImportAnswer, SetAttributesError, StoreError, UserStore,
};

mod import;

#[async_trait]
impl<D: Dialect> UserStore for SqlStore<D> {
    fn attributed_to(&self, origin: Arc<Origin>) -> Arc<dyn UserStore> {
        Arc::new(self.attributed(origin))
    }

    async fn create(&self, user: NewUser) -> Result<User, CreateUserError> {
        let new = (user, Arc::clone(&self.origin));
        self.run(Mode::Transaction, new, |(user, origin), connection| {
            Box::pin(create(user, origin, connection))
        })
        .await?
    }

    async fn credential(&self, username: &Username) -> Result<Option<Credential>, StoreError> {
        self.run(Mode::Read, username.clone(), |username, connection| {
            Box::pin(async move {
                let statement = D::STATEMENTS.credential;
                let found = connection.fetch(statement, values![username.as_str()]).await?;
                found.first().map(rows::credential).transpose()
            })
        })
        .await
    }

    async fn find(&self, id: UserId) -> Result<Option<User>, StoreError> {
        self.run(Mode::Read, id, |&id, connection| {
            Box::pin(async move {
                let found = connection.fetch(D::STATEMENTS.user, values![id]).await?;
                found.first().map(rows::user).transpose()
            })
        })
        .await
    }

    async fn find_external(&self, id: &ExternalId) -> Result<Option<User>, StoreError> {
        self.run(Mode::Read, id.clone(), |id, connection| Box::pin(external(id, connection))).await
    }

    async fn list(&self, after: Option<&Username>, limit: u32) -> Result<Vec<User>, StoreError> {
        // No username is empty, so that every one comes after the empty text.
        let after = after.map_or("", Username::as_str).to_owned();
        self.run(Mode::Read, (after, limit), |(after, limit), connection| {
            Box::pin(async move {
                let page = values![after.as_str(), *limit];
                connection.fetch(D::STATEMENTS.users_after, page).await?.iter().map(rows::user).collect()
            })
        })
        .await
    }

    async fn list_credentials(
        &self,
        after: Option<&Username>,
        limit: u32,
    ) -> Result<Vec<Credential>, StoreError> {
        let after = after.map_or("", Username::as_str).to_owned();
        self.run(Mode::Read, (after, limit), |(after, limit), connection| {
            Box::pin(async move {
                let page = values![after.as_str(), *limit];
                let found = connection.fetch(D::STATEMENTS.credentials_after, page).await?;
                found.iter().map(rows::credential).collect()
            })
        })
        .await
    }

    async fn import(&self, users: Vec<ImportedUser>) -> Result<Vec<ImportAnswer>, StoreError> {
        if users.is_empty() {
            return Ok(Vec::new());
        }
        let new = (users, Arc::clone(&self.origin));
        self.run(Mode::Transaction, new, |(users, origin), connection| {
            Box::pin(import::insert(users, origin, connection))
        })
        .await
    }

    async fn look_up(&self, identities: Vec<Identity>) -> Result<Vec<ImportAnswer>, StoreError> {
        if identities.is_empty() {
            return Ok(Vec::new());
        }
        self.run(Mode::Read, identities, |identities, connection| {
            Box::pin(import::look_up(identities, connection))
        })
        .await
    }

    async fn set_password(
        &self,
        id: UserId,
        hash: &PasswordHash,
        epoch: Option<Epoch>,
        cause: Cause,
    ) -> Result<Option<Revocation>, StoreError> {
        let change = |set: Option<&Password>, time, id| {
            let (hash, epoch) = set.map(|set| (set.hash.as_str(), set.epoch)).unzip();
            vec![hash.into(), time, Value::from(id), epoch.flatten().map(|epoch| epoch.0).into()]
        };
        let set = Some(Password { hash: hash.as_phc().to_owned(), epoch });
        self.end_all(EventKind::PasswordChanged, D::STATEMENTS.set_password, set, change, id, cause).await
    }

    async fn rehash(&self, id: UserId, old: &PasswordHash, new: &PasswordHash) -> Result<bool, StoreError> {
        let hashes = (id, old.clone(), new.clone());
        self.run(Mode::Statements, hashes, |(id, old, new), connection| {
            Box::pin(async move {
                let change = values![new.as_phc(), *id, old.as_phc()];
                Ok(connection.execute(D::STATEMENTS.rehash, change).await? == 1)
            })
        })
        .await
    }

    async fn enable(&self, id: UserId) -> Result<bool, StoreError> {
        self.run(Mode::Transaction, (id, Arc::clone(&self.origin)), |(id, origin), connection| {
            Box::pin(async move {
                let change = vec![connection.time(), Value::from(*id)];
                if connection.execute(D::STATEMENTS.enable, change).await? == 0 {
                    return Ok(false);
                }
                audit::note(connection, &[event(EventKind::UserEnabled, *id, origin)]).await?;
                Ok(true)
            })
        })
        .await
    }

    async fn disable(&self, id: UserId, cause: Cause) -> Result<Option<Revocation>, StoreError> {
        self.end_all(EventKind::UserDisabled, D::STATEMENTS.disable, None, at_time, id, cause).await
    }

    async fn delete(&self, id: UserId, cause: Cause) -> Result<Option<Revocation>, StoreError> {
        self.end_all(
            EventKind::UserDeleted,
            D::STATEMENTS.delete_user,
            None,
            |_, _, id| values![id],
            id,
            cause,
        )
        .await
    }

    async fn set_attributes(
        &self,
        id: UserId,
        change: AttributeChange<'_>,
        unchanged_since: Option<UnixMillis>,
        cause: Cause,
    ) -> Result<Option<Revocation>, SetAttributesError> {
        let change = Attributes {
            roles: change.roles.map(rows::roles_json),
            claims: change.claims.map(CustomClaims::to_json),
            external_id: change.external_id.map(Option::<&ExternalId>::cloned),
            unchanged_since,
        };
        let change = (change, id, cause, Arc::clone(&self.origin));
        self.run(Mode::Transaction, change, |(change, id, cause, origin), connection| {
            Box::pin(set_attributes(change, *id, *cause, origin, connection))
        })
        .await?
    }

    async fn revoke_all(&self, id: UserId, cause: Cause) -> Result<Option<Revocation>, StoreError> {
        self.end_all(ledger::ended_by(cause.reason), D::STATEMENTS.revoke_all, None, at_time, id, cause).await
    }
}

/// The parameters of a statement that ends every session of a user: what it sets, the time, the user.
type Ending = fn(Option<&Password>, Value, UserId) -> Values;

/// The password that is set, and the epoch in which alone it is.
struct Password {
    hash: String,
    epoch: Option<Epoch>,
}

fn at_time(_: Option<&Password>, time: Value, id: UserId) -> Values {
    vec![time, Value::from(id)]
}

impl<D: Dialect> SqlStore<D> {
    /// Runs a statement that ends every session of a user by raising the epoch, and notes it in the ledger and in the audit log.
    async fn end_all(
        &self,
        kind: EventKind,
        statement: &'static str,
        set: Option<Password>,
        parameters: Ending,
        id: UserId,
        cause: Cause,
    ) -> Result<Option<Revocation>, StoreError> {
        let event = ledger::event(kind, id, cause, &self.origin);
        let change = (statement, set, parameters, id, cause, event);
        self.run(Mode::Transaction, change, |(statement, set, parameters, id, cause, event), connection| {
            Box::pin(async move {
                let change = parameters(set.as_ref(), connection.time(), *id);
                let raised = match D::STATEMENTS.lock_epoch {
                    None => connection.fetch(statement, change).await?,
                    Some(lock) => {
                        let locked = connection.fetch(lock, values![*id]).await?;
                        if connection.execute(statement, change).await? == 0 {
                            return Ok(None);
                        }
                        locked
                    }
                };
                let Some(raised) = raised.first() else { return Ok(None) };
                let entry = (RevocationScope::User { user: *id, epoch: rows::epoch(raised)? }, *cause);
                let row = ledger::append(connection, &[entry]).await?.pop();
                audit::note(connection, std::slice::from_ref(event)).await?;
                Ok(row)
            })
        })
        .await
    }
}

/// The user, or who is in the way. The same call again finds the user that it made.
async fn create<D: Dialect>(
    user: &NewUser,
    origin: &Origin,
    connection: &mut Connection<D>,
) -> Result<Result<User, CreateUserError>, Failure> {
    let username = user.username.as_str();
    let mut new = values![
        user.id,
        username,
        user.password_hash.as_phc(),
        rows::roles_json(&user.roles),
        user.claims.to_json(),
        user.external_id.as_ref().map(ExternalId::as_str)
    ];
    new.push(connection.time());
    let inserted = connection.execute(D::STATEMENTS.create_user, new).await?;
    let found = connection.fetch(D::STATEMENTS.credential, values![username]).await?;
    if let Some(holder) = found.first().map(rows::user).transpose()? {
        if holder.id == user.id && inserted == 1 {
            audit::note(connection, &[named(EventKind::UserCreated, user, origin)]).await?;
        }
        return Ok(if holder.id == user.id { Ok(holder) } else { Err(CreateUserError::UsernameTaken) });
    }
    if let Some(id) = &user.external_id
        && external(id, connection).await?.is_some()
    {
        return Ok(Err(CreateUserError::ExternalIdTaken));
    }
    // Whoever was in the way may have been deleted in between.
    Err(Failure::Contended)
}

/// The event of a change that ends nothing, and of which the ledger does not tell.
fn event(kind: EventKind, user: UserId, origin: &Origin) -> NewEvent {
    NewEvent::new(kind, Actor::System, origin).about(user)
}

/// The event of a user who is there from now on.
fn named(kind: EventKind, user: &NewUser, origin: &Origin) -> NewEvent {
    event(kind, user.id, origin).named(user.username.as_str())
}

/// The user with this external id.
async fn external<D: Dialect>(
    id: &ExternalId,
    connection: &mut Connection<D>,
) -> Result<Option<User>, Failure> {
    let found = connection.fetch(D::STATEMENTS.user_external, values![id.as_str()]).await?;
    found.first().map(rows::user).transpose()
}

/// What a change sets, as it is stored.
#[expect(clippy::option_option, reason = "whether it is set, and to an id or to none")]
struct Attributes {
    roles: Option<String>,
    claims: Option<String>,
    external_id: Option<Option<ExternalId>>,
    unchanged_since: Option<UnixMillis>,
}

/// A change that takes an external id at the same moment as another one fails in the database, is made anew, and finds
/// the other one's user here.
async fn set_attributes<D: Dialect>(
    change: &Attributes,
    id: UserId,
    cause: Cause,
    origin: &Origin,
    connection: &mut Connection<D>,
) -> Result<Result<Option<Revocation>, SetAttributesError>, Failure> {
    let wanted = change.external_id.as_ref();
    if let Some(Some(wanted)) = wanted
        && external(wanted, connection).await?.is_some_and(|holder| holder.id != id)
    {
        return Ok(Err(SetAttributesError::ExternalIdTaken));
    }
    let values = vec![
        change.roles.as_deref().into(),
        change.claims.as_deref().into(),
        u32::from(wanted.is_some()).into(),
        wanted.and_then(Option::as_ref).map(ExternalId::as_str).into(),
        connection.time(),
        id.into(),
        change.unchanged_since.into(),
    ];
    if connection.execute(D::STATEMENTS.set_attributes, values).await? == 0 {
        return Ok(Ok(None));
    }
    let entry = (RevocationScope::UserChanged { user: id }, cause);
    let row = ledger::append(connection, &[entry]).await?.pop();
    audit::note(connection, &[ledger::event(EventKind::UserUpdated, id, cause, origin)]).await?;
    Ok(Ok(row))
}
