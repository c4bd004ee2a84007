//! The yardstick: a bare tonic server on the default runtime, which decodes a message, does nothing, and answers
//! with one of a given size. It is this very program, started anew as a process of its own.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::pin::Pin;
use std::process::{Child, Command, Stdio};
use std::task::{Context, Poll};

use prost::Message;
use prost::bytes::Bytes;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

/// The argument that makes this program an echo server; the size of its answers follows.
pub(crate) const ARGUMENT: &str = "--echo-server";
/// What its one method is called.
pub(crate) const PATH: &str = "/bench.Echo/Echo";

/// Field 1 is where a `VerifyAccessTokenRequest` has its token, so that both are sent the same bytes.
#[derive(Clone, PartialEq, Eq, Message)]
struct Payload {
    #[prost(bytes = "bytes", tag = "1")]
    bytes: Bytes,
}

#[derive(Clone)]
struct Echo {
    answer: Payload,
}

impl UnaryService<Payload> for Echo {
    type Response = Payload;
    type Future = Ready<Result<Response<Payload>, Status>>;

    fn call(&mut self, _: Request<Payload>) -> Self::Future {
        ready(Ok(Response::new(self.answer.clone())))
    }
}

impl NamedService for Echo {
    const NAME: &'static str = "bench.Echo";
}

impl Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let echo = self.clone();
        Box::pin(async move { Ok(Grpc::new(ProstCodec::default()).unary(echo, request).await) })
    }
}

/// Serves until it is killed; says on standard output where.
#[tokio::main]
pub(crate) async fn serve(answer_bytes: usize) {
    let mut payload = answer_bytes;
    while (Payload { bytes: vec![0; payload].into() }).encoded_len() > answer_bytes {
        payload -= 1;
    }
    let echo = Echo { answer: Payload { bytes: vec![0; payload].into() } };
    let incoming = TcpIncoming::bind(([127, 0, 0, 1], 0).into()).unwrap().with_nodelay(Some(true));
    println!("{}", incoming.local_addr().unwrap());
    Server::builder().add_service(echo).serve_with_incoming(incoming).await.unwrap();
}

/// The process of an echo server.
pub(crate) struct EchoServer {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl EchoServer {
    /// One whose answers have so many bytes.
    pub(crate) fn start(answer_bytes: usize) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([ARGUMENT, &answer_bytes.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { address: line.trim().parse().unwrap(), child }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for EchoServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
