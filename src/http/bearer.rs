//! `Authorization: Bearer` (RFC 6750 §2.1).

use http::HeaderMap;
use secrecy::SecretString;

use super::refusal::Refused;
use crate::reason::Reason;
use crate::transport::bearer_token;

/// What every refresh token begins with, for ever: so that one is told from an access token by its looks.
const REFRESH_PREFIX: &str = "csgn_rt_";

/// The bearer token, if there is one.
pub(super) fn find(headers: &HeaderMap) -> Result<Option<SecretString>, Refused> {
    Ok(bearer_token(headers)?.map(Into::into))
}

/// The bearer token, without which nothing goes on.
pub(super) fn require(headers: &HeaderMap) -> Result<SecretString, Refused> {
    find(headers)?.ok_or_else(|| Reason::TokenMissing.into())
}

/// Whether a token looks like a refresh token.
pub(super) fn is_refresh_token(token: &str) -> bool {
    token.starts_with(REFRESH_PREFIX)
}
