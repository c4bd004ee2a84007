//! `POST /oauth2/introspect` (RFC 7662).

use std::borrow::Cow;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use countersign_verifier::SubjectKind;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::body;
use super::call::Call;
use super::edge::Edge;
use super::refusal::Refused;
use crate::auth::{AuthError, Verification, VerifiedToken, VerifyRequest, bounds};
use crate::model::Position;

/// Tells an authenticated client of an access token that is meant for it. Every other token is merely inactive: a
/// refresh token, one of another audience, one that is no token at all (RFC 7662 §2.2).
pub(super) async fn introspect(
    State(edge): State<Arc<Edge>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, Refused> {
    let (parts, body) = request.into_parts();
    let audiences = edge.options.clients.authenticate(&parts.headers)?.to_vec();
    let form = body::read(&parts.headers, body::FORM, body, edge.options.body_timeout).await?;
    let ask = VerifyRequest { access_token: token(&form)?, audiences, max_staleness: None };
    let context = edge.context(&call, edge.options.deadlines.verify);
    let answer = match edge.auth.verify_at_least(&context, &ask, at_least(&form)?).await?.verification {
        Verification::Verified(token) => active(Arc::unwrap_or_clone(token), &edge.options.issuer),
        Verification::Invalid(_) => json!({ "active": false }),
    };
    Ok(Json(answer).into_response())
}

/// The parameter `token` of a form, which must stand there.
pub(super) fn token(form: &[u8]) -> Result<SecretString, AuthError> {
    match once(form, "token")? {
        Some(token) if !token.is_empty() => Ok(token.into_owned().into()),
        _ => Err(AuthError::invalid_field("token", "must be given once")),
    }
}

/// The parameter `at_least` of a form, an extension of ours: the position that must be known before the answer.
fn at_least(form: &[u8]) -> Result<Option<Position>, AuthError> {
    let mut violations = Vec::new();
    let position = once(form, "at_least")?.and_then(|text| bounds::at_least(&text, &mut violations));
    bounds::verdict(violations)?;
    Ok(position)
}

/// What a parameter of a form says. None may stand there twice (RFC 6749 §3.1).
pub(super) fn once<'a>(form: &'a [u8], parameter: &'static str) -> Result<Option<Cow<'a, str>>, AuthError> {
    let mut values = form_urlencoded::parse(form).filter(|(name, _)| name == parameter);
    let first = values.next().map(|(_, value)| value);
    match values.next() {
        None => Ok(first),
        Some(_) => Err(AuthError::invalid_field(parameter, "must be given once")),
    }
}

/// The claims of the token, as it has them.
fn active(token: VerifiedToken, issuer: &str) -> Value {
    let mut answer = token.custom;
    let claims = json!({
        "active": true,
        "token_type": "Bearer",
        "iss": issuer,
        "sub": token.subject.to_string(),
        "username": token.username,
        "aud": token.audiences,
        "exp": token.expires_at,
        "iat": token.issued_at,
        "jti": token.token_id,
        "sid": token.session.to_string(),
        "roles": token.roles,
        "auth_time": token.auth_time,
        "amr": token.amr,
    });
    if token.subject_kind == SubjectKind::Service {
        answer.insert("client_id".to_owned(), token.subject.to_string().into());
    }
    if let Some(external_id) = token.external_id {
        answer.insert("ext".to_owned(), external_id.into());
    }
    if let Value::Object(claims) = claims {
        answer.extend(claims);
    }
    Value::Object(answer)
}
