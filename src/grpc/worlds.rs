//! The gRPC port of the test server: each call goes to the world that its metadata names, and fails there if a test says so.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::stream;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use tonic::service::AxumBody;
use tonic::{Code, Status};
use tower::{Service, ServiceExt as _};

use super::GrpcService;
use super::status::refuse;
use super::test_service;
use crate::auth::AuthError;
use crate::reason::Language;
use crate::testing::{Failure, Hold, Stay, Visit, WORLD_HEADER, WorldName, Worlds};
use crate::transport::{RequestId, language, request_id};

/// The methods whose streams go on for as long as nobody ends them.
const STREAMS: [&str; 2] =
    ["/countersign.v1.RevocationService/WatchRevocations", "/countersign.v1.AuthService/VerifyStream"];

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

type Answer = Response<AxumBody>;

impl<W: Worlds<GrpcService>> Service<Request<AxumBody>> for InWorlds<W> {
    type Response = Answer;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Answer, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<AxumBody>) -> Self::Future {
        let worlds = Arc::clone(&self.0);
        Box::pin(async move {
            let (language, request_id) = (language(request.headers()), RequestId::of(request.headers()));
            let answer = answer(worlds.as_ref(), request).await;
            Ok(answer.unwrap_or_else(|error| refused(&error, language, &request_id)))
        })
    }
}

async fn answer(worlds: &impl Worlds<GrpcService>, request: Request<AxumBody>) -> Result<Answer, AuthError> {
    let name = world_of(request.headers(), request.uri().host())?;
    let Visit { service, control, stay } = worlds.enter(&name).await?;
    let path = request.uri().path().to_owned();
    let method = path.strip_prefix('/').unwrap_or(&path);
    if !method.starts_with(test_service::PREFIX)
        && let Some((failure, delay)) = control.failures().take(&[method])
    {
        tokio::time::sleep(delay).await;
        match failure {
            None => {}
            Some(Failure::Reason(reason)) => return Err(reason.into()),
            Some(Failure::Code(code)) => {
                return Ok(Status::new(Code::from_i32(code), "TestService.FailMethod").into_http());
            }
        }
    }
    let Ok(answer) = service.oneshot(request).await;
    if !STREAMS.contains(&path.as_str()) {
        return Ok(answer);
    }
    let hold = control.streams().begin();
    Ok(answer.map(|body| held(body, hold, stay)))
}

/// The world that the metadata names, or the authority: `NAME.localhost`, which every gRPC client can be given, and those of the
/// SDKs that follow a server, too.
fn world_of(headers: &HeaderMap, host: Option<&str>) -> Result<WorldName, AuthError> {
    let named = headers.get_all(WORLD_HEADER).iter();
    let named = named.map(|name| (WORLD_HEADER, name.to_str().unwrap_or_default().to_owned()));
    let host = host.and_then(WorldName::in_host).map(|name| (":authority", name));
    WorldName::of_request(named.chain(host)).map_err(|(place, what)| AuthError::invalid_field(place, what))
}

fn refused(error: &AuthError, language: Language, request_id: &RequestId) -> Answer {
    let mut answer = refuse(error, language).into_http::<AxumBody>();
    answer.headers_mut().insert(request_id::HEADER, request_id.to_header());
    answer
}

/// A stream that a test may stall and end.
fn held(body: AxumBody, hold: Hold, stay: Stay) -> AxumBody {
    struct Open {
        body: AxumBody,
        hold: Hold,
        _stay: Stay,
    }
    let open = Some(Open { body, hold, _stay: stay });
    let frames = stream::unfold(open, |open| async move {
        let mut open = open?;
        loop {
            let stalled = open.hold.is_stalled();
            tokio::select! {
                biased;
                over = open.hold.changed() => if over {
                    // Without `open`, so that the service hears that nobody listens.
                    return Some((Ok(Frame::trailers(ended())), None));
                },
                frame = open.body.frame(), if !stalled => return Some((frame?, Some(open))),
            }
        }
    });
    AxumBody::new(StreamBody::new(frames))
}

/// The trailers of a stream that ended as it should.
fn ended() -> HeaderMap {
    HeaderMap::from_iter([(Status::GRPC_STATUS, HeaderValue::from_static("0"))])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_in_the_world_that_it_names_and_in_no_other() {
        let of = |names: &[&'static str], host| {
            let mut headers = HeaderMap::new();
            for name in names {
                headers.append(WORLD_HEADER, HeaderValue::from_static(name));
            }
            world_of(&headers, host).map(|name| name.to_string()).map_err(|error| error.reason.name())
        };
        assert_eq!(of(&[], None), Ok("default".to_owned()));
        assert_eq!(of(&["a"], Some("127.0.0.1")), Ok("a".to_owned()));
        assert_eq!(of(&[], Some("a.localhost")), Ok("a".to_owned()));
        assert_eq!(of(&["a"], Some("a.localhost")), Ok("a".to_owned()));
        for (names, host) in [(&["a b"][..], None), (&["a", "b"], None), (&["a"], Some("b.localhost"))] {
            assert_eq!(of(names, host), Err("INVALID_REQUEST"), "{names:?} {host:?}");
        }
    }
}
