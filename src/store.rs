//! What the use cases ask of a store, as contracts. Every implementation passes the same conformance suite
//! (`tests/it/conformance`), so that they cannot drift apart.
//!
//! Three things hold for every method:
//! - It answers or fails within the deadline that the store was built with; no wait is unbounded.
//! - It is one atomic verb: it happened wholly or not at all, whatever is cut off when. An error leaves open
//!   which of the two, and every verb may be repeated.
//! - [`StoreError`] says that the store did not answer. That is never the caller's fault and never news about a
//!   token: nobody may be logged out because of it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::model::throttle::{Admission, LoginAttempt, Source};
use crate::model::{
    Actor, Credential, CustomClaims, Epoch, ExternalId, Generation, Identity, ImportedUser, MacKeyId,
    NewSession, NewUser, Origin, PasswordHash, Position, Presented, Revocation, RevocationReason, Role,
    RotationPolicy, Session, SessionId, SessionLimit, UnixMillis, User, UserId, Username,
};

mod audit;
pub mod in_process;
mod keys;
pub mod mysql;
pub mod postgres;
pub mod redis;
mod service_accounts;
pub mod sql;
pub mod sqlite;
mod waits;

pub use audit::{AuditStore, EVENTS_READ, EventBatch, EventPage, EventsAfter};
pub use keys::{KeyChange, KeyReport, KeyStore, KeysChanged, NewKeyActivation, NewTokenKey};
pub use service_accounts::{
    CreateServiceAccountError, KeyCreated, NewServiceKey, ServiceAccountStore, StoredKey,
};

/// The store did not give an answer that can be relied on.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Down, slow, read-only, full, or cut off in the middle.
    #[error("{store} is unavailable: {source}")]
    Unavailable {
        /// Which store: `sqlite`, `redis`…
        store: &'static str,
        /// What its driver said; for the log alone.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It holds something that no version of this program wrote.
    #[error("{store} holds data that cannot be read: {what}")]
    Corrupt {
        /// Which store.
        store: &'static str,
        /// What is wrong, without the data.
        what: String,
    },
}

/// Who asks for a change, and why: written to the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cause {
    /// Who.
    pub actor: Actor,
    /// Why.
    pub reason: RevocationReason,
    /// Until when the ledger row matters: the end of the longest session that it can touch.
    pub until: Until,
}

/// Until when something matters, by the store's clock: the caller's may be another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// This moment, which the store itself has named: a session's end.
    At(UnixMillis),
    /// For so long from when it is written.
    For(Duration),
}

impl Until {
    /// The moment, for what is written at `now`.
    #[must_use]
    pub fn resolve(self, now: UnixMillis) -> UnixMillis {
        match self {
            Self::At(at) => at,
            Self::For(duration) => now + duration,
        }
    }
}

/// Creating a user failed.
#[derive(Debug, thiserror::Error)]
pub enum CreateUserError {
    /// There is a user with this username.
    #[error("the username is taken")]
    UsernameTaken,
    /// There is another user with this external id.
    #[error("the external id is taken")]
    ExternalIdTaken,
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What became of one of many users who were to be created.
#[derive(Debug, Clone, PartialEq)]
pub enum ImportAnswer {
    /// They were created.
    Created,
    /// There is a user with this id: this one, as they are.
    Known(Box<User>),
    /// Another user has the username.
    UsernameTaken,
    /// Another user has the external id.
    ExternalIdTaken,
}

/// What a change sets of a user; what is `None` stays as it is.
#[derive(Debug, Clone, Copy, Default)]
pub struct AttributeChange<'a> {
    /// The roles.
    pub roles: Option<&'a [Role]>,
    /// The custom claims.
    pub claims: Option<&'a CustomClaims>,
    /// The external id, or none from now on.
    pub external_id: Option<Option<&'a ExternalId>>,
}

