//! The messages of the administrative services, read with their bounds and written.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use prost_types::value::Kind;
use serde_json::{Map, Number, Value};

use crate::auth::bounds::REQUEST_ID_MAX_BYTES;
use crate::auth::{
    AuthError, ChangeUser, CreateUser, Explanation, HashCheck, LONGEST_RESET, NewCredential, RowRefusal,
    SessionEnd, SessionPlace, UserFilter, UserRef,
};
use crate::grpc::convert;
use crate::grpc::proto::v1;
use crate::model::{
    CustomClaims, EndCause, ExternalId, Role, Session, SessionId, UnixMillis, User, UserId, Username,
};

/// Which user is meant.
pub(super) fn user_ref(user: Option<v1::UserRef>) -> Result<UserRef, AuthError> {
    use v1::user_ref::User;
    match user.and_then(|user| user.user) {
        Some(User::UserId(id)) => Ok(UserRef::Id(user_id("user.user_id", &id)?)),
        Some(User::Username(name)) => Ok(UserRef::Name(username("user.username", &name)?)),
        Some(User::ExternalId(id)) => Ok(UserRef::External(some_external_id("user.external_id", &id)?)),
        None => Err(AuthError::invalid_field("user", "must have user_id, username or external_id")),
    }
}

fn user_id(field: &str, text: &str) -> Result<UserId, AuthError> {
    text.parse().map_err(|_| AuthError::invalid_field(field, "must be a UUID in lower case"))
}

fn username(field: &str, text: &str) -> Result<Username, AuthError> {
    Username::parse(text).map_err(|error| AuthError::invalid_field(field, format!("is refused: {error}")))
}

fn some_external_id(field: &str, text: &str) -> Result<ExternalId, AuthError> {
    ExternalId::parse(text).map_err(|error| AuthError::invalid_field(field, format!("is refused: {error}")))
}

/// An external id, or none.
fn external_id(field: &str, text: &str) -> Result<Option<ExternalId>, AuthError> {
    if text.is_empty() { Ok(None) } else { some_external_id(field, text).map(Some) }
}

/// Roles, each once.
pub(in crate::grpc) fn roles(names: &[String]) -> Result<Vec<Role>, AuthError> {
    let roles = Role::parse_all(names.iter().map(String::as_str));
    roles.map_err(|error| AuthError::invalid_field("roles", format!("are refused: {error}")))
}

/// A size of 0 is the usual one.
pub(super) fn page_size(size: i32, (most, usual): (i32, i32)) -> Result<u32, AuthError> {
    let size = if size == 0 { usual } else { size };
    let bad = || AuthError::invalid_field("page_size", format!("must be 0 to {most}"));
    u32::try_from(size).ok().filter(|_| size <= most).ok_or_else(bad)
}

pub(super) fn create_user(message: v1::CreateUserRequest) -> Result<CreateUser, AuthError> {
    let v1::CreateUserRequest {
        username: name,
        credential,
        roles: names,
        custom_claims,
        user_id: id,
        request_id,
        external_id: external,
    } = message;
    let username = username("username", &name)?;
    let credential = match credential {
        Some(v1::create_user_request::Credential::Password(password)) => {
            NewCredential::Password(password.into())
        }
        Some(v1::create_user_request::Credential::PasswordHash(hash)) => NewCredential::Hash(hash.into()),
        None => return Err(AuthError::invalid_field("password", "must be given, or password_hash")),
    };
    let id = match (id.as_str(), request_id.as_str()) {
        ("", "") => None,
        (id, "") => Some(user_id("user_id", id)?),
        ("", request) => {
            let id = id_of_request("countersign.v1.CreateUser", check_request_id(request)?);
            Some(UserId::from_bytes(id))
        }
        _ => return Err(AuthError::invalid_field("request_id", "must not come together with user_id")),
    };
    Ok(CreateUser {
        id,
        username,
        credential,
        roles: roles(&names)?,
        claims: claims("custom_claims", custom_claims)?,
        external_id: external_id("external_id", &external)?,
    })
}

