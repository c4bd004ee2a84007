//! What `countersign user` asks of the service.

use async_trait::async_trait;
use secrecy::SecretString;

use crate::cli::program::BoxError;
use crate::model::{CustomClaims, Role, User, Username};

/// The administration of users by an operator. Every change is written to the audit log by whoever implements this;
/// those that end sessions also to the ledger.
#[async_trait]
pub trait UserAdministration: Send + Sync {
    /// Creates a user, enabled.
    async fn create(
        &self,
        username: Username,
        password: SecretString,
        roles: Vec<Role>,
        claims: CustomClaims,
    ) -> Result<User, UserAdministrationError>;

    /// At most `limit` users whose usernames come after `after`, in order of username.
    async fn list(&self, after: Option<&Username>, limit: u32) -> Result<Vec<User>, UserAdministrationError>;

    /// The user with this username.
    async fn show(&self, username: &Username) -> Result<User, UserAdministrationError>;

    /// Sets another password and ends every session.
    async fn set_password(
        &self,
        username: &Username,
        password: SecretString,
    ) -> Result<(), UserAdministrationError>;

    /// Replaces the roles.
    async fn set_roles(&self, username: &Username, roles: Vec<Role>) -> Result<(), UserAdministrationError>;

    /// Replaces the custom claims.
    async fn set_claims(
        &self,
        username: &Username,
        claims: CustomClaims,
    ) -> Result<(), UserAdministrationError>;

    /// Lets a disabled user in again.
    async fn enable(&self, username: &Username) -> Result<(), UserAdministrationError>;

    /// Locks the user out and ends every session.
    async fn disable(&self, username: &Username) -> Result<(), UserAdministrationError>;

    /// Forgets the user and ends every session.
    async fn delete(&self, username: &Username) -> Result<(), UserAdministrationError>;
}

/// Why nothing was changed or shown.
#[derive(Debug, thiserror::Error)]
pub enum UserAdministrationError {
    /// There is nobody with this username.
    #[error("there is no user {:?}", .0.as_str())]
    NoSuchUser(Username),
    /// There is somebody with this username.
    #[error("there is a user {:?} already", .0.as_str())]
    UsernameTaken(Username),
    /// The password may not be used; why, without the password.
    #[error("the password cannot be used: {0}")]
    PasswordRefused(String),
    /// The store or the hashing failed.
    #[error(transparent)]
    Failed(#[from] BoxError),
}
