//! `countersign.v1.ServiceAccountService`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tonic::{Request, Response, Status};

use super::Service;
use super::message::page_size;
use crate::auth::{ServiceAccountPage, ServiceAccountRef};
use crate::grpc::call::Call;
use crate::grpc::proto::v1;
use crate::grpc::proto::v1::service_account_service_server::ServiceAccountService;

mod message;

use message::account_ref;

/// The most accounts on a page, and how many there are where nobody says: an account may take 5 KiB.
const ACCOUNTS_ON_A_PAGE: (i32, i32) = (500, 100);

#[tonic::async_trait]
impl ServiceAccountService for Service {
    async fn create_service_account(
        &self,
        request: Request<v1::CreateServiceAccountRequest>,
    ) -> Result<Response<v1::CreateServiceAccountResponse>, Status> {
        let (call, message) = Call::split(request);
        let account = self.run(&call, async move |administration, by| {
            Ok(administration.service_accounts.create(&by, message::create(message)?).await?)
        });
        let service_account = Some(account.await?.into());
        Ok(Response::new(v1::CreateServiceAccountResponse { service_account }))
    }

    async fn get_service_account(
        &self,
        request: Request<v1::GetServiceAccountRequest>,
    ) -> Result<Response<v1::GetServiceAccountResponse>, Status> {
        let (call, message) = Call::split(request);
        let account = self.run(&call, async move |administration, _| {
            Ok(administration.service_accounts.find(&account_ref(message.service_account)?).await?)
        });
        let service_account = Some(account.await?.into());
        Ok(Response::new(v1::GetServiceAccountResponse { service_account }))
    }

    async fn list_service_accounts(
        &self,
        request: Request<v1::ListServiceAccountsRequest>,
    ) -> Result<Response<v1::ListServiceAccountsResponse>, Status> {
        let (call, message) = Call::split(request);
        let page = self.run(&call, async move |administration, _| {
            let size = page_size(message.page_size, ACCOUNTS_ON_A_PAGE)?;
            let after = message::place(&message.page_token)?;
            Ok(administration.service_accounts.page(after.as_ref(), size).await?)
        });
        let ServiceAccountPage { accounts, next } = page.await?;
        Ok(Response::new(v1::ListServiceAccountsResponse {
            service_accounts: accounts.into_iter().map(Into::into).collect(),
            next_page_token: next.map(|name| URL_SAFE_NO_PAD.encode(name.as_str())).unwrap_or_default(),
        }))
    }

    async fn update_service_account(
        &self,
        request: Request<v1::UpdateServiceAccountRequest>,
    ) -> Result<Response<v1::UpdateServiceAccountResponse>, Status> {
        let (call, message) = Call::split(request);
        let account = self.run(&call, async move |administration, by| {
            let (account, change) = message::update(message)?;
            Ok(administration.service_accounts.change(&by, &account, change).await?)
        });
        let service_account = Some(account.await?.into());
        Ok(Response::new(v1::UpdateServiceAccountResponse { service_account }))
    }

    async fn disable_service_account(
        &self,
        request: Request<v1::DisableServiceAccountRequest>,
    ) -> Result<Response<v1::DisableServiceAccountResponse>, Status> {
        let (call, message) = Call::split(request);
        let done = self.run(&call, async move |administration, by| {
            let account = account_ref(message.service_account)?;
            Ok(administration.service_accounts.disable(&by, &account).await?)
        });
        let position = done.await?.to_string();
        Ok(Response::new(v1::DisableServiceAccountResponse { position }))
    }

    async fn enable_service_account(
        &self,
        request: Request<v1::EnableServiceAccountRequest>,
    ) -> Result<Response<v1::EnableServiceAccountResponse>, Status> {
        let (call, message) = Call::split(request);
        let done = self.run(&call, async move |administration, by| {
            let account = account_ref(message.service_account)?;
            Ok(administration.service_accounts.enable(&by, &account).await?)
        });
        done.await?;
        Ok(Response::new(v1::EnableServiceAccountResponse {}))
    }

    async fn delete_service_account(
        &self,
        request: Request<v1::DeleteServiceAccountRequest>,
    ) -> Result<Response<v1::DeleteServiceAccountResponse>, Status> {
        let (call, message) = Call::split(request);
        let done = self.run(&call, async move |administration, by| {
            let account = account_ref(message.service_account)?;
            Ok(administration.service_accounts.delete(&by, &account).await?)
        });
        let position = done.await?.to_string();
        Ok(Response::new(v1::DeleteServiceAccountResponse { position }))
    }

    async fn create_key(
        &self,
        request: Request<v1::CreateKeyRequest>,
    ) -> Result<Response<v1::CreateKeyResponse>, Status> {
        let (call, message) = Call::split(request);
        let made = self.run(&call, async move |administration, by| {
            let (account, new) = message::create_key(message)?;
            Ok(administration.service_accounts.create_key(&by, &account, new).await?)
        });
        let (plain, key) = made.await?;
        let secret = plain.expose().to_owned();
        Ok(Response::new(v1::CreateKeyResponse { secret, key: Some(key.into()) }))
    }

    async fn list_keys(
        &self,
        request: Request<v1::ListKeysRequest>,
    ) -> Result<Response<v1::ListKeysResponse>, Status> {
        let (call, message) = Call::split(request);
        let keys = self.run(&call, async move |administration, _| {
            let account: ServiceAccountRef = account_ref(message.service_account)?;
            Ok(administration.service_accounts.keys(&account).await?)
        });
        let keys = keys.await?.into_iter().map(Into::into).collect();
        Ok(Response::new(v1::ListKeysResponse { keys }))
    }

    async fn revoke_key(
        &self,
        request: Request<v1::RevokeKeyRequest>,
    ) -> Result<Response<v1::RevokeKeyResponse>, Status> {
        let (call, message) = Call::split(request);
        let done = self.run(&call, async move |administration, by| {
            let account = account_ref(message.service_account)?;
            let key = message::key_id(&message.key_id)?;
            Ok(administration.service_accounts.revoke_key(&by, &account, key).await?)
        });
        let position = done.await?.to_string();
        Ok(Response::new(v1::RevokeKeyResponse { position }))
    }
}
