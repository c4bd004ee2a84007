//! Reads a `CheckRequest`: what came with the client's request, and what its route asks for.

use secrecy::SecretString;

use super::wire::{Entry, HttpRequest};
use crate::auth::AuthError;
use crate::auth::bounds::AUDIENCES_MAX;
use crate::reason::Reason;
use crate::transport::{IDENTITY_HEADERS, REQUIRED_ROLES_MAX, bearer_token};

impl HttpRequest {
    /// Every value of a header, in order. Names are compared without regard to case.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.every().filter(|(key, _)| key.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }

    fn every(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
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

    /// Whether a page of another site may have made a browser send it, with the cookies of this one, to change
    /// something. A WebSocket begins with a GET that no browser keeps to its site.
    fn is_cross_site_write(&self) -> bool {
        let safe = [b"GET".as_slice(), b"HEAD", b"OPTIONS"].contains(&self.method.as_slice());
        let cross_site = self.all("sec-fetch-site").any(|value| value == b"cross-site");
        cross_site && (!safe || self.all("upgrade").next().is_some())
    }

    /// The access token: the bearer token of the `Authorization` header, or else the value of the cookie.
    pub(super) fn token(&self, cookie: Option<&str>) -> Result<SecretString, AuthError> {
        if let Some(token) = self.authorization()? {
            return Ok(token.into());
        }
        let token = cookie.map(|name| self.cookie(name)).transpose()?.flatten();
        let token = token.ok_or(Reason::TokenMissing)?;
        if self.is_cross_site_write() {
            return Err(Reason::CrossSiteRequest.into());
        }
        Ok(token.into())
    }

    /// Two are an ambiguity that somebody may have put there on purpose, merged by Envoy or not: the server behind may
    /// read the other one.
    fn authorization(&self) -> Result<Option<&str>, AuthError> {
        let mut values = self.all("authorization");
        let Some(value) = values.next() else { return Ok(None) };
        let merged = value.contains(&b',') && value.split(|byte| *byte == b',').any(is_bearer);
        if merged || values.next().is_some() {
            return Err(AuthError::invalid_field("", "must have one Authorization header"));
        }
        Ok(bearer_token(value)?)
    }

    fn cookie(&self, name: &str) -> Result<Option<&str>, AuthError> {
        let pairs = self.all("cookie").flat_map(|value| value.split(|byte| *byte == b';'));
        let mut values = pairs.filter_map(|pair| {
            let value = pair.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
            (!value.is_empty()).then_some(value)
        });
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(AuthError::invalid_field("", format!("must have one cookie {name}")));
        }
        Ok(Some(std::str::from_utf8(value).map_err(|_| Reason::AccessTokenInvalid)?))
    }
}

/// Whether it begins as credentials of the bearer scheme do.
fn is_bearer(piece: &[u8]) -> bool {
    let piece = piece.trim_ascii_start();
    let scheme = piece.split(|byte| *byte == b' ').next().unwrap_or_default();
    scheme.eq_ignore_ascii_case(b"bearer")
}

/// What a route asks for, by its `context_extensions`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Required {
    /// One of them; the configured default when empty.
    pub(super) audiences: Vec<String>,
    /// All of them.
    pub(super) roles: Vec<String>,
}

impl Required {
    /// Reads lists with commas in between. A key that is not known would be a rule that does not hold, so there is
    /// none.
    pub(super) fn parse(extensions: &[Entry]) -> Result<Self, AuthError> {
        let mut required = Self::default();
        for Entry { key, value } in extensions {
            let (name, list, most) = match key.as_slice() {
                b"audiences" => ("audiences", &mut required.audiences, AUDIENCES_MAX),
                b"roles" => ("roles", &mut required.roles, REQUIRED_ROLES_MAX),
                _ => {
                    return Err(AuthError::invalid_field(
                        "context_extensions",
                        "may have audiences and roles only",
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
