//! `SessionService`.

use std::collections::BTreeSet;

use super::users::{named, user_ref};
use super::{Administrator, AdministratorError, PAGE, answer, asked, next};
use crate::auth::{Explanation, RevokedSessions, UserRef};
use crate::grpc::proto::v1;
use crate::model::{SessionFacts, SessionId, Username};

impl Administrator {
    /// Some of a user's sessions that are alive, the newest first, and how to ask for the next ones.
    pub async fn list_sessions(
        &self,
        username: &Username,
        after: Option<&str>,
    ) -> Result<(Vec<SessionFacts>, Option<String>), AdministratorError> {
        let page_token = after.unwrap_or_default().to_owned();
        let request = v1::ListSessionsRequest { user: Some(named(username)), page_size: PAGE, page_token };
        let page = asked(self.sessions().list_sessions(request)).await?;
        let sessions: Result<_, _> = page.sessions.into_iter().map(answer::session).collect();
        Ok((sessions?, next(page.next_page_token)))
    }

    /// Ends those of a user's sessions that are named; `None` for all of them.
    pub async fn revoke_sessions(
        &self,
        username: &Username,
        sessions: Option<&BTreeSet<SessionId>>,
    ) -> Result<RevokedSessions, AdministratorError> {
        let request = v1::RevokeSessionsRequest {
            user: Some(named(username)),
            session_ids: sessions.into_iter().flatten().map(SessionId::to_string).collect(),
            all: sessions.is_none(),
        };
        let answer = asked(self.sessions().revoke_sessions(request)).await?;
        let count = usize::try_from(answer.revoked).unwrap_or_default();
        Ok(RevokedSessions { count, position: answer::position(&answer.position)? })
    }

    /// Whether a session goes on and, if it was revoked, why.
    pub async fn explain_session(
        &self,
        user: &UserRef,
        session: SessionId,
    ) -> Result<Explanation, AdministratorError> {
        let request =
            v1::ExplainSessionRequest { user: Some(user_ref(user)), session_id: session.to_string() };
        Ok(answer::explanation(asked(self.sessions().explain_session(request)).await?)?)
    }
}
