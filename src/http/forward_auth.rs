//! `/forward-auth`, whatever the method: a gateway asks whether to let a request through, and as whom (nginx `auth_request`,
//! Traefik `ForwardAuth`, Caddy `forward_auth`).

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::bearer;
use super::call::Call;
use super::edge::Edge;
use super::refusal::Refused;
use crate::auth::bounds::AUDIENCES_MAX;
use crate::auth::{AuthError, VerifiedToken};
use crate::reason::Reason;
use crate::transport::{self, IDENTITY_HEADERS, REQUIRED_ROLES_MAX};

/// Where it is.
pub(super) const PATH: &str = "/forward-auth";

/// 200 with the identity; 401 without a good token; 403 without a role that is asked for; 503 when it cannot be
/// known.
pub(super) async fn forward_auth(
    State(edge): State<Arc<Edge>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, Refused> {
    let required = Required::parse(request.uri().query().unwrap_or_default())?;
    let token = bearer::require(request.headers())?;
    let token = edge.verified(&call, token, required.audiences)?;
    if required.roles.iter().any(|role| !token.roles.contains(role)) {
        return Err(Reason::RoleRequired.into());
    }
    Ok((StatusCode::OK, identity(&token)).into_response())
}

/// What the gateway asks for.
#[derive(Debug, Default)]
struct Required {
    /// All of them.
    roles: Vec<String>,
    /// One of them; the configured default when empty.
    audiences: Vec<String>,
}

impl Required {
    /// A parameter that is not known would be a rule that does not hold, so there is none.
    fn parse(query: &str) -> Result<Self, AuthError> {
        let mut required = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let (list, max) = match &*name {
                "role" => (&mut required.roles, REQUIRED_ROLES_MAX),
                "audience" => (&mut required.audiences, AUDIENCES_MAX),
                _ => {
                    return Err(AuthError::invalid_field(
                        "",
                        "may have the parameters role and audience only",
                    ));
                }
            };
            if value.is_empty() || list.len() == max {
                let what = format!("must not be empty, and stand there {max} times at most");
                return Err(AuthError::invalid_field(name, what));
            }
            list.push(value.into_owned());
        }
        Ok(required)
    }
}

fn identity(token: &VerifiedToken) -> HeaderMap {
    let headers = IDENTITY_HEADERS.into_iter().zip(transport::identity(token));
    headers
        .filter_map(|(name, value)| {
            Some((HeaderName::from_static(name), HeaderValue::from_str(&value?).ok()?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_that_is_misspelt_is_refused_and_not_left_out() {
        let parsed = Required::parse("role=admin&audience=api&role=a%2Fb").unwrap();
        assert_eq!(
            (parsed.roles, parsed.audiences),
            (vec!["admin".into(), "a/b".into()], vec!["api".into()])
        );
        assert!(Required::parse("").is_ok());
        for query in ["roles=admin", "role=", "role", "Role=admin", "x", &"role=a&".repeat(33)] {
            assert!(Required::parse(query).is_err(), "{query}");
        }
    }
}
