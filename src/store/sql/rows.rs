//! Rows to types and back. Whatever is in a row, the answer is a value or an error, never a panic.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::driver::Record;
use super::failure::Failure;
use crate::model::{
    ClientFacts, Credential, CustomClaims, Epoch, Event, EventKind, ExternalId, Generation, ImportedUser,
    KeyEnd, KeyKind, KeyReplica, Line, MacKeyId, NewEvent, Note, PasswordHash, Position, ReplicaId,
    Revocation, RevocationReason, RevocationScope, Role, SealedKey, ServiceAccount, ServiceAccountId,
    ServiceAccountName, ServiceKey, ServiceKeyDigest, ServiceKeyId, Session, SessionId, TokenKey, UnixMillis,
    User, UserId, Username,
};
use crate::store::{Cause, Ending, StoredKey};

/// The roles of a user or of a service account as they are stored.
pub(super) fn roles_json(roles: &[Role]) -> String {
    roles.iter().map(Role::as_str).collect::<serde_json::Value>().to_string()
}

/// A list of names as it is stored.
pub(super) fn names_json(names: &[String]) -> String {
    serde_json::Value::from(names).to_string()
}

/// Ids as a statement takes many of them.
pub(super) fn ids_json(sessions: &[SessionId]) -> String {
    sessions.iter().map(|id| hex::encode(id.as_bytes())).collect::<serde_json::Value>().to_string()
}

/// A user on the way into the database together with others.
#[derive(Serialize)]
struct ImportedRow<'a> {
    id: String,
    username: &'a str,
    password_hash: &'a str,
    roles: String,
    claims: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: Option<&'a str>,
    disabled: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<i64>,
}

/// Users as the statement that inserts many of them takes them.
pub(super) fn imported_json<'a>(users: impl Iterator<Item = &'a ImportedUser>) -> String {
    let rows: Vec<ImportedRow<'_>> = users.map(imported_row).collect();
    serde_json::to_string(&rows).expect("numbers and texts make JSON")
}

fn imported_row(ImportedUser { new, disabled, created_at }: &ImportedUser) -> ImportedRow<'_> {
    ImportedRow {
        id: hex::encode(new.id.as_bytes()),
        username: new.username.as_str(),
        password_hash: new.password_hash.as_phc(),
        roles: roles_json(&new.roles),
        claims: new.claims.to_json(),
        external_id: new.external_id.as_ref().map(ExternalId::as_str),
        disabled: u8::from(*disabled),
        created_at: created_at.map(|time| time.0),
    }
}

/// Texts as a statement takes many of them.
pub(super) fn texts_json<T: AsRef<str>>(texts: impl Iterator<Item = T>) -> String {
    texts.map(|text| text.as_ref().to_owned()).collect::<serde_json::Value>().to_string()
}

/// What a client said of itself, as it is stored: in JSON, because not every database takes every character.
#[derive(Serialize, Deserialize)]
struct StoredClient<'a> {
    address: std::borrow::Cow<'a, str>,
    user_agent: std::borrow::Cow<'a, str>,
    name: std::borrow::Cow<'a, str>,
}

/// What a client said of itself, as it is stored.
pub(super) fn client_json(client: &ClientFacts) -> String {
    let stored = StoredClient {
        address: client.address.as_str().into(),
        user_agent: client.user_agent.as_str().into(),
        name: client.name.as_str().into(),
    };
    serde_json::to_string(&stored).expect("texts make JSON")
}

/// Whose attributes a row says have changed that tells of keys. Releases that know nothing of keys in a database pass it over.
const NO_USER: UserId = UserId::from_bytes([0; 16]);

/// A row of the ledger on its way into the database. Ids are hexadecimal, for JSON has no bytes.
#[derive(Serialize)]
struct LedgerEntry<'a> {
    seq: u64,
    /// The same 64 bits as the mark, with a sign: no database has unsigned ones.
    mark: i64,
    scope: &'a str,
    user_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<u64>,
    reason: &'a str,
    actor: String,
    written_at: i64,
    matters_until: i64,
}

/// Rows of the ledger as the statement that appends them takes them.
pub(super) fn ledger_json<'a>(rows: impl Iterator<Item = (&'a Revocation, Cause)>) -> String {
    let entries: Vec<LedgerEntry<'_>> = rows.map(|(row, cause)| ledger_entry(row, cause)).collect();
    serde_json::to_string(&entries).expect("numbers and texts make JSON")
}

