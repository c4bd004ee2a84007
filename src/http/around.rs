//! What happens around every request: its name, its span in the log, the check of where it comes from, an answer
//! when it panics, and the headers that every answer has.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;
use http::Method;
use tracing::{Instrument as _, Span};

use super::call::Call;
use super::edge::Edge;
use super::refusal::{self, Refused};
use super::{cross_site, forward_auth, headers};
use crate::auth::AuthError;
use crate::transport::{Panicked, PeerNames, request_id};

/// See the module.
pub(super) async fn around(State(edge): State<Arc<Edge>>, mut request: Request, next: Next) -> Response {
    let call = Call::of(&request, &edge.options.trusted_proxies);
    let path = request.uri().path().to_owned();
    let span = span(&request, &call);
    request.extensions_mut().insert(call.clone());
    let answer = async {
        let mut answer = match admit(&edge, &mut request) {
            Ok(()) => handle(request, next).await,
            Err(refused) => refused.into_response(),
        };
        if let Some(refused) = answer.extensions_mut().remove::<Refused>() {
            refusal::render(&refused, &mut answer, &call, &path, &edge);
        }
        headers::harden(&mut answer, &call, &edge.options);
        answer.headers_mut().insert(request_id::HEADER, call.request_id.to_header());
        answer
    };
    answer.instrument(span).await
}

/// Refuses a write that a page of another site sent, and notes such a page for the log.
fn admit(edge: &Edge, request: &mut Request) -> Result<(), Refused> {
    if request.uri().path() == forward_auth::PATH {
        // A gateway asks with whatever method and origin its client's request had, and asking changes nothing. Every
        // method is answered as GET is: to the layers within, OPTIONS would be a preflight, whose 200 lets a request
        // through that nobody has looked at.
        *request.method_mut() = Method::GET;
        return Ok(());
    }
    if let Some(origin) = cross_site::sent(request).foreign_origin(&edge.allowed_origins) {
        edge.foreign_origins.note(origin, edge.options.clock.monotonic());
    }
    cross_site::check(request, &edge.allowed_origins)
}

async fn handle(request: Request, next: Next) -> Response {
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    answer.unwrap_or_else(|_| Refused::from(AuthError::from(Panicked)).into_response())
}

/// The span that every line of the log about this request stands in.
fn span(request: &Request, call: &Call) -> Span {
    // Whatever a caller asks for is bounded before it is written down; the query may hold what is nobody's business.
    const LONGEST: usize = 128;
    let path = request.uri().path();
    let path = &path[..path.floor_char_boundary(LONGEST)];
    let method = request.method().as_str();
    let method = &method[..method.floor_char_boundary(LONGEST)];
    let caller = request.extensions().get::<PeerNames>().and_then(PeerNames::first);
    tracing::info_span!("http", method, path, request_id = call.request_id.as_str(), caller)
}
