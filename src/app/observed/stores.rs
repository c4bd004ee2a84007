//! How long the stores take, how often they fail, and what they answered.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::{mpsc, watch};
use tracing::Instrument as _;

use crate::model::throttle::{Admission, LoginAttempt, Source};
use crate::model::{
    Clock, Credential, Epoch, ExternalId, Identity, ImportedUser, NewSession, NewUser, Origin, PasswordHash,
    Position, Revocation, RevocationReason, Session, SessionId, UnixMillis, User, UserId, Username,
};
use crate::store::{
    AttributeChange, Cause, CreateUserError, Created, Ending, Honoured, ImportAnswer, Ledger, LedgerPoll,
    LedgerSnapshot, Lived, LoginThrottle, Presentation, Push, RequestThrottle, Rotation, SessionPolicy,
    SessionRevocation, SessionStore, SetAttributesError, Standing, StoreError, UserStore,
};
use crate::telemetry::Metrics;
use crate::telemetry::tables::{Counters, StoreTimings};
use crate::telemetry::traces;

/// The operations that are told apart. What only operators do is `users.other`.
pub(super) const USERS: [&str; 4] = ["users.credential", "users.rehash", "users.revoke_all", "users.other"];
pub(super) const LEDGER: [&str; 7] = [
    "ledger.standing",
    "ledger.revoke_sessions",
    "ledger.poll",
    "ledger.snapshot",
    "ledger.purge",
    "ledger.ending",
    "ledger.head",
];
pub(super) const SESSIONS: [&str; 5] =
    ["sessions.create", "sessions.rotate", "sessions.find", "sessions.delete", "sessions.other"];
pub(super) const THROTTLE: [&str; 3] = ["throttle.admit", "throttle.succeeded", "throttle.request"];
pub(super) const AUDIT: [&str; 4] = ["audit.write", "audit.page", "audit.after", "audit.purge"];
pub(super) const PUSH: [&str; 1] = ["push.publish"];
pub(super) const SERVICE_ACCOUNTS: [&str; 2] = ["service_accounts.stored_key", "service_accounts.other"];

/// Watches one contract of one store.
#[derive(Clone)]
pub(super) struct Watch {
    pub(super) timings: Arc<StoreTimings>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) store: &'static str,
    pub(super) names: &'static [&'static str],
    /// The number of the first of the names among all operations.
    pub(super) first: usize,
}

impl Watch {
    /// Times an operation, and shows it in the trace of the call that it is part of.
    pub(super) async fn time<T, E>(
        &self,
        operation: usize,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let span = traces::step(self.store, self.names[operation]);
        let begun = self.clock.monotonic();
        let outcome = work.instrument(span.clone()).await;
        let took = self.clock.monotonic().since(begun);
        self.timings.observe(self.first + operation, took, outcome.is_err());
        if outcome.is_err() {
            traces::failed(&span);
        }
        outcome
    }
}

/// What became of sessions.
pub(super) struct Counts {
    created: Arc<Counters>,
    ended: Arc<Counters>,
    users_revoked: Arc<Counters>,
    rotations: Arc<Counters>,
}

impl Counts {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let reasons = || RevocationReason::ALL.into_iter().map(RevocationReason::as_str);
        let rotations = [
            Honoured::Rotated.as_str(),
            Honoured::Unchanged.as_str(),
            Honoured::Replayed.as_str(),
            Honoured::Withdrawn.as_str(),
            Honoured::Adopted.as_str(),
            "in_progress",
            "reused",
            "idle",
            "superseded",
            "unknown",
        ];
        let add = |counters| metrics.added(counters);
        Self {
            created: add(Counters::new(
                "countersign_sessions_created",
                "Logins that were given a session, or refused one.",
                "outcome",
                ["created", "limit_reached"],
            )),
            ended: add(Counters::new(
                "countersign_sessions_ended",
                "Sessions that were revoked one by one.",
                "reason",
                reasons(),
            )),
            users_revoked: add(Counters::new(
                "countersign_users_revoked",
                "Times that all sessions of a user were revoked, or their attributes changed.",
                "reason",
                reasons(),
            )),
            rotations: add(Counters::new(
                "countersign_rotations",
                "Refresh tokens that were presented to the session store, by what was decided.",
                "outcome",
                rotations,
            )),
        }
    }

    fn revoked<E>(&self, outcome: &Result<Option<Revocation>, E>) {
        if let Ok(Some(row)) = outcome {
            self.users_revoked.count_named(row.reason.as_str(), 1);
        }
    }

    fn rotated(&self, rotation: &Rotation) {
        let outcome = match rotation {
            Rotation::Honoured(how, _) => how.as_str(),
            Rotation::InProgress => "in_progress",
            Rotation::Reused => "reused",
            Rotation::Idle => "idle",
            Rotation::Superseded => "superseded",
            Rotation::Unknown => "unknown",
        };
        self.rotations.count_named(outcome, 1);
    }
}

