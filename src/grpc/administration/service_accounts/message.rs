//! The messages of `ServiceAccountService`, read with their bounds and written.

use super::super::message::{
    bad_page_token, check_request_id, etag, id_of_request, read_etag, roles, text_of_place,
};
use crate::auth::{
    AuthError, ChangeServiceAccount, CreateServiceAccount, CreateServiceKey, LONGEST_KEY_TTL,
    SHORTEST_KEY_TTL, ServiceAccountRef, USUAL_KEY_TTL,
};
use crate::grpc::convert;
use crate::grpc::proto::v1;
use crate::model::{Note, ServiceAccount, ServiceAccountId, ServiceAccountName, ServiceKey, ServiceKeyId};

/// Which account is meant.
pub(super) fn account_ref(account: Option<v1::ServiceAccountRef>) -> Result<ServiceAccountRef, AuthError> {
    use v1::service_account_ref::ServiceAccount;
    match account.and_then(|account| account.service_account) {
        Some(ServiceAccount::ServiceAccountId(id)) => {
            let field = "service_account.service_account_id";
            let bad = |_| AuthError::invalid_field(field, "must be a UUID in lower case");
            Ok(ServiceAccountRef::Id(id.parse().map_err(bad)?))
        }
        Some(ServiceAccount::Name(name)) => {
            Ok(ServiceAccountRef::Name(self::name("service_account.name", &name)?))
        }
        None => Err(AuthError::invalid_field("service_account", "must have service_account_id or name")),
    }
}

fn name(field: &str, text: &str) -> Result<ServiceAccountName, AuthError> {
    let bad = |error| AuthError::invalid_field(field, format!("is refused: {error}"));
    ServiceAccountName::parse(text).map_err(bad)
}

fn note(field: &str, text: &str) -> Result<Note, AuthError> {
    Note::parse(text).map_err(|error| AuthError::invalid_field(field, error.to_string()))
}

pub(super) fn key_id(text: &str) -> Result<ServiceKeyId, AuthError> {
    text.parse().map_err(|_| AuthError::invalid_field("key_id", "must be a UUID in lower case"))
}

/// Where a list of accounts goes on.
pub(super) fn place(token: &str) -> Result<Option<ServiceAccountName>, AuthError> {
    let name = text_of_place(token)?.map(|name| ServiceAccountName::parse(&name));
    name.transpose().map_err(|_| bad_page_token())
}

pub(super) fn create(message: v1::CreateServiceAccountRequest) -> Result<CreateServiceAccount, AuthError> {
    let v1::CreateServiceAccountRequest { name, description, roles: names, request_id } = message;
    let id = match check_request_id(&request_id)? {
        "" => None,
        request => {
            let id = id_of_request("countersign.v1.CreateServiceAccount", request);
            Some(ServiceAccountId::from_bytes(id))
        }
    };
    Ok(CreateServiceAccount {
        id,
        name: self::name("name", &name)?,
        description: note("description", &description)?,
        roles: roles(&names)?,
    })
}

pub(super) fn update(
    message: v1::UpdateServiceAccountRequest,
) -> Result<(ServiceAccountRef, ChangeServiceAccount), AuthError> {
    let v1::UpdateServiceAccountRequest { service_account, change, update_mask, etag } = message;
    let account = account_ref(service_account)?;
    let v1::ServiceAccountChange { description, roles: names } = change.unwrap_or_default();
    let unchanged_since = read_etag(&etag)?;
    let mut change = ChangeServiceAccount { unchanged_since, ..ChangeServiceAccount::default() };
    for path in update_mask.unwrap_or_default().paths {
        match path.as_str() {
            "description" => change.description = Some(note("change.description", &description)?),
            "roles" => change.roles = Some(roles(&names)?),
            _ => {
                let what = "must name description, roles or both";
                return Err(AuthError::invalid_field("update_mask", what));
            }
        }
    }
    if change.description.is_none() && change.roles.is_none() {
        return Err(AuthError::invalid_field("update_mask", "must not be empty"));
    }
    Ok((account, change))
}

pub(super) fn create_key(
    message: v1::CreateKeyRequest,
) -> Result<(ServiceAccountRef, CreateServiceKey), AuthError> {
    let v1::CreateKeyRequest { service_account, ttl, label, request_id } = message;
    let account = account_ref(service_account)?;
    let ttl = ttl.map_or(Ok(USUAL_KEY_TTL), convert::duration);
    let bounds = SHORTEST_KEY_TTL..=LONGEST_KEY_TTL;
    let bad = || AuthError::invalid_field("ttl", "must be 1 minute to 365 days");
    let ttl = ttl.ok().filter(|ttl| bounds.contains(ttl)).ok_or_else(bad)?;
    let request_id = Some(check_request_id(&request_id)?.to_owned()).filter(|request| !request.is_empty());
    Ok((account, CreateServiceKey { label: note("label", &label)?, ttl, request_id }))
}

impl From<ServiceAccount> for v1::ServiceAccount {
    fn from(account: ServiceAccount) -> Self {
        Self {
            etag: etag(account.updated_at),
            id: account.id.to_string(),
            name: account.name.as_str().to_owned(),
            description: account.description.as_str().to_owned(),
            roles: account.roles.iter().map(|role| role.as_str().to_owned()).collect(),
            disabled: account.disabled,
            created_at: Some(convert::timestamp(account.created_at)),
            updated_at: Some(convert::timestamp(account.updated_at)),
        }
    }
}

impl From<ServiceKey> for v1::ServiceKey {
    fn from(key: ServiceKey) -> Self {
        Self {
            id: key.id.to_string(),
            label: key.label.as_str().to_owned(),
            created_by: key.created_by,
            created_at: Some(convert::timestamp(key.created_at)),
            expires_at: Some(convert::timestamp(key.expires_at)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    fn key(ttl: Option<prost_types::Duration>) -> Result<Duration, AuthError> {
        let named = v1::service_account_ref::ServiceAccount::Name("shop".to_owned());
        let service_account = Some(v1::ServiceAccountRef { service_account: Some(named) });
        create_key(v1::CreateKeyRequest { service_account, ttl, ..Default::default() })
            .map(|(_, key)| key.ttl)
    }

    #[test]
    fn how_long_a_key_is_good_is_bounded() {
        const DAY: i64 = 24 * 60 * 60;

        let of = |seconds, nanos| Some(prost_types::Duration { seconds, nanos });
        assert_eq!(key(None).unwrap(), USUAL_KEY_TTL);
        assert_eq!(key(of(60, 0)).unwrap(), SHORTEST_KEY_TTL);
        assert_eq!(key(of(365 * DAY, 0)).unwrap(), LONGEST_KEY_TTL);
        for bad in [of(59, 999_999_999), of(365 * DAY, 1), of(0, 0), of(-1, 0), of(i64::MAX, 0)] {
            let violations = key(bad).unwrap_err().violations;
            assert_eq!(violations[0].field, "ttl", "{bad:?}");
        }
    }

    #[test]
    fn a_place_in_the_list_is_a_name() {
        let name = ServiceAccountName::parse("shop").unwrap();
        assert_eq!(place(&URL_SAFE_NO_PAD.encode("shop")).unwrap(), Some(name));
        assert_eq!(place("").unwrap(), None);
        for bad in ["!", &URL_SAFE_NO_PAD.encode([0xff]), &URL_SAFE_NO_PAD.encode("not a name")] {
            assert!(place(bad).is_err(), "{bad}");
        }
    }
}