/// A `request_id` that is not too long.
pub(super) fn check_request_id(request_id: &str) -> Result<&str, AuthError> {
    let bad =
        || AuthError::invalid_field("request_id", format!("must have at most {REQUEST_ID_MAX_BYTES} bytes"));
    Some(request_id).filter(|id| id.len() <= REQUEST_ID_MAX_BYTES).ok_or_else(bad)
}

/// The id of what a request of this method makes: always the same one, and a UUID of version 8 (RFC 9562 §5.8), whose bits
/// are ours to choose.
pub(super) fn id_of_request(method: &str, request_id: &str) -> [u8; 16] {
    let digest = digest(&SHA256, format!("{method}\n{request_id}").as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest.as_ref()[..16]);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    bytes
}

pub(super) fn update_user(message: v1::UpdateUserRequest) -> Result<(UserRef, ChangeUser), AuthError> {
    let v1::UpdateUserRequest { user, change, update_mask, etag } = message;
    let user = user_ref(user)?;
    let v1::UserChange { roles: names, custom_claims, external_id: external } = change.unwrap_or_default();
    let mut change = ChangeUser { unchanged_since: read_etag(&etag)?, ..ChangeUser::default() };
    for path in update_mask.unwrap_or_default().paths {
        match path.as_str() {
            "roles" => change.roles = Some(roles(&names)?),
            "custom_claims" => change.claims = Some(claims("change.custom_claims", custom_claims.clone())?),
            "external_id" => change.external_id = Some(external_id("change.external_id", &external)?),
            _ => {
                return Err(AuthError::invalid_field(
                    "update_mask",
                    "must name roles, custom_claims, external_id or several of them",
                ));
            }
        }
    }
    if change.roles.is_none() && change.claims.is_none() && change.external_id.is_none() {
        return Err(AuthError::invalid_field("update_mask", "must not be empty"));
    }
    Ok((user, change))
}

/// How long a token for a password is good.
pub(super) fn reset_ttl(ttl: Option<prost_types::Duration>) -> Result<Duration, AuthError> {
    const USUAL: Duration = Duration::from_hours(1);
    let ttl = ttl.map_or(Ok(USUAL), convert::duration);
    let bounds = Duration::from_secs(1)..=LONGEST_RESET;
    let bad = || AuthError::invalid_field("ttl", "must be 1 second to 24 hours");
    ttl.ok().filter(|ttl| bounds.contains(ttl)).ok_or_else(bad)
}

pub(super) fn filter(filter: Option<v1::UserFilter>) -> Result<UserFilter, AuthError> {
    let v1::UserFilter { username_prefix, role, disabled } = filter.unwrap_or_default();
    let prefix = match username_prefix.as_str() {
        "" => None,
        prefix => Some(username("filter.username_prefix", prefix)?),
    };
    let role = match role.as_str() {
        "" => None,
        role => Some(
            Role::parse(role)
                .map_err(|error| AuthError::invalid_field("filter.role", format!("is refused: {error}")))?,
        ),
    };
    Ok(UserFilter { prefix, role, disabled })
}

pub(super) fn bad_page_token() -> AuthError {
    AuthError::invalid_field("page_token", "must be the next_page_token of an earlier page")
}

/// The name at which a list in order of names goes on.
pub(super) fn text_of_place(token: &str) -> Result<Option<String>, AuthError> {
    if token.is_empty() {
        return Ok(None);
    }
    let text = URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    text.map(Some).ok_or_else(bad_page_token)
}

/// Where a list of users goes on.
pub(super) fn name_of_place(token: &str) -> Result<Option<Username>, AuthError> {
    match text_of_place(token)? {
        Some(name) if name.len() > Username::MAX_BYTES => Err(bad_page_token()),
        name => Ok(name.map(Username::from_normalized)),
    }
}

/// Where a list of sessions goes on.
pub(super) fn session_place(token: &str) -> Result<Option<SessionPlace>, AuthError> {
    if token.is_empty() {
        return Ok(None);
    }
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| bad_page_token())?;
    let (time, session) = bytes.split_first_chunk::<8>().ok_or_else(bad_page_token)?;
    let session: [u8; 16] = session.try_into().map_err(|_| bad_page_token())?;
    Ok(Some(SessionPlace {
        created_at: UnixMillis(i64::from_be_bytes(*time)),
        session: SessionId::from_bytes(session),
    }))
}

