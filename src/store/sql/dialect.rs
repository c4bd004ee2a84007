//! Where the SQL databases differ.

use std::borrow::Cow;
use std::collections::BTreeMap;

use sqlx::error::DatabaseError;
use sqlx::migrate::{Migrate, Migrator};

use super::driver::{Driver, Record};
use super::failure::Failure;
use super::schema::{self, SchemaError};

/// A connection of a dialect's driver.
pub type Raw<D> = <<D as Dialect>::Database as sqlx::Database>::Connection;
/// A row of a dialect's driver.
pub type RowOf<D> = <<D as Dialect>::Database as sqlx::Database>::Row;

/// One of the databases: its SQL, its driver, its error codes.
pub trait Dialect: Sized + Send + Sync + 'static {
    /// The driver.
    type Database: Driver<Row: Record, Connection: Migrate>;
    /// What it takes to connect.
    type Options: Send + Sync + 'static;

    /// What the store calls itself in errors, on `/readyz` and in the log.
    const NAME: &'static str;
    /// Its SQL.
    const STATEMENTS: &'static Statements;

    /// A new connection, with every limit set that the server itself can keep.
    fn connect(options: &Self::Options) -> impl Future<Output = sqlx::Result<Raw<Self>>> + Send;

    /// A new connection that may wait as long as a migration takes.
    fn connect_to_migrate(options: &Self::Options) -> impl Future<Output = sqlx::Result<Raw<Self>>> + Send;

    /// Whether what is open still leads to the database at its address; asked before and after each piece of work.
    fn check_place(_: &Self::Options) -> Result<(), Failure> {
        Ok(())
    }

    /// Whether each piece of work must be a transaction, and no statement may stay prepared: something between here and
    /// the server gives a client another connection after each transaction.
    fn is_pooled(_: &Self::Options) -> bool {
        false
    }

    /// Begins a transaction that writes.
    fn begin(_: &Self::Options) -> Cow<'static, str> {
        Cow::Borrowed(Self::STATEMENTS.begin)
    }

    /// Lets go of what is open beside the connections of the pools.
    fn leave(_: &Self::Options) -> impl Future<Output = ()> + Send {
        async {}
    }

    /// The migrations, in order.
    fn migrations() -> &'static Migrator;

    /// Brings the schema up to this program's version.
    fn migrate(
        connection: &mut Raw<Self>,
        _: &Self::Options,
    ) -> impl Future<Output = Result<(), SchemaError>> + Send {
        schema::migrate::<Self>(connection)
    }

    /// How many rows a statement found to change.
    fn affected(result: &<Self::Database as sqlx::Database>::QueryResult) -> u64;

    /// What an error of the database says of the connection and of the work.
    fn fault(error: &dyn DatabaseError) -> Fault;

    /// What among the settings, by name, would make the database forget what it has acknowledged.
    fn concerns(settings: &BTreeMap<String, String>) -> Vec<String>;
}

/// What an error says of the connection and of the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The connection is dead, or leads to a server that cannot write: another one may do better.
    Broken,
    /// Another transaction was in the way, and nothing has happened: it may be done again.
    Conflict,
    /// The data are damaged.
    Damage,
    /// Anything else.
    Other,
}

/// Every statement. Parameters are bound in the order given here, and each stands in the text once, because
/// MySQL knows no numbered ones. A parameter *time?* is the time, or null for that of the database's clock.
/// Columns are named one by one: a replica of the version before goes on working while a migration adds another.
#[derive(Debug)]
pub struct Statements {
    /// Begins a transaction that writes.
    pub begin: &'static str,
    /// 1 when migrations have been run here, else 0.
    pub is_migrated: &'static str,
    /// `name`, `setting` of what decides whether a commit is durable; `None` where the store sets it itself.
    pub settings: Option<&'static str>,

