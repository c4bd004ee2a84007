//! What happens around every call, whatever its service: its name, its span in the log, its deadline, and an
//! answer when it panics.

use std::convert::Infallible;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt as _;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use tokio_util::task::TaskTracker;
use tonic::Status;
use tonic::service::AxumBody;
use tower::{Layer, Service};
use tracing::{Instrument as _, Span};

use super::administration::token_actor;
use super::allow::{Admission, AllowList, is_administrative};
use super::deadline;
use super::status;
use crate::auth::{
    AuthError, Authenticate, CallContext, EventRecorder, PresentedKey, ServiceKeys, VerifiedToken,
    VerifyRequest,
};
use crate::model::{Actor, Clock, EventKind, Monotonic, NewEvent, Origin};
use crate::reason::{Language, Reason};
use crate::transport::{
    Deadlines, Panicked, Peer, PeerNames, RequestId, TrustedProxies, bearer_of, bearer_token, carry_through,
    language, refused_as, request_id,
};

/// What the layer has found out about a call, in the extensions of its request.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) request_id: RequestId,
    deadline: Monotonic,
    pub(super) language: Language,
    pub(super) peer: Option<IpAddr>,
    /// How an administrative call was let in; of any other it is not asked.
    pub(super) admitted: Option<Admitted>,
}

/// Who was let in to call a method that not everybody may call, and by what right.
#[derive(Debug, Clone)]
pub(super) struct Admitted {
    /// The method: the path of the call.
    pub(super) path: String,
    pub(super) right: Right,
}

/// By what right somebody was let in.
#[derive(Debug, Clone)]
pub(super) enum Right {
    /// By a rule that names their certificate, which has these names.
    Certificate(Vec<String>),
    /// By calling a server for tests, where everybody may do everything.
    Anybody,
    /// By a role in an access token, which was good when the call came.
    Token(Arc<VerifiedToken>),
    /// By a service key. Nothing is known of it yet but that it is well formed: the store is to be asked whether it is good,
    /// and what it may do.
    Key(PresentedKey),
}

impl Call {
    /// Takes the call out of a request, and the message with it.
    pub(super) fn split<T>(request: tonic::Request<T>) -> (Self, T) {
        let (_, mut extensions, message) = request.into_parts();
        let call = extensions.remove::<Self>().expect("routes() puts the layer around every service");
        (call, message)
    }

    /// Runs a change to its end, whatever becomes of its caller.
    pub(super) async fn carry_through<T: Send + 'static>(
        &self,
        tasks: &TaskTracker,
        change: impl Future<Output = Result<T, AuthError>> + Send + 'static,
    ) -> Result<T, Status> {
        let language = self.language;
        let change = async move { change.await.map_err(|error| status::refuse(&error, language)) };
        let outcome = carry_through(tasks, change).await;
        outcome.unwrap_or_else(|panicked| Err(status::refuse(&panicked.into(), language)))
    }

    /// What the use cases are told of it.
    pub(super) fn context(&self) -> CallContext {
        CallContext { deadline: self.deadline, peer: self.peer, request_id: self.request_id.shared() }
    }
}

/// Somebody who may not use a method.
struct Unadmitted {
    error: AuthError,
    /// Who called, where it is known that it is them.
    by: Option<Actor>,
}

impl From<AuthError> for Unadmitted {
    fn from(error: AuthError) -> Self {
        Self { error, by: None }
    }
}

/// Puts a [`CallService`] around a service.
#[derive(Clone)]
pub(super) struct CallLayer {
    pub(super) auth: Arc<dyn Authenticate>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) deadlines: Deadlines,
    pub(super) trusted_proxies: TrustedProxies,
    pub(super) allow: Arc<AllowList>,
    pub(super) events: EventRecorder,
}

impl<S> Layer<S> for CallLayer {
    type Service = CallService<S>;

    fn layer(&self, inner: S) -> CallService<S> {
        CallService { inner, layer: self.clone() }
    }
}

/// See the module.
#[derive(Clone)]
pub(super) struct CallService<S> {
    inner: S,
    layer: CallLayer,
}

type Answer = Result<Response<AxumBody>, Infallible>;

impl<S> Service<Request<AxumBody>> for CallService<S>
where
    S: Service<Request<AxumBody>, Response = Response<AxumBody>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<AxumBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<AxumBody>) -> Self::Future {
        let request_id = RequestId::of(request.headers());
        let echo = request_id.to_header();
        let span = span(&request, &request_id);
        let language = language(request.headers());
        let ours = request.uri().path().starts_with("/countersign.");
        let begun =
            self.begin(&mut request, request_id, language).map(|budget| (budget, self.inner.call(request)));
        let answer = async move {
            let mut answer = match begun {
                Ok((budget, call)) => finish(budget, call, language).await,
                Err(error) => status::refuse(&error, language).into_http(),
            };
            if ours {
                answer = readable(answer, language);
            }
            answer.headers_mut().insert(request_id::HEADER, echo);
            Ok(answer)
        };
        Box::pin(answer.instrument(span))
    }
}

