//! Access tokens: JWTs after RFC 9068, which `countersign_verifier` verifies.

use std::fmt;
use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_verifier::Rules;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::model::{CustomClaims, ExternalId, Role, ServiceAccount, Session, SessionId, UnixMillis, User};
use crate::secret::random;
use crate::token::signing_key::SigningKey;

#[cfg(test)]
mod tests;

/// How a user's session begins today: with a password (RFC 8176 §2).
const OF_USERS: [&str; 1] = ["pwd"];
/// How a service account shows who it is. RFC 8176 has no name for a secret that no person remembers.
const OF_SERVICES: [&str; 1] = ["service_key"];

/// What an access token is made from.
#[derive(Debug, Clone, Copy)]
pub struct AccessGrant<'a> {
    /// Whom it speaks of, read just now: roles and claims are taken as they are.
    pub user: &'a User,
    /// The session that it belongs to, with the epoch that it began in.
    pub session: &'a Session,
    /// Whom it is meant for: at least one.
    pub audiences: &'a [String],
    /// When it is made.
    pub now: UnixMillis,
}

/// What the access token of a service account is made from.
#[derive(Debug, Clone, Copy)]
pub struct ServiceGrant<'a> {
    /// Whom it speaks of, read just now.
    pub account: &'a ServiceAccount,
    /// The session of the key that was shown.
    pub session: SessionId,
    /// From when on the key is refused, and every token that was got with it.
    pub key_expires_at: UnixMillis,
    /// Whom it is meant for: at least one.
    pub audiences: &'a [String],
    /// When it is made.
    pub now: UnixMillis,
}

/// An access token as its owner gets it. Whoever holds it is its subject, so `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessToken {
    text: String,
    expires_at: UnixMillis,
}