    /// Inserts a user, and counts them, unless the id, the username or the external id is taken: id, username, hash, roles, claims,
    /// external id or null, time?
    pub create_user: &'static str,
    /// Inserts many users: a JSON array of them, ids in hexadecimal; time?
    pub import_users: &'static str,
    /// The users with these ids: a JSON array of them in hexadecimal
    pub users_with_ids: &'static str,
    /// The users with these usernames: a JSON array
    pub users_with_names: &'static str,
    /// The users with these external ids: a JSON array
    pub users_with_external_ids: &'static str,
    /// The user with the password hash: username
    pub credential: &'static str,
    /// The user: id
    pub user: &'static str,
    /// The user: external id
    pub user_external: &'static str,
    /// Users in order of username, byte by byte: the username before, limit
    pub users_after: &'static str,
    /// The same with their password hashes: the username before, limit
    pub credentials_after: &'static str,
    /// Where a change cannot return what it has made of a row: locks the user and says the `epoch` that the
    /// change will give: id
    pub lock_epoch: Option<&'static str>,
    /// Raises and returns the epoch (the next three too): hash, time?, id
    pub set_password: &'static str,
    /// time?, id
    pub disable: &'static str,
    /// time?, id
    pub revoke_all: &'static str,
    /// Deletes the user and returns the epoch that comes next: id
    pub delete_user: &'static str,
    /// new hash, id, old hash
    pub rehash: &'static str,
    /// time?, id
    pub enable: &'static str,
    /// Roles or null, claims or null, whether the external id is set, external id or null, time?, id, `updated_at` or
    /// null
    pub set_attributes: &'static str,

    /// Inserts a service account, and counts it, unless the name or the id is taken: id, name, description, roles, time?
    pub create_service_account: &'static str,
    /// The service account: id
    pub service_account: &'static str,
    /// The service account: name
    pub service_account_named: &'static str,
    /// Service accounts in order of name, byte by byte: the name before, limit
    pub service_accounts_after: &'static str,
    /// Description or null, roles or null, disabled or null, time?, id, `updated_at` as it was or null
    pub change_service_account: &'static str,
    /// Locks the service account until the commit, and says `epoch`, `updated_at` and `now`: time?, id
    pub lock_service_account: &'static str,
    /// id
    pub raise_service_account_epoch: &'static str,
    /// id
    pub delete_service_account: &'static str,
    /// id, account, digest, session, label, `created_by`, `created_at`, `expires_at`
    pub create_service_key: &'static str,
    /// The keys of an account, the oldest first: account
    pub service_keys: &'static str,
    /// Locks a key until the commit, and says `session_id`, the session of its tokens: id, account
    pub service_key_session: &'static str,
    /// Gives the tokens that a key is for from now on another session: the new one, account, the old one
    pub renew_service_key_session: &'static str,
    /// id, account
    pub delete_service_key: &'static str,
    /// The keys of an account: account
    pub delete_service_keys: &'static str,
    /// The digest, `session_id` and `expires_at` of a key that has not expired, with the columns of its account: id, time?
    pub service_key_to_check: &'static str,

    /// Inserts the head of an empty ledger unless there is one: mark, the same mark
    pub give_birth: &'static str,
    /// Locks the head until the commit and moves it: by how many, the last mark
    pub advance_head: &'static str,
    /// The head's `seq` and `mark`, and `now`: time?
    pub head: &'static str,
    /// Inserts rows: a JSON array of them, ids in hexadecimal
    pub append: &'static str,
    /// The user's columns, nulls when there is none, and `session_revoked`: session, user
    pub standing: &'static str,
    /// The first row about a session and the first one about its user after an epoch and since a time, in order:
    /// session, user, user, epoch, since
    pub ending: &'static str,
    /// The head beside each of the first rows since a time, or beside nulls: since, limit
    pub snapshot: &'static str,
    /// What the ledger says now of the row that a cursor points at, beside the rows that follow it: the cursor's
    /// number, again, again, limit
    pub poll: &'static str,
    /// Deletes rows but the last: until when they mattered, limit
    pub purge_ledger: &'static str,

    /// Locks the head of the audit log until the commit and moves it: by how many, the last mark, time?; `None` where
    /// [`Self::append_events`] does so
    pub advance_audit_head: Option<&'static str>,
    /// Inserts events, numbered up to the head: how many, a JSON array of them, ids in hexadecimal. Where there is no
    /// [`Self::advance_audit_head`] its parameters come first
    pub append_events: &'static str,
    /// The head's `seq` and `mark`
    pub audit_head: &'static str,
    /// Locks the head until the commit
    pub lock_audit_head: &'static str,
    /// An event with a larger number than the first and with a mark: number, mark
    pub event_marked: &'static str,
    /// The first event that was written at a time or later: time
    pub event_since: &'static str,
    /// The newest first: before which number, from which on, limit
    pub events_before: &'static str,
    /// The same of one kind: kind, and the others
    pub events_of_kind: &'static str,
    /// The same by one actor: actor, and the others
    pub events_by_actor: &'static str,
    /// The same about one user: user, and the others
    pub events_about_user: &'static str,
    /// The same about one session: session, and the others
    pub events_of_session: &'static str,
    /// What the log says now of the event that a cursor points at, and the head, beside the events that follow: the
    /// cursor's number, again, again, limit
    pub events_after: &'static str,
    /// Deletes the oldest events but the newest of them: before which time, limit
    pub purge_events: &'static str,

