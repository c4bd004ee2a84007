//! Between the contract's messages and the use cases' own types.

use std::net::IpAddr;
use std::time::Duration;

use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Timestamp, Value as ProtoValue};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value};

use super::proto::v1;
use crate::auth::{
    AuthError, FieldViolation, InvalidReason, Login, LoginRequest, LogoutRequest, LogoutToken,
    RefreshRequest, SessionSummary, TokenPair, Verification, VerifiedToken, Verify, VerifyRequest, bounds,
};
use crate::model::{ClientFacts, UnixMillis};

/// Reads a login; a client that names no address has the one that it calls from.
pub(super) fn login(message: v1::LoginRequest, peer: Option<IpAddr>) -> Result<LoginRequest, AuthError> {
    let v1::Client { name, user_agent, address } = message.client.unwrap_or_default();
    let address = match peer {
        Some(peer) if address.is_empty() => peer.to_string(),
        _ => address,
    };
    let request = LoginRequest {
        username: message.username,
        password: message.password.into(),
        audiences: message.audiences,
        client: ClientFacts { address, user_agent, name },
    };
    request.check()?;
    Ok(request)
}

/// Reads a refresh.
pub(super) fn refresh(message: v1::RefreshRequest) -> Result<RefreshRequest, AuthError> {
    let request = RefreshRequest { refresh_token: message.refresh_token.into() };
    request.check()?;
    Ok(request)
}

/// Reads a logout.
pub(super) fn logout(message: v1::LogoutRequest) -> Result<LogoutRequest, AuthError> {
    use v1::logout_request::Token;

    let token = match message.token {
        Some(Token::RefreshToken(token)) => LogoutToken::Refresh(token.into()),
        Some(Token::AccessToken(token)) => LogoutToken::Access(token.into()),
        None => return Err(AuthError::invalid_field("token", "must be one of refresh_token, access_token")),
    };
    let request = LogoutRequest { token, everywhere: message.everywhere };
    request.check()?;
    Ok(request)
}

/// Reads a verification.
pub(super) fn verify(message: v1::VerifyAccessTokenRequest) -> Result<VerifyRequest, AuthError> {
    let max_staleness = message.max_staleness.map(duration).transpose();
    let mut request = VerifyRequest {
        access_token: message.access_token.into(),
        audiences: message.audiences,
        max_staleness: None,
    };
    let mut violations = request.violations();
    match max_staleness {
        Ok(bound) => request.max_staleness = bound,
        Err(description) => violations.push(FieldViolation::new("max_staleness", description)),
    }
    bounds::verdict(violations)?;
    Ok(request)
}

/// A duration that has not run backwards and is as `google/protobuf/duration.proto` allows.
fn duration(message: prost_types::Duration) -> Result<Duration, &'static str> {
    const MAX_SECONDS: u64 = 315_576_000_000;
    let seconds = u64::try_from(message.seconds).map_err(|_| "must not be negative")?;
    let nanos = u32::try_from(message.nanos).map_err(|_| "must not be negative")?;
    if seconds > MAX_SECONDS || nanos > 999_999_999 {
        return Err("must be a valid duration");
    }
    Ok(Duration::new(seconds, nanos))
}

impl From<Login> for v1::LoginResponse {
    fn from(login: Login) -> Self {
        Self { tokens: Some(login.tokens.into()), session: Some(login.session.into()) }
    }
}

impl From<TokenPair> for v1::Tokens {
    fn from(pair: TokenPair) -> Self {
        let exposed = |token: &SecretString| token.expose_secret().to_owned();
        Self {
            access_token: exposed(&pair.access_token),
            refresh_token: exposed(&pair.refresh_token),
            token_type: "Bearer".to_owned(),
            access_expires_at: Some(timestamp(pair.access_expires_at)),
            refresh_expires_at: Some(timestamp(pair.refresh_expires_at)),
            expires_in: i64::try_from(pair.expires_in.as_secs()).unwrap_or(i64::MAX),
        }
    }
}

impl From<SessionSummary> for v1::SessionInfo {
    fn from(session: SessionSummary) -> Self {
        Self {
            id: session.id.to_string(),
            subject: session.user.to_string(),
            username: session.username,
            created_at: Some(timestamp(session.created_at)),
            expires_at: Some(timestamp(session.expires_at)),
        }
    }
}

