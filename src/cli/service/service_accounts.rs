//! Service accounts, for operators.

use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;

use super::{PAGE, operator};
use crate::auth::{
    ChangeServiceAccount, CreateServiceAccount, CreateServiceKey, ServiceAccountAdmin, ServiceAccountPage,
    ServiceAccountRef,
};
use crate::cli::program::{BoxError, Page};
use crate::cli::service_account::ServiceAccountAdministration;
use crate::model::{Note, Position, Role, ServiceAccount, ServiceAccountName, ServiceKeyFacts, ServiceKeyId};

fn named(name: &ServiceAccountName) -> ServiceAccountRef {
    ServiceAccountRef::Name(name.clone())
}

#[async_trait]
impl ServiceAccountAdministration for ServiceAccountAdmin {
    async fn create(
        &self,
        name: ServiceAccountName,
        description: Note,
        roles: Vec<Role>,
    ) -> Result<ServiceAccount, BoxError> {
        let new = CreateServiceAccount { id: None, name, description, roles };
        Ok(ServiceAccountAdmin::create(self, &operator(), new).await?)
    }

    async fn list(&self, after: Option<&str>) -> Result<Page<ServiceAccount>, BoxError> {
        let after = after.map(ServiceAccountName::parse).transpose()?;
        let ServiceAccountPage { accounts, next } = self.page(after.as_ref(), PAGE).await?;
        Ok(Page { items: accounts, next: next.map(|name| name.as_str().to_owned()) })
    }

    async fn show(&self, name: &ServiceAccountName) -> Result<ServiceAccount, BoxError> {
        Ok(self.find(&named(name)).await?)
    }

    async fn set_roles(&self, name: &ServiceAccountName, roles: Vec<Role>) -> Result<(), BoxError> {
        let change = ChangeServiceAccount { roles: Some(roles), ..ChangeServiceAccount::default() };
        self.change(&operator(), &named(name), change).await?;
        Ok(())
    }

    async fn enable(&self, name: &ServiceAccountName) -> Result<(), BoxError> {
        Ok(ServiceAccountAdmin::enable(self, &operator(), &named(name)).await?)
    }

    async fn disable(&self, name: &ServiceAccountName) -> Result<Position, BoxError> {
        Ok(ServiceAccountAdmin::disable(self, &operator(), &named(name)).await?)
    }

    async fn delete(&self, name: &ServiceAccountName) -> Result<Position, BoxError> {
        Ok(ServiceAccountAdmin::delete(self, &operator(), &named(name)).await?)
    }

    async fn create_key(
        &self,
        name: &ServiceAccountName,
        label: Note,
        ttl: Duration,
    ) -> Result<(SecretString, ServiceKeyFacts), BoxError> {
        let new = CreateServiceKey { label, ttl, request_id: None };
        let (operator, account) = (operator(), named(name));
        let (secret, key) = ServiceAccountAdmin::create_key(self, &operator, &account, new).await?;
        Ok((secret.expose().to_owned().into(), key.into()))
    }

    async fn keys(&self, name: &ServiceAccountName) -> Result<Vec<ServiceKeyFacts>, BoxError> {
        let keys = ServiceAccountAdmin::keys(self, &named(name)).await?;
        Ok(keys.into_iter().map(Into::into).collect())
    }

    async fn revoke_key(&self, name: &ServiceAccountName, key: ServiceKeyId) -> Result<Position, BoxError> {
        Ok(ServiceAccountAdmin::revoke_key(self, &operator(), &named(name), key).await?)
    }
}
