//! `POST /oauth2/token` (RFC 6749 §3.2), for `grant_type=client_credentials` alone (§4.4): a service account shows a service key of
//! its own as its client secret, and gets an access token.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use super::body;
use super::call::Call;
use super::clients::basic_credentials;
use super::edge::Edge;
use super::introspection::once;
use super::refusal::Refused;
use crate::auth::{AuthError, IssueServiceToken};
use crate::reason::Reason;

/// Where it is asked.
pub(super) const PATH: &str = "/oauth2/token";
/// The one grant that there is.
pub(super) const GRANT: &str = "client_credentials";

pub(super) async fn issue(
    State(edge): State<Arc<Edge>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, Refused> {
    let (parts, body) = request.into_parts();
    let form = body::read(&parts.headers, body::FORM, body, edge.options.body_timeout).await?;
    let ask = asked(&parts.headers, &form)?;
    ask.check()?;
    let (auth, budget) = (edge.auth.clone(), edge.options.deadlines.login);
    let context = edge.context(&call, budget);
    let issued = edge.change(budget, async move { auth.issue_service_token(context, ask).await }).await;
    // What is wrong is the client's secret (RFC 6749 §5.2).
    let token = issued.map_err(|refused| match refused.reason() {
        Reason::ServiceKeyInvalid => Reason::ClientUnauthenticated.into(),
        _ => refused,
    })?;
    let answer = json!({
        "access_token": token.access_token.expose_secret(),
        "token_type": "Bearer",
        "expires_in": token.expires_in.as_secs(),
    });
    Ok(Json(answer).into_response())
}

/// What a request asks for. A parameter without a value is one that is not there (RFC 6749 §3.2).
fn asked(headers: &HeaderMap, form: &[u8]) -> Result<IssueServiceToken, AuthError> {
    let parameter = |name| Ok::<_, AuthError>(once(form, name)?.filter(|value| !value.is_empty()));
    match parameter("grant_type")?.as_deref() {
        Some(GRANT) => {}
        Some(_) => return Err(AuthError::invalid_field("grant_type", format!("must be {GRANT}"))),
        None => return Err(AuthError::invalid_field("", "must have the parameter grant_type")),
    }
    if parameter("scope")?.is_some() {
        let what = "must not be given: what a service account may do are its roles";
        return Err(AuthError::invalid_field("scope", what));
    }
    let (id, secret) = (parameter("client_id")?, parameter("client_secret")?);
    let (client, service_key) = match (headers.contains_key(AUTHORIZATION), secret) {
        (true, Some(_)) => {
            let what = "must not be given beside the header Authorization (RFC 6749 section 2.3)";
            return Err(AuthError::invalid_field("client_secret", what));
        }
        (true, None) => {
            let (client, secret) = basic_credentials(headers).ok_or(Reason::ClientUnauthenticated)?;
            if id.is_some_and(|id| id != client) {
                let what = "must be the one in the header Authorization";
                return Err(AuthError::invalid_field("client_id", what));
            }
            (client, secret)
        }
        (false, Some(secret)) => {
            let client = id.ok_or(Reason::ClientUnauthenticated)?.into_owned();
            (client, SecretString::from(secret.into_owned()))
        }
        (false, None) => return Err(Reason::ClientUnauthenticated.into()),
    };
    // By whichever name a library knows it: RFC 8693 §2.1 and RFC 8707 §2.
    let audiences = form_urlencoded::parse(form)
        .filter(|(name, value)| matches!(&**name, "audience" | "resource") && !value.is_empty())
        .map(|(_, value)| value.into_owned())
        .collect();
    Ok(IssueServiceToken { service_key, account: Some(client), audiences })
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    fn basic(text: &str) -> HeaderMap {
        let value = format!("Basic {}", STANDARD.encode(text)).parse().unwrap();
        HeaderMap::from_iter([(AUTHORIZATION, value)])
    }

    fn parsed(headers: &HeaderMap, form: &str) -> Result<(String, String, Vec<String>), String> {
        match asked(headers, form.as_bytes()) {
            Ok(ask) => Ok((
                ask.account.unwrap_or_default(),
                ask.service_key.expose_secret().to_owned(),
                ask.audiences,
            )),
            Err(error) => Err(error
                .violations
                .first()
                .map_or_else(|| error.reason.name().to_owned(), |violation| violation.field.clone())),
        }
    }

    #[test]
    fn a_client_authenticates_in_the_header_or_in_the_body() {
        let shop = |audiences: &[&str]| {
            Ok(("shop".to_owned(), "key".to_owned(), audiences.iter().map(|&it| it.to_owned()).collect()))
        };
        let none = HeaderMap::new();
        let grant = "grant_type=client_credentials";
        assert_eq!(parsed(&basic("shop:key"), grant), shop(&[]));
        assert_eq!(parsed(&basic("shop:key"), &format!("{grant}&client_id=shop&scope=")), shop(&[]));
        assert_eq!(parsed(&basic("sh%6Fp:k%65y"), grant), shop(&[]), "as RFC 6749 has it");
        let post = format!("{grant}&client_id=shop&client_secret=key");
        assert_eq!(parsed(&none, &post), shop(&[]));
        let several = format!("{post}&audience=a&resource=b&audience=&audience=c");
        assert_eq!(parsed(&none, &several), shop(&["a", "b", "c"]));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let none = HeaderMap::new();
        let grant = "grant_type=client_credentials";
        for (headers, form, wrong) in [
            (basic("shop:key"), String::new(), ""),
            (basic("shop:key"), "grant_type=".to_owned(), ""),
            (basic("shop:key"), "grant_type=password".to_owned(), "grant_type"),
            (basic("shop:key"), format!("{grant}&{grant}"), "grant_type"),
            (basic("shop:key"), format!("{grant}&scope=all"), "scope"),
            (basic("shop:key"), format!("{grant}&client_id=other"), "client_id"),
            (basic("shop:key"), format!("{grant}&client_secret=key"), "client_secret"),
            (none.clone(), grant.to_owned(), "CLIENT_UNAUTHENTICATED"),
            (none.clone(), format!("{grant}&client_id=shop"), "CLIENT_UNAUTHENTICATED"),
            (none, format!("{grant}&client_secret=key"), "CLIENT_UNAUTHENTICATED"),
            (basic("shop"), grant.to_owned(), "CLIENT_UNAUTHENTICATED"),
            (basic(":key"), grant.to_owned(), "CLIENT_UNAUTHENTICATED"),
        ] {
            assert_eq!(parsed(&headers, &form), Err(wrong.to_owned()), "{form}");
        }
    }
}
