//! The HTTP port of the test server: each request goes to the world that it names, and fails there if a test says so.
//!
//! A program names its world with the header that gRPC calls have as metadata. What can be given a URL and no header, such as a
//! library that fetches a key set, names it in the path: `/worlds/NAME/.well-known/jwks.json`. A browser names it in the host,
//! `http://NAME.localhost:8080`, so that the cookies of two worlds do not meet.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use http::header::{CONTENT_TYPE, HOST};
use http::uri::PathAndQuery;
use http::{StatusCode, Uri};
use tower::{Service, ServiceExt as _};

use super::{EdgeService, contract};
use crate::auth::AuthError;
use crate::reason::{Code, Language};
use crate::testing::{Failure, Visit, WORLD_HEADER, WorldName, Worlds};
use crate::transport::problem::{PROBLEM, problem};
use crate::transport::{ForcedRefusal, RequestId, language, log_failure, request_id};

/// What a path begins with that names a world.
const PREFIX: &str = "/worlds/";

/// Serves every world.
pub struct InWorlds<W>(Arc<W>);

impl<W> InWorlds<W> {
    /// These worlds.
    pub const fn new(worlds: Arc<W>) -> Self {
        Self(worlds)
    }
}

impl<W> Clone for InWorlds<W> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<W: Worlds<EdgeService>> Service<Request> for InWorlds<W> {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let worlds = Arc::clone(&self.0);
        Box::pin(async move {
            let (language, request_id) = (language(request.headers()), RequestId::of(request.headers()));
            let answer = answer(worlds.as_ref(), request).await;
            Ok(answer.unwrap_or_else(|error| refused(&error, language, &request_id)))
        })
    }
}

async fn answer(worlds: &impl Worlds<EdgeService>, mut request: Request) -> Result<Response, AuthError> {
    let name = world_of(&mut request)?;
    let Visit { service, control, stay } = worlds.enter(&name).await?;
    let (verb, path) = (request.method().as_str(), request.uri().path());
    let operation = format!("{verb} {path}");
    let method = rpc(verb, path).map(|name| format!("countersign.v1.AuthService/{name}"));
    let names = [Some(operation.as_str()), method.as_deref()];
    let names: Vec<&str> = names.into_iter().flatten().collect();
    if let Some((failure, delay)) = control.failures().take(&names) {
        tokio::time::sleep(delay).await;
        match failure {
            None => {}
            Some(Failure::Reason(reason)) => {
                request.extensions_mut().insert(ForcedRefusal(reason));
            }
            Some(Failure::Code(code)) => return Ok(status_of(code).into_response()),
        }
    }
    let Ok(answer) = service.oneshot(request).await;
    drop(stay);
    Ok(answer)
}

/// The world that a request names; the path is then what it would be without. Named twice, it must be the same.
fn world_of(request: &mut Request) -> Result<WorldName, AuthError> {
    let mut named = Vec::new();
    for value in request.headers().get_all(WORLD_HEADER) {
        named.push((WORLD_HEADER, value.to_str().unwrap_or_default().to_owned()));
    }
    named.extend(host_of(request).and_then(|host| WorldName::in_host(&host)).map(|name| ("host", name)));
    if let Some((name, rest)) = in_path(request.uri()) {
        named.push(("path", name));
        *request.uri_mut() = rest;
    }
    WorldName::of_request(named).map_err(|(place, what)| AuthError::invalid_field(place, what))
}

/// The host that was asked.
fn host_of(request: &Request) -> Option<String> {
    let header = || request.headers().get(HOST).and_then(|host| host.to_str().ok());
    request.uri().host().or_else(header).map(str::to_owned)
}

/// The world that a path names, and the URI without it.
fn in_path(uri: &Uri) -> Option<(String, Uri)> {
    let (name, rest) = uri.path().strip_prefix(PREFIX)?.split_once('/')?;
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(format!("/{rest}{query}")).ok()?);
    Some((name.to_owned(), Uri::from_parts(parts).ok()?))
}

