//! From hyper's request to a handler's: who sends it, what it may hold, and whether HTTP allows it.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready as ready_or_pending};

use axum::body::Body;
use futures_util::future::Either;
use http::header::{CONNECTION, CONTENT_TYPE, HOST, RETRY_AFTER};
use http::uri::Authority;
use http::{HeaderValue, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use pin_project_lite::pin_project;
use tower::Service;

use super::activity::Activity;
use super::connections::{Connections, Slot};
use super::exchange::{AnswerBody, Exchange, RequestBody};
use super::{Answers, Caller, Stamp};

/// Handles the requests of one connection.
#[derive(Clone)]
pub(super) struct Handling<S> {
    service: S,
    connection: Arc<Connection>,
}

struct Connection {
    caller: Caller,
    stamp: Stamp,
    activity: Arc<Activity>,
    connections: Arc<Connections>,
}

impl<S> Handling<S> {
    /// By this service; `stamp` notes on each request who calls.
    pub(super) fn new(service: S, caller: Caller, stamp: Stamp, slot: &Slot) -> Self {
        let (activity, connections) = (Arc::clone(slot.activity()), Arc::clone(slot.connections()));
        Self { service, connection: Arc::new(Connection { caller, stamp, activity, connections }) }
    }
}

impl<S: Answers> Service<Request<Incoming>> for Handling<S> {
    type Response = Response<AnswerBody>;
    type Error = Infallible;
    type Future = Answering<Either<Ready<Result<Response<Body>, Infallible>>, S::Future>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let Connection { caller, stamp, activity, connections } = &*self.connection;
        let only = connections.only();
        let last = only.is_some() && request.version() != Version::HTTP_2;
        let refuse = |answer, exchange| Answering {
            answer: Either::Left(ready(Ok(answer))),
            exchange: Some(exchange),
            last,
        };
        let Some(exchange) = Exchange::begin(activity, &request) else {
            connections.refuse_request();
            return refuse(no_room(is_grpc(&request)), Exchange::begin_unpaid(activity, &request));
        };
        if !names_one_host(&request) {
            return refuse(bad_host(), exchange);
        }
        if only.is_some_and(|only| !only.contains(&request.uri().path())) {
            connections.refuse_request();
            return refuse(no_room(is_grpc(&request)), exchange);
        }
        let grpc = is_grpc(&request);
        let (head, body) = request.into_parts();
        let body = Body::new(RequestBody::new(body, Arc::clone(&exchange), grpc));
        let mut request = Request::from_parts(head, body);
        stamp(request.extensions_mut(), caller);
        Answering { answer: Either::Right(self.service.call(request)), exchange: Some(exchange), last }
    }
}

pin_project! {
    /// An answer that is being made.
    pub(super) struct Answering<F> {
        #[pin]
        answer: F,
        exchange: Option<Arc<Exchange>>,
        // Whether the connection of HTTP/1 ends with it.
        last: bool,
    }
}

impl<F: Future<Output = Result<Response<Body>, Infallible>>> Future for Answering<F> {
    type Output = Result<Response<AnswerBody>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Ok(mut answer) = ready_or_pending!(this.answer.poll(cx));
        if *this.last {
            answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let exchange = this.exchange.take().expect("a future is not polled after its end");
        Poll::Ready(Ok(answer.map(|body| AnswerBody::new(body, exchange))))
    }
}

fn is_grpc<B>(request: &Request<B>) -> bool {
    let content_type = request.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    content_type.is_some_and(|content_type| content_type.starts_with(b"application/grpc"))
}

/// Whether it says for which host it is as HTTP asks: once on HTTP/1.1 (RFC 9112 §3.2), never twice, and by nothing
/// else than `:authority` on HTTP/2 (RFC 9113 §8.3.1).
fn names_one_host<B>(request: &Request<B>) -> bool {
    let mut hosts = request.headers().get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (_, Some(_)) => false,
        (None, None) => request.version() != Version::HTTP_11,
        (Some(host), None) => {
            let named = Authority::try_from(host.as_bytes()).ok();
            let is_host = host.is_empty() || named.as_ref().is_some_and(|host| !host.as_str().contains('@'));
            let others = request.uri().authority().filter(|_| request.version() == Version::HTTP_2);
            is_host && others.is_none_or(|authority| named.as_ref() == Some(authority))
        }
    }
}

fn bad_host() -> Response<Body> {
    let mut answer = Response::new(Body::from("Host: must be there once, and name a host\n"));
    *answer.status_mut() = StatusCode::BAD_REQUEST;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    answer
}

/// In the words of the protocol that is spoken. `RESOURCE_EXHAUSTED` is 8 (`google.rpc.Code`).
fn no_room(grpc: bool) -> Response<Body> {
    let mut answer = Response::new(Body::empty());
    let headers = answer.headers_mut();
    if grpc {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert("grpc-status", HeaderValue::from_static("8"));
        let message = HeaderValue::from_static("the service holds as much for its callers as it may");
        headers.insert("grpc-message", message);
        return answer;
    }
    headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(version: Version, uri: &str, hosts: &[&[u8]]) -> Request<()> {
        let mut request = Request::builder().version(version).uri(uri).body(()).unwrap();
        for host in hosts {
            request.headers_mut().append(HOST, HeaderValue::from_bytes(host).unwrap());
        }
        request
    }

    #[test]
    fn a_request_names_its_host_once() {
        for (version, uri, hosts, expected) in [
            (Version::HTTP_11, "/", &[b"auth.example:8080".as_slice()][..], true),
            (Version::HTTP_11, "/", &[b"[2001:db8::1]:443"], true),
            (Version::HTTP_11, "/", &[b""], true),
            (Version::HTTP_11, "/", &[], false),
            (Version::HTTP_11, "/", &[b"a.example", b"a.example"], false),
            (Version::HTTP_11, "/", &[b"a.example b.example"], false),
            (Version::HTTP_11, "/", &[b"user@a.example"], false),
            (Version::HTTP_11, "/", &[b"\xe9.example"], false),
            (Version::HTTP_10, "/", &[], true),
            (Version::HTTP_10, "/", &[b"a.example", b"b.example"], false),
            (Version::HTTP_2, "http://a.example/", &[], true),
            (Version::HTTP_2, "http://a.example/", &[b"A.example"], true),
            (Version::HTTP_2, "http://a.example/", &[b"b.example"], false),
            (Version::HTTP_2, "http://a.example/", &[b"a.example", b"a.example"], false),
        ] {
            let request = request(version, uri, hosts);
            assert_eq!(names_one_host(&request), expected, "{version:?} {uri} {hosts:?}");
        }
    }
}
