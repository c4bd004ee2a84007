//! Service accounts, for operators.

use std::time::Duration;

use async_trait::async_trait;

use crate::auth::{
    Caller, ChangeServiceAccount, CreateServiceAccount, CreateServiceKey, PlainServiceKey,
    ServiceAccountAdmin, ServiceAccountError, ServiceAccountPage, ServiceAccountRef,
};
use crate::cli::service_account::ServiceAccountAdministration;
use crate::model::{Note, Role, ServiceAccount, ServiceAccountName, ServiceKey, ServiceKeyId};

/// How many accounts are asked for at once.
const PAGE: u32 = 500;

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
    ) -> Result<ServiceAccount, ServiceAccountError> {
        let new = CreateServiceAccount { id: None, name, description, roles };
        ServiceAccountAdmin::create(self, &Caller::operator(), new).await
    }

    async fn list(
        &self,
        after: Option<&ServiceAccountName>,
    ) -> Result<(Vec<ServiceAccount>, Option<ServiceAccountName>), ServiceAccountError> {
        let ServiceAccountPage { accounts, next } = self.page(after, PAGE).await?;
        Ok((accounts, next))
    }

    async fn show(&self, name: &ServiceAccountName) -> Result<ServiceAccount, ServiceAccountError> {
        self.find(&named(name)).await
    }

    async fn set_roles(
        &self,
        name: &ServiceAccountName,
        roles: Vec<Role>,
    ) -> Result<(), ServiceAccountError> {
        let change = ChangeServiceAccount { roles: Some(roles), ..ChangeServiceAccount::default() };
        self.change(&Caller::operator(), &named(name), change).await.map(drop)
    }

    async fn enable(&self, name: &ServiceAccountName) -> Result<(), ServiceAccountError> {
        ServiceAccountAdmin::enable(self, &Caller::operator(), &named(name)).await
    }

    async fn disable(&self, name: &ServiceAccountName) -> Result<(), ServiceAccountError> {
        ServiceAccountAdmin::disable(self, &Caller::operator(), &named(name)).await
    }

    async fn delete(&self, name: &ServiceAccountName) -> Result<(), ServiceAccountError> {
        ServiceAccountAdmin::delete(self, &Caller::operator(), &named(name)).await
    }

    async fn create_key(
        &self,
        name: &ServiceAccountName,
        label: Note,
        ttl: Duration,
    ) -> Result<(PlainServiceKey, ServiceKey), ServiceAccountError> {
        let new = CreateServiceKey { label, ttl, request_id: None };
        ServiceAccountAdmin::create_key(self, &Caller::operator(), &named(name), new).await
    }

    async fn keys(&self, name: &ServiceAccountName) -> Result<Vec<ServiceKey>, ServiceAccountError> {
        ServiceAccountAdmin::keys(self, &named(name)).await
    }

    async fn revoke_key(
        &self,
        name: &ServiceAccountName,
        key: ServiceKeyId,
    ) -> Result<(), ServiceAccountError> {
        ServiceAccountAdmin::revoke_key(self, &Caller::operator(), &named(name), key).await
    }
}