/// Changing a user's attributes failed.
#[derive(Debug, thiserror::Error)]
pub enum SetAttributesError {
    /// There is another user with this external id.
    #[error("the external id is taken")]
    ExternalIdTaken,
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Users and their password hashes. Every verb that ends sessions raises the user's epoch and writes the ledger
/// row in the same transaction; every one that changes something but [`Self::rehash`] writes an event of the audit log there.
#[async_trait]
pub trait UserStore: Send + Sync + 'static {
    /// The same store: the events of what is changed through it say that it comes from there.
    fn attributed_to(&self, origin: Arc<Origin>) -> Arc<dyn UserStore>;

    /// Creates a user, enabled, in epoch 0, or in the one that a user with this id had reached who was deleted: no session
    /// and no token of theirs lives again. The same call again, with the same id, finds the user that it made.
    async fn create(&self, user: NewUser) -> Result<User, CreateUserError>;

    /// Creates those of these users who can be created, all in one commit, and answers for each of them in order: as if
    /// each had been created by itself, one after the other. Whoever is there already stays as they are. Their epochs are
    /// those of [`Self::create`].
    async fn import(&self, users: Vec<ImportedUser>) -> Result<Vec<ImportAnswer>, StoreError>;

    /// What [`Self::import`] would answer now to a user with each of these identities, if it were the only one. Changes
    /// nothing.
    async fn look_up(&self, identities: Vec<Identity>) -> Result<Vec<ImportAnswer>, StoreError>;

    /// The user and the password hash, read from one row.
    async fn credential(&self, username: &Username) -> Result<Option<Credential>, StoreError>;

    /// The user with this id.
    async fn find(&self, id: UserId) -> Result<Option<User>, StoreError>;

    /// The user with this external id.
    async fn find_external(&self, id: &ExternalId) -> Result<Option<User>, StoreError>;

    /// At most `limit` users whose usernames come after `after`, in order of username, byte by byte.
    async fn list(&self, after: Option<&Username>, limit: u32) -> Result<Vec<User>, StoreError>;

    /// The same with their password hashes, each from the same row as its user.
    async fn list_credentials(
        &self,
        after: Option<&Username>,
        limit: u32,
    ) -> Result<Vec<Credential>, StoreError>;

    /// Sets another password and ends every session. `None` when there is no such user, or none any more in this epoch
    /// where one is given: whoever has shown the old password has it no longer.
    async fn set_password(
        &self,
        id: UserId,
        hash: &PasswordHash,
        epoch: Option<Epoch>,
        cause: Cause,
    ) -> Result<Option<Revocation>, StoreError>;

    /// Replaces the hash of an unchanged password, if `old` is still the one that is stored; ends nothing.
    /// Says whether it did.
    async fn rehash(&self, id: UserId, old: &PasswordHash, new: &PasswordHash) -> Result<bool, StoreError>;

    /// Lets a disabled user in again, on behalf of the actor that the origin names. Says whether there is such a user.
    async fn enable(&self, id: UserId) -> Result<bool, StoreError>;

    /// Locks the user out and ends every session, also when they were locked out before. `None` when there is
    /// no such user.
    async fn disable(&self, id: UserId, cause: Cause) -> Result<Option<Revocation>, StoreError>;

    /// Forgets the user and ends every session. `None` when there is no such user.
    async fn delete(&self, id: UserId, cause: Cause) -> Result<Option<Revocation>, StoreError>;

    /// Sets attributes, and notes in the ledger that they changed; ends nothing. `None` when there is no such user, or
    /// none any more whose [`User::updated_at`] is `unchanged_since` where that is given: every change gives another
    /// one.
    async fn set_attributes(
        &self,
        id: UserId,
        change: AttributeChange<'_>,
        unchanged_since: Option<UnixMillis>,
        cause: Cause,
    ) -> Result<Option<Revocation>, SetAttributesError>;

    /// Ends every session. `None` when there is no such user.
    async fn revoke_all(&self, id: UserId, cause: Cause) -> Result<Option<Revocation>, StoreError>;
}

/// A session to be revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionRevocation {
    /// Which one.
    pub session: SessionId,
    /// Whose it is.
    pub user: UserId,
    /// Who asks, why, and the session's absolute end.
    pub cause: Cause,
}