/// A store that is watched.
pub(super) struct Observed<S: ?Sized> {
    pub(super) inner: Arc<S>,
    pub(super) watch: Watch,
    pub(super) counts: Arc<Counts>,
}

#[async_trait]
impl UserStore for Observed<dyn UserStore> {
    fn attributed_to(&self, origin: Arc<Origin>) -> Arc<dyn UserStore> {
        let (watch, counts) = (self.watch.clone(), Arc::clone(&self.counts));
        Arc::new(Self { inner: self.inner.attributed_to(origin), watch, counts })
    }

    async fn create(&self, user: NewUser) -> Result<User, CreateUserError> {
        self.watch.time(3, self.inner.create(user)).await
    }

    async fn credential(&self, username: &Username) -> Result<Option<Credential>, StoreError> {
        self.watch.time(0, self.inner.credential(username)).await
    }

    async fn find(&self, id: UserId) -> Result<Option<User>, StoreError> {
        self.watch.time(3, self.inner.find(id)).await
    }

    async fn find_external(&self, id: &ExternalId) -> Result<Option<User>, StoreError> {
        self.watch.time(3, self.inner.find_external(id)).await
    }

    async fn list(&self, after: Option<&Username>, limit: u32) -> Result<Vec<User>, StoreError> {
        self.watch.time(3, self.inner.list(after, limit)).await
    }

    async fn list_credentials(
        &self,
        after: Option<&Username>,
        limit: u32,
    ) -> Result<Vec<Credential>, StoreError> {
        self.watch.time(3, self.inner.list_credentials(after, limit)).await
    }

    async fn import(&self, users: Vec<ImportedUser>) -> Result<Vec<ImportAnswer>, StoreError> {
        self.watch.time(3, self.inner.import(users)).await
    }

    async fn look_up(&self, identities: Vec<Identity>) -> Result<Vec<ImportAnswer>, StoreError> {
        self.watch.time(3, self.inner.look_up(identities)).await
    }

    async fn set_password(
        &self,
        id: UserId,
        hash: &PasswordHash,
        epoch: Option<Epoch>,
        cause: Cause,
    ) -> Result<Option<Revocation>, StoreError> {
        let outcome = self.watch.time(3, self.inner.set_password(id, hash, epoch, cause)).await;
        self.counts.revoked(&outcome);
        outcome
    }

    async fn rehash(&self, id: UserId, old: &PasswordHash, new: &PasswordHash) -> Result<bool, StoreError> {
        self.watch.time(1, self.inner.rehash(id, old, new)).await
    }

    async fn enable(&self, id: UserId) -> Result<bool, StoreError> {
        self.watch.time(3, self.inner.enable(id)).await
    }

    async fn disable(&self, id: UserId, cause: Cause) -> Result<Option<Revocation>, StoreError> {
        let outcome = self.watch.time(3, self.inner.disable(id, cause)).await;
        self.counts.revoked(&outcome);
        outcome
    }

    async fn delete(&self, id: UserId, cause: Cause) -> Result<Option<Revocation>, StoreError> {
        let outcome = self.watch.time(3, self.inner.delete(id, cause)).await;
        self.counts.revoked(&outcome);
        outcome
    }

    async fn set_attributes(
        &self,
        id: UserId,
        change: AttributeChange<'_>,
        unchanged_since: Option<UnixMillis>,
        cause: Cause,
    ) -> Result<Option<Revocation>, SetAttributesError> {
        let change = self.inner.set_attributes(id, change, unchanged_since, cause);
        let outcome = self.watch.time(3, change).await;
        self.counts.revoked(&outcome);
        outcome
    }

    async fn revoke_all(&self, id: UserId, cause: Cause) -> Result<Option<Revocation>, StoreError> {
        let outcome = self.watch.time(2, self.inner.revoke_all(id, cause)).await;
        self.counts.revoked(&outcome);
        outcome
    }
}

