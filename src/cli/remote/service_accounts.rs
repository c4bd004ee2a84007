//! Service accounts, at a running service.

use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;

use crate::cli::program::{BoxError, Page};
use crate::cli::service_account::ServiceAccountAdministration;
use crate::grpc::Administrator;
use crate::model::{Note, Position, Role, ServiceAccount, ServiceAccountName, ServiceKeyFacts, ServiceKeyId};

#[async_trait]
impl ServiceAccountAdministration for Administrator {
    async fn create(
        &self,
        name: ServiceAccountName,
        description: Note,
        roles: Vec<Role>,
    ) -> Result<ServiceAccount, BoxError> {
        Ok(self.create_service_account(&name, &description, &roles).await?)
    }

    async fn list(&self, after: Option<&str>) -> Result<Page<ServiceAccount>, BoxError> {
        let (items, next) = self.list_service_accounts(after).await?;
        Ok(Page { items, next })
    }

    async fn show(&self, name: &ServiceAccountName) -> Result<ServiceAccount, BoxError> {
        Ok(self.service_account(name).await?)
    }

    async fn set_roles(&self, name: &ServiceAccountName, roles: Vec<Role>) -> Result<(), BoxError> {
        Ok(self.set_service_account_roles(name, &roles).await?)
    }

    async fn enable(&self, name: &ServiceAccountName) -> Result<(), BoxError> {
        Ok(self.enable_service_account(name).await?)
    }

    async fn disable(&self, name: &ServiceAccountName) -> Result<Position, BoxError> {
        Ok(self.disable_service_account(name).await?)
    }

    async fn delete(&self, name: &ServiceAccountName) -> Result<Position, BoxError> {
        Ok(self.delete_service_account(name).await?)
    }

    async fn create_key(
        &self,
        name: &ServiceAccountName,
        label: Note,
        ttl: Duration,
    ) -> Result<(SecretString, ServiceKeyFacts), BoxError> {
        Ok(self.create_service_key(name, &label, ttl).await?)
    }

    async fn keys(&self, name: &ServiceAccountName) -> Result<Vec<ServiceKeyFacts>, BoxError> {
        Ok(self.service_keys(name).await?)
    }

    async fn revoke_key(&self, name: &ServiceAccountName, key: ServiceKeyId) -> Result<Position, BoxError> {
        Ok(self.revoke_service_key(name, key).await?)
    }
}