/// The RPC that a request is a call of, if it is one.
fn rpc(verb: &str, path: &str) -> Option<String> {
    match (verb, path) {
        ("GET", "/v1/auth/sessions") => return Some("ListOwnSessions".to_owned()),
        ("DELETE", path) if path.starts_with("/v1/auth/sessions/") => {
            return Some("RevokeOwnSessions".to_owned());
        }
        ("POST", _) => {}
        _ => return None,
    }
    let mut annotated = contract::annotated().into_iter();
    annotated.find(|method| contract::path(method) == path).map(|method| method.name().to_owned())
}

/// What a gateway answers with for a code.
fn status_of(code: i32) -> StatusCode {
    const ALL: [Code; 12] = [
        Code::InvalidArgument,
        Code::DeadlineExceeded,
        Code::NotFound,
        Code::AlreadyExists,
        Code::PermissionDenied,
        Code::ResourceExhausted,
        Code::FailedPrecondition,
        Code::Aborted,
        Code::Unimplemented,
        Code::Internal,
        Code::Unavailable,
        Code::Unauthenticated,
    ];
    let status = match (code, ALL.into_iter().find(|known| known.number() == code)) {
        (_, Some(known)) => known.http_status(),
        // CANCELLED and OUT_OF_RANGE; UNKNOWN and DATA_LOSS are the server's.
        (1, None) => 499,
        (11, None) => 400,
        _ => 500,
    };
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// A request that reaches no world.
fn refused(error: &AuthError, language: Language, request_id: &RequestId) -> Response {
    log_failure(error);
    let status = StatusCode::from_u16(error.reason.http_status()).unwrap_or(StatusCode::BAD_REQUEST);
    let body = problem(error, language, request_id.as_str()).to_string();
    let mut answer = (status, [(CONTENT_TYPE, PROBLEM)], Body::from(body)).into_response();
    answer.headers_mut().insert(request_id::HEADER, request_id.to_header());
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world(uri: &str, headers: &[(&str, &str)]) -> Result<(String, String), String> {
        let mut request = Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(Body::empty()).unwrap();
        let world = world_of(&mut request).map_err(|error| error.violations[0].field.clone())?;
        Ok((world.to_string(), request.uri().to_string()))
    }

    #[test]
    fn a_header_a_path_or_a_host_names_the_world() {
        let is = |world: &str, uri: &str| Ok((world.to_owned(), uri.to_owned()));
        assert_eq!(world("/v1/auth/login", &[("host", "127.0.0.1:8080")]), is("default", "/v1/auth/login"));
        assert_eq!(world("/a", &[(WORLD_HEADER, "one")]), is("one", "/a"));
        assert_eq!(world("/worlds/one/a/b?c=d", &[]), is("one", "/a/b?c=d"));
        assert_eq!(world("/a", &[("host", "One.localhost:8080")]), is("one", "/a"));
        assert_eq!(world("/worlds/one/a", &[("host", "one.localhost")]), is("one", "/a"));
        assert_eq!(world("/a", &[("host", "localhost:8080")]), is("default", "/a"));
    }

    #[test]
    fn a_world_that_cannot_be_is_refused_and_so_are_two_of_them() {
        assert_eq!(world("/worlds/a%20b/c", &[]), Err("path".to_owned()));
        assert_eq!(world("/a", &[(WORLD_HEADER, "a b")]), Err("x-countersign-world".to_owned()));
        assert_eq!(world("/worlds/one/a", &[("host", "two.localhost")]), Err("path".to_owned()));
    }

    #[test]
    fn an_rpc_is_known_by_its_path() {
        assert_eq!(rpc("POST", "/v1/auth/login").as_deref(), Some("Login"));
        assert_eq!(rpc("GET", "/v1/auth/sessions").as_deref(), Some("ListOwnSessions"));
        assert_eq!(rpc("DELETE", "/v1/auth/sessions/x").as_deref(), Some("RevokeOwnSessions"));
        assert_eq!(rpc("GET", "/.well-known/jwks.json"), None);
        assert_eq!(
            [status_of(14), status_of(13), status_of(2), status_of(16)].map(|it| it.as_u16()),
            [503, 500, 500, 401]
        );
    }
}
