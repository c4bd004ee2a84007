//! Between the contract's messages and the use cases' own types.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use countersign_verifier::{KeySet, Revoked, SubjectKind};
use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Timestamp, Value as ProtoValue};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value};

use super::proto::v1;
use crate::auth::{
    AuthError, ChangePassword, FieldViolation, InvalidReason, Login, LoginRequest, LogoutRequest,
    LogoutToken, MOST_SESSIONS_AT_ONCE, RefreshRequest, RevokeOwnSessions, ServiceToken, SessionSummary,
    TokenPair, Verification, VerifiedToken, Verify, VerifyRequest, WhichSessions, bounds,
};
use crate::model::{ClientFacts, Position, SessionId, UnixMillis};

/// Reads a change of a password.
pub(super) fn change_password(message: v1::ChangePasswordRequest) -> Result<ChangePassword, AuthError> {
    let v1::ChangePasswordRequest { refresh_token, current_password, new_password } = message;
    let request = ChangePassword {
        refresh_token: refresh_token.into(),
        current_password: current_password.into(),
        new_password: new_password.into(),
    };
    request.check()?;
    Ok(request)
}

/// The sessions that are named; `None` where the field `wider` asks for more than can be named.
pub(super) fn session_ids(
    ids: &[String],
    wider: &str,
    is_wider: bool,
) -> Result<Option<BTreeSet<SessionId>>, AuthError> {
    match (ids, is_wider) {
        ([], true) => return Ok(None),
        ([], false) => {
            return Err(AuthError::invalid_field(
                "session_ids",
                format!("must not be empty without {wider}"),
            ));
        }
        (_, true) => return Err(AuthError::invalid_field(wider, "must not come together with session_ids")),
        _ if ids.len() > MOST_SESSIONS_AT_ONCE => {
            let what = format!("must be at most {MOST_SESSIONS_AT_ONCE}");
            return Err(AuthError::invalid_field("session_ids", what));
        }
        _ => {}
    }
    let id = |(place, id): (usize, &String)| session_id(&format!("session_ids[{place}]"), id);
    ids.iter().enumerate().map(id).collect::<Result<_, _>>().map(Some)
}

/// The session that is named.
pub(super) fn session_id(field: &str, id: &str) -> Result<SessionId, AuthError> {
    id.parse().map_err(|_| AuthError::invalid_field(field, "must be 22 characters of base64url"))
}

/// Reads which of their own sessions a user wants to end.
pub(super) fn revoke_own_sessions(
    message: v1::RevokeOwnSessionsRequest,
) -> Result<RevokeOwnSessions, AuthError> {
    let v1::RevokeOwnSessionsRequest { refresh_token, session_ids, others } = message;
    let which = match self::session_ids(&session_ids, "others", others)? {
        Some(ids) => WhichSessions::These(ids.into_iter().collect()),
        None => WhichSessions::Others,
    };
    let RefreshRequest { refresh_token } = refresh(v1::RefreshRequest { refresh_token })?;
    Ok(RevokeOwnSessions { refresh_token, which })
}

