//! `Authorization: Bearer` (RFC 6750 §2.1).

use http::HeaderMap;
use http::header::AUTHORIZATION;
use secrecy::SecretString;

use super::refusal::Refused;
use crate::auth::AuthError;
use crate::reason::Reason;
use crate::transport::bearer_token;

/// What every refresh token begins with, for ever: so that one is told from an access token by its looks.
const REFRESH_PREFIX: &str = "csgn_rt_";

/// The bearer token, if there is one. Credentials of another scheme are none of ours; two are an ambiguity that
/// somebody may have put there on purpose.
pub(super) fn find(headers: &HeaderMap) -> Result<Option<SecretString>, Refused> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(AuthError::invalid_field("", "must have one Authorization header").into());
    }
    Ok(bearer_token(value.as_bytes())?.map(Into::into))
}

/// The bearer token, without which nothing goes on.
pub(super) fn require(headers: &HeaderMap) -> Result<SecretString, Refused> {
    find(headers)?.ok_or_else(|| Reason::TokenMissing.into())
}

/// Whether a token looks like a refresh token.
pub(super) fn is_refresh_token(token: &str) -> bool {
    token.starts_with(REFRESH_PREFIX)
}