/// What one read says to a Refresh.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// The user as they are now; `None` when there is none with this id.
    pub user: Option<User>,
    /// Whether the ledger revokes this session.
    pub session_revoked: bool,
}

/// What is known of when a session lived. Which revocation of its user ended it follows from that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lived {
    /// It began in this epoch of its user.
    InEpoch(Epoch),
    /// It was alive at this moment by the session store's clock, and the session store has forgotten its epoch.
    At(UnixMillis),
    /// Nothing: only a row about the session itself can be the answer.
    Unknown,
}

/// How a session ended, by the row of the ledger that ended it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// The row.
    pub revocation: Revocation,
    /// Who asked for it, as the ledger has it: [`Actor`] as text.
    pub actor: String,
}

/// The most rows that a snapshot has.
pub const SNAPSHOT_ROWS: u32 = 2_000;

/// The ledger's beginning as a starting replica loads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerSnapshot {
    /// The rows that were asked for, in order.
    pub rows: Vec<Revocation>,
    /// Where to go on from.
    pub cursor: Position,
}

/// What has come since a cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LedgerPoll {
    /// These rows, in commit order with none left out, and where to go on from. Fewer than the limit: there
    /// are no more.
    Rows(Vec<Revocation>, Position),
    /// The ledger does not contain what the cursor points at: it was restored from a backup, or lost a
    /// failover, or the row was purged since. Everything must be loaded again.
    AnotherIncarnation,
}

/// The durable list of what was revoked. Append-only; a row's number is its place in commit order, so a reader
/// that has seen row *n* has missed none before it.
#[async_trait]
pub trait Ledger: Send + Sync + 'static {
    /// Revokes sessions, all in one commit, and returns the rows in the order asked for. Durable when it
    /// returns. A session that is revoked already gets another row. The event of each in the audit log, in the same commit,
    /// says that it comes from there.
    async fn revoke_from(
        &self,
        sessions: &[(SessionRevocation, Arc<Origin>)],
    ) -> Result<Vec<Revocation>, StoreError>;

    /// The same, where nothing is known of where it comes from.
    async fn revoke_sessions(&self, sessions: &[SessionRevocation]) -> Result<Vec<Revocation>, StoreError> {
        let nowhere = Arc::<Origin>::default();
        let sessions: Vec<_> = sessions.iter().map(|&session| (session, Arc::clone(&nowhere))).collect();
        self.revoke_from(&sessions).await
    }

    /// Everything that a Refresh must know beside the session itself, in one indexed read.
    async fn standing(&self, user: UserId, session: SessionId) -> Result<Standing, StoreError>;

    /// The row that ended this session of this user, in one indexed read: the first one about the session or, where an
    /// earlier one about the user ended it, that one. `None` when no row ended it, or when the row has been purged.
    async fn ending(
        &self,
        user: UserId,
        session: SessionId,
        lived: Lived,
    ) -> Result<Option<Ending>, StoreError>;

    /// The first rows written at or after `since` by the store's clock, at most [`SNAPSHOT_ROWS`], with the cursor from which a poll goes
    /// on: a ledger of any length is loaded in pieces, each of which has a deadline of its own.
    async fn snapshot(&self, since: UnixMillis) -> Result<LedgerSnapshot, StoreError>;

    /// At most `limit` rows after the cursor.
    async fn poll(&self, cursor: Position, limit: u32) -> Result<LedgerPoll, StoreError>;

    /// The last row, or the empty ledger of an incarnation.
    async fn head(&self) -> Result<Position, StoreError>;

    /// What time it is by the store's clock.
    async fn time(&self) -> Result<UnixMillis, StoreError>;

    /// Forgets rows whose `until` lies before `now`, but never the last one; at most `limit` at a time. Returns
    /// how many. `now` is the store's time: rows that are forgotten by a clock that is wrong are gone for good.
    async fn purge(&self, now: UnixMillis, limit: u32) -> Result<u64, StoreError>;
}

