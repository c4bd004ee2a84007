//! What the use cases answered.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use countersign_verifier::InvalidReason;

use crate::auth::{
    AuthError, Authenticate, CallContext, ChangePassword, ChangedPassword, IssueServiceToken, Login,
    LoginRequest, LogoutRequest, OwnSessions, Refresh, RefreshRequest, ResetPassword, RevokeOwnSessions,
    RevokedSessions, ServiceToken, Verification, Verify, VerifyRequest,
};
use crate::model::Position;
use crate::reason::Reason;
use crate::telemetry::Metrics;
use crate::telemetry::tables::Counters;

/// The number of a success among the outcomes; the reasons come after it.
const SUCCEEDED: usize = 0;
/// Among those of Verify, the reasons for `invalid` come first.
const FIRST_INVALID: usize = 1;
const FIRST_REASON_OF_VERIFY: usize = FIRST_INVALID + InvalidReason::ALL.len();

/// Use cases that are counted.
pub(super) struct Observed {
    inner: Arc<dyn Authenticate>,
    logins: Arc<Counters>,
    refreshes: Arc<Counters>,
    logouts: Arc<Counters>,
    password_changes: Arc<Counters>,
    service_tokens: Arc<Counters>,
    verifications: Arc<Counters>,
}

/// Every reason that a use case can have, in the order of its number.
fn reasons() -> impl Iterator<Item = &'static str> {
    Reason::all().filter(|reason| !reason.is_of_the_edge()).map(Reason::name)
}

impl Observed {
    pub(super) fn new(inner: Arc<dyn Authenticate>, metrics: &Metrics) -> Self {
        let outcomes = || std::iter::once("SUCCEEDED").chain(reasons());
        let counters = |name, help| metrics.added(Counters::new(name, help, "outcome", outcomes()));
        let invalid = InvalidReason::ALL.into_iter().map(InvalidReason::as_str);
        let of_verify = std::iter::once("VERIFIED").chain(invalid).chain(reasons());
        Self {
            inner,
            logins: counters("countersign_logins", "Logins by their outcome."),
            refreshes: counters("countersign_refreshes", "Refreshes by their outcome."),
            logouts: counters("countersign_logouts", "Logouts by their outcome."),
            password_changes: counters(
                "countersign_password_changes",
                "Changes of passwords by their own users, by their outcome.",
            ),
            service_tokens: counters(
                "countersign_service_tokens",
                "Access tokens for service accounts, by their outcome.",
            ),
            verifications: metrics.added(Counters::new(
                "countersign_verifications",
                "Access tokens that were looked at, by what was found.",
                "outcome",
                of_verify,
            )),
        }
    }
}

fn count<T>(counters: &Counters, outcome: &Result<T, AuthError>) {
    let number = outcome.as_ref().map_or_else(|error| SUCCEEDED + 1 + error.reason as usize, |_| SUCCEEDED);
    counters.count(number);
}

/// The number of what was found.
const fn answer(verify: &Verify) -> usize {
    match verify.verification {
        Verification::Verified(_) => SUCCEEDED,
        Verification::Invalid(reason) => FIRST_INVALID + reason as usize,
    }
}

#[async_trait]
impl Authenticate for Observed {
    async fn login(&self, context: CallContext, request: LoginRequest) -> Result<Login, AuthError> {
        let outcome = self.inner.login(context, request).await;
        count(&self.logins, &outcome);
        outcome
    }

    async fn refresh(&self, context: CallContext, request: RefreshRequest) -> Result<Refresh, AuthError> {
        let outcome = self.inner.refresh(context, request).await;
        count(&self.refreshes, &outcome);
        outcome
    }

    async fn logout(
        &self,
        context: CallContext,
        request: LogoutRequest,
    ) -> Result<Option<Position>, AuthError> {
        let outcome = self.inner.logout(context, request).await;
        count(&self.logouts, &outcome);
        outcome
    }

    async fn change_password(
        &self,
        context: CallContext,
        request: ChangePassword,
    ) -> Result<ChangedPassword, AuthError> {
        let outcome = self.inner.change_password(context, request).await;
        count(&self.password_changes, &outcome);
        outcome
    }

    async fn reset_password(
        &self,
        context: CallContext,
        request: ResetPassword,
    ) -> Result<Position, AuthError> {
        let outcome = self.inner.reset_password(context, request).await;
        count(&self.password_changes, &outcome);
        outcome
    }

    async fn issue_service_token(
        &self,
        context: CallContext,
        request: IssueServiceToken,
    ) -> Result<ServiceToken, AuthError> {
        let outcome = self.inner.issue_service_token(context, request).await;
        count(&self.service_tokens, &outcome);
        outcome
    }

    async fn list_own_sessions(
        &self,
        context: CallContext,
        request: RefreshRequest,
    ) -> Result<OwnSessions, AuthError> {
        self.inner.list_own_sessions(context, request).await
    }

    async fn revoke_own_sessions(
        &self,
        context: CallContext,
        request: RevokeOwnSessions,
    ) -> Result<RevokedSessions, AuthError> {
        self.inner.revoke_own_sessions(context, request).await
    }

    fn verify(&self, context: &CallContext, request: &VerifyRequest) -> Result<Verify, AuthError> {
        let outcome = self.inner.verify(context, request);
        self.verifications.count(match &outcome {
            Ok(verify) => answer(verify),
            Err(error) => FIRST_REASON_OF_VERIFY + error.reason as usize,
        });
        outcome
    }

    async fn reach(&self, context: &CallContext, position: Position) -> Result<(), AuthError> {
        let outcome = self.inner.reach(context, position).await;
        if let Err(error) = &outcome {
            self.verifications.count(FIRST_REASON_OF_VERIFY + error.reason as usize);
        }
        outcome
    }

    fn verify_at_once(
        &self,
        token: &str,
        audiences: &[String],
        max_staleness: Option<Duration>,
    ) -> Option<Verify> {
        let verify = self.inner.verify_at_once(token, audiences, max_staleness)?;
        self.verifications.count(answer(&verify));
        Some(verify)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_numbered_as_they_are_listed() {
        for (number, name) in reasons().enumerate() {
            let reason = Reason::all().find(|reason| reason.name() == name).unwrap();
            assert_eq!(reason as usize, number);
        }
        for (number, reason) in InvalidReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, number);
        }
    }
}
