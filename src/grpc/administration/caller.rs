//! Who calls an administrative method: by what the call was let in for, and by what the store knows of them now.

use std::net::IpAddr;

use countersign_verifier::SubjectKind;

use super::Administration;
use crate::auth::{
    AuthError, Caller, ServiceAccountError, ServiceAccountRef, UserAdminError, UserRef, VerifiedToken,
};
use crate::grpc::allow::AllowList;
use crate::grpc::call::{self, Admitted, Right};
use crate::model::{Actor, NewEvent, Role, ServiceAccount, ServiceAccountId};
use crate::reason::Reason;
use crate::transport::RequestId;

/// Whom an access token speaks for.
pub(in crate::grpc) fn token_actor(token: &VerifiedToken) -> Actor {
    match token.subject_kind {
        SubjectKind::User => Actor::User(token.subject),
        SubjectKind::Service => Actor::Service(ServiceAccountId::of_subject(token.subject)),
    }
}

/// The event of a caller who was let in and is refused all the same.
pub(super) fn refusal(
    admitted: &Admitted,
    why: Reason,
    peer: Option<IpAddr>,
    request_id: &RequestId,
) -> NewEvent {
    let actor = match &admitted.right {
        Right::Certificate(names) => format!("certificate:{}", names.join(" ")),
        // Whose key it is, or would be, is not known.
        Right::Key(_) => String::new(),
        Right::Anybody => Actor::Operator.to_string(),
        Right::Token(token) => token_actor(token).to_string(),
    };
    let mut event = call::refusal(&admitted.path, &actor, why, peer, request_id);
    if let Right::Key(key) = &admitted.right {
        event.facts.key = key.id.to_string();
    }
    event
}

/// What the audit log calls whoever was let in.
pub(super) fn name_of(right: &Right) -> String {
    match right {
        Right::Certificate(names) => names.join(" "),
        Right::Anybody => Actor::Operator.to_string(),
        Right::Token(token) => token_actor(token).to_string(),
        Right::Key(key) => format!("service_key:{}", key.id),
    }
}

/// Who calls, by what the store knows of them now.
pub(super) async fn caller(
    administration: &Administration,
    allow: &AllowList,
    admitted: &Admitted,
    peer: Option<IpAddr>,
) -> Result<Caller, AuthError> {
    let permitted = |roles: &[Role]| allow.permits_roles(&admitted.path, roles.iter().map(Role::as_str));
    let not_allowed = |why: String| AuthError::from(Reason::CallerNotAllowed).caused_by(why);
    let service = |account: ServiceAccount| {
        if permitted(&account.roles) {
            return Ok(Caller::service(&account));
        }
        Err(not_allowed(format!("service account {} lacks a role", account.name.as_str())))
    };
    let token = match &admitted.right {
        Right::Certificate(names) => return Ok(Caller::certificate(names)),
        Right::Anybody => return Ok(Caller::operator()),
        Right::Key(key) => return service(administration.service_keys.account(key, peer).await?),
        Right::Token(token) if token.subject_kind == SubjectKind::Service => {
            return service(service_of(administration, token).await?);
        }
        Right::Token(token) => token,
    };
    let user = match administration.users.find(&UserRef::Id(token.subject)).await {
        Ok(user) => user,
        Err(UserAdminError::NotFound(_)) => return Err(Reason::SessionRevoked.into()),
        Err(error) => return Err(error.into()),
    };
    // The token was looked at by what this replica had read of the ledger; this is the truth.
    if user.disabled || user.epoch > token.epoch {
        return Err(Reason::SessionRevoked.into());
    }
    if !permitted(&user.roles) {
        return Err(not_allowed(format!(
            "user {} has lost the role that their access token tells of",
            user.id
        )));
    }
    Ok(Caller::user(&user))
}

/// The service account that a token was made for, by what the store knows of it now.
async fn service_of(
    administration: &Administration,
    token: &VerifiedToken,
) -> Result<ServiceAccount, AuthError> {
    let id = ServiceAccountRef::Id(ServiceAccountId::of_subject(token.subject));
    let account = match administration.service_accounts.find(&id).await {
        Ok(account) => account,
        Err(ServiceAccountError::NotFound(_)) => return Err(Reason::SessionRevoked.into()),
        Err(error) => return Err(error.into()),
    };
    // As for users. That the key was revoked is told by the ledger alone, as it is of a user's session.
    if account.disabled || account.epoch > token.epoch {
        return Err(Reason::SessionRevoked.into());
    }
    Ok(account)
}
