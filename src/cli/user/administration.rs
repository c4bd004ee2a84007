//! What `countersign user` asks of the service.

use async_trait::async_trait;
use secrecy::SecretString;

use crate::auth::{CreateUser, Reach, UserAdminError};
use crate::model::{CustomClaims, ExternalId, Role, User, Username};

/// The administration of users by an operator. Every change is written to the audit log by whoever implements this;
/// those that end sessions also to the ledger.
#[async_trait]
pub trait UserAdministration: Send + Sync {
    /// Creates a user, enabled.
    async fn create(&self, new: CreateUser) -> Result<User, UserAdminError>;

    /// At most `limit` users whose usernames come after `after`, in order of username.
    async fn list(&self, after: Option<&Username>, limit: u32) -> Result<Vec<User>, UserAdminError>;

    /// The user with this username.
    async fn show(&self, username: &Username) -> Result<User, UserAdminError>;

    /// Sets another password and ends every session.
    async fn set_password(
        &self,
        username: &Username,
        password: SecretString,
    ) -> Result<Reach, UserAdminError>;

    /// Replaces the roles.
    async fn set_roles(&self, username: &Username, roles: Vec<Role>) -> Result<(), UserAdminError>;

    /// Replaces the custom claims.
    async fn set_claims(&self, username: &Username, claims: CustomClaims) -> Result<(), UserAdminError>;

    /// Replaces the external id, or takes it away.
    async fn set_external_id(
        &self,
        username: &Username,
        external_id: Option<ExternalId>,
    ) -> Result<(), UserAdminError>;

    /// Lets a disabled user in again.
    async fn enable(&self, username: &Username) -> Result<(), UserAdminError>;

    /// Locks the user out and ends every session.
    async fn disable(&self, username: &Username) -> Result<Reach, UserAdminError>;

    /// Forgets the user and ends every session.
    async fn delete(&self, username: &Username) -> Result<Reach, UserAdminError>;
}
