//! `POST /oauth2/revoke` (RFC 7009).

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use http::StatusCode;

use super::auth_routes::named;
use super::call::Call;
use super::edge::Edge;
use super::refusal::Refused;
use super::{body, introspection};
use crate::auth::LogoutRequest;

/// Ends the session that a token belongs to: with a refresh token goes what was granted by it, and an access token
/// of ours cannot live without its session. A token that is unknown has ended already. `token_type_hint` is not
/// needed: the two kinds differ by their looks.
pub(super) async fn revoke(
    State(edge): State<Arc<Edge>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<StatusCode, Refused> {
    let (parts, body) = request.into_parts();
    edge.options.clients.authenticate(&parts.headers)?;
    let form = body::read(&parts.headers, body::FORM, body, edge.options.body_timeout).await?;
    let ask = LogoutRequest { token: named(introspection::token(&form)?), everywhere: false };
    ask.check()?;
    let (auth, budget) = (edge.auth.clone(), edge.options.deadlines.logout);
    let context = edge.context(&call, budget);
    edge.change(budget, async move { auth.logout(context, ask).await }).await?;
    Ok(StatusCode::OK)
}
