//! How many requests one client may make, before anything of them is looked at.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::call::Call;
use super::edge::Edge;
use super::refusal::Refused;

/// Lets a request through that is counted, or refuses it. Within the layer of CORS, so that a page may read the refusal and
/// no preflight is counted.
pub(super) async fn request_limit(State(edge): State<Arc<Edge>>, request: Request, next: Next) -> Response {
    #[cfg(feature = "test-server")]
    if let Some(crate::transport::ForcedRefusal(reason)) = request.extensions().get() {
        return Refused::from(*reason).into_response();
    }
    let limit = edge.options.requests.as_ref().filter(|_| is_counted(request.uri().path()));
    if let (Some(limit), Some(call)) = (limit, request.extensions().get::<Call>())
        && let Err(error) = limit.admit(call.client).await
    {
        return Refused::from(error).into_response();
    }
    next.run(request).await
}

/// What a user's own client calls. Not what gateways and services ask on behalf of everybody, from one address: the key set,
/// forward auth, Verify, and what is under `/oauth2`.
fn is_counted(path: &str) -> bool {
    path.starts_with("/v1/auth/") && path != "/v1/auth/verify"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_on_behalf_of_everybody_is_not_counted() {
        for path in ["/v1/auth/login", "/v1/auth/session", "/v1/auth/sessions/others", "/v1/auth/nothing"] {
            assert!(is_counted(path), "{path}");
        }
        for path in
            ["/.well-known/jwks.json", "/forward-auth", "/v1/auth/verify", "/oauth2/introspect", "/", "/v1"]
        {
            assert!(!is_counted(path), "{path}");
        }
    }
}
