use serde_json::{Map, Value};

use crate::json;
use crate::{Epoch, InvalidReason, SessionId, UserId};

/// What an access token says (RFC 7519 §4, RFC 9068 §2.2). That it is authentic says nothing yet of whether it
/// may be used: see [`verify`](crate::verify).
///
/// Times are whole seconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, PartialEq)]
pub struct Claims {
    /// `iss`: who made the token.
    pub issuer: String,
    /// `sub`: whom it speaks of.
    pub subject: UserId,
    /// `aud`: whom it is meant for; never empty.
    pub audiences: Vec<String>,
    /// `exp`: from then on it is not accepted.
    pub expires_at: i64,
    /// `iat`: when it was made.
    pub issued_at: i64,
    /// `nbf`: before that it is not accepted. Countersign does not write it.
    pub not_before: Option<i64>,
    /// `jti`: the token's own name, unique.
    pub token_id: String,
    /// `sid`: the session that it belongs to.
    pub session: SessionId,
    /// `client_id`, which tokens of service accounts have (RFC 9068 §2.2), and it is their `sub`; or its absence.
    pub subject_kind: SubjectKind,
    /// `username`: the subject's name when the token was made.
    pub username: String,
    /// `ext`: what the subject is called in another system, where that is known.
    pub external_id: Option<String>,
    /// `roles`: what the subject may do.
    pub roles: Vec<String>,
    /// `auth_time`: when the subject last proved who they are.
    pub auth_time: i64,
    /// `amr`: how they proved it (RFC 8176).
    pub amr: Vec<String>,
    /// `epoch`: the user's epoch that the session began in.
    pub epoch: Epoch,
    /// `sxp`: when the session ends whatever happens.
    pub session_expires_at: i64,
    /// Every other claim: the operator's own.
    pub custom: Map<String, Value>,
}

/// What the subject of an access token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SubjectKind {
    /// A user, who has logged in.
    #[default]
    User,
    /// A service account: a program that speaks for itself (RFC 6749 §4.4).
    Service,
}

impl SubjectKind {
    /// The name that introspection and gateways are told.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Service => "service",
        }
    }
}

impl Claims {
    /// Reads the payload of a token, once and strictly: every claim but `nbf`, `ext` and `client_id` must be there, of its one type,
    /// and no name may stand twice at any depth. Whatever is not so is [`InvalidReason::Malformed`].
    pub(crate) fn parse(payload: &[u8]) -> Result<Self, InvalidReason> {
        json::object(payload).and_then(Self::from_members).ok_or(InvalidReason::Malformed)
    }

    fn from_members(mut members: Map<String, Value>) -> Option<Self> {
        let from = &mut members;
        let subject = text(from.remove("sub")?)?;
        Some(Self {
            issuer: text(from.remove("iss")?)?,
            subject_kind: match from.remove("client_id") {
                None => SubjectKind::User,
                Some(client) if client.as_str() == Some(&subject) => SubjectKind::Service,
                Some(_) => return None,
            },
            subject: subject.parse().ok()?,
            audiences: audiences(from.remove("aud")?)?,
            expires_at: numeric_date(&from.remove("exp")?)?,
            issued_at: numeric_date(&from.remove("iat")?)?,
            not_before: match from.remove("nbf") {
                Some(value) => Some(numeric_date(&value)?),
                None => None,
            },
            token_id: text(from.remove("jti")?)?,
            session: text(from.remove("sid")?)?.parse().ok()?,
            username: text(from.remove("username")?)?,
            external_id: match from.remove("ext") {
                Some(value) => Some(text(value)?),
                None => None,
            },
            roles: texts(from.remove("roles")?)?,
            auth_time: numeric_date(&from.remove("auth_time")?)?,
            amr: texts(from.remove("amr")?)?,
            epoch: Epoch(from.remove("epoch")?.as_u64()?),
            session_expires_at: numeric_date(&from.remove("sxp")?)?,
            custom: members,
        })
    }
}

/// A string that says something and can be compared, logged and shown without surprise: not empty, and without
/// control characters. A NUL would cut it short in whatever is written in C behind us.
fn text(value: Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() && !text.chars().any(char::is_control) => Some(text),
        _ => None,
    }
}

fn texts(value: Value) -> Option<Vec<String>> {
    match value {
        Value::Array(values) => values.into_iter().map(text).collect(),
        _ => None,
    }
}

