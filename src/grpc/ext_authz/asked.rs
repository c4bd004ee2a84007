//! Reads a `CheckRequest`: what came with the client's request, and what its route asks for.

use secrecy::SecretString;

use super::wire::{Entry, HttpRequest};
use crate::auth::AuthError;
use crate::auth::bounds::AUDIENCES_MAX;
use crate::model::{NotAPosition, Position};
use crate::reason::Reason;
use crate::transport::{
    self, AllowedOrigins, HeaderFields, IDENTITY_HEADERS, REQUIRED_ROLES_MAX, Sent, bearer_token,
    forwarded_https, only,
};

/// Where Envoy merges headers of one name it writes commas in between, which is one line more to whatever reads them.
impl HeaderFields for HttpRequest {
    /// Names are compared without regard to case.
    fn all<'a>(&'a self, name: &'a str) -> impl DoubleEndedIterator<Item = &'a [u8]> {
        self.every().filter(|(key, _)| key.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }
}

impl HttpRequest {
    fn every(&self) -> impl DoubleEndedIterator<Item = (&[u8], &[u8])> {
        let merged = self.headers.iter().map(|it| (it.key.as_slice(), it.value.as_slice()));
        let raw = self.header_map.iter().flat_map(|map| &map.headers);
        let raw = raw.map(|it| {
            let value = if it.raw_value.is_empty() { &it.value } else { &it.raw_value };
            (it.key.as_slice(), value.as_slice())
        });
        merged.chain(raw)
    }

    /// The headers that came and are an identity header with other separators than hyphens and underscores: a server
    /// behind may take `x.auth.subject` for ours.
    pub(super) fn lookalikes(&self) -> impl Iterator<Item = String> {
        let folded = |byte: &u8| if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' };
        let usual = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_".contains(byte);
        self.every().filter_map(move |(key, _)| {
            let alike = IDENTITY_HEADERS.iter().any(|ours| ours.bytes().eq(key.iter().map(folded)));
            let name = std::str::from_utf8(key).ok()?;
            (alike && !key.iter().all(usual)).then(|| name.to_ascii_lowercase())
        })
    }

    /// Who sent it, as far as it says.
    fn sent(&self) -> Sent<'_, Self> {
        let named = || only(self, ":authority").ok().flatten().or_else(|| only(self, "host").ok().flatten());
        let host = if self.host.is_empty() { named() } else { Some(self.host.as_slice()) };
        let https = forwarded_https(self).unwrap_or(false);
        Sent { method: &self.method, host, https, fields: self }
    }

    /// The access token: the bearer token of the `Authorization` header, or else the value of the cookie, which a
    /// browser sends whatever page asks it to.
    pub(super) fn token(
        &self,
        cookie: Option<&str>,
        allowed_origins: &AllowedOrigins,
    ) -> Result<SecretString, AuthError> {
        if let Some(token) = bearer_token(self)? {
            return Ok(token.into());
        }
        let token = cookie.map(|name| transport::cookie(self, name)).transpose()?.flatten();
        let token = token.ok_or(Reason::TokenMissing)?;
        if self.sent().is_cross_site_write(allowed_origins) {
            return Err(Reason::CrossSiteRequest.into());
        }
        let token = std::str::from_utf8(token).map_err(|_| Reason::AccessTokenInvalid)?;
        Ok(token.into())
    }
}

/// What a route asks for, by its `context_extensions`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Required {
    /// One of them; the configured default when empty.
    pub(super) audiences: Vec<String>,
    /// All of them.
    pub(super) roles: Vec<String>,
    /// The position that must be known before the answer.
    pub(super) at_least: Option<Position>,
}

impl Required {
    /// Reads lists with commas in between, and a position. A key that is not known would be a rule that does not hold, so
    /// there is none.
    pub(super) fn parse(extensions: &[Entry]) -> Result<Self, AuthError> {
        let mut required = Self::default();
        for Entry { key, value } in extensions {
            let (name, list, most) = match key.as_slice() {
                b"audiences" => ("audiences", &mut required.audiences, AUDIENCES_MAX),
                b"roles" => ("roles", &mut required.roles, REQUIRED_ROLES_MAX),
                b"at_least" => {
                    let position = std::str::from_utf8(value).map_err(|_| NotAPosition);
                    let position = position.and_then(str::parse).map_err(|error| {
                        AuthError::invalid_field("context_extensions.at_least", error.to_string())
                    })?;
                    required.at_least = Some(position);
                    continue;
                }
                _ => {
                    return Err(AuthError::invalid_field(
                        "context_extensions",
                        "may have audiences, roles and at_least only",
                    ));
                }
            };
            let field = || format!("context_extensions.{name}");
            let text = std::str::from_utf8(value)
                .map_err(|_| AuthError::invalid_field(field(), "must be text in UTF-8"))?;
            for item in text.split(',').map(str::trim) {
                if item.is_empty() || item.contains(char::is_whitespace) || list.len() == most {
                    let what = format!("must be 1 to {most} names with commas in between");
                    return Err(AuthError::invalid_field(field(), what));
                }
                list.push(item.to_owned());
            }
        }
        Ok(required)
    }
}

#[cfg(test)]
mod tests;
