//! How the administration of service accounts fails, and what callers are told of it.

use super::{MOST_SERVICE_KEYS, ServiceAccountRef};
use crate::auth::caller::{LacksRole, NeedsAdministrator, UnknownRole};
use crate::auth::error::AuthError;
use crate::model::{ServiceAccountName, ServiceKeyId};
use crate::reason::Reason;
use crate::store::StoreError;

/// What was asked for could not be done.
#[derive(Debug, thiserror::Error)]
pub enum ServiceAccountError {
    /// There is no such account.
    #[error("there is no service account {0}")]
    NotFound(ServiceAccountRef),
    /// There is one already.
    #[error("there is a service account {} already", .0.as_str())]
    Taken(ServiceAccountName),
    /// The request that the id was made from has made another account.
    #[error("there is another service account with this id: {}", .0.as_str())]
    IdTaken(ServiceAccountName),
    /// The account was changed since.
    #[error("the service account was changed in the meantime")]
    Changed,
    /// The account has no such key.
    #[error("the service account has no key {0}")]
    KeyNotFound(ServiceKeyId),
    /// The account has as many keys as it may.
    #[error("a service account has at most {MOST_SERVICE_KEYS} keys: revoke one first")]
    KeyLimitReached,
    /// It is not for this caller to do.
    #[error(transparent)]
    NotAllowed(#[from] NeedsAdministrator),
    /// The caller lacks a role that they would hand out.
    #[error(transparent)]
    LacksRole(#[from] LacksRole),
    /// There is no such reserved role.
    #[error(transparent)]
    UnknownRole(#[from] UnknownRole),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<ServiceAccountError> for AuthError {
    fn from(error: ServiceAccountError) -> Self {
        match error {
            ServiceAccountError::NotFound(_) => Self::new(Reason::ServiceAccountNotFound),
            ServiceAccountError::Taken(_) => Self::new(Reason::ServiceAccountNameTaken),
            ServiceAccountError::IdTaken(_) => Self::invalid_field(
                "request_id",
                "must not be that of another call, which made another account",
            ),
            ServiceAccountError::Changed => Self::new(Reason::EtagMismatch),
            ServiceAccountError::KeyNotFound(_) => Self::new(Reason::ServiceKeyNotFound),
            ServiceAccountError::KeyLimitReached => Self::new(Reason::ServiceKeyLimitReached),
            ServiceAccountError::NotAllowed(error) => error.into(),
            ServiceAccountError::LacksRole(error) => error.into(),
            ServiceAccountError::UnknownRole(error) => Self::invalid_field("roles", error.to_string()),
            ServiceAccountError::Store(error) => error.into(),
        }
    }
}
