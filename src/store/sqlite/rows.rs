//! Rows to types and back. Whatever is in a row, the answer is a value or an error, never a panic.

use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::failure::Failure;
use crate::model::{
    ClientFacts, Credential, CustomClaims, Epoch, Generation, Line, MacKeyId, PasswordHash, Revocation,
    RevocationReason, RevocationScope, Role, Session, SessionId, UnixMillis, User, UserId, Username,
};

/// An unsigned number as SQLite holds numbers; what does not fit is as large as can be.
pub(super) fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A user's roles as they are stored.
pub(super) fn roles_json(roles: &[Role]) -> String {
    roles.iter().map(Role::as_str).collect::<serde_json::Value>().to_string()
}

/// A list of names as it is stored.
pub(super) fn names_json(names: &[String]) -> String {
    serde_json::Value::from(names).to_string()
}

pub(super) fn user(row: &SqliteRow) -> Result<User, Failure> {
    let roles: Vec<String> = serde_json::from_str(row.try_get("roles")?)
        .map_err(|_| Failure::Corrupt("users.roles is not a list of names"))?;
    let claims: &str = row.try_get("claims")?;
    Ok(User {
        id: UserId::from_bytes(bytes(row, "id")?),
        username: Username::from_normalized(row.try_get("username")?),
        roles: Role::parse_all(roles.iter().map(String::as_str))
            .map_err(|_| Failure::Corrupt("users.roles has a name that is none"))?,
        claims: CustomClaims::parse(claims)
            .map_err(|_| Failure::Corrupt("users.claims is not an object of claims"))?,
        disabled: row.try_get("disabled")?,
        epoch: epoch(row)?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
    })
}

pub(super) fn credential(row: &SqliteRow) -> Result<Credential, Failure> {
    let password_hash = PasswordHash::from_phc(row.try_get("password_hash")?);
    Ok(Credential { user: user(row)?, password_hash })
}

pub(super) fn revocation(row: &SqliteRow) -> Result<Revocation, Failure> {
    let user = UserId::from_bytes(bytes(row, "user_id")?);
    let scope = match row.try_get("scope")? {
        "session" => {
            RevocationScope::Session { session: SessionId::from_bytes(bytes(row, "session_id")?), user }
        }
        "user" => RevocationScope::User { user, epoch: epoch(row)? },
        "user_changed" => RevocationScope::UserChanged { user },
        _ => return Err(Failure::Corrupt("ledger.scope is unknown")),
    };
    Ok(Revocation {
        seq: unsigned(row, "seq")?,
        mark: mark(row, "mark")?,
        scope,
        reason: RevocationReason::from_name(row.try_get("reason")?)
            .ok_or(Failure::Corrupt("ledger.reason is unknown"))?,
        at: time(row, "written_at")?,
        until: time(row, "matters_until")?,
    })
}

pub(super) fn session(row: &SqliteRow) -> Result<Session, Failure> {
    let predecessor: Option<i64> = row.try_get("predecessor")?;
    Ok(Session {
        id: SessionId::from_bytes(bytes(row, "id")?),
        user: UserId::from_bytes(bytes(row, "user_id")?),
        epoch: epoch(row)?,
        line: Line {
            current: generation(row.try_get("generation")?)?,
            predecessor: predecessor.map(generation).transpose()?,
            rotated_at: time(row, "rotated_at")?,
        },
        audiences: serde_json::from_str(row.try_get("audiences")?)
            .map_err(|_| Failure::Corrupt("sessions.audiences is not a list of names"))?,
        mac_key: MacKeyId::from_bytes(bytes(row, "mac_key")?),
        created_at: time(row, "created_at")?,
        idle_expires_at: time(row, "idle_expires_at")?,
        expires_at: time(row, "expires_at")?,
        client: ClientFacts {
            address: row.try_get("client_address")?,
            user_agent: row.try_get("user_agent")?,
            name: row.try_get("client_name")?,
        },
    })
}

pub(super) fn epoch(row: &SqliteRow) -> Result<Epoch, Failure> {
    unsigned(row, "epoch").map(Epoch)
}

pub(super) fn unsigned(row: &SqliteRow, column: &'static str) -> Result<u64, Failure> {
    // The driver reads a null as 0 where it is not asked for an option.
    let value: i64 = row.try_get::<Option<_>, _>(column)?.ok_or(Failure::Corrupt("a number is missing"))?;
    u64::try_from(value).map_err(|_| Failure::Corrupt("a number below zero"))
}

/// A mark has all of 64 bits, the sign's among them.
pub(super) fn mark(row: &SqliteRow, column: &'static str) -> Result<u64, Failure> {
    Ok(row.try_get::<i64, _>(column)?.cast_unsigned())
}

fn generation(stored: i64) -> Result<Generation, Failure> {
    u32::try_from(stored).map(Generation).map_err(|_| Failure::Corrupt("a generation out of range"))
}

fn time(row: &SqliteRow, column: &'static str) -> Result<UnixMillis, Failure> {
    Ok(UnixMillis(row.try_get(column)?))
}

fn bytes<const N: usize>(row: &SqliteRow, column: &'static str) -> Result<[u8; N], Failure> {
    let stored: &[u8] = row.try_get(column)?;
    stored.try_into().map_err(|_| Failure::Corrupt("an id of another length"))
}
