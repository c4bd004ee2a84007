//! The stream of revocations, held up and ended.

use std::time::Duration;

use countersign::grpc::proto::test_v1::{
    EndStreamsRequest, GetWorldRequest, ResumeStreamsRequest, StallStreamsRequest, TokenKind, TokenState,
};
use countersign::grpc::proto::v1::watch_revocations_request::Message as Ask;
use countersign::grpc::proto::v1::watch_revocations_response::Message as Tell;
use countersign::grpc::proto::v1::{
    WatchPing, WatchRevocationsRequest, WatchRevocationsResponse, WatchStart,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::support::{PATIENCE, TestServer, World};

/// A watcher of a world.
struct Watch {
    asks: mpsc::Sender<WatchRevocationsRequest>,
    told: Streaming<WatchRevocationsResponse>,
}

impl Watch {
    async fn begin(world: &mut World) -> Self {
        let (asks, requests) = mpsc::channel(8);
        let start = WatchRevocationsRequest { message: Some(Ask::Start(WatchStart::default())) };
        asks.send(start).await.unwrap();
        let told = world.revocations.watch_revocations(ReceiverStream::new(requests)).await.unwrap();
        Self { asks, told: told.into_inner() }
    }

    async fn ping(&self, nonce: u64) {
        let ping = Ask::Ping(WatchPing { nonce, ..WatchPing::default() });
        self.asks.send(WatchRevocationsRequest { message: Some(ping) }).await.unwrap();
    }

    /// The messages until this one is among them.
    async fn until(&mut self, wanted: impl Fn(&Tell) -> bool) {
        let found = async {
            while let Some(told) = self.told.message().await.unwrap() {
                if told.message.as_ref().is_some_and(&wanted) {
                    return;
                }
            }
            panic!("the stream ended");
        };
        tokio::time::timeout(PATIENCE, found).await.expect("in time");
    }
}

fn heartbeat(nonce: u64) -> impl Fn(&Tell) -> bool {
    move |told| matches!(told, Tell::Heartbeat(heartbeat) if heartbeat.nonce == nonce)
}

#[tokio::test]
async fn a_stalled_stream_says_nothing_and_then_everything() {
    let server = TestServer::start(&[]);
    let mut world = server.world("watched");
    let mut watch = Watch::begin(&mut world).await;
    watch.ping(1).await;
    watch.until(heartbeat(1)).await;

    let stalled = world.test.stall_streams(StallStreamsRequest {}).await.unwrap().into_inner();
    assert_eq!(stalled.streams, 1);
    watch.ping(2).await;
    world.mint(TokenKind::Access, TokenState::Revoked, |_| ()).await.unwrap();
    let silence = tokio::time::timeout(Duration::from_millis(300), watch.told.message()).await;
    assert!(silence.is_err(), "{silence:?}");
    let state = world.test.get_world(GetWorldRequest {}).await.unwrap().into_inner();
    assert_eq!((state.name.as_str(), state.streams, state.stalled), ("watched", 1, true));

    world.test.resume_streams(ResumeStreamsRequest {}).await.unwrap();
    watch.until(|told| matches!(told, Tell::Revoked(revoked) if !revoked.sessions.is_empty())).await;
    watch.ping(3).await;
    watch.until(heartbeat(3)).await;
}

#[tokio::test]
async fn streams_end_as_those_of_a_server_that_restarts_and_may_begin_again() {
    let server = TestServer::start(&[]);
    let (mut world, mut other) = (server.world("one"), server.world("two"));
    let mut watch = Watch::begin(&mut world).await;
    let mut elsewhere = Watch::begin(&mut other).await;
    watch.ping(1).await;
    watch.until(heartbeat(1)).await;
    assert_eq!(world.test.end_streams(EndStreamsRequest {}).await.unwrap().into_inner().streams, 1);
    let ended = async { while watch.told.message().await.unwrap().is_some() {} };
    tokio::time::timeout(PATIENCE, ended).await.expect("the stream ends, and with OK");
    elsewhere.ping(1).await;
    elsewhere.until(heartbeat(1)).await;
    let mut again = Watch::begin(&mut world).await;
    again.ping(2).await;
    again.until(heartbeat(2)).await;
}
