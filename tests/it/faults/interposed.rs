//! Stores in front of the real ones, which let something happen between two steps of a use case.

use std::sync::Arc;

use async_trait::async_trait;
use countersign::model::{NewSession, Origin, Position, Revocation, Session, SessionId, UnixMillis, UserId};
use countersign::store::{
    Created, Ending, Ledger, LedgerPoll, LedgerSnapshot, Lived, Presentation, Rotation, SessionPolicy,
    SessionRevocation, SessionStore, Standing, StoreError,
};

/// What happens in the middle of a verb.
#[async_trait]
pub(super) trait Meanwhile: Send + Sync + 'static {
    /// After a Refresh has read how the user and the session stand.
    async fn after_standing(&self) {}
    /// Before sessions are revoked.
    async fn before_revocation(&self) {}
    /// Before the ledger is asked what ended a session.
    async fn before_ending(&self) -> Result<(), StoreError> {
        Ok(())
    }
    /// Before a session begins.
    async fn before_session(&self) {}
}

/// A real store, and what happens meanwhile.
pub(super) struct Interposed<S: ?Sized, M>(pub(super) Arc<S>, pub(super) Arc<M>);

#[async_trait]
impl<M: Meanwhile> Ledger for Interposed<dyn Ledger, M> {
    async fn revoke_from(
        &self,
        sessions: &[(SessionRevocation, Arc<Origin>)],
    ) -> Result<Vec<Revocation>, StoreError> {
        self.1.before_revocation().await;
        self.0.revoke_from(sessions).await
    }

    async fn standing(&self, user: UserId, session: SessionId) -> Result<Standing, StoreError> {
        let standing = self.0.standing(user, session).await;
        self.1.after_standing().await;
        standing
    }

    async fn ending(
        &self,
        user: UserId,
        session: SessionId,
        lived: Lived,
    ) -> Result<Option<Ending>, StoreError> {
        self.1.before_ending().await?;
        self.0.ending(user, session, lived).await
    }

    async fn snapshot(&self, since: UnixMillis) -> Result<LedgerSnapshot, StoreError> {
        self.0.snapshot(since).await
    }

    async fn head(&self) -> Result<Position, StoreError> {
        self.0.head().await
    }

    async fn poll(&self, cursor: Position, limit: u32) -> Result<LedgerPoll, StoreError> {
        self.0.poll(cursor, limit).await
    }

    async fn time(&self) -> Result<UnixMillis, StoreError> {
        self.0.time().await
    }

    async fn purge(&self, now: UnixMillis, limit: u32) -> Result<u64, StoreError> {
        self.0.purge(now, limit).await
    }
}

#[async_trait]
impl<S: SessionStore, M: Meanwhile> SessionStore for Interposed<S, M> {
    async fn create(&self, session: NewSession, policy: &SessionPolicy) -> Result<Created, StoreError> {
        self.1.before_session().await;
        self.0.create(session, policy).await
    }

    async fn rotate(&self, ask: Presentation, policy: &SessionPolicy) -> Result<Rotation, StoreError> {
        self.0.rotate(ask, policy).await
    }

    async fn find(&self, user: UserId, session: SessionId) -> Result<Option<Session>, StoreError> {
        self.0.find(user, session).await
    }

    async fn list(&self, user: UserId) -> Result<Vec<Session>, StoreError> {
        self.0.list(user).await
    }

    async fn delete(&self, user: UserId, sessions: &[SessionId]) -> Result<(), StoreError> {
        self.0.delete(user, sessions).await
    }

    async fn purge(&self, limit: u32) -> Result<u64, StoreError> {
        self.0.purge(limit).await
    }
}