#[async_trait]
impl Ledger for Observed<dyn Ledger> {
    async fn revoke_from(
        &self,
        sessions: &[(SessionRevocation, Arc<Origin>)],
    ) -> Result<Vec<Revocation>, StoreError> {
        let outcome = self.watch.time(1, self.inner.revoke_from(sessions)).await;
        for row in outcome.iter().flatten() {
            self.counts.ended.count_named(row.reason.as_str(), 1);
        }
        outcome
    }

    async fn standing(&self, user: UserId, session: SessionId) -> Result<Standing, StoreError> {
        self.watch.time(0, self.inner.standing(user, session)).await
    }

    async fn ending(
        &self,
        user: UserId,
        session: SessionId,
        lived: Lived,
    ) -> Result<Option<Ending>, StoreError> {
        self.watch.time(5, self.inner.ending(user, session, lived)).await
    }

    async fn snapshot(&self, since: UnixMillis) -> Result<LedgerSnapshot, StoreError> {
        self.watch.time(3, self.inner.snapshot(since)).await
    }

    async fn poll(&self, cursor: Position, limit: u32) -> Result<LedgerPoll, StoreError> {
        self.watch.time(2, self.inner.poll(cursor, limit)).await
    }

    async fn head(&self) -> Result<Position, StoreError> {
        self.watch.time(6, self.inner.head()).await
    }

    async fn time(&self) -> Result<UnixMillis, StoreError> {
        self.inner.time().await
    }

    async fn purge(&self, now: UnixMillis, limit: u32) -> Result<u64, StoreError> {
        self.watch.time(4, self.inner.purge(now, limit)).await
    }
}

#[async_trait]
impl SessionStore for Observed<dyn SessionStore> {
    async fn create(&self, session: NewSession, policy: &SessionPolicy) -> Result<Created, StoreError> {
        let outcome = self.watch.time(0, self.inner.create(session, policy)).await;
        match &outcome {
            Ok(Created::Session(..)) => self.counts.created.count(0),
            Ok(Created::LimitReached) => self.counts.created.count(1),
            Err(_) => {}
        }
        outcome
    }

    async fn rotate(&self, ask: Presentation, policy: &SessionPolicy) -> Result<Rotation, StoreError> {
        let outcome = self.watch.time(1, self.inner.rotate(ask, policy)).await;
        if let Ok(rotation) = &outcome {
            self.counts.rotated(rotation);
        }
        outcome
    }

    async fn find(&self, user: UserId, session: SessionId) -> Result<Option<Session>, StoreError> {
        self.watch.time(2, self.inner.find(user, session)).await
    }

    async fn list(&self, user: UserId) -> Result<Vec<Session>, StoreError> {
        self.watch.time(4, self.inner.list(user)).await
    }

    async fn delete(&self, user: UserId, sessions: &[SessionId]) -> Result<(), StoreError> {
        self.watch.time(3, self.inner.delete(user, sessions)).await
    }

    async fn purge(&self, limit: u32) -> Result<u64, StoreError> {
        self.watch.time(4, self.inner.purge(limit)).await
    }
}

#[async_trait]
impl LoginThrottle for Observed<dyn LoginThrottle> {
    async fn admit(&self, attempt: LoginAttempt) -> Result<Admission, StoreError> {
        self.watch.time(0, self.inner.admit(attempt)).await
    }

    async fn succeeded(&self, attempt: LoginAttempt) -> Result<(), StoreError> {
        self.watch.time(1, self.inner.succeeded(attempt)).await
    }
}

#[async_trait]
impl RequestThrottle for Observed<dyn RequestThrottle> {
    async fn admit(&self, source: Source) -> Result<Admission, StoreError> {
        self.watch.time(2, self.inner.admit(source)).await
    }
}

#[async_trait]
impl Push for Observed<dyn Push> {
    async fn publish(&self, rows: &[Revocation]) -> Result<(), StoreError> {
        self.watch.time(0, self.inner.publish(rows)).await
    }

    fn subscribe(&self) -> mpsc::Receiver<Revocation> {
        self.inner.subscribe()
    }

    fn listening(&self) -> watch::Receiver<u64> {
        self.inner.listening()
    }

    fn is_listening(&self) -> bool {
        self.inner.is_listening()
    }
}