impl From<Verify> for v1::VerifyAccessTokenResponse {
    fn from(verify: Verify) -> Self {
        use v1::verify_access_token_response::Result as Outcome;

        let outcome = match verify.verification {
            Verification::Verified(token) => Outcome::Verified((*token).into()),
            Verification::Invalid(reason) => {
                Outcome::Invalid(v1::InvalidToken { reason: v1::InvalidReason::from(reason).into() })
            }
        };
        let staleness = verify.revocation_staleness;
        let revocation_staleness = staleness.and_then(|staleness| staleness.try_into().ok());
        Self { result: Some(outcome), revocation_staleness }
    }
}

impl From<VerifiedToken> for v1::VerifiedToken {
    fn from(token: VerifiedToken) -> Self {
        Self {
            subject: token.subject.to_string(),
            username: token.username,
            session_id: token.session.to_string(),
            roles: token.roles,
            audiences: token.audiences,
            token_id: token.token_id,
            issued_at: Some(timestamp(UnixMillis::from_secs(token.issued_at))),
            expires_at: Some(timestamp(UnixMillis::from_secs(token.expires_at))),
            auth_time: Some(timestamp(UnixMillis::from_secs(token.auth_time))),
            amr: token.amr,
            custom_claims: Some(object(token.custom)),
        }
    }
}

impl From<InvalidReason> for v1::InvalidReason {
    fn from(reason: InvalidReason) -> Self {
        match reason {
            InvalidReason::Expired => Self::Expired,
            InvalidReason::NotYetValid => Self::NotYetValid,
            InvalidReason::Malformed => Self::Malformed,
            InvalidReason::BadSignature => Self::BadSignature,
            InvalidReason::UnknownKey => Self::UnknownKey,
            InvalidReason::WrongAudience => Self::WrongAudience,
            InvalidReason::WrongIssuer => Self::WrongIssuer,
            InvalidReason::WrongType => Self::WrongType,
            InvalidReason::Revoked => Self::Revoked,
        }
    }
}

fn timestamp(at: UnixMillis) -> Timestamp {
    let nanos = i32::try_from(at.0.rem_euclid(1000) * 1_000_000).unwrap_or(0);
    Timestamp { seconds: at.as_secs(), nanos }
}

fn object(map: Map<String, Value>) -> Struct {
    Struct { fields: map.into_iter().map(|(name, item)| (name, value(item))).collect() }
}

/// A JSON value as protobuf has it. Its depth was bounded when the claim was set and again when the token was
/// read.
fn value(json: Value) -> ProtoValue {
    let kind = match json {
        Value::Null => Kind::NullValue(0),
        Value::Bool(truth) => Kind::BoolValue(truth),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        Value::String(text) => Kind::StringValue(text),
        Value::Array(items) => Kind::ListValue(ListValue { values: items.into_iter().map(value).collect() }),
        Value::Object(map) => Kind::StructValue(object(map)),
    };
    ProtoValue { kind: Some(kind) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_on_staleness_is_a_valid_duration_and_not_negative() {
        let of = |seconds, nanos| duration(prost_types::Duration { seconds, nanos });
        assert_eq!(of(0, 0), Ok(Duration::ZERO));
        assert_eq!(of(1, 500_000_000), Ok(Duration::from_millis(1500)));
        assert_eq!(of(315_576_000_000, 0), Ok(Duration::from_hours(87_660_000)));
        for (seconds, nanos) in
            [(-1, 0), (0, -1), (1, -1), (0, 1_000_000_000), (i64::MAX, 0), (i64::MIN, i32::MIN)]
        {
            assert!(of(seconds, nanos).is_err(), "{seconds} s {nanos} ns");
        }
    }

    #[test]
    fn times_before_1970_keep_their_order() {
        assert_eq!(timestamp(UnixMillis(1_500)), Timestamp { seconds: 1, nanos: 500_000_000 });
        assert_eq!(timestamp(UnixMillis(-1)), Timestamp { seconds: -1, nanos: 999_000_000 });
    }

    #[test]
    fn a_caller_without_an_address_of_its_own_has_the_peers() {
        let message = |address: &str| v1::LoginRequest {
            username: "ada".to_owned(),
            password: "secret".to_owned(),
            client: Some(v1::Client { address: address.to_owned(), ..Default::default() }),
            ..Default::default()
        };
        let peer = Some(IpAddr::from([192, 0, 2, 1]));
        assert_eq!(login(message(""), peer).unwrap().client.address, "192.0.2.1");
        assert_eq!(login(message("198.51.100.7"), peer).unwrap().client.address, "198.51.100.7");
        assert_eq!(login(message(""), None).unwrap().client.address, "");
    }
}
