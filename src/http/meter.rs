//! What is counted of every request, and where its trace begins.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::Method;
use tracing::field::Empty;
use tracing::{Instrument as _, Span};

use crate::model::Clock;
use crate::telemetry::calls::{self, Call, CallNames};
use crate::telemetry::traces;

/// Every operation that there can be, and whether it is traced when nobody asked for it; the last stands for pages,
/// and for whatever else is asked for.
const OPERATIONS: [(&str, bool); 18] = [
    ("Login", true),
    ("Refresh", true),
    ("Logout", true),
    ("VerifyAccessToken", false),
    ("GetSession", false),
    ("ChangePassword", true),
    ("ResetPassword", true),
    ("ListOwnSessions", true),
    ("RevokeOwnSessions", true),
    ("GetKeySet", false),
    ("GetAuthorizationServer", false),
    ("ForwardAuth", false),
    ("GetCsrfToken", false),
    ("IntrospectToken", false),
    ("RevokeToken", true),
    ("IssueToken", true),
    ("GetOpenApi", false),
    ("other", false),
];
const OTHER: usize = OPERATIONS.len() - 1;

/// Every status that is told by itself, and for all others the last one. 499: the client has gone.
const CODES: [&str; 19] = [
    "200", "204", "301", "304", "400", "401", "403", "404", "405", "408", "409", "413", "415", "429", "499",
    "500", "503", "504", "other",
];
const GONE: usize = 14;

/// Counts of every operation of the edge.
#[derive(Debug, Clone)]
pub struct Calls(Arc<calls::Calls>);

impl Calls {
    /// All at zero.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let names = CallNames {
            started: "http_server_started",
            handled: "http_server_handled",
            seconds: "http_server_handling_seconds",
            code: "http_code",
        };
        let kinds = OPERATIONS.iter().map(|(id, _)| vec![("http_operation", (*id).to_owned())]).collect();
        Self(Arc::new(calls::Calls::new(names, kinds, &CODES, clock)))
    }

    /// For the scrape.
    pub fn source(&self) -> Arc<calls::Calls> {
        self.0.clone()
    }
}

/// Counts, and which operation stands behind a path.
#[derive(Debug)]
pub(super) struct Meter {
    calls: Arc<calls::Calls>,
    paths: Vec<(String, usize)>,
}

impl Meter {
    /// For operations with these paths and ids.
    pub(super) fn new<'a>(calls: &Calls, paths: impl Iterator<Item = (&'a str, &'static str)>) -> Self {
        let paths = paths.map(|(path, id)| (path.to_owned(), number(id))).collect();
        Self { calls: calls.0.clone(), paths }
    }

    fn number(&self, path: &str) -> usize {
        self.paths.iter().find(|(known, _)| known == path).map_or(OTHER, |(_, number)| *number)
    }
}

fn number(id: &str) -> usize {
    OPERATIONS.iter().position(|(known, _)| *known == id).unwrap_or(OTHER)
}

fn code(status: u16) -> usize {
    let status = status.to_string();
    CODES.iter().position(|code| *code == status).unwrap_or(CODES.len() - 1)
}

/// See the module.
pub(super) async fn meter(State(meter): State<Arc<Meter>>, request: Request, next: Next) -> Response {
    let number = meter.number(request.uri().path());
    let span = span(number, &request);
    let call = meter.calls.start(number);
    let mut under_way = UnderWay { meter: &meter, call, span: span.clone(), code: GONE };
    let answer = next.run(request).instrument(span).await;
    under_way.code = code(answer.status().as_u16());
    under_way.span.record("http.response.status_code", answer.status().as_u16());
    if answer.status().is_server_error() {
        under_way.span.record("otel.status_code", "ERROR");
    }
    answer
}

/// A request until its end: dropped before there is an answer, its client has gone.
struct UnderWay<'a> {
    meter: &'a Meter,
    call: Call,
    span: Span,
    code: usize,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let trace = traces::recorded(&self.span);
        self.meter.calls.finish(&self.call, self.code, trace.as_deref());
    }
}

/// The span of a request in its trace; a disabled one for a request that is not traced. Neither the path as it came
/// nor the query is told: who knows what is in them.
fn span(number: usize, request: &Request) -> Span {
    if !traces::enabled() {
        return Span::none();
    }
    let (operation, traced) = OPERATIONS[number];
    let parent = traces::parent(request.headers());
    if !traced && !parent.as_ref().is_some_and(traces::is_sampled) {
        return Span::none();
    }
    let known = [Method::GET, Method::POST, Method::HEAD, Method::OPTIONS];
    let method = known.iter().find(|known| *known == request.method()).map_or("_OTHER", Method::as_str);
    let span = tracing::info_span!(
        target: traces::TARGET,
        "http",
        otel.name = operation,
        otel.kind = "server",
        http.request.method = method,
        http.response.status_code = Empty,
        otel.status_code = Empty,
    );
    traces::adopt(&span, parent);
    span
}

#[cfg(test)]
mod tests {
    use super::super::{HttpOptions, routes};
    use super::*;
    use crate::model::SystemClock;
    use crate::reason::Reason;

    #[test]
    fn every_operation_and_every_status_has_its_place() {
        let mut options = HttpOptions::new(Arc::new(SystemClock::new()), Arc::new(Arc::default));
        options.csrf = true;
        for operation in routes::table(&options) {
            assert_ne!(number(operation.id), OTHER, "{}", operation.id);
        }
        for reason in Reason::all() {
            assert_ne!(CODES[code(reason.http_status())], "other", "{reason}");
        }
        assert_eq!((CODES[GONE], CODES[code(418)]), ("499", "other"));
    }
}