impl<S> CallService<S> {
    /// Refuses whoever may not use this method.
    fn admit(
        &self,
        request: &Request<AxumBody>,
        context: &CallContext,
    ) -> Result<Option<Admitted>, Unadmitted> {
        let names = request.extensions().get::<PeerNames>().map(|names| names.0.as_ref());
        let path = request.uri().path();
        let by = |right| Some(Admitted { path: path.to_owned(), right });
        match self.layer.allow.admission(path, names) {
            Admission::Open if is_administrative(path) => {
                Ok(by(Right::Certificate(names.unwrap_or_default().to_vec())))
            }
            Admission::Open => Ok(None),
            Admission::Token if self.waives_credentials(request) => Ok(by(Right::Anybody)),
            Admission::Token => {
                self.admit_token(request, context).map(by).inspect_err(|Unadmitted { error, .. }| {
                    tracing::warn!(
                        target: "countersign::audit",
                        event = "call.not_allowed",
                        method = path, names = ?names.unwrap_or_default(), why = error.reason.name(),
                        peer = context.peer.map(|peer| peer.to_string()),
                        "call refused: its method needs a role"
                    );
                })
            }
            Admission::Closed => {
                if self.layer.allow.lacks_a_rule_for(path) {
                    static SAID: std::sync::Once = std::sync::Once::new();
                    SAID.call_once(|| tracing::warn!("{HOW_TO_OPEN}"));
                }
                tracing::warn!(
                    target: "countersign::audit",
                    event = "call.not_allowed",
                    method = path, names = ?names.unwrap_or_default(),
                    peer = context.peer.map(|peer| peer.to_string()),
                    "call refused: grpc.allow names nobody with this certificate"
                );
                Err(AuthError::from(Reason::CallerNotAllowed).into())
            }
        }
    }

    /// Whether the request shows nothing, and need not.
    fn waives_credentials(&self, request: &Request<AxumBody>) -> bool {
        self.layer.allow.waives_credentials()
            && !request.headers().contains_key(http::header::AUTHORIZATION)
            && is_administrative(request.uri().path())
    }

    /// Admits whoever has an access token, for the default audience, of a user with a role that is enough; and, to what is
    /// administrative, whoever has something that may be a service key: the services ask the store about it.
    fn admit_token(&self, request: &Request<AxumBody>, context: &CallContext) -> Result<Right, Unadmitted> {
        let token = bearer_token(request.headers())?.ok_or(AuthError::from(Reason::TokenMissing))?;
        if is_administrative(request.uri().path())
            && let Some(key) = ServiceKeys::read(token)
        {
            return Ok(key.map(Right::Key)?);
        }
        let ask = VerifyRequest {
            access_token: token.to_owned().into(),
            audiences: Vec::new(),
            max_staleness: None,
        };
        let token =
            bearer_of(self.layer.auth.verify(context, &ask)?.verification).map_err(AuthError::from)?;
        let roles = token.roles.iter().map(String::as_str);
        if self.layer.allow.permits_roles(request.uri().path(), roles) {
            Ok(Right::Token(token))
        } else {
            let error = AuthError::from(Reason::CallerNotAllowed);
            let by = token_actor(&token);
            Err(Unadmitted { error: error.caused_by(format!("{by} lacks a role")), by: Some(by) })
        }
    }

    /// Puts the call into the request's extensions and says how long it may take.
    fn begin(
        &self,
        request: &mut Request<AxumBody>,
        request_id: RequestId,
        language: Language,
    ) -> Result<Option<Duration>, AuthError> {
        let limit = self.layer.deadlines.limit(request.uri().path());
        let budget = deadline::take_budget(request.headers_mut(), limit).map_err(|_| {
            AuthError::invalid_field("", "must have a grpc-timeout of 1 to 8 digits and one of H M S m u n")
        })?;
        if budget == Some(Duration::ZERO) {
            return Err(Reason::DeadlineExceeded.into());
        }
        let body = std::mem::replace(request.body_mut(), AxumBody::empty());
        *request.body_mut() = AxumBody::new(body.map_err(move |error| explained(error, language)));
        let now = self.layer.clock.monotonic();
        let deadline = Monotonic(now.0.saturating_add(budget.unwrap_or(Duration::MAX)));
        let peer = request.extensions().get::<Peer>().map(|peer| peer.0);
        let peer = peer.map(|peer| self.layer.trusted_proxies.client(peer, request.headers()));
        let context = CallContext { deadline, peer, request_id: request_id.shared() };
        let admitted = self.admit(request, &context).map_err(|Unadmitted { error, by }| {
            let names = request.extensions().get::<PeerNames>().map(|names| names.0.join(" "));
            let actor = match (by, names) {
                (Some(by), _) => by.to_string(),
                (None, Some(names)) => format!("certificate:{names}"),
                (None, None) => String::new(),
            };
            self.layer.events.record(refusal(request.uri().path(), &actor, error.reason, peer, &request_id));
            error
        })?;
        request.extensions_mut().insert(Call { request_id, deadline, language, peer, admitted });
        Ok(budget)
    }
}

