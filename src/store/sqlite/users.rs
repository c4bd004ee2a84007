//! Users in SQLite.

use async_trait::async_trait;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::failure::Failure;
use super::{SqliteStore, ledger, rows};
use crate::model::{
    Credential, CustomClaims, NewUser, PasswordHash, Revocation, RevocationScope, Role, UnixMillis, User,
    UserId, Username,
};
use crate::store::{Cause, CreateUserError, StoreError, UserStore};

#[async_trait]
impl UserStore for SqliteStore {
    async fn create(&self, user: NewUser) -> Result<User, CreateUserError> {
        self.write(move |connection, now| Box::pin(async move { create(connection, now, &user).await }))
            .await?
            .ok_or(CreateUserError::UsernameTaken)
    }

    async fn credential(&self, username: &Username) -> Result<Option<Credential>, StoreError> {
        let query = sqlx::query("SELECT * FROM users WHERE username = ?1").bind(username.as_str());
        self.read(async {
            let row = query.fetch_optional(&self.readers).await?;
            row.as_ref().map(rows::credential).transpose()
        })
        .await
    }

    async fn find(&self, id: UserId) -> Result<Option<User>, StoreError> {
        let query = sqlx::query("SELECT * FROM users WHERE id = ?1").bind(&id.as_bytes()[..]);
        self.read(async {
            let row = query.fetch_optional(&self.readers).await?;
            row.as_ref().map(rows::user).transpose()
        })
        .await
    }

    async fn list(&self, after: Option<&Username>, limit: u32) -> Result<Vec<User>, StoreError> {
        // No username is empty, so that every one comes after the empty text.
        let query = sqlx::query("SELECT * FROM users WHERE username > ?1 ORDER BY username LIMIT ?2")
            .bind(after.map_or("", Username::as_str))
            .bind(limit);
        self.read(async { query.fetch_all(&self.readers).await?.iter().map(rows::user).collect() }).await
    }

    async fn set_password(
        &self,
        id: UserId,
        hash: &PasswordHash,
        cause: Cause,
    ) -> Result<Option<Revocation>, StoreError> {
        let hash = hash.as_phc().to_owned();
        self.write(move |connection, now| {
            Box::pin(async move {
                let update = sqlx::query(
                    "UPDATE users SET password_hash = ?3, epoch = epoch + 1, updated_at = ?2
                     WHERE id = ?1 RETURNING epoch",
                );
                let row = update.bind(&id.as_bytes()[..]).bind(now.0).bind(hash);
                let row = row.fetch_optional(&mut *connection).await?;
                end_sessions(connection, now, id, row, cause).await
            })
        })
        .await
    }

    async fn rehash(&self, id: UserId, old: &PasswordHash, new: &PasswordHash) -> Result<bool, StoreError> {
        let (old, new) = (old.as_phc().to_owned(), new.as_phc().to_owned());
        self.write(move |connection, _| {
            Box::pin(async move {
                let update =
                    sqlx::query("UPDATE users SET password_hash = ?3 WHERE id = ?1 AND password_hash = ?2");
                let done = update.bind(&id.as_bytes()[..]).bind(old).bind(new).execute(connection).await?;
                Ok(done.rows_affected() == 1)
            })
        })
        .await
    }

    async fn enable(&self, id: UserId) -> Result<bool, StoreError> {
        self.write(move |connection, now| {
            Box::pin(async move {
                let update = sqlx::query("UPDATE users SET disabled = 0, updated_at = ?2 WHERE id = ?1");
                let done = update.bind(&id.as_bytes()[..]).bind(now.0).execute(connection).await?;
                Ok(done.rows_affected() == 1)
            })
        })
        .await
    }

    async fn disable(&self, id: UserId, cause: Cause) -> Result<Option<Revocation>, StoreError> {
        self.end_all(
            "UPDATE users SET disabled = 1, epoch = epoch + 1, updated_at = ?2 WHERE id = ?1 RETURNING epoch",
            id,
            cause,
        )
        .await
    }

    async fn delete(&self, id: UserId, cause: Cause) -> Result<Option<Revocation>, StoreError> {
        self.end_all("DELETE FROM users WHERE id = ?1 RETURNING epoch + 1 AS epoch", id, cause).await
    }

    async fn set_attributes(
        &self,
        id: UserId,
        roles: Option<&[Role]>,
        claims: Option<&CustomClaims>,
        cause: Cause,
    ) -> Result<Option<Revocation>, StoreError> {
        let (roles, claims) = (roles.map(rows::roles_json), claims.map(CustomClaims::to_json));
        self.write(move |connection, now| {
            Box::pin(async move {
                let update = sqlx::query(
                    "UPDATE users
                     SET roles = coalesce(?3, roles), claims = coalesce(?4, claims), updated_at = ?2
                     WHERE id = ?1",
                );
                let update = update.bind(&id.as_bytes()[..]).bind(now.0).bind(roles).bind(claims);
                if update.execute(&mut *connection).await?.rows_affected() == 0 {
                    return Ok(None);
                }
                let entry = (RevocationScope::UserChanged { user: id }, cause);
                Ok(ledger::append(connection, now, &[entry]).await?.pop())
            })
        })
        .await
    }

    async fn revoke_all(&self, id: UserId, cause: Cause) -> Result<Option<Revocation>, StoreError> {
        self.end_all(
            "UPDATE users SET epoch = epoch + 1, updated_at = ?2 WHERE id = ?1 RETURNING epoch",
            id,
            cause,
        )
        .await
    }
}

impl SqliteStore {
    /// Runs a statement that ends every session of user `?1` at time `?2` and returns the new epoch.
    async fn end_all(
        &self,
        statement: &'static str,
        id: UserId,
        cause: Cause,
    ) -> Result<Option<Revocation>, StoreError> {
        self.write(move |connection, now| {
            Box::pin(async move {
                let query = sqlx::query(statement).bind(&id.as_bytes()[..]).bind(now.0);
                let row = query.fetch_optional(&mut *connection).await?;
                end_sessions(connection, now, id, row, cause).await
            })
        })
        .await
    }
}

/// Notes in the ledger the epoch that a user has come to; there is none when there is no such user.
async fn end_sessions(
    connection: &mut SqliteConnection,
    now: UnixMillis,
    user: UserId,
    row: Option<SqliteRow>,
    cause: Cause,
) -> Result<Option<Revocation>, Failure> {
    let Some(row) = row else { return Ok(None) };
    let entry = (RevocationScope::User { user, epoch: rows::epoch(&row)? }, cause);
    Ok(ledger::append(connection, now, &[entry]).await?.pop())
}

/// The user, or `None` when another one has the username. The same call again finds the user that it made.
async fn create(
    connection: &mut SqliteConnection,
    now: UnixMillis,
    user: &NewUser,
) -> Result<Option<User>, Failure> {
    sqlx::query(
        "INSERT INTO users
             (id, username, password_hash, roles, claims, disabled, epoch, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, 0, 0, ?6, ?6) ON CONFLICT (username) DO NOTHING",
    )
    .bind(&user.id.as_bytes()[..])
    .bind(user.username.as_str())
    .bind(user.password_hash.as_phc())
    .bind(rows::roles_json(&user.roles))
    .bind(user.claims.to_json())
    .bind(now.0)
    .execute(&mut *connection)
    .await?;
    let holder = sqlx::query("SELECT * FROM users WHERE username = ?1")
        .bind(user.username.as_str())
        .fetch_one(connection)
        .await?;
    let holder = rows::user(&holder)?;
    Ok((holder.id == user.id).then_some(holder))
}
