//! The load generator: gRPC calls over HTTP/2 connections, as thin as can be, because it shares the machine with what
//! it measures.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use h2::RecvStream;
use h2::client::{Builder, SendRequest};
use http::{HeaderMap, Request};
use prost::Message;
use prost::bytes::{BufMut as _, Bytes, BytesMut};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::process::CpuMeter;
use crate::rows::Effort;

/// The code of an answer that went well.
pub(crate) const OK: u32 = 0;
/// The code of a refusal for want of room.
pub(crate) const RESOURCE_EXHAUSTED: u32 = 8;

/// The time.
#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// A message as it travels: not compressed, its length, itself.
pub(crate) fn frame(message: &impl Message) -> Bytes {
    let mut frame = BytesMut::with_capacity(message.encoded_len() + 5);
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.encoded_len()).unwrap());
    message.encode(&mut frame).unwrap();
    frame.freeze()
}

/// One answer: its gRPC code, and its frames one after the other.
pub(crate) struct Answer {
    pub(crate) code: u32,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The message of an answer that went well.
    pub(crate) fn message<M: Message + Default>(&self) -> M {
        assert_eq!(self.code, OK, "the call failed");
        M::decode(&self.body[5..]).unwrap()
    }
}

/// One of the many that call at once, each of them one call after the other.
pub(crate) trait Caller: Send + 'static {
    /// The next message, as [`frame`] makes it; none when there are no more.
    fn request(&mut self) -> Option<Bytes>;

    /// Takes the answer; says whether it is the one that was wanted. One that is not, because the server did not
    /// get to it in time, is not counted.
    fn answer(&mut self, answer: Answer) -> bool;
}

/// Connections to one server, and the method that is called over them.
#[derive(Clone)]
pub(crate) struct Connections {
    senders: Vec<SendRequest<Bytes>>,
    address: SocketAddr,
    uri: http::Uri,
}

impl Connections {
    /// Opens so many.
    pub(crate) async fn open(address: SocketAddr, path: &str, connections: usize) -> Self {
        let greeting = format!("http://{address}/grpc.health.v1.Health/Check").parse().unwrap();
        let mut opened = Vec::with_capacity(connections);
        for _ in 0..connections {
            let connection = connect(address).await.expect("the server takes connections");
            // Whoever connects and then says nothing is hung up on; any answer will do, and a refusal may come before
            // everything was said.
            call(connection.clone(), &greeting, Bytes::from_static(&[0; 5])).await.ok();
            opened.push(connection);
        }
        Self { senders: opened, address, uri: format!("http://{address}{path}").parse().unwrap() }
    }

    /// One call.
    pub(crate) async fn call(&self, connection: usize, frame: Bytes) -> Answer {
        let sender = self.senders[connection % self.senders.len()].clone();
        call(sender, &self.uri, frame).await.expect("the connection holds")
    }

    /// Each caller calls as fast as it is answered, until the time is over; gives the callers back.
    pub(crate) async fn closed_loop<C: Caller>(&self, callers: Vec<C>, time: Duration) -> (Vec<C>, Tally) {
        let begun = now();
        let mut tasks = JoinSet::new();
        for (number, mut caller) in callers.into_iter().enumerate() {
            let this = self.clone();
            tasks.spawn(async move {
                let (mut calls, mut failures) = (0, 0);
                while begun.elapsed() < time
                    && let Some(frame) = caller.request()
                {
                    let answer = this.call(number, frame).await;
                    if caller.answer(answer) {
                        calls += 1;
                    } else {
                        failures += 1;
                    }
                }
                (caller, calls, failures)
            });
        }
        let done: Vec<(C, u64, u64)> = tasks.join_all().await;
        let calls = done.iter().map(|(_, calls, _)| calls).sum();
        let failures: u64 = done.iter().map(|(_, _, failures)| failures).sum();
        assert!(failures * 20 <= calls, "{failures} of {calls} calls failed");
        let callers = done.into_iter().map(|(caller, ..)| caller).collect();
        (callers, Tally { calls, wall: begun.elapsed(), cpu: Duration::ZERO })
    }

    /// Calls at a constant rate, whatever the answers do, over as many connections of its own; each latency counts from
    /// when the call was due. A thread does nothing else, so that it is late with no call while the server can keep up.
    pub(crate) async fn open_loop(
        &self,
        frames: &Arc<[Bytes]>,
        rate: f64,
        time: Duration,
    ) -> Vec<(u32, Duration)> {
        let (path, connections) = (self.uri.path().to_owned(), self.senders.len());
        let (address, frames) = (self.address, frames.clone());
        let paced = tokio::task::spawn_blocking(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                Self::open(address, &path, connections).await.paced(&frames, rate, time).await
            })
        });
        paced.await.unwrap()
    }

    async fn paced(self, frames: &[Bytes], rate: f64, time: Duration) -> Vec<(u32, Duration)> {
        /// What a thread sleeps at the least, or a little less.
        const NAP: Duration = Duration::from_micros(50);

        let (sender, mut latencies) = mpsc::unbounded_channel();
        let begun = now();
        let mut sent = 0;
        while begun.elapsed() < time {
            let due = begun + Duration::from_secs_f64(count(sent) / rate);
            if let Some(early) = due.checked_duration_since(now()) {
                // A nap at rates that leave time for one; the timers of a runtime count milliseconds.
                if early > NAP {
                    thread::sleep(NAP);
                }
                tokio::task::yield_now().await;
                continue;
            }
            let index = usize::try_from(sent).unwrap();
            let (this, sender, frame) = (self.clone(), sender.clone(), frames[index % frames.len()].clone());
            tokio::spawn(async move {
                let answer = this.call(index, frame).await;
                let _ = sender.send((answer.code, due.elapsed()));
            });
            sent += 1;
            // Where it is late with many, answers are taken all the same.
            if sent % 32 == 0 {
                tokio::task::yield_now().await;
            }
        }
        drop(sender);
        let mut all = Vec::new();
        while let Some(latency) = latencies.recv().await {
            all.push(latency);
        }
        all
    }
}

