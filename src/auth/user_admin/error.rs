//! How the administration of users fails, and what callers are told of it.

use super::UserRef;
use crate::auth::caller::{NeedsAdministrator, UnknownRole};
use crate::auth::error::{AuthError, FieldViolation};
use crate::model::{ExternalId, Username};
use crate::password::{AdoptError, InvalidPassword, PoolError, Unfit, Unusable};
use crate::reason::Reason;
use crate::store::StoreError;
use crate::token::access::AttributesTooLarge;

/// What was asked for could not be done.
#[derive(Debug, thiserror::Error)]
pub enum UserAdminError {
    /// There is no such user.
    #[error("there is no user {0}")]
    NotFound(UserRef),
    /// There is one already.
    #[error("there is a user {:?} already", .0.as_str())]
    Taken(Username),
    /// There is another user with this external id.
    #[error("there is another user with the external id {:?}", .0.as_str())]
    ExternalIdTaken(ExternalId),
    /// The id, or the request that it was made from, is another user's.
    #[error("there is another user with this id: {:?}", .0.as_str())]
    IdTaken(Username),
    /// The user was changed since.
    #[error("the user was changed in the meantime")]
    Changed,
    /// It is not for this caller to do.
    #[error(transparent)]
    NotAllowed(#[from] NeedsAdministrator),
    /// There is no such reserved role.
    #[error(transparent)]
    UnknownRole(#[from] UnknownRole),
    /// Roles, claims and external id together are too large for a token.
    #[error(transparent)]
    Attributes(#[from] AttributesTooLarge),
    /// The password is not good enough.
    #[error("the password was refused: {0}")]
    Password(#[from] InvalidPassword),
    /// It could not be told whether it is good enough.
    #[error("the file of breached passwords cannot be read: {0}")]
    Breached(std::io::Error),
    /// The hash of another system cannot be used.
    #[error("the password hash was refused: {0}")]
    Hash(#[from] Unusable),
    /// It could not be hashed.
    #[error("the password could not be hashed: {0}")]
    Hashing(#[from] PoolError),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<AdoptError> for UserAdminError {
    fn from(error: AdoptError) -> Self {
        match error {
            AdoptError::Unusable(error) => Self::Hash(error),
            AdoptError::Pool(error) => Self::Hashing(error),
        }
    }
}

impl From<Unfit> for UserAdminError {
    fn from(error: Unfit) -> Self {
        match error {
            Unfit::Invalid(error) => Self::Password(error),
            Unfit::Unreadable(error) => Self::Breached(error),
        }
    }
}

impl From<UserAdminError> for AuthError {
    fn from(error: UserAdminError) -> Self {
        match error {
            UserAdminError::NotFound(_) => Self::new(Reason::UserNotFound),
            UserAdminError::Taken(_) => Self::new(Reason::UsernameTaken),
            UserAdminError::ExternalIdTaken(_) => Self::new(Reason::ExternalIdTaken),
            UserAdminError::IdTaken(_) => {
                Self::invalid_field("user_id", "must not be another user's, nor `request_id` another call's")
            }
            UserAdminError::Changed => Self::new(Reason::EtagMismatch),
            UserAdminError::NotAllowed(error) => error.into(),
            UserAdminError::UnknownRole(error) => Self::invalid_field("roles", error.to_string()),
            UserAdminError::Attributes(error) => Self::invalid_field("roles", error.to_string()),
            UserAdminError::Password(error) => rejected("password", error.into()),
            UserAdminError::Breached(error) => rejected("password", error.into()),
            UserAdminError::Hash(error) => {
                Self::invalid_field("password_hash", format!("is refused: {error}"))
            }
            UserAdminError::Hashing(error) => error.into(),
            UserAdminError::Store(error) => error.into(),
        }
    }
}

/// What is told of a password, in the field of this name, that may not become one.
pub(in crate::auth) fn rejected(field: &'static str, error: Unfit) -> AuthError {
    match error {
        Unfit::Invalid(error) => {
            let mut refused = AuthError::new(Reason::PasswordRejected);
            refused.violations.push(FieldViolation::new(field, error.to_string()));
            refused.metadata.push(("password", error.name()));
            refused
        }
        // Better none than one that may be known to everybody.
        Unfit::Unreadable(_) => AuthError::new(Reason::StoreUnavailable).caused_by(error),
    }
}
