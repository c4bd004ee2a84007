//! What is counted of every call, and where its trace begins.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{HeaderMap, Request, Response};
use hyper::body::{Body, Frame, SizeHint};
use tonic::service::AxumBody;
use tower::{Layer, Service};
use tracing::Span;
use tracing::field::Empty;

use super::administration::{IMPORT, WATCH_EVENTS};
use crate::model::{Clock, Monotonic};
use crate::telemetry::calls::{self, CallNames};
use crate::telemetry::traces;

/// The canonical codes by their numbers, as metrics spell them.
const CODES: [&str; 17] = [
    "OK",
    "Canceled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated",
];
const OK: usize = 0;
const CANCELED: usize = 1;
const UNKNOWN: usize = 2;

/// A method that is served. `traced` says whether it is traced when nobody asked for it: what answers from memory,
/// thousands of times a second, is not.
struct Method {
    path: &'static str,
    kind: &'static str,
    traced: bool,
}

const fn unary(path: &'static str, traced: bool) -> Method {
    Method { path, kind: "unary", traced }
}

/// Every method of the port, the most frequent first; the last stands for whatever else is asked for.
const METHODS: [Method; 47] = [
    unary("/countersign.v1.AuthService/VerifyAccessToken", false),
    unary("/envoy.service.auth.v3.Authorization/Check", false),
    unary("/countersign.v1.AuthService/Refresh", true),
    unary("/countersign.v1.AuthService/Login", true),
    unary("/countersign.v1.AuthService/Logout", true),
    unary("/countersign.v1.AuthService/BatchVerifyAccessTokens", false),
    Method { path: "/countersign.v1.AuthService/VerifyStream", kind: "bidi_stream", traced: false },
    Method { path: "/countersign.v1.RevocationService/WatchRevocations", kind: "bidi_stream", traced: false },
    unary("/grpc.health.v1.Health/Check", false),
    unary("/countersign.v1.AuthService/ChangePassword", true),
    unary("/countersign.v1.AuthService/ResetPassword", true),
    unary("/countersign.v1.AuthService/IssueServiceToken", true),
    unary("/countersign.v1.AuthService/ListOwnSessions", true),
    unary("/countersign.v1.AuthService/RevokeOwnSessions", true),
    unary("/countersign.v1.UserService/CreateUser", true),
    Method { path: IMPORT, kind: "bidi_stream", traced: true },
    unary("/countersign.v1.UserService/CheckPasswordHash", true),
    unary("/countersign.v1.UserService/GetUser", true),
    unary("/countersign.v1.UserService/ListUsers", true),
    unary("/countersign.v1.UserService/UpdateUser", true),
    unary("/countersign.v1.UserService/SetPassword", true),
    unary("/countersign.v1.UserService/CreatePasswordReset", true),
    unary("/countersign.v1.UserService/DisableUser", true),
    unary("/countersign.v1.UserService/EnableUser", true),
    unary("/countersign.v1.UserService/DeleteUser", true),
    unary("/countersign.v1.SessionService/ListSessions", true),
    unary("/countersign.v1.SessionService/RevokeSessions", true),
    unary("/countersign.v1.SessionService/ExplainSession", true),
    unary("/countersign.v1.ServiceAccountService/CreateServiceAccount", true),
    unary("/countersign.v1.ServiceAccountService/GetServiceAccount", true),
    unary("/countersign.v1.ServiceAccountService/ListServiceAccounts", true),
    unary("/countersign.v1.ServiceAccountService/UpdateServiceAccount", true),
    unary("/countersign.v1.ServiceAccountService/DisableServiceAccount", true),
    unary("/countersign.v1.ServiceAccountService/EnableServiceAccount", true),
    unary("/countersign.v1.ServiceAccountService/DeleteServiceAccount", true),
    unary("/countersign.v1.ServiceAccountService/CreateKey", true),
    unary("/countersign.v1.ServiceAccountService/ListKeys", true),
    unary("/countersign.v1.ServiceAccountService/RevokeKey", true),
    unary("/countersign.v1.KeyService/ListKeys", true),
    unary("/countersign.v1.KeyService/RotateKey", true),
    unary("/countersign.v1.KeyService/WithdrawKey", true),
    unary("/countersign.v1.AuditService/ListEvents", true),
    Method { path: WATCH_EVENTS, kind: "server_stream", traced: false },
    Method { path: "/grpc.health.v1.Health/Watch", kind: "server_stream", traced: false },
    Method {
        path: "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        kind: "bidi_stream",
        traced: false,
    },
    Method {
        path: "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        kind: "bidi_stream",
        traced: false,
    },
    unary("/other/other", false),
];

