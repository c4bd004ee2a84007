//! `VerifyAccessToken`, answered on the spot.
//!
//! It is the call that every request of every other service makes. Where all of it has arrived and the answer is no
//! error, nothing is left to wait for: no deadline to set, no span to open, no layer to pass through. Whatever is not
//! so simple goes the ordinary way as if nobody had looked at it, so that there is one place that knows what to do
//! about rights, traces, compression, deadlines, malformed messages, stale views and defects.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_util::future::Either;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Version};
use hyper::body::{Body, Frame};
use prost::Message;
use prost::bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use tonic::service::AxumBody;
use tower::Service;

use super::allow::AllowList;
use super::meter::Calls;
use super::proto::v1;
use super::{MAX_RESPONSE_BYTES, convert, deadline};
use crate::auth::{Authenticate, Verification, Verify, bounds};
use crate::telemetry::traces;
use crate::transport::{PeerNames, request_id};

pub(super) const PATH: &str = "/countersign.v1.AuthService/VerifyAccessToken";
/// What stands before a message: whether it is compressed, and its length in four bytes.
const PREFIX_BYTES: usize = 5;

/// Answers a plain Verify itself, and leaves everything else to `ordinary`.
#[derive(Clone)]
pub struct VerifyAtOnce<S> {
    pub(super) auth: Arc<dyn Authenticate>,
    pub(super) allow: Arc<AllowList>,
    pub(super) calls: Calls,
    pub(super) max_request_bytes: usize,
    pub(super) ordinary: S,
}

type Answer = Result<Response<AxumBody>, Infallible>;

impl<S> Service<Request<AxumBody>> for VerifyAtOnce<S>
where
    S: Service<Request<AxumBody>, Response = Response<AxumBody>, Error = Infallible>,
{
    type Response = Response<AxumBody>;
    type Error = Infallible;
    type Future = Either<Ready<Answer>, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.ordinary.poll_ready(cx)
    }

    fn call(&mut self, request: Request<AxumBody>) -> Self::Future {
        let begun = self.calls.now();
        let request = if is_plain(&request) && self.permits(&request) {
            let (head, body) = request.into_parts();
            match read_whole(body) {
                Ok(frame) => match self.answer(&frame) {
                    Some(answer) => {
                        self.calls.verified(begun);
                        return Either::Left(ready(Ok(respond(&head.headers, answer))));
                    }
                    None => Request::from_parts(head, AxumBody::from(frame)),
                },
                Err(body) => Request::from_parts(head, body),
            }
        } else {
            request
        };
        Either::Right(self.ordinary.call(request))
    }
}

impl<S> VerifyAtOnce<S> {
    fn permits<B>(&self, request: &Request<B>) -> bool {
        let names = request.extensions().get::<PeerNames>().map(|names| names.0.as_ref());
        self.allow.permits(PATH, names)
    }

    fn answer(&self, frame: &Bytes) -> Option<Bytes> {
        // A panic is the ordinary way's to tell of.
        catch_unwind(AssertUnwindSafe(|| {
            let Question { access_token, audiences, max_staleness, at_least } = self.read(frame)?;
            if !at_least.is_empty() {
                // There may be something to wait for.
                return None;
            }
            let token = std::str::from_utf8(&access_token).ok()?;
            let max_staleness = match max_staleness {
                Some(duration) => Some(convert::duration(duration).ok()?),
                None => None,
            };
            if !bounds::expected_audiences(&audiences).is_empty() {
                return None;
            }
            encode(&self.auth.verify_at_once(token, &audiences, max_staleness)?)
        }))
        .ok()
        .flatten()
    }

    fn read(&self, frame: &Bytes) -> Option<Question> {
        let mut message = frame.clone();
        let compressed = message.try_get_u8().ok()? != 0;
        let length = usize::try_from(message.try_get_u32().ok()?).ok()?;
        if compressed || length != message.len() || length > self.max_request_bytes {
            return None;
        }
        Question::decode(message).ok()
    }
}

/// Whether it is a call of Verify, in a form that every client uses.
fn is_plain<B>(request: &Request<B>) -> bool {
    let mut content_types = request.headers().get_all(CONTENT_TYPE).iter().map(HeaderValue::as_bytes);
    let content_type = (content_types.next(), content_types.next());
    request.uri().path() == PATH
        && request.method() == Method::POST
        && request.version() == Version::HTTP_2
        && matches!(content_type, (Some(b"application/grpc" | b"application/grpc+proto"), None))
        && deadline::allows_an_instant(request.headers())
        && !(traces::enabled() && traces::parent(request.headers()).is_some())
}

