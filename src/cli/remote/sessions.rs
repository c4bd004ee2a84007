//! Sessions, at a running service.

use std::collections::BTreeSet;

use async_trait::async_trait;

use crate::auth::{Explanation, RevokedSessions, UserRef};
use crate::cli::program::BoxError;
use crate::cli::session::SessionAdministration;
use crate::grpc::Administrator;
use crate::model::{SessionFacts, SessionId, Username};

#[async_trait]
impl SessionAdministration for Administrator {
    async fn list(&self, username: &Username) -> Result<Vec<SessionFacts>, BoxError> {
        let (mut sessions, mut after) = (Vec::new(), None);
        loop {
            let (page, next) = self.list_sessions(username, after.as_deref()).await?;
            sessions.extend(page);
            if next.is_none() {
                return Ok(sessions);
            }
            after = next;
        }
    }

    async fn revoke(
        &self,
        username: &Username,
        sessions: &BTreeSet<SessionId>,
    ) -> Result<RevokedSessions, BoxError> {
        Ok(self.revoke_sessions(username, Some(sessions)).await?)
    }

    async fn revoke_all(&self, username: &Username) -> Result<RevokedSessions, BoxError> {
        Ok(self.revoke_sessions(username, None).await?)
    }

    async fn explain(&self, user: &UserRef, session: SessionId) -> Result<Explanation, BoxError> {
        Ok(self.explain_session(user, session).await?)
    }
}