/// The place of Verify among the methods.
const VERIFY: usize = 0;

impl Method {
    fn number(path: &str) -> usize {
        METHODS.iter().position(|method| method.path == path).unwrap_or(METHODS.len() - 1)
    }

    fn names(&self) -> (&'static str, &'static str) {
        self.path.strip_prefix('/').and_then(|path| path.split_once('/')).unwrap_or_default()
    }
}

/// Counts of every method of the gRPC port.
#[derive(Debug, Clone)]
pub struct Calls(Arc<calls::Calls>);

impl Calls {
    /// All at zero.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let names = CallNames {
            started: "grpc_server_started",
            handled: "grpc_server_handled",
            seconds: "grpc_server_handling_seconds",
            code: "grpc_code",
        };
        let labels = |method: &Method| {
            let (service, name) = method.names();
            vec![
                ("grpc_type", method.kind.to_owned()),
                ("grpc_service", service.to_owned()),
                ("grpc_method", name.to_owned()),
            ]
        };
        let kinds = METHODS.iter().map(labels).collect();
        Self(Arc::new(calls::Calls::new(names, kinds, &CODES, clock)))
    }

    /// The time, for [`Calls::verified`].
    pub(super) fn now(&self) -> Monotonic {
        self.0.now()
    }

    /// A Verify that began at `begun` was answered on the spot.
    pub(super) fn verified(&self, begun: Monotonic) {
        self.0.count(VERIFY, OK, begun);
    }

    /// For the scrape.
    pub fn source(&self) -> Arc<calls::Calls> {
        self.0.clone()
    }
}

/// Puts a [`MeterService`] around a service.
#[derive(Clone)]
pub(super) struct MeterLayer(pub(super) Calls);

impl<S> Layer<S> for MeterLayer {
    type Service = MeterService<S>;

    fn layer(&self, inner: S) -> MeterService<S> {
        MeterService { inner, calls: self.0.0.clone() }
    }
}

/// See the module.
#[derive(Clone)]
pub(super) struct MeterService<S> {
    inner: S,
    calls: Arc<calls::Calls>,
}

impl<S> Service<Request<AxumBody>> for MeterService<S>
where
    S: Service<Request<AxumBody>, Response = Response<AxumBody>, Error = Infallible>,
    S::Future: Unpin,
{
    type Response = Response<AxumBody>;
    type Error = Infallible;
    type Future = Metered<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<AxumBody>) -> Self::Future {
        let number = Method::number(request.uri().path());
        let call = self.calls.start(number);
        let span = span(&METHODS[number], request.headers());
        let call = CallUnderWay { call, calls: self.calls.clone(), span, number, ended: false };
        let inner = call.span.in_scope(|| self.inner.call(request));
        Metered { inner, call: Some(call) }
    }
}

/// The span of a call in its trace; a disabled one for a call that is not traced.
fn span(method: &Method, headers: &HeaderMap) -> Span {
    if !traces::enabled() {
        return Span::none();
    }
    let parent = traces::parent(headers);
    if !method.traced && !parent.as_ref().is_some_and(traces::is_sampled) {
        return Span::none();
    }
    let (service, name) = method.names();
    let span = tracing::info_span!(
        target: traces::TARGET,
        "grpc",
        otel.name = method.path.trim_start_matches('/'),
        otel.kind = "server",
        rpc.system = "grpc",
        rpc.service = service,
        rpc.method = name,
        rpc.grpc.status_code = Empty,
        otel.status_code = Empty,
    );
    traces::adopt(&span, parent);
    span
}

/// A call until its end, whichever that is: dropped before, its caller has gone.
struct CallUnderWay {
    call: calls::Call,
    calls: Arc<calls::Calls>,
    span: Span,
    number: usize,
    ended: bool,
}