/// `aud` is one string or an array of them (RFC 7519 §4.1.3).
fn audiences(value: Value) -> Option<Vec<String>> {
    match value {
        Value::String(_) => Some(vec![text(value)?]),
        _ => texts(value).filter(|audiences| !audiences.is_empty()),
    }
}

/// A `NumericDate` (RFC 7519 §2) as we write it: an integer, not before 1970, and exact in a double, so that
/// every reader sees the same one.
fn numeric_date(value: &Value) -> Option<i64> {
    const LARGEST_EXACT: i64 = 1 << 53;
    value.as_i64().filter(|seconds| (0..=LARGEST_EXACT).contains(seconds))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn valid() -> Value {
        json!({
            "iss": "https://auth.example",
            "sub": "018f4e5c-0000-7000-8000-000000000001",
            "aud": ["orders", "billing"],
            "exp": 1_700_000_900,
            "iat": 1_700_000_000,
            "jti": "AAAAAAAAAAAAAAAAAAAAAA",
            "sid": "AQEBAQEBAQEBAQEBAQEBAQ",
            "username": "ada",
            "roles": ["admin"],
            "auth_time": 1_699_990_000,
            "amr": ["pwd"],
            "epoch": 3,
            "sxp": 1_702_000_000,
            "tenant": {"id": 7},
        })
    }

    #[test]
    fn the_claims_of_a_token_are_read() {
        let claims = Claims::parse(valid().to_string().as_bytes()).unwrap();
        assert_eq!(claims.audiences, ["orders", "billing"]);
        assert_eq!(claims.epoch, Epoch(3));
        assert_eq!(claims.not_before, None);
        assert_eq!(Value::Object(claims.custom), json!({"tenant": {"id": 7}}));
        assert_eq!(claims.external_id, None);
    }

    #[test]
    fn an_external_id_is_a_text_or_absent_and_no_custom_claim() {
        let with = |ext: Value| {
            let mut claims = valid();
            claims["ext"] = ext;
            Claims::parse(claims.to_string().as_bytes())
        };
        let claims = with("42".into()).unwrap();
        assert_eq!(claims.external_id.as_deref(), Some("42"));
        assert_eq!(claims.custom.get("ext"), None);
        for bad in [json!(42), json!(null), json!(""), json!("a\nb"), json!(["42"])] {
            assert_eq!(with(bad.clone()).unwrap_err(), InvalidReason::Malformed, "{bad}");
        }
    }

    #[test]
    fn a_service_is_its_own_client_and_nobody_else_has_one() {
        let with = |client: Value| {
            let mut claims = valid();
            claims["client_id"] = client;
            Claims::parse(claims.to_string().as_bytes())
        };
        let claims = with(valid()["sub"].clone()).unwrap();
        assert_eq!(claims.subject_kind, SubjectKind::Service);
        assert_eq!(claims.custom.get("client_id"), None);
        for bad in [json!("018f4e5c-0000-7000-8000-000000000002"), json!(""), json!(null), json!(7)] {
            assert_eq!(with(bad.clone()).unwrap_err(), InvalidReason::Malformed, "{bad}");
        }
        assert_eq!(Claims::parse(valid().to_string().as_bytes()).unwrap().subject_kind, SubjectKind::User);
    }

    #[test]
    fn every_claim_is_required_and_has_one_type() {
        let names: Vec<String> = valid().as_object().unwrap().keys().cloned().collect();
        for name in names.iter().filter(|name| *name != "tenant") {
            let mut missing = valid();
            missing.as_object_mut().unwrap().remove(name);
            assert_eq!(
                Claims::parse(missing.to_string().as_bytes()),
                Err(InvalidReason::Malformed),
                "{name}"
            );
            for other in [json!(null), json!(1.5), json!({}), json!(true), json!(""), json!([1]), json!(-1)] {
                let mut wrong = valid();
                wrong[name] = other.clone();
                let result = Claims::parse(wrong.to_string().as_bytes());
                assert_eq!(result, Err(InvalidReason::Malformed), "{name}: {other}");
            }
        }
    }

    #[test]
    fn a_date_is_an_integer_that_every_reader_sees_alike() {
        for good in ["0", "1700000000", "9007199254740992"] {
            assert!(numeric_date(&serde_json::from_str(good).unwrap()).is_some(), "{good}");
        }
        for bad in
            ["1.0", "1e9", "1E0", "\"1\"", "-1", "-0", "9007199254740993", "18446744073709551616", "null"]
        {
            assert_eq!(numeric_date(&serde_json::from_str(bad).unwrap()), None, "{bad}");
        }
    }
}
