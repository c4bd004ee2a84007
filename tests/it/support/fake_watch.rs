//! A `RevocationService` whose every word is the test's.

use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use countersign::grpc::proto::v1;
use countersign::grpc::proto::v1::revocation_service_server::{RevocationService, RevocationServiceServer};
use countersign::grpc::proto::v1::watch_revocations_request::Message as Said;
use countersign::grpc::proto::v1::watch_revocations_response::Message as Tell;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status, Streaming};

const PATIENCE: Duration = Duration::from_secs(30);

type Answer = Result<v1::WatchRevocationsResponse, Status>;

/// One client's stream, in the test's hands.
pub(crate) struct Conversation {
    said: Streaming<v1::WatchRevocationsRequest>,
    tell: mpsc::Sender<Answer>,
}

impl Conversation {
    pub(crate) async fn started(&mut self) -> v1::WatchStart {
        match self.said().await {
            Said::Start(start) => start,
            Said::Ping(ping) => panic!("{ping:?} before the start"),
        }
    }

    pub(crate) async fn pinged(&mut self) -> u64 {
        match self.said().await {
            Said::Ping(ping) => ping.nonce,
            Said::Start(start) => panic!("{start:?} again"),
        }
    }

    async fn said(&mut self) -> Said {
        let said = tokio::time::timeout(PATIENCE, self.said.next()).await.expect("the client says something");
        said.expect("the client goes on").unwrap().message.unwrap()
    }

    pub(crate) async fn tell(&self, message: Tell) {
        self.tell.send(Ok(v1::WatchRevocationsResponse { message: Some(message) })).await.unwrap();
    }

    /// The usual beginning: no keys, nothing revoked, up to this position.
    pub(crate) async fn begin(&self, incarnation: u64, sequence: u64) {
        self.tell(Tell::Begin(v1::WatchBegin { incarnation, resumed: false })).await;
        self.tell(Tell::KeySet(v1::WatchKeySet::default())).await;
        self.tell(Tell::Revoked(v1::WatchRevoked { sequence: Some(sequence), ..Default::default() })).await;
    }

    pub(crate) async fn beat(&self, nonce: u64, sequence: u64, staleness: Duration) {
        let staleness = Some(staleness.try_into().unwrap());
        self.tell(Tell::Heartbeat(v1::WatchHeartbeat { nonce, sequence, staleness, reached: None })).await;
    }
}

/// Serves until the test ends; whoever connects is handed to the test.
pub(crate) async fn serve() -> (SocketAddr, mpsc::Receiver<Conversation>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (arrivals, arrived) = mpsc::channel(4);
    let service = RevocationServiceServer::new(Fake(arrivals));
    let server = tonic::transport::Server::builder().add_service(service);
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    (address, arrived)
}

struct Fake(mpsc::Sender<Conversation>);

#[tonic::async_trait]
impl RevocationService for Fake {
    type WatchRevocationsStream = Pin<Box<dyn Stream<Item = Answer> + Send>>;

    async fn watch_revocations(
        &self,
        request: Request<Streaming<v1::WatchRevocationsRequest>>,
    ) -> Result<Response<Self::WatchRevocationsStream>, Status> {
        let (tell, told) = mpsc::channel(16);
        let _ = self.0.send(Conversation { said: request.into_inner(), tell }).await;
        Ok(Response::new(Box::pin(ReceiverStream::new(told))))
    }
}