impl CallUnderWay {
    fn end(&mut self, code: usize) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let trace = traces::recorded(&self.span);
        self.calls.finish(&self.call, code, trace.as_deref());
        if !self.span.is_disabled() {
            self.span.record("rpc.grpc.status_code", code);
            if is_our_fault(code) {
                self.span.record("otel.status_code", "ERROR");
            }
        }
    }
}

/// What the semantic conventions call an error of a server: Unknown, `DeadlineExceeded`, Unimplemented, Internal,
/// Unavailable, `DataLoss`.
const fn is_our_fault(code: usize) -> bool {
    matches!(code, 2 | 4 | 12 | 13 | 14 | 15)
}

impl Drop for CallUnderWay {
    fn drop(&mut self) {
        self.end(CANCELED);
    }
}

/// The code in headers or trailers; none where they have none.
fn code(headers: &HeaderMap) -> Option<usize> {
    let value = headers.get("grpc-status")?;
    let number = value.to_str().ok().and_then(|text| text.parse::<usize>().ok());
    Some(number.filter(|number| *number < CODES.len()).unwrap_or(UNKNOWN))
}

/// A call on its way to its answer.
pub(super) struct Metered<F> {
    inner: F,
    call: Option<CallUnderWay>,
}

impl<F> Future for Metered<F>
where
    F: Future<Output = Result<Response<AxumBody>, Infallible>> + Unpin,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let inner = Pin::new(&mut this.inner);
        let answer = match &this.call {
            Some(call) if !call.span.is_disabled() => {
                let _entered = call.span.enter();
                ready!(inner.poll(cx))
            }
            _ => ready!(inner.poll(cx)),
        };
        let Ok(answer) = answer;
        let Some(mut call) = this.call.take() else { return Poll::Ready(Ok(answer)) };
        // A refusal has its code here; a single message that was made is a success. Only of a stream nobody knows
        // before its trailers.
        match code(answer.headers()) {
            Some(code) => call.end(code),
            None if METHODS[call.number].kind == "unary" => call.end(OK),
            None => {
                let (parts, body) = answer.into_parts();
                return Poll::Ready(Ok(Response::from_parts(
                    parts,
                    AxumBody::new(MeteredBody { inner: body, call }),
                )));
            }
        }
        Poll::Ready(Ok(answer))
    }
}

/// A stream on its way to its trailers.
struct MeteredBody {
    inner: AxumBody,
    call: CallUnderWay,
}

impl Body for MeteredBody {
    type Data = <AxumBody as Body>::Data;
    type Error = <AxumBody as Body>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(trailers) = frame.trailers_ref() {
                    self.call.end(code(trailers).unwrap_or(OK));
                }
            }
            Some(Err(_)) => self.call.end(UNKNOWN),
            None => self.call.end(OK),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;

    #[test]
    fn every_method_of_the_contract_has_its_place() {
        let files = prost_types::FileDescriptorSet::decode(crate::grpc::proto::DESCRIPTORS).unwrap();
        let package = files.file.iter().filter(|file| file.package() == "countersign.v1");
        for service in package.flat_map(|file| &file.service) {
            for method in &service.method {
                let path = format!("/countersign.v1.{}/{}", service.name(), method.name());
                let kind = match (method.client_streaming(), method.server_streaming()) {
                    (false, false) => "unary",
                    (false, true) => "server_stream",
                    (true, false) => "client_stream",
                    (true, true) => "bidi_stream",
                };
                assert_eq!(METHODS[Method::number(&path)].path, path);
                assert_eq!(METHODS[Method::number(&path)].kind, kind, "{path}");
            }
        }
        assert_eq!(METHODS[VERIFY].path, super::super::at_once::PATH);
        assert_eq!(METHODS[Method::number("/no.such/Method")].names(), ("other", "other"));
    }

    #[test]
    fn codes_are_read_from_headers_and_trailers() {
        let of = |value: &str| {
            code(&HeaderMap::from_iter([("grpc-status".parse().unwrap(), value.parse().unwrap())]))
        };
        assert_eq!([of("0"), of("16"), of("17"), of("x")], [Some(0), Some(16), Some(2), Some(2)]);
        assert_eq!(code(&HeaderMap::new()), None);
    }
}