pub(super) fn token_of_place(place: SessionPlace) -> String {
    let mut bytes = place.created_at.0.to_be_bytes().to_vec();
    bytes.extend_from_slice(place.session.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Names what was read, by when it was changed last.
pub(super) fn etag(updated_at: UnixMillis) -> String {
    URL_SAFE_NO_PAD.encode(updated_at.0.to_be_bytes())
}

pub(super) fn read_etag(text: &str) -> Result<Option<UnixMillis>, AuthError> {
    if text.is_empty() {
        return Ok(None);
    }
    let bytes = URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
    let bad = || AuthError::invalid_field("etag", "must be an etag that was read, or empty");
    Ok(Some(UnixMillis(i64::from_be_bytes(bytes.ok_or_else(bad)?))))
}

pub(in crate::grpc) fn claims(
    field: &str,
    claims: Option<prost_types::Struct>,
) -> Result<CustomClaims, AuthError> {
    let claims = object(claims.unwrap_or_default(), CustomClaims::MAX_DEPTH);
    let refused = |what: String| AuthError::invalid_field(field, what);
    let claims = claims.ok_or_else(|| {
        refused(format!("must be JSON, {} levels deep at most, with finite numbers", CustomClaims::MAX_DEPTH))
    })?;
    CustomClaims::new(claims).map_err(|error| refused(format!("are refused: {error}")))
}

/// JSON as protobuf has it; `None` for what is deeper than `levels`, or is no JSON.
pub(super) fn object(message: prost_types::Struct, levels: usize) -> Option<Map<String, Value>> {
    let levels = levels.checked_sub(1)?;
    message.fields.into_iter().map(|(name, item)| Some((name, value(item, levels)?))).collect()
}

fn value(message: prost_types::Value, levels: usize) -> Option<Value> {
    Some(match message.kind? {
        Kind::NullValue(_) => Value::Null,
        Kind::BoolValue(truth) => Value::Bool(truth),
        Kind::NumberValue(number) => Value::Number(self::number(number)?),
        Kind::StringValue(text) => Value::String(text),
        Kind::ListValue(list) => {
            let levels = levels.checked_sub(1)?;
            Value::Array(list.values.into_iter().map(|item| value(item, levels)).collect::<Option<_>>()?)
        }
        Kind::StructValue(fields) => Value::Object(object(fields, levels)?),
    })
}

/// A whole number stays one: protobuf knows doubles alone, and `7` must not become `7.0`.
fn number(number: f64) -> Option<Number> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() <= EXACT {
        #[allow(clippy::cast_possible_truncation, reason = "whole, and within 2^53")]
        return Some(Number::from(number as i64));
    }
    Number::from_f64(number)
}

impl From<User> for v1::User {
    fn from(user: User) -> Self {
        Self {
            etag: etag(user.updated_at),
            id: user.id.to_string(),
            username: user.username.as_str().to_owned(),
            roles: user.roles.iter().map(|role| role.as_str().to_owned()).collect(),
            custom_claims: Some(convert::object(user.claims.as_map())),
            external_id: user.external_id.map(|id| id.as_str().to_owned()).unwrap_or_default(),
            disabled: user.disabled,
            created_at: Some(convert::timestamp(user.created_at)),
            updated_at: Some(convert::timestamp(user.updated_at)),
        }
    }
}

impl From<Result<HashCheck, RowRefusal>> for v1::CheckPasswordHashResponse {
    fn from(checked: Result<HashCheck, RowRefusal>) -> Self {
        use v1::check_password_hash_response::Result as Outcome;

        let result = match checked {
            Ok(HashCheck { format, wrapped, matches }) => {
                Outcome::Accepted(v1::AcceptedPasswordHash { format: format.to_owned(), wrapped, matches })
            }
            Err(refusal) => Outcome::Refused(refusal.into()),
        };
        Self { result: Some(result) }
    }
}

impl From<Session> for v1::Session {
    fn from(session: Session) -> Self {
        Self {
            id: session.id.to_string(),
            client: Some(v1::Client {
                name: session.client.name,
                user_agent: session.client.user_agent,
                address: session.client.address,
                class: session.client.class,
            }),
            audiences: session.audiences,
            created_at: Some(convert::timestamp(session.created_at)),
            refreshed_at: Some(convert::timestamp(session.line.rotated_at)),
            idle_expires_at: Some(convert::timestamp(session.idle_expires_at)),
            expires_at: Some(convert::timestamp(session.expires_at)),
        }
    }
}

impl From<EndCause> for v1::SessionEndCause {
    fn from(cause: EndCause) -> Self {
        match cause {
            EndCause::LoggedOut => Self::LoggedOut,
            EndCause::LoggedOutEverywhere => Self::LoggedOutEverywhere,
            EndCause::PasswordChanged => Self::PasswordChanged,
            EndCause::SignedInElsewhere => Self::SignedInElsewhere,
            EndCause::RevokedByAdministrator => Self::RevokedByAdministrator,
            EndCause::UserDisabled => Self::UserDisabled,
            EndCause::UserDeleted => Self::UserDeleted,
            EndCause::TokenReused => Self::TokenReused,
        }
    }
}

impl From<Explanation> for v1::ExplainSessionResponse {
    fn from(explanation: Explanation) -> Self {
        let state = match explanation {
            Explanation::Alive => v1::SessionState::Alive,
            Explanation::Revoked(_) => v1::SessionState::Revoked,
            Explanation::Unknown => v1::SessionState::Unknown,
        };
        let answer = Self { state: state.into(), ..Self::default() };
        let Explanation::Revoked(Some(SessionEnd { cause, actor, at })) = explanation else { return answer };
        let cause = cause.map(v1::SessionEndCause::from);
        Self {
            cause: cause.unwrap_or_default().into(),
            actor,
            ended_at: Some(convert::timestamp(at)),
            ..answer
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_come_through_protobuf_as_they_were() {
        let json = r#"{"a":[1,2.5,-3,null,true,"x",{"b":{}}],"n":9007199254740992}"#;
        let map = CustomClaims::parse(json).unwrap();
        let again = claims("custom_claims", Some(convert::object(map.as_map()))).unwrap();
        assert_eq!(again.to_json(), json);
    }

    #[test]
    fn what_is_no_json_or_too_deep_is_refused() {
        let of = |kind| prost_types::Value { kind };
        let nested = |levels: usize| {
            (0..levels).fold(prost_types::Struct::default(), |inner, _| prost_types::Struct {
                fields: [("x".to_owned(), of(Some(Kind::StructValue(inner))))].into(),
            })
        };
        assert!(claims("c", Some(nested(CustomClaims::MAX_DEPTH - 1))).is_ok());
        assert!(claims("c", Some(nested(CustomClaims::MAX_DEPTH))).is_err());
        for bad in [None, Some(Kind::NumberValue(f64::NAN)), Some(Kind::NumberValue(f64::INFINITY))] {
            let fields = [("x".to_owned(), of(bad))].into();
            assert!(claims("c", Some(prost_types::Struct { fields })).is_err());
        }
    }

    #[test]
    fn a_place_in_a_list_is_found_again() {
        let place = SessionPlace { created_at: UnixMillis(7), session: SessionId::from_bytes([3; 16]) };
        assert_eq!(session_place(&token_of_place(place)).unwrap(), Some(place));
        for bad in ["x", "AAAA", "!", &token_of_place(place)[1..]] {
            assert!(session_place(bad).is_err(), "{bad}");
            assert!(read_etag(bad).is_err(), "{bad}");
        }
        assert!(name_of_place("!").is_err());
        assert!(name_of_place(&URL_SAFE_NO_PAD.encode([0xff])).is_err());
    }

    #[test]
    fn a_cause_has_one_name_in_errors_and_in_the_contract() {
        for cause in EndCause::ALL {
            let expected = format!("SESSION_END_CAUSE_{}", cause.as_str());
            assert_eq!(v1::SessionEndCause::from(cause).as_str_name(), expected);
        }
    }

    #[test]
    fn one_request_makes_one_id() {
        let of = |method, request| UserId::from_bytes(id_of_request(method, request)).to_string();
        let id = of("m", "a");
        assert_eq!(id, of("m", "a"));
        assert_ne!(id, of("m", "b"));
        assert_ne!(id, of("n", "a"));
        assert_eq!(&id[14..15], "8", "the version of {id}");
    }
}