/// A number of things as a fraction has it.
#[expect(clippy::cast_precision_loss, reason = "nothing here is counted beyond 2^52")]
pub(crate) const fn count(number: u64) -> f64 {
    number as f64
}

/// What came of a round.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tally {
    pub(crate) calls: u64,
    pub(crate) wall: Duration,
    /// What the server's process spent on a processor meanwhile.
    pub(crate) cpu: Duration,
}

impl Tally {
    pub(crate) fn micros_of_cpu_per_call(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / count(self.calls)
    }

    pub(crate) fn calls_per_second(&self) -> f64 {
        count(self.calls) / self.wall.as_secs_f64()
    }
}

/// A server's process under load.
pub(crate) struct Target<C> {
    pub(crate) pid: u32,
    connections: Connections,
    callers: Option<Vec<C>>,
}

impl<C: Caller> Target<C> {
    pub(crate) const fn new(pid: u32, connections: Connections, callers: Vec<C>) -> Self {
        Self { pid, connections, callers: Some(callers) }
    }

    /// One round.
    pub(crate) async fn round(&mut self, time: Duration) -> Tally {
        let callers = self.callers.take().expect("no two rounds at once");
        let meter = CpuMeter::start(self.pid);
        let (callers, tally) = self.connections.closed_loop(callers, time).await;
        let cpu = meter.read();
        self.callers = Some(callers);
        Tally { cpu, ..tally }
    }
}

/// Measures several servers in turn, after one round each that does not count: for each of them its rounds.
pub(crate) async fn in_turn<C: Caller>(targets: &mut [Target<C>], effort: Effort) -> Vec<Vec<Tally>> {
    let mut all = vec![Vec::with_capacity(effort.rounds); targets.len()];
    for round in 0..=effort.rounds {
        for (target, rounds) in targets.iter_mut().zip(&mut all) {
            let tally = target.round(effort.round).await;
            if round > 0 {
                rounds.push(tally);
            }
        }
    }
    all
}

/// What each round cost the server, in microseconds for a call.
pub(crate) fn cpu(rounds: &[Tally]) -> Vec<f64> {
    rounds.iter().map(Tally::micros_of_cpu_per_call).collect()
}

/// How fast each round was, in calls per second.
pub(crate) fn rate(rounds: &[Tally]) -> Vec<f64> {
    rounds.iter().map(Tally::calls_per_second).collect()
}

/// One connection, with windows that never make anybody wait.
pub(crate) async fn connect(address: SocketAddr) -> Result<SendRequest<Bytes>, Box<dyn std::error::Error>> {
    const WINDOW: u32 = 16 << 20;
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut builder = Builder::new();
    builder
        .initial_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_concurrent_reset_streams(1024);
    let (sender, connection) = builder.handshake(stream).await?;
    tokio::spawn(connection);
    Ok(sender)
}

/// One call over a connection.
pub(crate) async fn call(
    sender: SendRequest<Bytes>,
    uri: &http::Uri,
    frame: Bytes,
) -> Result<Answer, h2::Error> {
    let mut request = Request::new(());
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = uri.clone();
    *request.version_mut() = http::Version::HTTP_2;
    request.headers_mut().insert("content-type", http::HeaderValue::from_static("application/grpc"));
    request.headers_mut().insert("te", http::HeaderValue::from_static("trailers"));
    let (response, mut stream) = sender.ready().await?.send_request(request, false)?;
    stream.send_data(frame, true)?;
    let (head, body) = response.await?.into_parts();
    receive(&head.headers, body).await
}

async fn receive(headers: &HeaderMap, mut stream: RecvStream) -> Result<Answer, h2::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = stream.data().await {
        let chunk = chunk?;
        stream.flow_control().release_capacity(chunk.len())?;
        body.extend_from_slice(&chunk);
    }
    let trailers = stream.trailers().await?;
    let status = trailers.as_ref().and_then(|trailers| trailers.get("grpc-status"));
    let status = status.or_else(|| headers.get("grpc-status"));
    let code = status.and_then(|status| status.to_str().ok()?.parse().ok()).expect("every answer has a code");
    Ok(Answer { code, body })
}
