//! Between the contract's messages, as JSON reads and writes them, and the use cases' own types.

use std::sync::Arc;
use std::time::Duration;

use countersign_verifier::SubjectKind;
use prost_reflect::{DynamicMessage, Value};
use secrecy::{ExposeSecret as _, SecretString};

use super::contract::{descriptor, message};
use crate::auth::{
    AuthError, FieldViolation, InvalidReason, LoginRequest, LogoutToken, OwnSessions, SessionSummary,
    TokenPair, Verification, VerifiedToken, Verify, VerifyRequest, bounds,
};
use crate::model::{ClientFacts, Position, Session, UnixMillis};

/// Takes a string out of a message; empty when it has none.
pub(super) fn text(message: &mut DynamicMessage, field: &str) -> String {
    match message.take_field_by_name(field) {
        Some(Value::String(text)) => text,
        _ => String::new(),
    }
}

fn texts(message: &mut DynamicMessage, field: &str) -> Vec<String> {
    let Some(Value::List(items)) = message.take_field_by_name(field) else { return Vec::new() };
    let text = |item| if let Value::String(text) = item { Some(text) } else { None };
    items.into_iter().filter_map(text).collect()
}

fn part(message: &mut DynamicMessage, field: &str) -> Option<DynamicMessage> {
    match message.take_field_by_name(field) {
        Some(Value::Message(part)) => Some(part),
        _ => None,
    }
}

/// Reads a `LoginRequest`. What the client does not say of itself is what the transport knows of it.
pub(super) fn login(mut message: DynamicMessage, known: ClientFacts) -> Result<LoginRequest, AuthError> {
    let mut client = part(&mut message, "client");
    let mut said = |field| client.as_mut().map(|client| text(client, field)).unwrap_or_default();
    let or = |said: String, known: String| if said.is_empty() { known } else { said };
    let client = ClientFacts {
        address: or(said("address"), known.address),
        user_agent: or(said("user_agent"), known.user_agent),
        name: or(said("name"), known.name),
        class: said("class"),
    };
    let request = LoginRequest {
        username: text(&mut message, "username"),
        password: text(&mut message, "password").into(),
        audiences: texts(&mut message, "audiences"),
        client,
    };
    request.check()?;
    Ok(request)
}

/// Reads the token of a `LogoutRequest`, if it has one, and whether every session is to end.
pub(super) fn logout(mut message: DynamicMessage) -> (Option<LogoutToken>, bool) {
    let everywhere = matches!(message.take_field_by_name("everywhere"), Some(Value::Bool(true)));
    let token = if message.has_field_by_name("refresh_token") {
        Some(LogoutToken::Refresh(text(&mut message, "refresh_token").into()))
    } else if message.has_field_by_name("access_token") {
        Some(LogoutToken::Access(text(&mut message, "access_token").into()))
    } else {
        None
    };
    (token, everywhere)
}

/// Reads a `VerifyAccessTokenRequest`, and the position that must be known first.
pub(super) fn verify(mut message: DynamicMessage) -> Result<(VerifyRequest, Option<Position>), AuthError> {
    let bound = part(&mut message, "max_staleness").map(|bound| duration_of(&bound)).transpose();
    let mut request = VerifyRequest {
        access_token: text(&mut message, "access_token").into(),
        audiences: texts(&mut message, "audiences"),
        max_staleness: None,
    };
    let mut violations = request.violations();
    match bound {
        Ok(bound) => request.max_staleness = bound,
        Err(description) => violations.push(FieldViolation::new("max_staleness", description)),
    }
    let position = bounds::at_least(&text(&mut message, "at_least"), &mut violations);
    bounds::verdict(violations)?;
    Ok((request, position))
}

/// The field that says where the ledger tells of a change.
pub(super) fn position(position: Position) -> (&'static str, Value) {
    ("position", Value::String(position.to_string()))
}

/// A duration that has not run backwards; the JSON mapping has checked its range.
fn duration_of(message: &DynamicMessage) -> Result<Duration, &'static str> {
    let seconds = message.get_field_by_name("seconds").and_then(|value| value.as_i64()).unwrap_or(0);
    let nanos = message.get_field_by_name("nanos").and_then(|value| value.as_i32()).unwrap_or(0);
    match (u64::try_from(seconds), u32::try_from(nanos)) {
        (Ok(seconds), Ok(nanos)) => Ok(Duration::new(seconds, nanos)),
        _ => Err("must not be negative"),
    }
}

/// `Tokens`; without the refresh token where that travels in a cookie.
pub(super) fn tokens(pair: &TokenPair, with_refresh_token: bool) -> DynamicMessage {
    let exposed = |token: &SecretString| Value::String(token.expose_secret().to_owned());
    let seconds = i32::try_from(pair.expires_in.as_secs()).unwrap_or(i32::MAX);
    let mut tokens = message(
        "Tokens",
        [
            ("access_token", exposed(&pair.access_token)),
            ("token_type", Value::String("Bearer".to_owned())),
            ("access_expires_at", timestamp(pair.access_expires_at)),
            ("refresh_expires_at", timestamp(pair.refresh_expires_at)),
            ("expires_in", Value::I32(seconds)),
        ],
    );
    if with_refresh_token {
        tokens.set_field_by_name("refresh_token", exposed(&pair.refresh_token));
    }
    tokens
}

/// `SessionInfo`.
pub(super) fn session(session: SessionSummary) -> DynamicMessage {
    message(
        "SessionInfo",
        [
            ("id", Value::String(session.id.to_string())),
            ("subject", Value::String(session.user.to_string())),
            ("username", Value::String(session.username)),
            ("created_at", timestamp(session.created_at)),
            ("expires_at", timestamp(session.expires_at)),
        ],
    )
}

