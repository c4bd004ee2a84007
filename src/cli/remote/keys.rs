//! Keys, at a running service.

use async_trait::async_trait;

use crate::cli::key::{KeyAdministration, KeyFacts, KeyKind, KeyWithdrawn};
use crate::cli::program::BoxError;
use crate::grpc::Administrator;

#[async_trait]
impl KeyAdministration for Administrator {
    async fn list(&self) -> Result<Vec<KeyFacts>, BoxError> {
        Ok(self.list_keys().await?.into_iter().map(Into::into).collect())
    }

    async fn rotate(&self, kind: KeyKind, request_id: Option<&str>) -> Result<KeyFacts, BoxError> {
        Ok(self.rotate_key(kind.into(), request_id).await?.into())
    }

    async fn withdraw(&self, id: &str) -> Result<KeyWithdrawn, BoxError> {
        Ok(KeyWithdrawn { position: self.withdraw_key(id).await?, pushed: None })
    }
}
