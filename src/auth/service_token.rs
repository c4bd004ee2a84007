//! Access tokens of service accounts: a program shows its key, and gets a token that every Verify understands. No session is
//! stored and nothing is refreshed: whoever wants another token shows the key again.
//!
//! The tokens that were got with one key share a session id, which the database has beside the key. A key that is revoked ends
//! them with one row of the ledger, and an account that is disabled or deleted ends all of its own by its epoch.

use std::sync::Arc;
use std::time::Duration;

use countersign_verifier::Claims;
use secrecy::{ExposeSecret as _, SecretString};

use super::audit;
use super::authenticator::Authenticator;
use super::bounds;
use super::error::{AuthError, FieldViolation};
use super::login::check_audiences;
use super::types::CallContext;
use crate::auth::ServiceKeys;
use crate::model::{
    Actor, Clock, Position, RevocationReason, ServiceAccount, ServiceAccountId, ServiceAccountName,
    UnixMillis,
};
use crate::reason::Reason;
use crate::store::{Cause, ServiceAccountStore, StoredKey, Until};
use crate::token::ServiceGrant;

/// How long after an access token has expired a row still stands in the ledger that ends it, so that nobody's clock matters.
const ROW_MARGIN: Duration = Duration::from_hours(1);

/// What is needed to give service accounts tokens.
pub struct ServiceTokens {
    keys: Arc<ServiceKeys>,
    accounts: Arc<dyn ServiceAccountStore>,
}

impl ServiceTokens {
    /// Over this store; the clock is for the bound on keys that turn out to be none.
    pub fn new(accounts: Arc<dyn ServiceAccountStore>, clock: Arc<dyn Clock>) -> Self {
        Self { keys: Arc::new(ServiceKeys::new(accounts.clone(), clock)), accounts }
    }

    /// What recognises the keys, wherever they are shown.
    pub fn keys(&self) -> Arc<ServiceKeys> {
        self.keys.clone()
    }
}

/// A program wants a token.
#[derive(Debug)]
pub struct IssueServiceToken {
    /// The service key that it shows, as it came.
    pub service_key: SecretString,
    /// Which account the key must belong to, by id or name; any where nobody says.
    pub account: Option<String>,
    /// The services that the token is meant for; the configured default when empty.
    pub audiences: Vec<String>,
}

impl IssueServiceToken {
    /// What is wrong with the request by itself.
    pub fn violations(&self) -> Vec<FieldViolation> {
        bounds::expected_audiences(&self.audiences)
    }

    /// [`Self::violations`] as an error.
    pub fn check(&self) -> Result<(), AuthError> {
        bounds::verdict(self.violations())
    }
}

/// A token of a service account.
#[derive(Debug)]
pub struct ServiceToken {
    /// The access token (RFC 9068).
    pub access_token: SecretString,
    /// From when on it is refused.
    pub expires_at: UnixMillis,
    /// How long that is from now.
    pub expires_in: Duration,
    /// Whose it is.
    pub account: ServiceAccountId,
    /// What people call the account.
    pub name: ServiceAccountName,
}

/// Gives a token to whoever shows a key that is good now.
pub(super) async fn issue(
    auth: &Authenticator,
    call: &CallContext,
    request: IssueServiceToken,
) -> Result<ServiceToken, AuthError> {
    let IssueServiceToken { service_key, account, audiences } = request;
    let presented = ServiceKeys::read(service_key.expose_secret()).unwrap_or_else(|| {
        Err(AuthError::from(Reason::ServiceKeyInvalid).caused_by("it is no service key"))
    })?;
    let mut audiences = check_audiences(auth, audiences)?;
    if audiences.is_empty() {
        audiences.push(auth.policy.default_audience.clone());
    }
    let shown = auth.parts.service_tokens.keys.shown(&presented, call.peer).await?;
    if account.is_some_and(|named| !names(&named, &shown.account)) {
        return Err(
            AuthError::from(Reason::ServiceKeyInvalid).caused_by("the key belongs to another account")
        );
    }
    let StoredKey { session, expires_at, account, .. } = shown;
    let (now, store_time) = (auth.parts.clock.now(), auth.store_time().now);
    let grant = ServiceGrant {
        account: &account,
        session,
        // By the stores' clock, while the token's times are by ours.
        key_expires_at: now + expires_at.since(store_time),
        audiences: &audiences,
        now,
    };
    let keys = auth.parts.keys.current();
    let token = auth
        .policy
        .access_tokens
        .mint_for_service(keys.signing.signer(store_time), &grant, auth.policy.access_ttl)
        .map_err(AuthError::internal)?;
    audit::service_token_issued(&account, presented.id, call.peer);
    Ok(ServiceToken {
        access_token: token.expose().into(),
        expires_at: token.expires_at(),
        expires_in: token.expires_at().since(now),
        account: account.id,
        name: account.name,
    })
}

fn names(named: &str, account: &ServiceAccount) -> bool {
    named == account.name.as_str() || named.parse() == Ok(account.id)
}

/// Ends the tokens that were got with the same key as this one, which is authentic. The key is as good as before.
pub(super) async fn end(
    auth: &Authenticator,
    call: &CallContext,
    token: &Claims,
) -> Result<Position, AuthError> {
    let account = ServiceAccountId::of_subject(token.subject);
    let cause = Cause {
        actor: Actor::Service(account),
        reason: RevocationReason::Logout,
        until: until(auth.policy.access_ttl),
    };
    let accounts = auth.parts.service_tokens.accounts.attributed_to(Arc::new(call.origin()));
    let row = accounts.end_tokens(account, token.session, cause).await?;
    auth.parts.revocations.announce(&row);
    audit::service_tokens_ended(account, token.session, call.peer);
    Ok(row.position())
}

/// Until when a row matters that ends tokens of a service account.
pub(super) fn until(access_ttl: Duration) -> Until {
    Until::For(access_ttl + ROW_MARGIN)
}
