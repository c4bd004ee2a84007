//! `[ext_authz]`

use serde::{Deserialize, Serialize};

use super::error::Problem;
use super::{bounds, origins};

/// What Envoy asks over gRPC: `envoy.service.auth.v3.Authorization`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExtAuthz {
    /// Whether it is served, beside the rest of the gRPC port. `COUNTERSIGN__EXT_AUTHZ__ENABLED`
    pub enabled: bool,
    /// The cookie that an access token is looked for in when there is no bearer token; empty for none.
    /// `COUNTERSIGN__EXT_AUTHZ__COOKIE`
    pub cookie: String,
    /// The origins whose pages may change something by that cookie, beside the one that the request is for, as browsers
    /// write them: `https://app.example`. At most 64. `COUNTERSIGN__EXT_AUTHZ__ALLOWED_ORIGINS`, separated by commas
    pub allowed_origins: Vec<String>,
    /// Whether Envoy is told what to answer when it cannot be known, which not every version understands; otherwise
    /// it gets a status, and its own `status_on_error` decides. `COUNTERSIGN__EXT_AUTHZ__ERROR_RESPONSE`
    pub error_response: bool,
}

impl Default for ExtAuthz {
    fn default() -> Self {
        Self { enabled: true, cookie: String::new(), allowed_origins: Vec::new(), error_response: false }
    }
}

impl ExtAuthz {
    /// The cookie, if there is one.
    pub fn cookie(&self) -> Option<&str> {
        (!self.cookie.is_empty()).then_some(&self.cookie)
    }

    /// A cookie's name is a token (RFC 6265 §4.1.1, RFC 9110 §5.6.2).
    pub(super) fn check(&self) -> Result<(), Problem> {
        const KEY: &str = "ext_authz.cookie";
        origins::check("ext_authz.allowed_origins", &self.allowed_origins)?;
        let Some(cookie) = self.cookie() else { return Ok(()) };
        bounds::word(KEY, cookie, 64)?;
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if cookie.bytes().all(allowed) {
            return Ok(());
        }
        Err(Problem::new(KEY, format!("{cookie:?} is not the name of a cookie")))
    }
}
