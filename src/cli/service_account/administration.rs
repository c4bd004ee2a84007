//! What `countersign service-account` asks of the service.

use std::time::Duration;

use async_trait::async_trait;

use crate::auth::{PlainServiceKey, ServiceAccountError};
use crate::model::{Note, Role, ServiceAccount, ServiceAccountName, ServiceKey, ServiceKeyId};

/// The administration of service accounts by an operator. Whoever implements this writes every change to the audit log.
#[async_trait]
pub trait ServiceAccountAdministration: Send + Sync {
    /// Creates an account, enabled and without keys.
    async fn create(
        &self,
        name: ServiceAccountName,
        description: Note,
        roles: Vec<Role>,
    ) -> Result<ServiceAccount, ServiceAccountError>;

    /// Some of the accounts whose names come after `after`, in order of name, and where to go on.
    async fn list(
        &self,
        after: Option<&ServiceAccountName>,
    ) -> Result<(Vec<ServiceAccount>, Option<ServiceAccountName>), ServiceAccountError>;

    /// The account with this name.
    async fn show(&self, name: &ServiceAccountName) -> Result<ServiceAccount, ServiceAccountError>;

    /// Replaces the roles.
    async fn set_roles(&self, name: &ServiceAccountName, roles: Vec<Role>)
    -> Result<(), ServiceAccountError>;

    /// Takes the account's keys again.
    async fn enable(&self, name: &ServiceAccountName) -> Result<(), ServiceAccountError>;

    /// Refuses the account's keys.
    async fn disable(&self, name: &ServiceAccountName) -> Result<(), ServiceAccountError>;

    /// Forgets the account and its keys.
    async fn delete(&self, name: &ServiceAccountName) -> Result<(), ServiceAccountError>;

    /// Makes a key.
    async fn create_key(
        &self,
        name: &ServiceAccountName,
        label: Note,
        ttl: Duration,
    ) -> Result<(PlainServiceKey, ServiceKey), ServiceAccountError>;

    /// The account's keys, the oldest first.
    async fn keys(&self, name: &ServiceAccountName) -> Result<Vec<ServiceKey>, ServiceAccountError>;

    /// Refuses a key.
    async fn revoke_key(
        &self,
        name: &ServiceAccountName,
        key: ServiceKeyId,
    ) -> Result<(), ServiceAccountError>;
}