/// `VerifyAccessTokenRequest`, with the token left where it is.
#[derive(Clone, PartialEq, Message)]
struct Question {
    #[prost(bytes = "bytes", tag = "1")]
    access_token: Bytes,
    #[prost(string, repeated, tag = "2")]
    audiences: Vec<String>,
    #[prost(message, optional, tag = "3")]
    max_staleness: Option<prost_types::Duration>,
    #[prost(bytes = "bytes", tag = "4")]
    at_least: Bytes,
}

/// The body, if it has arrived and is one piece; otherwise a body that reads the same.
fn read_whole(mut body: AxumBody) -> Result<Bytes, AxumBody> {
    // Nobody is to be woken: whoever gets the rest of the body asks again.
    let mut now = Context::from_waker(Waker::noop());
    let mut next = |body: &mut AxumBody| Pin::new(body).poll_frame(&mut now);
    let Poll::Ready(Some(first)) = next(&mut body) else { return Err(body) };
    let mut read = VecDeque::new();
    match first.map(Frame::into_data) {
        Ok(Ok(data)) if body.is_end_stream() => return Ok(data),
        // Some clients end the stream with a frame of its own.
        Ok(Ok(data)) => match next(&mut body) {
            Poll::Ready(None) => return Ok(data),
            Poll::Ready(Some(second)) => read.extend([Ok(Frame::data(data)), second]),
            Poll::Pending => read.push_back(Ok(Frame::data(data))),
        },
        Ok(Err(trailers)) => read.push_back(Ok(trailers)),
        Err(error) => read.push_back(Err(error)),
    }
    Err(AxumBody::new(Resumed { read, rest: body }))
}

/// A body of which something was read already.
struct Resumed {
    read: VecDeque<Result<Frame<Bytes>, axum::Error>>,
    rest: AxumBody,
}

impl Body for Resumed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match self.read.pop_front() {
            Some(frame) => Poll::Ready(Some(frame)),
            None => Pin::new(&mut self.rest).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.read.is_empty() && self.rest.is_end_stream()
    }
}

/// What is always the same in the answer about a verified token, kept with what is known of it: the message but for
/// the staleness, encoded.
struct Encoded(Vec<u8>);

impl Encoded {
    fn of(verification: Verification) -> Self {
        let lasting = Verify { verification, revocation_staleness: None };
        Self(v1::VerifyAccessTokenResponse::from(lasting).encode_to_vec())
    }
}

/// The answer with its prefix. Two messages one after the other are one with the fields of both (protobuf, "Last
/// One Wins"), so the staleness is written behind what is kept.
fn encode(verify: &Verify) -> Option<Bytes> {
    let encoded = || Encoded::of(verify.verification.clone());
    let own;
    let kept = match &verify.verification {
        Verification::Verified(token) => token.memo.get_or_make(encoded)?,
        Verification::Invalid(_) => {
            own = encoded();
            &own
        }
    };
    let staleness = v1::VerifyAccessTokenResponse {
        result: None,
        revocation_staleness: verify.revocation_staleness.and_then(|staleness| staleness.try_into().ok()),
    };
    let length = kept.0.len() + staleness.encoded_len();
    if length > MAX_RESPONSE_BYTES {
        return None;
    }
    let mut frame = BytesMut::with_capacity(PREFIX_BYTES + length);
    frame.put_u8(0);
    frame.put_u32(u32::try_from(length).ok()?);
    frame.put_slice(&kept.0);
    staleness.encode(&mut frame).ok()?;
    Some(frame.freeze())
}

/// A request id that the caller sent is sent back. None is made: there is no line in the log that it would name.
fn respond(asked: &HeaderMap, answer: Bytes) -> Response<AxumBody> {
    let mut response = Response::new(AxumBody::new(Answered { message: Some(answer), ended: false }));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    if let Some(id) = request_id::RequestId::sent(asked) {
        headers.insert(request_id::HEADER, id.to_header());
    }
    response
}

/// One message, and the trailers of a call that went well.
struct Answered {
    message: Option<Bytes>,
    ended: bool,
}

impl Body for Answered {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let frame = match self.message.take() {
            Some(message) => Frame::data(message),
            None if self.ended => return Poll::Ready(None),
            None => {
                self.ended = true;
                let mut trailers = HeaderMap::with_capacity(1);
                trailers.insert("grpc-status", HeaderValue::from_static("0"));
                Frame::trailers(trailers)
            }
        };
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}

#[cfg(test)]
pub(super) mod tests;