/// Reads a login; a client that names no address has the one that it calls from.
pub(super) fn login(message: v1::LoginRequest, peer: Option<IpAddr>) -> Result<LoginRequest, AuthError> {
    let v1::Client { name, user_agent, address, class } = message.client.unwrap_or_default();
    let address = match peer {
        Some(peer) if address.is_empty() => peer.to_string(),
        _ => address,
    };
    let request = LoginRequest {
        username: message.username,
        password: message.password.into(),
        audiences: message.audiences,
        client: ClientFacts { address, user_agent, name, class },
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

/// Reads a verification, and the position that must be known first.
pub(super) fn verify(
    message: v1::VerifyAccessTokenRequest,
) -> Result<(VerifyRequest, Option<Position>), AuthError> {
    let mut request = VerifyRequest {
        access_token: message.access_token.into(),
        audiences: message.audiences,
        max_staleness: None,
    };
    let mut violations = request.violations();
    request.max_staleness = max_staleness(message.max_staleness, &mut violations);
    let position = bounds::at_least(&message.at_least, &mut violations);
    bounds::verdict(violations)?;
    Ok((request, position))
}

fn max_staleness(
    message: Option<prost_types::Duration>,
    violations: &mut Vec<FieldViolation>,
) -> Option<Duration> {
    message.map(duration).transpose().unwrap_or_else(|description| {
        violations.push(FieldViolation::new("max_staleness", description));
        None
    })
}

impl From<v1::VerifyStreamRequest> for v1::VerifyAccessTokenRequest {
    fn from(message: v1::VerifyStreamRequest) -> Self {
        let v1::VerifyStreamRequest { access_token, audiences, max_staleness, at_least } = message;
        Self { access_token, audiences, max_staleness, at_least }
    }
}

/// The most tokens in one batch.
pub(super) const BATCH_MAX_TOKENS: usize = 1_000;
/// The most bytes that the tokens of one batch take together.
pub(super) const BATCH_MAX_TOKEN_BYTES: usize = 1024 * 1024;

/// Reads a batch of verifications, and the position that must be known first.
pub(super) fn batch(
    message: v1::BatchVerifyAccessTokensRequest,
) -> Result<(impl Iterator<Item = VerifyRequest>, Option<Position>), AuthError> {
    let v1::BatchVerifyAccessTokensRequest { access_tokens, audiences, max_staleness: asked, at_least } =
        message;
    // What all of them share is checked once.
    let shared = VerifyRequest { access_token: SecretString::default(), audiences, max_staleness: None };
    let mut violations = shared.violations();
    let max_staleness = max_staleness(asked, &mut violations);
    let position = bounds::at_least(&at_least, &mut violations);
    if access_tokens.len() > BATCH_MAX_TOKENS {
        let what = format!("must have at most {BATCH_MAX_TOKENS} entries");
        violations.push(FieldViolation::new("access_tokens", what));
    } else if access_tokens.iter().map(String::len).sum::<usize>() > BATCH_MAX_TOKEN_BYTES {
        let what = format!("must have at most {BATCH_MAX_TOKEN_BYTES} bytes together");
        violations.push(FieldViolation::new("access_tokens", what));
    }
    bounds::verdict(violations)?;
    let audiences = shared.audiences;
    let requests = access_tokens.into_iter().map(move |token| VerifyRequest {
        access_token: token.into(),
        audiences: audiences.clone(),
        max_staleness,
    });
    Ok((requests, position))
}

/// The longer of two durations that are not negative.
pub(super) fn longer(a: prost_types::Duration, b: prost_types::Duration) -> prost_types::Duration {
    std::cmp::max_by_key(a, b, |it| (it.seconds, it.nanos))
}

/// A duration that has not run backwards and is as `google/protobuf/duration.proto` allows.
pub(super) fn duration(message: prost_types::Duration) -> Result<Duration, &'static str> {
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
            expires_in: i32::try_from(pair.expires_in.as_secs()).unwrap_or(i32::MAX),
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

/// Each method has its own type for what is the same in all of them.
macro_rules! outcome {
    ($of:ident, $verification:expr) => {
        Some(match $verification {
            Verification::Verified(token) => v1::$of::Result::Verified(identity(&token)),
            Verification::Invalid(reason) => {
                v1::$of::Result::Invalid(v1::InvalidToken { reason: v1::InvalidReason::from(reason).into() })
            }
        })
    };
}

impl From<Verify> for v1::VerifyAccessTokenResponse {
    fn from(Verify { verification, revocation_staleness }: Verify) -> Self {
        let revocation_staleness = revocation_staleness.and_then(|staleness| staleness.try_into().ok());
        Self { result: outcome!(verify_access_token_response, verification), revocation_staleness }
    }
}

impl From<Verify> for v1::VerifyStreamResponse {
    fn from(Verify { verification, revocation_staleness }: Verify) -> Self {
        let revocation_staleness = revocation_staleness.and_then(|staleness| staleness.try_into().ok());
        Self { result: outcome!(verify_stream_response, verification), revocation_staleness }
    }
}

impl From<Verification> for v1::AccessTokenVerification {
    fn from(verification: Verification) -> Self {
        Self { result: outcome!(access_token_verification, verification) }
    }
}

/// The keys, for those who verify in their own process.
pub(super) fn key_set(set: &KeySet) -> v1::WatchKeySet {
    let keys = set.iter().map(|key| v1::WatchKey {
        id: key.id().to_string(),
        algorithm: key.algorithm().name().to_owned(),
        spki: key.spki_der().to_vec(),
    });
    v1::WatchKeySet { keys: keys.collect() }
}

/// Part of what is revoked, and the position after it.
pub(super) fn revoked(entries: &[Revoked], sequence: Option<u64>) -> v1::WatchRevoked {
    let mut message = v1::WatchRevoked { sequence, ..Default::default() };
    for entry in entries {
        match *entry {
            Revoked::Session { session, forget_at } => message.sessions.push(v1::RevokedSession {
                session_id: session.as_bytes().to_vec(),
                forget_at: Some(timestamp(forget_at)),
            }),
            Revoked::User { user, epoch, forget_at } => message.users.push(v1::RevokedUser {
                subject: user.as_bytes().to_vec(),
                epoch: epoch.0,
                forget_at: Some(timestamp(forget_at)),
            }),
        }
    }
    message
}

fn identity(token: &VerifiedToken) -> v1::VerifiedToken {
    v1::VerifiedToken {
        subject: token.subject.to_string(),
        username: token.username.clone(),
        session_id: token.session.to_string(),
        roles: token.roles.clone(),
        audiences: token.audiences.clone(),
        token_id: token.token_id.clone(),
        issued_at: Some(timestamp(UnixMillis::from_secs(token.issued_at))),
        expires_at: Some(timestamp(UnixMillis::from_secs(token.expires_at))),
        auth_time: Some(timestamp(UnixMillis::from_secs(token.auth_time))),
        amr: token.amr.clone(),
        custom_claims: Some(object(&token.custom)),
        external_id: token.external_id.clone().unwrap_or_default(),
        subject_kind: v1::SubjectKind::from(token.subject_kind).into(),
    }
}

impl From<SubjectKind> for v1::SubjectKind {
    fn from(kind: SubjectKind) -> Self {
        match kind {
            SubjectKind::User => Self::User,
            SubjectKind::Service => Self::Service,
        }
    }
}

impl From<ServiceToken> for v1::IssueServiceTokenResponse {
    fn from(token: ServiceToken) -> Self {
        Self {
            access_token: token.access_token.expose_secret().to_owned(),
            token_type: "Bearer".to_owned(),
            expires_at: Some(timestamp(token.expires_at)),
            expires_in: i32::try_from(token.expires_in.as_secs()).unwrap_or(i32::MAX),
            service_account_id: token.account.to_string(),
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

pub(super) fn timestamp(at: UnixMillis) -> Timestamp {
    let nanos = i32::try_from(at.0.rem_euclid(1000) * 1_000_000).unwrap_or(0);
    Timestamp { seconds: at.as_secs(), nanos }
}

/// A time of a message; the error is one that is none.
pub(super) fn unix_millis(time: Timestamp) -> Result<UnixMillis, ()> {
    let Timestamp { seconds, nanos } = time;
    let millis = if (0..1_000_000_000).contains(&nanos) { Some(i64::from(nanos / 1_000_000)) } else { None };
    let millis = millis.and_then(|millis| seconds.checked_mul(1000)?.checked_add(millis));
    millis.map(UnixMillis).ok_or(())
}

pub(super) fn object(map: &Map<String, Value>) -> Struct {
    Struct { fields: map.iter().map(|(name, item)| (name.clone(), value(item))).collect() }
}

/// A JSON value as protobuf has it. Its depth was bounded when the claim was set and again when the token was
/// read.
fn value(json: &Value) -> ProtoValue {
    let kind = match json {
        Value::Null => Kind::NullValue(0),
        Value::Bool(truth) => Kind::BoolValue(*truth),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        Value::String(text) => Kind::StringValue(text.clone()),
        Value::Array(items) => Kind::ListValue(ListValue { values: items.iter().map(value).collect() }),
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
