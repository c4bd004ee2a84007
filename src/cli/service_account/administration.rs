//! What `countersign service-account` asks of the service.

use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;

use crate::cli::program::{BoxError, Page};
use crate::model::{Note, Position, Role, ServiceAccount, ServiceAccountName, ServiceKeyFacts, ServiceKeyId};

/// The administration of service accounts by an operator. Whoever implements this writes every change to the audit log.
#[async_trait]
pub trait ServiceAccountAdministration: Send + Sync {
    /// Creates an account, enabled and without keys.
    async fn create(
        &self,
        name: ServiceAccountName,
        description: Note,
        roles: Vec<Role>,
    ) -> Result<ServiceAccount, BoxError>;

    /// Some accounts, in order of name: the first ones, or those that come after a page.
    async fn list(&self, after: Option<&str>) -> Result<Page<ServiceAccount>, BoxError>;

    /// The account with this name.
    async fn show(&self, name: &ServiceAccountName) -> Result<ServiceAccount, BoxError>;

    /// Replaces the roles.
    async fn set_roles(&self, name: &ServiceAccountName, roles: Vec<Role>) -> Result<(), BoxError>;

    /// Takes the account's keys again.
    async fn enable(&self, name: &ServiceAccountName) -> Result<(), BoxError>;

    /// Refuses the account's keys.
    async fn disable(&self, name: &ServiceAccountName) -> Result<Position, BoxError>;

    /// Forgets the account and its keys.
    async fn delete(&self, name: &ServiceAccountName) -> Result<Position, BoxError>;

    /// Makes a key, and shows it this once.
    async fn create_key(
        &self,
        name: &ServiceAccountName,
        label: Note,
        ttl: Duration,
    ) -> Result<(SecretString, ServiceKeyFacts), BoxError>;

    /// The account's keys, the oldest first.
    async fn keys(&self, name: &ServiceAccountName) -> Result<Vec<ServiceKeyFacts>, BoxError>;

    /// Refuses a key.
    async fn revoke_key(&self, name: &ServiceAccountName, key: ServiceKeyId) -> Result<Position, BoxError>;
}
