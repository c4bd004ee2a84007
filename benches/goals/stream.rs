//! Load over bidirectional streams: each of many requests on one stream is answered on it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use h2::client::SendRequest;
use http::{Method, Request, Version};
use prost::bytes::{Buf as _, Bytes, BytesMut};
use tokio::task::JoinSet;

use crate::load::{Tally, connect, now};
use crate::process::CpuMeter;

/// Connections, each for one stream at a time.
pub(crate) struct Streams {
    connections: Vec<SendRequest<Bytes>>,
    uri: http::Uri,
}

impl Streams {
    pub(crate) async fn open(address: SocketAddr, path: &str, connections: usize) -> Self {
        let mut opened = Vec::with_capacity(connections);
        for _ in 0..connections {
            opened.push(connect(address).await.expect("the server takes connections"));
        }
        Self { connections: opened, uri: format!("http://{address}{path}").parse().unwrap() }
    }

    /// Keeps so many messages under way on each stream until the time is over.
    pub(crate) async fn round(
        &mut self,
        pid: u32,
        frames: &Arc<[Bytes]>,
        pipelined: usize,
        time: Duration,
    ) -> Tally {
        let meter = CpuMeter::start(pid);
        let begun = now();
        let mut tasks = JoinSet::new();
        for connection in &self.connections {
            let (connection, uri, frames) = (connection.clone(), self.uri.clone(), frames.clone());
            tasks.spawn(async move { one(connection, uri, &frames, pipelined, time).await.unwrap() });
        }
        let calls = tasks.join_all().await.into_iter().sum();
        let cpu = meter.read();
        Tally { calls, wall: begun.elapsed(), cpu }
    }
}

/// Returns how many messages were answered.
async fn one(
    connection: SendRequest<Bytes>,
    uri: http::Uri,
    frames: &[Bytes],
    pipelined: usize,
    time: Duration,
) -> Result<u64, h2::Error> {
    let begun = now();
    let request = Request::builder()
        .method(Method::POST)
        .uri(uri)
        .version(Version::HTTP_2)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .expect("a request");
    let (response, mut sender) = connection.ready().await?.send_request(request, false)?;
    let mut messages = frames.iter().cycle();
    let mut send = |count: usize, end: bool| {
        let together: BytesMut = messages.by_ref().take(count).fold(BytesMut::new(), |mut all, frame| {
            all.extend_from_slice(frame);
            all
        });
        sender.send_data(together.freeze(), end)
    };
    send(pipelined, false)?;
    let mut body = response.await?.into_body();
    let (mut received, mut answered, mut open) = (BytesMut::new(), 0, true);
    while let Some(chunk) = body.data().await {
        let chunk = chunk?;
        body.flow_control().release_capacity(chunk.len())?;
        received.extend_from_slice(&chunk);
        let messages = take_messages(&mut received);
        answered += messages;
        if open {
            open = begun.elapsed() < time;
            send(if open { messages } else { 0 }, !open)?;
        }
    }
    let trailers = body.trailers().await?.expect("trailers");
    assert_eq!(trailers["grpc-status"], "0", "the stream failed");
    Ok(answered as u64)
}

/// How many whole messages there are; takes them off.
fn take_messages(received: &mut BytesMut) -> usize {
    let mut messages = 0;
    while let Some(length) = received.get(1..5) {
        let length = u32::from_be_bytes(length.try_into().expect("four bytes")) as usize + 5;
        if received.len() < length {
            break;
        }
        received.advance(length);
        messages += 1;
    }
    messages
}