/// `ListOwnSessionsResponse`, with as many sessions as a page of `ListSessions` has.
pub(super) fn own_sessions(own: OwnSessions) -> DynamicMessage {
    const MOST: usize = 500;

    let sessions = own.sessions.into_iter().take(MOST).map(|session| Value::Message(own_session(session)));
    message(
        "ListOwnSessionsResponse",
        [
            ("current_session_id", Value::String(own.current.to_string())),
            ("sessions", Value::List(sessions.collect())),
        ],
    )
}

/// `Session`.
fn own_session(session: Session) -> DynamicMessage {
    let client = [
        ("name", Value::String(session.client.name)),
        ("user_agent", Value::String(session.client.user_agent)),
        ("address", Value::String(session.client.address)),
        ("class", Value::String(session.client.class)),
    ];
    let audiences = session.audiences.into_iter().map(Value::String).collect();
    message(
        "Session",
        [
            ("id", Value::String(session.id.to_string())),
            ("client", Value::Message(message("Client", client))),
            ("audiences", Value::List(audiences)),
            ("created_at", timestamp(session.created_at)),
            ("refreshed_at", timestamp(session.line.rotated_at)),
            ("idle_expires_at", timestamp(session.idle_expires_at)),
            ("expires_at", timestamp(session.expires_at)),
        ],
    )
}

/// `VerifyAccessTokenResponse`.
pub(super) fn verification(verify: Verify) -> DynamicMessage {
    let outcome = match verify.verification {
        Verification::Verified(token) => ("verified", Value::Message(verified(Arc::unwrap_or_clone(token)))),
        Verification::Invalid(reason) => {
            let number = descriptor("InvalidToken").get_field_by_name("reason").and_then(|field| {
                field.kind().as_enum()?.get_value_by_name(invalid_reason(reason)).map(|it| it.number())
            });
            (
                "invalid",
                Value::Message(message("InvalidToken", [("reason", Value::EnumNumber(number.unwrap_or(0)))])),
            )
        }
    };
    let mut answer = message("VerifyAccessTokenResponse", [outcome]);
    if let Some(staleness) = verify.revocation_staleness {
        answer.set_field_by_name("revocation_staleness", Value::Message(duration(staleness)));
    }
    answer
}

/// `google.protobuf.Duration`.
pub(super) fn duration(of: Duration) -> DynamicMessage {
    let seconds = i64::try_from(of.as_secs()).unwrap_or(i64::MAX);
    let nanos = i32::try_from(of.subsec_nanos()).unwrap_or(0);
    message("google.protobuf.Duration", [("seconds", Value::I64(seconds)), ("nanos", Value::I32(nanos))])
}

/// `VerifiedToken`.
pub(super) fn verified(token: VerifiedToken) -> DynamicMessage {
    let list = |texts: Vec<String>| Value::List(texts.into_iter().map(Value::String).collect());
    let seconds = |at| timestamp(UnixMillis::from_secs(at));
    let custom = serde_json::Value::Object(token.custom);
    let custom = DynamicMessage::deserialize(descriptor("google.protobuf.Struct"), custom);
    let mut answer = message(
        "VerifiedToken",
        [
            ("subject", Value::String(token.subject.to_string())),
            ("username", Value::String(token.username)),
            ("session_id", Value::String(token.session.to_string())),
            ("roles", list(token.roles)),
            ("audiences", list(token.audiences)),
            ("token_id", Value::String(token.token_id)),
            ("issued_at", seconds(token.issued_at)),
            ("expires_at", seconds(token.expires_at)),
            ("auth_time", seconds(token.auth_time)),
            ("amr", list(token.amr)),
            ("external_id", Value::String(token.external_id.unwrap_or_default())),
            ("subject_kind", Value::EnumNumber(subject_kind(token.subject_kind))),
        ],
    );
    if let Ok(custom) = custom {
        answer.set_field_by_name("custom_claims", Value::Message(custom));
    }
    answer
}

/// The published numbers of the contract.
const fn subject_kind(kind: SubjectKind) -> i32 {
    match kind {
        SubjectKind::User => 1,
        SubjectKind::Service => 2,
    }
}

/// The published names of the contract.
const fn invalid_reason(reason: InvalidReason) -> &'static str {
    match reason {
        InvalidReason::Expired => "INVALID_REASON_EXPIRED",
        InvalidReason::NotYetValid => "INVALID_REASON_NOT_YET_VALID",
        InvalidReason::Malformed => "INVALID_REASON_MALFORMED",
        InvalidReason::BadSignature => "INVALID_REASON_BAD_SIGNATURE",
        InvalidReason::UnknownKey => "INVALID_REASON_UNKNOWN_KEY",
        InvalidReason::WrongAudience => "INVALID_REASON_WRONG_AUDIENCE",
        InvalidReason::WrongIssuer => "INVALID_REASON_WRONG_ISSUER",
        InvalidReason::WrongType => "INVALID_REASON_WRONG_TYPE",
        InvalidReason::Revoked => "INVALID_REASON_REVOKED",
    }
}

fn timestamp(at: UnixMillis) -> Value {
    let nanos = i32::try_from(at.0.rem_euclid(1000) * 1_000_000).unwrap_or(0);
    let fields = [("seconds", Value::I64(at.as_secs())), ("nanos", Value::I32(nanos))];
    Value::Message(message("google.protobuf.Timestamp", fields))
}
