//! Serving HTTP on a socket, with every bound that a public listener needs.
//!
//! tonic's own transport has no cap on connections and no limit on how long a peer may take over its first
//! request, so the accept loop is ours and hyper does the rest. All listeners share it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::{Service, ServiceExt as _};

use crate::cores::Cores;

mod executor;

use executor::AtOnce;

/// What a listener allows its peers.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at once; one more is closed as soon as it is accepted, so that its client can try elsewhere.
    pub connections: usize,
    /// How long a peer may take from connecting to its first whole request head, and over each later head on
    /// HTTP/1.
    pub request_head: Duration,
    /// After about this long a connection is asked to go away gracefully, so that clients spread over replicas
    /// that have come since; a tenth more or less, lest all go at once. `None` keeps them for ever.
    pub connection_age: Option<Duration>,
    /// Requests under way at once on one connection.
    pub streams: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            request_head: Duration::from_secs(10),
            connection_age: Some(Duration::from_mins(10)),
            streams: 1_000,
        }
    }
}

/// How often a silent connection is pinged, and how long its pong may take.
const KEEP_ALIVE: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(10));
/// The largest request head in bytes: a token of 8 KiB, and room for what proxies add.
const MAX_HEAD_BYTES: u32 = 32 * 1024;
/// How long to stay off a socket that cannot accept, for want of file descriptors say.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Notes on each request where it came from, in the words of whoever handles it.
pub type Stamp = fn(&mut http::Extensions, SocketAddr);

/// A socket to accept on, and the threads to serve its connections on; none for the runtime that accepts them.
#[derive(Debug)]
pub struct Port {
    socket: TcpListener,
    cores: Option<Arc<Cores>>,
}

impl Port {
    /// Serves on these threads.
    #[must_use]
    pub fn on(self, cores: Arc<Cores>) -> Self {
        Self { cores: Some(cores), ..self }
    }
}

impl From<TcpListener> for Port {
    fn from(socket: TcpListener) -> Self {
        Self { socket, cores: None }
    }
}

/// What answers requests.
pub trait Answers:
    Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static
{
}

impl<S> Answers for S where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + 'static
{
}

/// Accepts and serves until `stop` is cancelled; then accepts no more, lets the requests under way finish and
/// returns. Cancelling `abort` drops whatever is left.
pub async fn serve(
    name: &'static str,
    port: Port,
    service: impl Answers,
    stamp: Stamp,
    limits: Limits,
    stop: CancellationToken,
    abort: CancellationToken,
) {
    let Port { socket: listener, cores } = port;
    let slots = Arc::new(Semaphore::new(limits.connections));
    let connections = TaskTracker::new();
    loop {
        let (stream, peer) = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    survive(name, &error).await;
                    continue;
                }
            },
        };
        let Ok(slot) = slots.clone().try_acquire_owned() else {
            tracing::warn!(
                listener = name,
                limit = limits.connections,
                "connection refused: too many are open"
            );
            continue;
        };
        let Ok(stream) = stream.into_std() else { continue };
        let connection = connection(stream, peer, service.clone(), stamp, limits, stop.clone());
        let abort = abort.clone();
        let place = cores.as_ref().map(|cores| cores.place());
        let runtime = place.as_ref().map(|place| place.runtime().clone());
        let served = async move {
            tokio::select! {
                () = connection => {}
                () = abort.cancelled() => {}
            }
            drop((slot, place));
        };
        connections.spawn_on(served, &runtime.unwrap_or_else(Handle::current));
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

/// A failed accept is the peer's doing or a shortage that passes; neither may end the loop (CVE-2024-47609).
async fn survive(name: &'static str, error: &std::io::Error) {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    if matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted) {
        return;
    }
    tracing::warn!(listener = name, %error, "cannot accept connections");
    tokio::time::sleep(ACCEPT_PAUSE).await;
}

async fn connection(
    stream: std::net::TcpStream,
    peer: SocketAddr,
    service: impl Answers,
    stamp: Stamp,
    limits: Limits,
    stop: CancellationToken,
) {
    let Ok(stream) = TcpStream::from_std(stream) else { return };
    let _ = stream.set_nodelay(true);
    let spoken = Arc::new(AtomicBool::new(false));
    let service = TowerToHyperService::new(stamped(service, peer, stamp, spoken.clone()));
    let builder = builder(limits);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);

    let head = tokio::time::sleep(limits.request_head);
    let age = tokio::time::sleep(limits.connection_age.map_or(Duration::MAX, |age| spread(age, peer)));
    tokio::pin!(head, age);
    let (mut head_due, mut leaving) = (true, false);
    loop {
        tokio::select! {
            result = connection.as_mut() => {
                if let Err(error) = result {
                    tracing::debug!(%peer, %error, "connection ended");
                }
                return;
            }
            () = &mut head, if head_due => {
                if !spoken.load(Ordering::Relaxed) {
                    tracing::debug!(%peer, "connection closed: no request came");
                    return;
                }
                head_due = false;
            }
            () = &mut age, if !leaving => {
                connection.as_mut().graceful_shutdown();
                leaving = true;
            }
            () = stop.cancelled(), if !leaving => {
                connection.as_mut().graceful_shutdown();
                leaving = true;
            }
        }
    }
}

/// Tells the handlers who calls, and the connection that somebody does.
fn stamped(
    service: impl Answers,
    peer: SocketAddr,
    stamp: Stamp,
    spoken: Arc<AtomicBool>,
) -> impl Service<Request<Incoming>, Response = Response<Body>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ 'static {
    service.map_request(move |request: Request<Incoming>| {
        spoken.store(true, Ordering::Relaxed);
        let mut request = request.map(Body::new);
        stamp(request.extensions_mut(), peer);
        request
    })
}

fn builder(limits: Limits) -> auto::Builder<AtOnce> {
    let mut builder = auto::Builder::new(AtOnce);
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.request_head).max_buf_size(64 * 1024);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEP_ALIVE.0)
        .keep_alive_timeout(KEEP_ALIVE.1)
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(MAX_HEAD_BYTES);
    builder
}

/// Between nine and eleven tenths of `age`, by the peer's port: connections that were opened together part.
fn spread(age: Duration, peer: SocketAddr) -> Duration {
    age.mul_f64(0.9 + 0.2 * f64::from(peer.port() % 1024) / 1024.0)
}
