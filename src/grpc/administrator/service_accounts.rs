//! `ServiceAccountService`.

use std::time::Duration;

use secrecy::SecretString;

use super::users::names;
use super::{Administrator, AdministratorError, PAGE, answer, asked, next};
use crate::grpc::proto::v1;
use crate::model::{Note, Position, Role, ServiceAccount, ServiceAccountName, ServiceKeyFacts, ServiceKeyId};

fn named(name: &ServiceAccountName) -> v1::ServiceAccountRef {
    let name = v1::service_account_ref::ServiceAccount::Name(name.as_str().to_owned());
    v1::ServiceAccountRef { service_account: Some(name) }
}

impl Administrator {
    /// Creates a service account, without keys.
    pub async fn create_service_account(
        &self,
        name: &ServiceAccountName,
        description: &Note,
        roles: &[Role],
    ) -> Result<ServiceAccount, AdministratorError> {
        let request = v1::CreateServiceAccountRequest {
            name: name.as_str().to_owned(),
            description: description.as_str().to_owned(),
            roles: names(roles),
            request_id: String::new(),
        };
        let answer = asked(self.service_accounts().create_service_account(request)).await?;
        Ok(answer::service_account(answer.service_account)?)
    }

    /// Some service accounts, in order of name, and how to ask for the next ones.
    pub async fn list_service_accounts(
        &self,
        after: Option<&str>,
    ) -> Result<(Vec<ServiceAccount>, Option<String>), AdministratorError> {
        let page_token = after.unwrap_or_default().to_owned();
        let request = v1::ListServiceAccountsRequest { page_size: PAGE, page_token };
        let page = asked(self.service_accounts().list_service_accounts(request)).await?;
        let accounts = page.service_accounts.into_iter();
        let accounts: Result<_, _> = accounts.map(|account| answer::service_account(Some(account))).collect();
        Ok((accounts?, next(page.next_page_token)))
    }

    /// The service account with this name.
    pub async fn service_account(
        &self,
        name: &ServiceAccountName,
    ) -> Result<ServiceAccount, AdministratorError> {
        let request = v1::GetServiceAccountRequest { service_account: Some(named(name)) };
        let answer = asked(self.service_accounts().get_service_account(request)).await?;
        Ok(answer::service_account(answer.service_account)?)
    }

    /// Replaces the roles of a service account.
    pub async fn set_service_account_roles(
        &self,
        name: &ServiceAccountName,
        roles: &[Role],
    ) -> Result<(), AdministratorError> {
        let change = v1::ServiceAccountChange { roles: names(roles), ..Default::default() };
        let request = v1::UpdateServiceAccountRequest {
            service_account: Some(named(name)),
            change: Some(change),
            update_mask: Some(prost_types::FieldMask { paths: vec!["roles".to_owned()] }),
            etag: String::new(),
        };
        asked(self.service_accounts().update_service_account(request)).await?;
        Ok(())
    }

    /// Takes the keys of a disabled service account again.
    pub async fn enable_service_account(&self, name: &ServiceAccountName) -> Result<(), AdministratorError> {
        let request = v1::EnableServiceAccountRequest { service_account: Some(named(name)) };
        asked(self.service_accounts().enable_service_account(request)).await?;
        Ok(())
    }

    /// Refuses every key of a service account, and its access tokens.
    pub async fn disable_service_account(
        &self,
        name: &ServiceAccountName,
    ) -> Result<Position, AdministratorError> {
        let request = v1::DisableServiceAccountRequest { service_account: Some(named(name)) };
        let answer = asked(self.service_accounts().disable_service_account(request)).await?;
        Ok(answer::position(&answer.position)?)
    }

    /// Forgets a service account and its keys.
    pub async fn delete_service_account(
        &self,
        name: &ServiceAccountName,
    ) -> Result<Position, AdministratorError> {
        let request = v1::DeleteServiceAccountRequest { service_account: Some(named(name)) };
        let answer = asked(self.service_accounts().delete_service_account(request)).await?;
        Ok(answer::position(&answer.position)?)
    }

    /// Makes a key, which is told this once.
    pub async fn create_service_key(
        &self,
        name: &ServiceAccountName,
        label: &Note,
        ttl: Duration,
    ) -> Result<(SecretString, ServiceKeyFacts), AdministratorError> {
        let request = v1::CreateKeyRequest {
            service_account: Some(named(name)),
            ttl: ttl.try_into().ok(),
            label: label.as_str().to_owned(),
            request_id: String::new(),
        };
        let v1::CreateKeyResponse { secret, key } =
            asked(self.service_accounts().create_key(request)).await?;
        Ok((secret.into(), answer::service_key(key)?))
    }

    /// The keys of a service account, the oldest first.
    pub async fn service_keys(
        &self,
        name: &ServiceAccountName,
    ) -> Result<Vec<ServiceKeyFacts>, AdministratorError> {
        let request = v1::ListKeysRequest { service_account: Some(named(name)) };
        let keys = asked(self.service_accounts().list_keys(request)).await?.keys;
        let keys: Result<_, _> = keys.into_iter().map(|key| answer::service_key(Some(key))).collect();
        Ok(keys?)
    }

    /// Refuses a key from now on, and the access tokens that were got with it.
    pub async fn revoke_service_key(
        &self,
        name: &ServiceAccountName,
        key: ServiceKeyId,
    ) -> Result<Position, AdministratorError> {
        let request = v1::RevokeKeyRequest { service_account: Some(named(name)), key_id: key.to_string() };
        let answer = asked(self.service_accounts().revoke_key(request)).await?;
        Ok(answer::position(&answer.position)?)
    }
}
