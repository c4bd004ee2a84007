//! `KeyService`.

use super::{Administrator, AdministratorError, answer, asked};
use crate::auth::KeyEntry;
use crate::grpc::proto::v1;
use crate::model::{KeyKind, Position};

impl Administrator {
    /// Every key, without its secret, in the order in which they were made.
    pub async fn list_keys(&self) -> Result<Vec<KeyEntry>, AdministratorError> {
        let keys = asked(self.keys().list_keys(v1::KeyServiceListKeysRequest {})).await?.keys;
        let keys: Result<_, _> = keys.into_iter().map(|key| answer::key(Some(key))).collect();
        Ok(keys?)
    }

    /// Makes the next key of a kind; the same call again, with the same `request_id`, finds it.
    pub async fn rotate_key(
        &self,
        kind: KeyKind,
        request_id: Option<&str>,
    ) -> Result<KeyEntry, AdministratorError> {
        let request_id = request_id.unwrap_or_default().to_owned();
        let request = v1::RotateKeyRequest { kind: v1::KeyKind::from(kind).into(), request_id };
        Ok(answer::key(asked(self.keys().rotate_key(request)).await?.key)?)
    }

    /// Refuses every token of a key from now on.
    pub async fn withdraw_key(&self, id: &str) -> Result<Position, AdministratorError> {
        let request = v1::WithdrawKeyRequest { key_id: id.to_owned() };
        let answer = asked(self.keys().withdraw_key(request)).await?;
        Ok(answer::position(&answer.position)?)
    }
}