/// The event of a call that was refused because of who makes it.
pub(super) fn refusal(
    method: &str,
    actor: &str,
    why: Reason,
    peer: Option<IpAddr>,
    request_id: &RequestId,
) -> NewEvent {
    let request_id = request_id.as_str().to_owned();
    let origin = Origin { peer, request_id, ..Origin::default() };
    let mut event = NewEvent::new(EventKind::CallerRefused, actor, &origin).because(why.name());
    method[..method.floor_char_boundary(LONGEST_PATH)].clone_into(&mut event.facts.method);
    event
}

/// Whatever a caller asks for is bounded before it is written down.
const LONGEST_PATH: usize = 128;

/// An error of a body in the words of the catalogue, where the listener refused to read on: the status that a method
/// ends with which waits for its message.
fn explained(error: axum::Error, language: Language) -> axum::Error {
    let reason = match refused_as(&error) {
        Some(ErrorKind::TimedOut) => Reason::DeadlineExceeded,
        Some(_) => Reason::ServerOverloaded,
        None => return error,
    };
    axum::Error::new(status::refuse(&AuthError::from(reason).caused_by(error), language))
}

/// Said once, where what is closed is met.
const HOW_TO_OPEN: &str = "call refused: RevocationService and reflection are closed on a port that other machines reach. \
    Open them in the configuration: [[grpc.allow]] methods = [\"countersign.v1.RevocationService/*\"] \
    sans = [\"spiffe://…\"], or sans = [\"anyone\"] where the network lets only those in who may know";

/// Waits for the answer for as long as the call may take.
async fn finish(
    budget: Option<Duration>,
    call: impl Future<Output = Answer>,
    language: Language,
) -> Response<AxumBody> {
    let call = AssertUnwindSafe(call).catch_unwind();
    let outcome = match budget {
        Some(budget) => tokio::time::timeout(budget, call).await,
        None => Ok(call.await),
    };
    let error = match outcome {
        Ok(Ok(Ok(answer))) => return answer,
        Ok(Err(_panic)) => Panicked.into(),
        Err(_elapsed) => Reason::DeadlineExceeded.into(),
    };
    status::refuse(&error, language).into_http()
}

/// Gives a refusal that tonic made by itself its reason.
fn readable(answer: Response<AxumBody>, language: Language) -> Response<AxumBody> {
    let (parts, body) = answer.into_parts();
    match status::unreadable_request(&parts) {
        Some(error) => status::refuse(&error, language).into_http(),
        None => Response::from_parts(parts, body),
    }
}

/// The span that every line of the log about this call stands in.
fn span(request: &Request<AxumBody>, request_id: &RequestId) -> Span {
    let path = request.uri().path();
    let method = &path[..path.floor_char_boundary(LONGEST_PATH)];
    let caller = request.extensions().get::<PeerNames>().and_then(PeerNames::first);
    tracing::info_span!("grpc", method, request_id = request_id.as_str(), caller)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grpc::at_once::tests::Stub;
    use crate::model::{ManualClock, UnixMillis};
    use tonic_types::StatusExt as _;
    use tower::ServiceExt as _;

    async fn panics(_: Request<AxumBody>) -> Answer {
        panic!("in the decoder, say")
    }

    #[tokio::test]
    async fn a_panic_anywhere_is_answered_as_internal() {
        let layer = CallLayer {
            auth: Arc::new(Stub),
            clock: Arc::new(ManualClock::new(UnixMillis(0))),
            deadlines: Deadlines::default(),
            trusted_proxies: TrustedProxies::default(),
            allow: Arc::default(),
            events: EventRecorder::default(),
        };
        let service = layer.layer(tower::service_fn(panics));
        let request = Request::builder().header("accept-language", "zh").body(AxumBody::empty()).unwrap();
        let answer = service.oneshot(request).await.unwrap();
        let status = tonic::Status::from_header_map(answer.headers()).unwrap();
        assert_eq!(status.code(), tonic::Code::Internal);
        let details = status.get_error_details();
        assert_eq!(details.error_info().unwrap().reason, "INTERNAL");
        assert_eq!(details.localized_message().unwrap().locale, "zh-CN");
        assert!(!String::from_utf8_lossy(status.details()).contains("decoder"));
        assert!(answer.headers().contains_key("x-request-id"));
    }
}
