//! The gRPC edge on a real socket, and a client that adds nothing of its own.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use countersign::auth::Authenticate;
use countersign::grpc::proto::v1::auth_service_client::AuthServiceClient;
use countersign::grpc::{GrpcOptions, Health, Peer, routes};
use countersign::model::{ManualClock, UnixMillis};
use http::{Request, Response, Uri};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tonic::body::Body;
use tonic::service::AxumRouter;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};
use tower::{Service, ServiceExt as _};

/// Options for a test: a clock that stands still, and the server describes itself.
pub(crate) fn options() -> GrpcOptions {
    GrpcOptions { reflection: true, ..GrpcOptions::new(Arc::new(ManualClock::new(UnixMillis(0)))) }
}

/// Serves the edge with the usual options and connects to it.
pub(crate) async fn serve(auth: impl Authenticate) -> Wire {
    serve_shared(Arc::new(auth), &Health::new().await, options()).await
}

/// Serves the edge until the test ends, and connects to it.
pub(crate) async fn serve_shared(auth: Arc<dyn Authenticate>, health: &Health, options: GrpcOptions) -> Wire {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = routes(auth, health, options);
    tokio::spawn(async move {
        loop {
            let (stream, peer) = listener.accept().await.unwrap();
            let service = router.clone().map_request(move |mut request: Request<Incoming>| {
                request.extensions_mut().insert(Peer(peer.ip()));
                request
            });
            tokio::spawn(async move {
                let connection = auto::Builder::new(TokioExecutor::new());
                let service = TowerToHyperService::new(service);
                // A client that hangs up in the middle is part of the tests.
                let _ = connection.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    let stream = TcpStream::connect(address).await.unwrap();
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    Wire { sender, origin: format!("http://{address}").parse().unwrap() }
}

/// A client of the edge without a socket between them.
pub(crate) async fn in_process(
    auth: Arc<dyn Authenticate>,
    options: GrpcOptions,
) -> AuthServiceClient<AxumRouter> {
    let router = routes(auth, &Health::new().await, options);
    AuthServiceClient::with_origin(router, Uri::from_static("http://in.process"))
}

/// One HTTP/2 connection. Other than tonic's channel it has no deadline of its own, so that what a test sees is
/// what the server has answered.
#[derive(Clone)]
pub(crate) struct Wire {
    sender: SendRequest<Body>,
    pub(crate) origin: Uri,
}

impl Wire {
    pub(crate) fn auth(&self) -> AuthServiceClient<Self> {
        AuthServiceClient::with_origin(self.clone(), self.origin.clone())
    }

    /// Sends one message as it is to a path, and gives back the refusal.
    pub(crate) async fn refusal(&mut self, path: &str, headers: &[(&str, &str)], message: &[u8]) -> Status {
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        let frame = [&[0], length.as_slice(), message].concat();
        let mut request = Request::post(format!("{}{path}", self.origin.to_string().trim_end_matches('/')))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::new(Full::new(Bytes::from(frame)))).unwrap();
        let answer = self.call(request).await.unwrap();
        Status::from_header_map(answer.headers()).expect("the call was refused")
    }
}

impl Service<Request<Body>> for Wire {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Incoming>, hyper::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        self.sender.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.sender.send_request(request))
    }
}

/// Checks code and reason, and gives back the other details.
#[track_caller]
pub(crate) fn assert_refused(status: &Status, code: Code, reason: &str) -> ErrorDetails {
    let details = status.check_error_details().unwrap();
    let told = details.error_info().map(|info| (info.reason.clone(), info.domain.clone()));
    assert_eq!((status.code(), told), (code, Some((reason.to_owned(), "countersign".to_owned()))));
    details
}