impl AccessToken {
    /// The token, for the answer to its owner and nothing else.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// From when on it is not accepted: a whole second.
    pub const fn expires_at(&self) -> UnixMillis {
        self.expires_at
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessToken").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// A user's roles, claims and external id together would make a token that no verifier accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("roles, claims and external id take {bytes} bytes of JSON together; at most {max} are allowed", max = AccessTokenIssuer::MAX_ATTRIBUTE_BYTES)]
pub struct AttributesTooLarge {
    /// How many bytes they take.
    pub bytes: usize,
}

/// The audiences together would make a token that no verifier accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the audiences take {bytes} bytes of JSON together; at most {max} are allowed", max = AccessTokenIssuer::MAX_AUDIENCE_BYTES)]
pub struct AudiencesTooLarge {
    /// How many bytes they take.
    pub bytes: usize,
}

/// No token could be made. None of it is the fault of whoever asked for one.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// There is nobody that it would be meant for.
    #[error("an access token needs an audience")]
    NoAudience,
    /// No verifier would accept it.
    #[error("an access token of {bytes} bytes would be refused; at most {max} are allowed", max = Rules::MAX_TOKEN_BYTES)]
    TooLarge {
        /// How long it would be.
        bytes: usize,
    },
    /// The claims could not be written as JSON, or the key could not be used.
    #[error("signing an access token failed")]
    Signing(#[from] jsonwebtoken::errors::Error),
}

/// Makes access tokens.
///
/// A token must fit into [`Rules::MAX_TOKEN_BYTES`], and every part that can grow has its bound, so that whoever
/// may log in can be given one: see [`AccessTokenIssuer::check_attributes`] and
/// [`AccessTokenIssuer::check_audiences`].
#[derive(Debug, Clone)]
pub struct AccessTokenIssuer {
    issuer: String,
}

impl AccessTokenIssuer {
    /// The most bytes of JSON that a user's roles, claims and external id may take together.
    pub const MAX_ATTRIBUTE_BYTES: usize = 3072;
    /// The most bytes of JSON that the audiences of one token may take together: 16 of 64 bytes do.
    pub const MAX_AUDIENCE_BYTES: usize = 1088;

    /// Makes tokens with this `iss`.
    pub fn new(issuer: impl Into<String>) -> Self {
        Self { issuer: issuer.into() }
    }

    /// Checks that a user can have these attributes: where they are set, so that no Login fails of them.
    pub fn check_attributes(
        roles: &[Role],
        claims: &CustomClaims,
        external_id: Option<&ExternalId>,
    ) -> Result<(), AttributesTooLarge> {
        // The names of roles need no escaping.
        let roles = json_array_bytes(roles.iter().map(|role| role.as_str().len() + 2));
        let name = "\"ext\":,".len();
        let external_id = external_id.map_or(0, |id| name + Value::from(id.as_str()).to_string().len());
        let bytes = roles + claims.to_json().len() + external_id;
        if bytes > Self::MAX_ATTRIBUTE_BYTES { Err(AttributesTooLarge { bytes }) } else { Ok(()) }
    }

    /// Checks that one token can be meant for all of these: when they are asked for, before a session begins.
    pub fn check_audiences(audiences: &[String]) -> Result<(), AudiencesTooLarge> {
        let escaped = |audience: &String| Value::from(audience.as_str()).to_string().len();
        let bytes = json_array_bytes(audiences.iter().map(escaped));
        if bytes > Self::MAX_AUDIENCE_BYTES { Err(AudiencesTooLarge { bytes }) } else { Ok(()) }
    }

    /// Makes a token that lives for `ttl`, but never beyond the absolute end of its session. Its times are whole
    /// seconds, rounded down.
    pub fn mint(
        &self,
        signer: &SigningKey,
        grant: &AccessGrant<'_>,
        ttl: Duration,
    ) -> Result<AccessToken, MintError> {
        sign(signer, &self.claims(grant, ttl)?)
    }

    /// Makes a token of a service account that lives for `ttl`, but never longer than the key that it is got with.
    pub fn mint_for_service(
        &self,
        signer: &SigningKey,
        grant: &ServiceGrant<'_>,
        ttl: Duration,
    ) -> Result<AccessToken, MintError> {
        let ServiceGrant { account, session, key_expires_at, audiences, now } = *grant;
        let (exp, iat, subject) =
            ((now + ttl).min(key_expires_at).as_secs(), now.as_secs(), account.id.to_string());
        let claims = Claims {
            iss: &self.issuer,
            sub: subject.clone(),
            client_id: Some(subject),
            aud: Audiences::of(audiences)?,
            exp,
            iat,
            jti: URL_SAFE_NO_PAD.encode(random::<16>()),
            sid: session.to_string(),
            username: account.name.as_str(),
            ext: None,
            roles: account.roles.iter().map(Role::as_str).collect(),
            auth_time: iat,
            amr: OF_SERVICES,
            epoch: account.epoch.0,
            // Nothing but this token belongs to the session for longer.
            sxp: exp,
            custom: NO_CLAIMS.as_map(),
        };
        sign(signer, &claims)
    }

    fn claims<'a>(&'a self, grant: &AccessGrant<'a>, ttl: Duration) -> Result<Claims<'a>, MintError> {
        let AccessGrant { user, session, audiences, now } = *grant;
        Ok(Claims {
            iss: &self.issuer,
            sub: user.id.to_string(),
            client_id: None,
            aud: Audiences::of(audiences)?,
            exp: (now + ttl).min(session.expires_at).as_secs(),
            iat: now.as_secs(),
            jti: URL_SAFE_NO_PAD.encode(random::<16>()),
            sid: session.id.to_string(),
            username: user.username.as_str(),
            ext: user.external_id.as_ref().map(ExternalId::as_str),
            roles: user.roles.iter().map(Role::as_str).collect(),
            auth_time: session.created_at.as_secs(),
            amr: OF_USERS,
            epoch: session.epoch.0,
            sxp: session.expires_at.as_secs(),
            custom: user.claims.as_map(),
        })
    }
}

static NO_CLAIMS: LazyLock<CustomClaims> = LazyLock::new(CustomClaims::default);

fn sign(signer: &SigningKey, claims: &Claims<'_>) -> Result<AccessToken, MintError> {
    let text = signer.sign(claims)?;
    if text.len() > Rules::MAX_TOKEN_BYTES {
        return Err(MintError::TooLarge { bytes: text.len() });
    }
    Ok(AccessToken { text, expires_at: UnixMillis::from_secs(claims.exp) })
}

/// Brackets, the elements, the commas between them.
fn json_array_bytes(elements: impl ExactSizeIterator<Item = usize>) -> usize {
    2 + elements.len().saturating_sub(1) + elements.sum::<usize>()
}

/// The claims as they are written; `countersign_verifier::Claims` says what each means.
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    aud: Audiences<'a>,
    exp: i64,
    iat: i64,
    jti: String,
    sid: String,
    username: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ext: Option<&'a str>,
    roles: Vec<&'a str>,
    auth_time: i64,
    amr: [&'static str; 1],
    epoch: u64,
    sxp: i64,
    #[serde(flatten)]
    custom: &'a Map<String, Value>,
}

/// A single audience is written as a plain string (RFC 7519 §4.1.3).
#[derive(Serialize)]
#[serde(untagged)]
enum Audiences<'a> {
    One(&'a str),
    Several(&'a [String]),
}

impl<'a> Audiences<'a> {
    fn of(audiences: &'a [String]) -> Result<Self, MintError> {
        match audiences {
            [] => Err(MintError::NoAudience),
            [one] => Ok(Self::One(one)),
            several => Ok(Self::Several(several)),
        }
    }
}