/// How long sessions live, in force when a session begins or is refreshed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionPolicy {
    /// How long a session lives without a Refresh.
    pub idle: Duration,
    /// How long a session lives whatever happens; fixed for each session at its login.
    pub absolute: Duration,
    /// How many a user may have.
    pub limit: SessionLimit,
    /// How many of the new session's class a user may have, where it has one: sessions without a class are bounded by
    /// `limit` alone. Those of the class make room first, and then others as far as `limit` asks for it.
    pub class_limit: SessionLimit,
    /// What is honoured of old refresh tokens.
    pub rotation: RotationPolicy,
}

/// A login's answer from the session store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Created {
    /// The session is there, and these others must make room for it: whoever asked must revoke them, and then
    /// forget them, before anybody hears of the new one. Until then they live, so that no session ends without a row
    /// in the ledger when the answer is lost: the next login finds them beyond the limit again.
    Session(Box<Session>, Vec<Session>),
    /// The user has as many sessions as they may.
    LimitReached,
}

/// A refresh token that has been found authentic, presented to the session store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Presentation {
    /// The session that it belongs to.
    pub session: SessionId,
    /// Whose it is.
    pub user: UserId,
    /// Its place in the line.
    pub presented: Presented,
    /// The session's absolute end, as the token says.
    pub expires_at: UnixMillis,
    /// The user's epoch now; a session of a smaller one is over.
    pub user_epoch: Epoch,
    /// The MAC key to mint the next token with.
    pub mac_key: MacKeyId,
    /// For how long from now it may be decided. Later than the refresh deadline after it was sent, the client's next
    /// requests may have moved the line, and an honest token would be taken for reuse; so a store that is held up
    /// for longer fails, and does nothing.
    pub within: Duration,
}

/// Why the session answers as it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Honoured {
    /// The line went on.
    Rotated,
    /// The current token again.
    Unchanged,
    /// The identical successor again.
    Replayed,
    /// A successor that nobody used was replaced by another.
    Withdrawn,
    /// The store had lost writes and followed the token.
    Adopted,
}

impl Honoured {
    /// The name that logs and metrics use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rotated => "rotated",
            Self::Unchanged => "unchanged",
            Self::Replayed => "replayed",
            Self::Withdrawn => "withdrawn",
            Self::Adopted => "adopted",
        }
    }
}

/// A Refresh's answer from the session store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rotation {
    /// The session as it is now; its current token is the answer.
    Honoured(Honoured, Box<Session>),
    /// The predecessor after the grace window, while its successor may be on its way: ask again after the refresh
    /// deadline, twice at the most.
    InProgress,
    /// An old token. The store has changed nothing: whoever asked must revoke the session.
    Reused,
    /// The session is past its idle life, or its absolute one.
    Idle,
    /// The session began in another epoch of its user: it was revoked, or the user was read before they were.
    Superseded,
    /// There is no such session of this user.
    Unknown,
}

/// Sessions and their lines of refresh tokens. Times are the store's own, so that replicas whose clocks differ
/// agree; tests pass a clock.
#[async_trait]
pub trait SessionStore: Send + Sync + 'static {
    /// Begins a session, and tells which ones must make room for it as the policy says. Only sessions that are alive
    /// by the store's time take room, and of these only such as did not begin in an earlier epoch: those are revoked,
    /// whether or not they have been forgotten yet, and may be forgotten on this occasion. The same call again finds
    /// the session that it began.
    async fn create(&self, session: NewSession, policy: &SessionPolicy) -> Result<Created, StoreError>;

    /// Answers a refresh token by the rules of [`crate::model::decide`], and moves the line. Never revokes.
    /// Looks in this order: [`Rotation::Unknown`], [`Rotation::Idle`], [`Rotation::Superseded`], the rules.
    /// Where the line moves, the MAC key becomes the one that was asked for, and the idle life begins anew, up
    /// to the absolute end; otherwise nothing changes in the store.
    async fn rotate(&self, ask: Presentation, policy: &SessionPolicy) -> Result<Rotation, StoreError>;

    /// The session, if it is alive by the store's time.
    async fn find(&self, user: UserId, session: SessionId) -> Result<Option<Session>, StoreError>;

    /// The user's sessions that are alive by the store's time, the one refreshed last first.
    async fn list(&self, user: UserId) -> Result<Vec<Session>, StoreError>;

    /// Forgets these sessions of a user; those that are not there are no error.
    async fn delete(&self, user: UserId, sessions: &[SessionId]) -> Result<(), StoreError>;

    /// Forgets sessions that are dead by the store's time, at most `limit` of them, where the store does not do
    /// so by itself. Returns how many.
    async fn purge(&self, limit: u32) -> Result<u64, StoreError>;
}