    /// Revision, holder, `lease_until` and `now`: time?
    pub key_head: &'static str,
    /// Every key, in the order in which they were created
    pub token_keys: &'static str,
    /// Those alive: now
    pub key_replicas: &'static str,
    /// The revision as it was
    pub raise_key_revision: &'static str,
    /// Inserts or updates: id, name, revision, until when it is alive
    pub put_key_replica: &'static str,
    /// replica, until, the same replica, now
    pub take_key_lease: &'static str,
    /// replica
    pub give_up_key_lease: &'static str,
    /// replica
    pub delete_key_replica: &'static str,
    /// Deletes those that fell silent before: time
    pub forget_key_replicas: &'static str,
    /// Of the trusted keys: life, kind, life
    pub raise_key_life: &'static str,
    /// id, kind, algorithm, 1 or 0, `sealed_under`, sealed, life, revision, now, `activate_at`, `settled_at`, request
    pub add_token_key: &'static str,
    /// Now, revision, id
    pub activate_token_key: &'static str,
    /// Now, id
    pub settle_token_key: &'static str,
    /// Now, how, what is left: `sealed_under`, sealed; id
    pub end_token_key: &'static str,
    /// id
    pub forget_token_key: &'static str,
    /// `sealed_under`, sealed, id
    pub reseal_token_key: &'static str,

    /// Keeps other logins of a user waiting until the commit; `None` where only one transaction writes: a number
    /// made from the user's id
    pub lock_sessions: Option<&'static str>,
    /// `now` beside the session or nulls, always one row: time?, user, session
    pub session: &'static str,
    /// Those alive, the one refreshed last first: user, time?
    pub sessions: &'static str,
    /// Those alive and not revoked but the first so many: user, now, epoch, how many
    pub sessions_beyond: &'static str,
    /// The same of one class: user, now, epoch, class, how many
    pub sessions_beyond_in_class: &'static str,
    /// user, id, epoch, generation, predecessor, `rotated_at`, audiences, MAC key, `created_at`,
    /// `idle_expires_at`, `expires_at`, client, class
    pub insert_session: &'static str,
    /// Moves a line from what was read: generation, predecessor, `rotated_at`, MAC key, `idle_expires_at`, then
    /// user, id, generation, `rotated_at`, epoch as they were
    pub advance_session: &'static str,
    /// user, a JSON array of ids in hexadecimal
    pub delete_sessions: &'static str,
    /// Deletes the dead: time?, limit
    pub purge_sessions: &'static str,
}

/// The columns of a user, in a table called `u`.
macro_rules! user_columns {
    () => {
        "u.id, u.username, u.roles, u.claims, u.external_id, u.disabled, u.epoch, u.created_at, u.updated_at"
    };
}

/// The columns of a service account, in a table called `a`.
macro_rules! service_account_columns {
    () => {
        "a.id, a.name, a.description, a.roles, a.disabled, a.epoch, a.created_at, a.updated_at"
    };
}

/// The columns of a service key but its digest, in a table called `k`.
macro_rules! service_key_columns {
    () => {
        "k.id, k.account_id, k.label, k.created_by, k.created_at, k.expires_at"
    };
}

/// The columns of a row of the ledger, in a table called `l`.
macro_rules! ledger_columns {
    () => {
        "l.seq, l.mark, l.scope, l.user_id, l.session_id, l.epoch, l.reason, l.written_at, l.matters_until"
    };
}

/// The columns of an event, in a table called `e`.
macro_rules! event_columns {
    () => {
        "e.seq, e.mark, e.written_at, e.kind, e.actor, e.user_id, e.session_id, e.facts"
    };
}

/// The columns of a key that makes tokens.
macro_rules! token_key_columns {
    () => {
        "id, kind, algorithm, verify_only, sealed_under, sealed, life, revision, created_at, activate_at, settled_at, \
         ended_at, ended, request"
    };
}

/// The columns of a session, in a table called `s`.
macro_rules! session_columns {
    () => {
        "s.user_id, s.id, s.epoch, s.generation, s.predecessor, s.rotated_at, s.audiences, s.mac_key, \
         s.created_at, s.idle_expires_at, s.expires_at, s.client, s.client_class"
    };
}

pub(in crate::store) use {
    event_columns, ledger_columns, service_account_columns, service_key_columns, session_columns,
    token_key_columns, user_columns,
};
