//! Serving HTTP on a socket, with every bound that a public listener needs.
//!
//! tonic's own transport has no cap on connections and no limit on how long a peer may take over its first
//! request, so the accept loop is ours and hyper does the rest. All listeners share it. [`tls`] is what they may
//! speak.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::rt::{Read, Write};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::{Service, ServiceExt as _};

use crate::cores::Cores;

mod connections;
mod in_one_piece;
pub mod tls;

pub use connections::Connections;

use in_one_piece::InOnePiece;
use tls::{CertificateNames, Tls};

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

/// A socket to accept on, and the TLS that is spoken there; none for plain HTTP.
#[derive(Debug)]
pub struct Port {
    socket: TcpListener,
    tls: Option<Arc<Tls>>,
    cores: Option<Arc<Cores>>,
    connections: Arc<Connections>,
}

impl Port {
    /// The socket with what is spoken there.
    pub fn new(socket: TcpListener, tls: Option<Arc<Tls>>) -> Self {
        Self { socket, tls, cores: None, connections: Arc::default() }
    }

    /// Serves on these threads, and not on the runtime that accepts.
    #[must_use]
    pub fn on(self, cores: Arc<Cores>) -> Self {
        Self { cores: Some(cores), ..self }
    }

    /// Where it is bound.
    pub fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// The connections that it has while it is served.
    pub const fn connections(&self) -> &Arc<Connections> {
        &self.connections
    }

    /// The TLS that is spoken there.
    pub const fn tls(&self) -> Option<&Arc<Tls>> {
        self.tls.as_ref()
    }
}

impl From<TcpListener> for Port {
    fn from(socket: TcpListener) -> Self {
        Self::new(socket, None)
    }
}

/// Who is at the other end of a connection.
#[derive(Debug, Clone)]
pub struct Caller {
    address: SocketAddr,
    is_encrypted: bool,
    certificate: Option<CertificateNames>,
}

impl Caller {
    /// The address that the connection came from.
    pub const fn ip(&self) -> IpAddr {
        self.address.ip()
    }

    /// Whether TLS is spoken with it.
    pub const fn is_encrypted(&self) -> bool {
        self.is_encrypted
    }

    /// Whom its certificate names; none where it brought none.
    pub const fn certificate(&self) -> Option<&CertificateNames> {
        self.certificate.as_ref()
    }
}

/// Notes on each request where it came from, in the words of whoever handles it.
pub type Stamp = fn(&mut http::Extensions, &Caller);

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
    port: impl Into<Port>,
    service: impl Answers,
    stamp: Stamp,
    limits: Limits,
    stop: CancellationToken,
    abort: CancellationToken,
) {
    let Port { socket: listener, tls, cores, connections: counted } = port.into();
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
        let Some(slot) = counted.admit(limits.connections) else {
            tracing::warn!(
                listener = name,
                limit = limits.connections,
                "connection refused: too many are open"
            );
            continue;
        };
        let Ok(stream) = stream.into_std() else { continue };
        let serving = Serving { service: service.clone(), stamp, limits, stop: stop.clone() };
        let connection = connection(stream, peer, tls.clone(), serving);
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

/// How a connection is served.
struct Serving<S> {
    service: S,
    stamp: Stamp,
    limits: Limits,
    stop: CancellationToken,
}

/// Serves a connection, in TLS where that is spoken. It belongs to the runtime that this is first polled on.
async fn connection(
    stream: std::net::TcpStream,
    address: SocketAddr,
    tls: Option<Arc<Tls>>,
    serving: Serving<impl Answers>,
) {
    let Ok(stream) = TcpStream::from_std(stream) else { return };
    let _ = stream.set_nodelay(true);
    let Some(tls) = tls else {
        let caller = Caller { address, is_encrypted: false, certificate: None };
        return requests(InOnePiece(TokioIo::new(stream)), caller, serving).await;
    };
    let handshake = tokio::select! {
        handshake = tls.accept(stream) => handshake,
        () = serving.stop.cancelled() => return,
    };
    match handshake {
        Ok((stream, certificate)) => {
            let caller = Caller { address, is_encrypted: true, certificate };
            requests(InOnePiece(TokioIo::new(stream)), caller, serving).await;
        }
        // Whoever scans ports must not fill the log; they are counted.
        Err(error) => tracing::debug!(peer = %address, %error, "connection closed"),
    }
}

/// Serves the requests of a connection until it ends, says nothing for too long, or must go.
async fn requests<S>(stream: S, caller: Caller, serving: Serving<impl Answers>)
where
    S: Read + Write + Unpin + Send + 'static,
{
    let Serving { service, stamp, limits, stop } = serving;
    let peer = caller.address;
    let spoken = Arc::new(AtomicBool::new(false));
    let service = TowerToHyperService::new(stamped(service, caller, stamp, spoken.clone()));
    let builder = builder(limits);
    let connection = builder.serve_connection(stream, service);
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
    caller: Caller,
    stamp: Stamp,
    spoken: Arc<AtomicBool>,
) -> impl Service<Request<Incoming>, Response = Response<Body>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ 'static {
    service.map_request(move |request: Request<Incoming>| {
        spoken.store(true, Ordering::Relaxed);
        let mut request = request.map(Body::new);
        stamp(request.extensions_mut(), &caller);
        request
    })
}

fn builder(limits: Limits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
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