/// The fast way for revocations from one replica to the others. Nothing relies on it: what it loses is found by
/// polling the ledger, and no message proves how fresh anybody's view is.
#[async_trait]
pub trait Push: Send + Sync + 'static {
    /// Tells the other replicas of rows that are committed.
    async fn publish(&self, rows: &[Revocation]) -> Result<(), StoreError>;

    /// The rows that the others tell of, as they come: perhaps late, twice or in another order. Goes on for ever,
    /// through every outage, until the receiver is dropped. Rows that nobody fetches in time are dropped.
    fn subscribe(&self) -> tokio::sync::mpsc::Receiver<Revocation>;

    /// How often listening has begun, at first and after each outage: what was told before then may have been
    /// missed, and is in the ledger.
    fn listening(&self) -> tokio::sync::watch::Receiver<u64>;

    /// Whether the others can be heard now.
    fn is_listening(&self) -> bool;
}

/// How often logins may be tried, by the rules of [`crate::model::throttle`]. Times are the store's own.
#[async_trait]
pub trait LoginThrottle: Send + Sync + 'static {
    /// Counts the attempt, or refuses it; must be asked before the password is looked at.
    async fn admit(&self, attempt: LoginAttempt) -> Result<Admission, StoreError>;

    /// Takes back the attempt, which was admitted, and forgets the failures before it.
    async fn succeeded(&self, attempt: LoginAttempt) -> Result<(), StoreError>;
}

/// How many requests one source may make, whatever they ask for, by [`crate::model::throttle::Rate`]. Times are the
/// store's own.
#[async_trait]
pub trait RequestThrottle: Send + Sync + 'static {
    /// Counts the request, or refuses it.
    async fn admit(&self, source: Source) -> Result<Admission, StoreError>;
}

/// The connections that a store has, and what is under way on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolStats {
    /// Which of the store's pools.
    pub pool: &'static str,
    /// Calls that are under way now.
    pub in_flight: u64,
    /// The most that may be; more wait.
    pub in_flight_limit: u64,
    /// Connections that are open now.
    pub connections: u64,
    /// Connections that were opened since the start.
    pub opened: u64,
    /// Calls that wait now, because as many are under way as may be.
    pub waiting: u64,
    /// Calls that have waited since the start.
    pub waits: u64,
    /// How long those have waited together.
    pub waited: Duration,
}

/// A store as something to be watched and closed.
#[async_trait]
pub trait Probe: Send + Sync + 'static {
    /// The store's name on `/readyz` and in the log.
    fn name(&self) -> &'static str;

    /// Asks it for something trivial.
    async fn check(&self) -> Result<(), StoreError>;

    /// Settings under which it may forget what it has acknowledged, each with its name; for the log, at start.
    async fn warnings(&self) -> Vec<String>;

    /// Its connections as they are now, each pool by itself.
    fn pools(&self) -> Vec<PoolStats>;

    /// Waits for what is under way and closes the connections. Afterwards every operation is answered as
    /// unavailable.
    async fn close(&self);
}

impl Session {
    /// What the current refresh token says of its place in the line.
    pub const fn current(&self) -> Presented {
        let (generation, issued_at): (Generation, UnixMillis) = (self.line.current, self.line.rotated_at);
        Presented { generation, issued_at }
    }
}
