//! Users, at a running service.

use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;

use crate::auth::{ChangeUser, CreateUser};
use crate::cli::place::Ended;
use crate::cli::program::{BoxError, Page};
use crate::cli::user::UserAdministration;
use crate::grpc::Administrator;
use crate::model::{CustomClaims, ExternalId, Position, Role, UnixMillis, UserFacts, Username};

/// The service tells its replicas itself.
const fn ended(position: Position) -> Ended {
    Ended { reach: None, position }
}

#[async_trait]
impl UserAdministration for Administrator {
    async fn create(&self, new: CreateUser) -> Result<UserFacts, BoxError> {
        Ok(self.create_user(new).await?)
    }

    async fn list(&self, after: Option<&str>) -> Result<Page<UserFacts>, BoxError> {
        let (items, next) = self.list_users(after).await?;
        Ok(Page { items, next })
    }

    async fn show(&self, username: &Username) -> Result<UserFacts, BoxError> {
        Ok(self.user(username).await?)
    }

    async fn set_password(&self, username: &Username, password: SecretString) -> Result<Ended, BoxError> {
        Ok(ended(Administrator::set_password(self, username, &password).await?))
    }

    async fn set_roles(&self, username: &Username, roles: Vec<Role>) -> Result<(), BoxError> {
        let change = ChangeUser { roles: Some(roles), ..ChangeUser::default() };
        Ok(self.update_user(username, change).await?)
    }

    async fn set_claims(&self, username: &Username, claims: CustomClaims) -> Result<(), BoxError> {
        let change = ChangeUser { claims: Some(claims), ..ChangeUser::default() };
        Ok(self.update_user(username, change).await?)
    }

    async fn set_external_id(
        &self,
        username: &Username,
        external_id: Option<ExternalId>,
    ) -> Result<(), BoxError> {
        let change = ChangeUser { external_id: Some(external_id), ..ChangeUser::default() };
        Ok(self.update_user(username, change).await?)
    }

    async fn create_reset(
        &self,
        username: &Username,
        ttl: Duration,
    ) -> Result<(SecretString, UnixMillis), BoxError> {
        Ok(self.create_password_reset(username, ttl).await?)
    }

    async fn enable(&self, username: &Username) -> Result<(), BoxError> {
        Ok(self.enable_user(username).await?)
    }

    async fn disable(&self, username: &Username) -> Result<Ended, BoxError> {
        Ok(ended(self.disable_user(username).await?))
    }

    async fn delete(&self, username: &Username) -> Result<Ended, BoxError> {
        Ok(ended(self.delete_user(username).await?))
    }
}
