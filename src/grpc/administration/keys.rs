//! `countersign.v1.KeyService`.

use tonic::{Request, Response, Status};

use super::Service;
use super::message::check_request_id;
use crate::auth::{AuthError, KeyEntry, KeyState};
use crate::grpc::call::Call;
use crate::grpc::convert;
use crate::grpc::proto::v1;
use crate::grpc::proto::v1::key_service_server::KeyService;
use crate::model::KeyKind;

/// The longest id of a key, in bytes; a longer one is that of no key.
const KEY_ID_MAX_BYTES: usize = 64;

#[tonic::async_trait]
impl KeyService for Service {
    async fn list_keys(
        &self,
        request: Request<v1::KeyServiceListKeysRequest>,
    ) -> Result<Response<v1::KeyServiceListKeysResponse>, Status> {
        let (call, _) = Call::split(request);
        let keys =
            self.run(&call, async move |administration, _| Ok(administration.keys.list().await?)).await?;
        let keys = keys.into_iter().map(Into::into).collect();
        Ok(Response::new(v1::KeyServiceListKeysResponse { keys }))
    }

    async fn rotate_key(
        &self,
        request: Request<v1::RotateKeyRequest>,
    ) -> Result<Response<v1::RotateKeyResponse>, Status> {
        let (call, message) = Call::split(request);
        let key = self.run(&call, async move |administration, by| {
            let kind = kind(message.kind())?;
            let request = check_request_id(&message.request_id)?;
            let request = Some(request).filter(|request| !request.is_empty());
            Ok(administration.keys.rotate(&by, kind, request).await?)
        });
        let key = Some(key.await?.into());
        Ok(Response::new(v1::RotateKeyResponse { key }))
    }

    async fn withdraw_key(
        &self,
        request: Request<v1::WithdrawKeyRequest>,
    ) -> Result<Response<v1::WithdrawKeyResponse>, Status> {
        let (call, message) = Call::split(request);
        let withdrawn = self.run(&call, async move |administration, by| {
            let id = message.key_id;
            if id.is_empty() || id.len() > KEY_ID_MAX_BYTES {
                let bound = format!("must have 1 to {KEY_ID_MAX_BYTES} bytes");
                return Err(AuthError::invalid_field("key_id", bound));
            }
            Ok(administration.keys.withdraw(&by, &id).await?)
        });
        let position = withdrawn.await?.position.to_string();
        Ok(Response::new(v1::WithdrawKeyResponse { position }))
    }
}

fn kind(kind: v1::KeyKind) -> Result<KeyKind, AuthError> {
    match kind {
        v1::KeyKind::Signing => Ok(KeyKind::Signing),
        v1::KeyKind::Refresh => Ok(KeyKind::Refresh),
        v1::KeyKind::Unspecified => {
            Err(AuthError::invalid_field("kind", "must be KEY_KIND_SIGNING or KEY_KIND_REFRESH"))
        }
    }
}

impl From<KeyKind> for v1::KeyKind {
    fn from(kind: KeyKind) -> Self {
        match kind {
            KeyKind::Signing => Self::Signing,
            KeyKind::Refresh => Self::Refresh,
        }
    }
}

impl From<KeyEntry> for v1::Key {
    fn from(key: KeyEntry) -> Self {
        let state = match key.state {
            KeyState::Upcoming => v1::KeyState::Announced,
            KeyState::Active => v1::KeyState::Active,
            KeyState::VerifyOnly => v1::KeyState::VerifyOnly,
            KeyState::Retired => v1::KeyState::Retired,
            KeyState::Withdrawn => v1::KeyState::Withdrawn,
        };
        Self {
            id: key.id,
            kind: v1::KeyKind::from(key.kind).into(),
            algorithm: key.algorithm,
            state: state.into(),
            created_at: key.created_at.map(convert::timestamp),
            activate_at: key.activate_at.map(convert::timestamp),
            ended_at: key.ended_at.map(convert::timestamp),
            missing_on: key.missing_on,
        }
    }
}