fn ledger_entry(row: &Revocation, cause: Cause) -> LedgerEntry<'static> {
    let (scope, user, session, epoch) = match row.scope {
        RevocationScope::Session { session, user } => ("session", user, Some(session), None),
        RevocationScope::User { user, epoch } => ("user", user, None, Some(epoch)),
        RevocationScope::UserChanged { user } => ("user_changed", user, None, None),
        RevocationScope::KeysChanged => ("user_changed", NO_USER, None, None),
    };
    LedgerEntry {
        seq: row.seq,
        mark: row.mark.cast_signed(),
        scope,
        user_id: hex::encode(user.as_bytes()),
        session_id: session.map(|session| hex::encode(session.as_bytes())),
        epoch: epoch.map(|epoch| epoch.0),
        reason: row.reason.as_str(),
        actor: cause.actor.to_string(),
        written_at: row.at.0,
        matters_until: row.until.0,
    }
}

/// An event on its way into the database. Ids are hexadecimal, for JSON has no bytes.
#[derive(Serialize)]
struct EventEntry<'a> {
    /// Its place among those that are written together, from 1 on.
    n: u64,
    mark: i64,
    kind: &'a str,
    actor: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<String>,
    facts: String,
}

/// Events as the statement that appends them takes them.
pub(super) fn events_json<'a>(events: impl Iterator<Item = (&'a NewEvent, u64)>) -> String {
    let entry = |(n, (event, mark)): (u64, (&'a NewEvent, u64))| EventEntry {
        n,
        mark: mark.cast_signed(),
        kind: event.kind.as_str(),
        actor: &event.actor,
        user_id: event.user.map(|user| hex::encode(user.as_bytes())),
        session_id: event.session.map(|session| hex::encode(session.as_bytes())),
        facts: serde_json::to_string(&event.facts).expect("numbers and texts make JSON"),
    };
    let entries: Vec<EventEntry<'_>> = (1..).zip(events).map(entry).collect();
    serde_json::to_string(&entries).expect("numbers and texts make JSON")
}

pub(super) fn event(row: &impl Record) -> Result<Event, Failure> {
    let user = row.bytes("user_id")?.is_some().then(|| bytes(row, "user_id")).transpose()?;
    let session = row.bytes("session_id")?.is_some().then(|| bytes(row, "session_id")).transpose()?;
    Ok(Event {
        position: Position { seq: unsigned(row, "seq")?, mark: mark(row, "mark")? },
        at: time(row, "written_at")?,
        kind: EventKind::from_name(text(row, "kind")?),
        actor: text(row, "actor")?.to_owned(),
        user: user.map(UserId::from_bytes),
        session: session.map(SessionId::from_bytes),
        facts: serde_json::from_str(text(row, "facts")?)
            .map_err(|_| Failure::Corrupt("audit_events.facts is not what an event says"))?,
    })
}

fn roles(row: &impl Record) -> Result<Vec<Role>, Failure> {
    let roles: Vec<String> = serde_json::from_str(text(row, "roles")?)
        .map_err(|_| Failure::Corrupt("a column roles is not a list of names"))?;
    Role::parse_all(roles.iter().map(String::as_str))
        .map_err(|_| Failure::Corrupt("a column roles has a name that is none"))
}

pub(super) fn user(row: &impl Record) -> Result<User, Failure> {
    Ok(User {
        id: UserId::from_bytes(bytes(row, "id")?),
        username: Username::from_normalized(text(row, "username")?.to_owned()),
        roles: roles(row)?,
        claims: CustomClaims::from_stored(text(row, "claims")?)
            .map_err(|_| Failure::Corrupt("users.claims is not an object of claims"))?,
        external_id: row
            .text("external_id")?
            .map(ExternalId::parse)
            .transpose()
            .map_err(|_| Failure::Corrupt("users.external_id is none"))?,
        disabled: flag(row, "disabled")?,
        epoch: epoch(row)?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
    })
}

pub(super) fn credential(row: &impl Record) -> Result<Credential, Failure> {
    let password_hash = PasswordHash::from_phc(text(row, "password_hash")?.to_owned());
    Ok(Credential { user: user(row)?, password_hash })
}

pub(super) fn service_account(row: &impl Record) -> Result<ServiceAccount, Failure> {
    Ok(ServiceAccount {
        id: ServiceAccountId::from_bytes(bytes(row, "id")?),
        name: ServiceAccountName::parse(text(row, "name")?)
            .map_err(|_| Failure::Corrupt("service_accounts.name is not a name"))?,
        description: note(row, "description")?,
        roles: roles(row)?,
        disabled: flag(row, "disabled")?,
        epoch: epoch(row)?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
    })
}

pub(super) fn service_key(row: &impl Record) -> Result<ServiceKey, Failure> {
    Ok(ServiceKey {
        id: ServiceKeyId::from_bytes(bytes(row, "id")?),
        account: ServiceAccountId::from_bytes(bytes(row, "account_id")?),
        label: note(row, "label")?,
        created_by: text(row, "created_by")?.to_owned(),
        created_at: time(row, "created_at")?,
        expires_at: time(row, "expires_at")?,
    })
}

pub(super) fn stored_key(row: &impl Record) -> Result<StoredKey, Failure> {
    let digest = ServiceKeyDigest::from_bytes(bytes(row, "digest")?);
    let session = SessionId::from_bytes(bytes(row, "session_id")?);
    Ok(StoredKey { digest, session, expires_at: time(row, "expires_at")?, account: service_account(row)? })
}

pub(super) fn token_key(row: &impl Record) -> Result<TokenKey, Failure> {
    let kind =
        KeyKind::from_name(text(row, "kind")?).ok_or(Failure::Corrupt("token_keys.kind is unknown"))?;
    let ended = match (row.int("ended_at")?, row.text("ended")?) {
        (None, _) => None,
        (Some(at), Some(end)) => {
            let end = KeyEnd::from_name(end).ok_or(Failure::Corrupt("token_keys.ended is unknown"))?;
            Some((UnixMillis(at), end))
        }
        (Some(_), None) => return Err(Failure::Corrupt("a key ended, and it is not said how")),
    };
    Ok(TokenKey {
        id: text(row, "id")?.to_owned(),
        kind,
        algorithm: text(row, "algorithm")?.to_owned(),
        verify_only: flag(row, "verify_only")?,
        sealed: SealedKey { under: blob(row, "sealed_under")?, bytes: blob(row, "sealed")? },
        life: Duration::from_millis(unsigned(row, "life")?),
        revision: unsigned(row, "revision")?,
        created_at: time(row, "created_at")?,
        activate_at: row.int("activate_at")?.map(UnixMillis),
        settled_at: row.int("settled_at")?.map(UnixMillis),
        ended,
        request: text(row, "request")?.to_owned(),
    })
}

pub(super) fn key_replica(row: &impl Record) -> Result<KeyReplica, Failure> {
    Ok(KeyReplica {
        id: replica_id(row, "id")?,
        name: text(row, "name")?.to_owned(),
        revision: unsigned(row, "revision")?,
    })
}

pub(super) fn replica_id(row: &impl Record, column: &'static str) -> Result<ReplicaId, Failure> {
    bytes(row, column).map(ReplicaId::from_bytes)
}

fn blob(row: &impl Record, column: &'static str) -> Result<Vec<u8>, Failure> {
    Ok(row.bytes(column)?.ok_or(Failure::Corrupt("an encrypted key is missing"))?.to_vec())
}

fn note(row: &impl Record, column: &'static str) -> Result<Note, Failure> {
    Note::parse(text(row, column)?).map_err(|_| Failure::Corrupt("a note that is too long, or no text"))
}

pub(super) fn revocation(row: &impl Record) -> Result<Revocation, Failure> {
    let user = UserId::from_bytes(bytes(row, "user_id")?);
    let scope = match text(row, "scope")? {
        "session" => {
            RevocationScope::Session { session: SessionId::from_bytes(bytes(row, "session_id")?), user }
        }
        "user" => RevocationScope::User { user, epoch: epoch(row)? },
        "user_changed" if user == NO_USER => RevocationScope::KeysChanged,
        "user_changed" => RevocationScope::UserChanged { user },
        _ => return Err(Failure::Corrupt("ledger.scope is unknown")),
    };
    Ok(Revocation {
        seq: unsigned(row, "seq")?,
        mark: mark(row, "mark")?,
        scope,
        reason: RevocationReason::from_name(text(row, "reason")?)
            .ok_or(Failure::Corrupt("ledger.reason is unknown"))?,
        at: time(row, "written_at")?,
        until: time(row, "matters_until")?,
    })
}

pub(super) fn ending(row: &impl Record) -> Result<Ending, Failure> {
    Ok(Ending { revocation: revocation(row)?, actor: text(row, "actor")?.to_owned() })
}

pub(super) fn session(row: &impl Record) -> Result<Session, Failure> {
    let client: StoredClient<'_> = serde_json::from_str(text(row, "client")?)
        .map_err(|_| Failure::Corrupt("sessions.client is not what a client says"))?;
    Ok(Session {
        id: SessionId::from_bytes(bytes(row, "id")?),
        user: UserId::from_bytes(bytes(row, "user_id")?),
        epoch: epoch(row)?,
        line: Line {
            current: generation(int(row, "generation")?)?,
            predecessor: row.int("predecessor")?.map(generation).transpose()?,
            rotated_at: time(row, "rotated_at")?,
        },
        audiences: serde_json::from_str(text(row, "audiences")?)
            .map_err(|_| Failure::Corrupt("sessions.audiences is not a list of names"))?,
        mac_key: MacKeyId::from_bytes(bytes(row, "mac_key")?),
        created_at: time(row, "created_at")?,
        idle_expires_at: time(row, "idle_expires_at")?,
        expires_at: time(row, "expires_at")?,
        client: ClientFacts {
            address: client.address.into_owned(),
            user_agent: client.user_agent.into_owned(),
            name: client.name.into_owned(),
            class: text(row, "client_class")?.to_owned(),
        },
    })
}

/// The rows of a left join that have something on the right: that side is nulls where there is none.
pub(super) fn joined<'r, R: Record + 'r, T>(
    rows: impl IntoIterator<Item = &'r R>,
    key: &'static str,
    read: fn(&R) -> Result<T, Failure>,
) -> Result<Vec<T>, Failure> {
    let mut joined = Vec::new();
    for row in rows {
        if row.int(key)?.is_some() {
            joined.push(read(row)?);
        }
    }
    Ok(joined)
}

/// Settings by their names.
pub(super) fn settings(rows: &[impl Record]) -> Result<BTreeMap<String, String>, Failure> {
    rows.iter().map(|row| Ok((text(row, "name")?.to_owned(), text(row, "setting")?.to_owned()))).collect()
}

pub(super) fn epoch(row: &impl Record) -> Result<Epoch, Failure> {
    unsigned(row, "epoch").map(Epoch)
}

pub(super) fn int(row: &impl Record, column: &'static str) -> Result<i64, Failure> {
    row.int(column)?.ok_or(Failure::Corrupt("a number is missing"))
}

pub(super) fn flag(row: &impl Record, column: &'static str) -> Result<bool, Failure> {
    row.flag(column)?.ok_or(Failure::Corrupt("a truth value is missing"))
}

pub(super) fn unsigned(row: &impl Record, column: &'static str) -> Result<u64, Failure> {
    u64::try_from(int(row, column)?).map_err(|_| Failure::Corrupt("a number below zero"))
}

/// A mark has all of 64 bits, the sign's among them.
pub(super) fn mark(row: &impl Record, column: &'static str) -> Result<u64, Failure> {
    int(row, column).map(i64::cast_unsigned)
}

pub(super) fn time(row: &impl Record, column: &'static str) -> Result<UnixMillis, Failure> {
    int(row, column).map(UnixMillis)
}

fn text<'r>(row: &'r impl Record, column: &'static str) -> Result<&'r str, Failure> {
    row.text(column)?.ok_or(Failure::Corrupt("a text is missing"))
}

fn generation(stored: i64) -> Result<Generation, Failure> {
    u32::try_from(stored).map(Generation).map_err(|_| Failure::Corrupt("a generation out of range"))
}

pub(super) fn bytes<const N: usize>(row: &impl Record, column: &'static str) -> Result<[u8; N], Failure> {
    let stored = row.bytes(column)?.ok_or(Failure::Corrupt("an id is missing"))?;
    stored.try_into().map_err(|_| Failure::Corrupt("an id of another length"))
}
