//! Serving HTTP on a socket, with every bound that a public listener needs.
//!
//! tonic's own transport has no cap on connections and no limit on how long a peer may take over its first
//! request, so the accept loop is ours and hyper does the rest. All listeners share it. [`tls`] is what they may
//! speak.
//!
//! What a caller can hold is bounded: each connection, each peer and the process have a [`Budget`] of bytes, and a
//! connection whose peer neither sends what it has begun nor reads what it has asked for is closed after a stated
//! time ([`Limits`]). docs/operations.md has every bound.

use std::convert::Infallible;
use std::iter;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::{Request, Response};
use hyper::rt::{Read, Write};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

use crate::cores::Cores;

mod activity;
mod budget;
mod connections;
mod ended;
mod exchange;
mod in_one_piece;
mod limits;
mod request;
pub mod tls;
mod watched;

pub use budget::{Budget, CONNECTION_BYTES};
pub use connections::Connections;
pub use ended::Ended;
pub use limits::Limits;

use activity::{Activity, TICK};
use connections::Slot;
use ended::BodyRefused;
use in_one_piece::InOnePiece;
use request::Handling;
use tls::{CertificateNames, Tls};
use watched::Watched;

/// What callers of all listeners may hold together where nothing else is said, in bytes.
pub const BUDGET_BYTES: usize = 256 * 1024 * 1024;
/// The most that one connection may hold, in bytes: two requests of the largest kind, each with its answer.
const MOST_HELD: usize = 16 * 1024 * 1024;

/// How often a silent connection is pinged, and how long its pong may take.
const KEEP_ALIVE: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(10));
/// The largest request head in bytes: a token of 8 KiB, and room for what proxies add.
const MAX_HEAD_BYTES: u32 = 32 * 1024;
/// How many connections there may be beyond all others for what is always answered ([`Limits::always_answered`]).
pub const PLACES_FOR_HEALTH: usize = 64;
/// What HTTP/2 lets a peer send before a handler has read it, in bytes: on one stream, and on all of a connection.
const WINDOWS: (u32, u32) = (64 * 1024, 128 * 1024);
/// What of an answer HTTP/2 takes before its peer does, in bytes for each stream.
const SEND_BUFFER: usize = 64 * 1024;
/// How long to stay off a socket that cannot accept, for want of file descriptors say.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A socket to accept on, and the TLS that is spoken there; none for plain HTTP.
#[derive(Debug)]
pub struct Port {
    socket: TcpListener,
    tls: Option<Arc<Tls>>,
    cores: Option<Arc<Cores>>,
    connections: Arc<Connections>,
    budget: Budget,
}

impl Port {
    /// The socket with what is spoken there.
    pub fn new(socket: TcpListener, tls: Option<Arc<Tls>>) -> Self {
        let budget = Budget::new(BUDGET_BYTES, |_| false);
        Self { socket, tls, cores: None, connections: Arc::default(), budget }
    }

    /// Shares this budget with other ports.
    #[must_use]
    pub fn within(self, budget: Budget) -> Self {
        Self { budget, ..self }
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
    let Port { socket: listener, tls, cores, connections: counted, budget } = port.into();
    let connections = TaskTracker::new();
    let sweeping = CancellationToken::new();
    let _until_all_are_gone = sweeping.clone().drop_guard();
    let main = Places { connections: Arc::clone(&counted), limits, budget };
    let places: Vec<_> = iter::once(main).chain(Places::for_health(&limits)).collect();
    tokio::spawn(sweeping.run_until_cancelled_owned(sweep(name, places.clone())));
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
        let admitted = places.iter().find_map(|places| Some((places.admit(name, peer.ip())?, places.limits)));
        let Some((slot, limits)) = admitted else {
            counted.refuse(name, &limits, peer.ip());
            continue;
        };
        let Ok(stream) = stream.into_std() else { continue };
        let serving = Serving { name, service: service.clone(), stamp, limits, stop: stop.clone() };
        let abort = abort.clone();
        let place = cores.as_ref().map(|cores| cores.place());
        let runtime = place.as_ref().map(|place| place.runtime().clone());
        let connection = connection(stream, peer, tls.clone(), serving, slot);
        let served = async move {
            tokio::select! {
                () = connection => {}
                () = abort.cancelled() => {}
            }
            drop(place);
        };
        connections.spawn_on(served, &runtime.unwrap_or_else(Handle::current));
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

/// Looks at every connection, each [`TICK`].
async fn sweep(name: &'static str, places: Vec<Places>) {
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        for Places { connections, limits, budget } in &places {
            connections.sweep(name, limits, budget);
        }
    }
}

/// Connections, how many there may be, and what they may hold.
#[derive(Debug, Clone)]
struct Places {
    connections: Arc<Connections>,
    limits: Limits,
    budget: Budget,
}

impl Places {
    /// Those for what is always answered, which share neither places nor memory with all others. None where there is nothing.
    fn for_health(limits: &Limits) -> Option<Self> {
        (!limits.always_answered.is_empty()).then(|| Self {
            connections: Arc::new(Connections::for_one_request(limits.always_answered)),
            limits: Limits {
                connections: PLACES_FOR_HEALTH,
                connections_per_peer: PLACES_FOR_HEALTH,
                streams: 1,
                ..*limits
            },
            // For their buffers, and a request of a head each.
            budget: Budget::new(PLACES_FOR_HEALTH * 3 * CONNECTION_BYTES, |_| false),
        })
    }

    fn admit(&self, listener: &'static str, peer: IpAddr) -> Option<Slot> {
        self.connections.admit(listener, &self.limits, &self.budget, peer)
    }
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
    name: &'static str,
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
    slot: Slot,
) {
    let Ok(stream) = TcpStream::from_std(stream) else { return };
    let _ = stream.set_nodelay(true);
    let activity = Arc::clone(slot.activity());
    let Some(tls) = tls else {
        let caller = Caller { address, is_encrypted: false, certificate: None };
        let stream = InOnePiece(TokioIo::new(Watched::new(stream, activity)));
        return requests(stream, caller, serving, &slot).await;
    };
    let handshake = tokio::select! {
        handshake = tls.accept(stream) => handshake,
        () = activity.closed() => return,
        () = serving.stop.cancelled() => return,
    };
    match handshake {
        Ok((stream, certificate)) => {
            let caller = Caller { address, is_encrypted: true, certificate };
            let stream = InOnePiece(TokioIo::new(Watched::new(stream, activity)));
            requests(stream, caller, serving, &slot).await;
        }
        // Whoever scans ports must not fill the log; they are counted.
        Err(error) => tracing::debug!(peer = %address, %error, "connection closed"),
    }
}

/// Serves the requests of a connection until it ends, must go, or is ended for what its peer does not do.
async fn requests<S>(stream: S, caller: Caller, serving: Serving<impl Answers>, slot: &Slot)
where
    S: Read + Write + Unpin + Send + 'static,
{
    let Serving { name, service, stamp, limits, stop } = serving;
    let peer = caller.address;
    let activity: &Activity = slot.activity();
    let handling = Handling::new(service, caller, stamp, slot);
    let builder = builder(limits);
    let connection = builder.serve_connection(stream, TowerToHyperService::new(handling));
    tokio::pin!(connection);

    let age = tokio::time::sleep(limits.connection_age.map_or(Duration::MAX, |age| spread(age, peer)));
    tokio::pin!(age);
    let mut leaving = false;
    loop {
        tokio::select! {
            result = connection.as_mut() => {
                if let Err(error) = result {
                    tracing::debug!(%peer, %error, "connection ended");
                }
                return;
            }
            () = activity.closed() => return,
            () = &mut age => {
                if leaving {
                    return slot.connections().end(name, activity, Ended::Age);
                }
                connection.as_mut().graceful_shutdown();
                leaving = true;
                age.set(tokio::time::sleep(limits.leaving));
            }
            () = stop.cancelled(), if !leaving => {
                connection.as_mut().graceful_shutdown();
                leaving = true;
                age.set(tokio::time::sleep(limits.leaving));
            }
        }
    }
}

fn builder(limits: Limits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // Heads have a time of our own (`activity`): hyper's would also end connections that are idle.
    builder.http1().header_read_timeout(None).max_buf_size(64 * 1024);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEP_ALIVE.0)
        .keep_alive_timeout(KEEP_ALIVE.1)
        .max_concurrent_streams(limits.streams)
        .initial_stream_window_size(WINDOWS.0)
        .initial_connection_window_size(WINDOWS.1)
        .max_send_buf_size(SEND_BUFFER)
        .max_header_list_size(MAX_HEAD_BYTES);
    builder
}

/// Between nine and eleven tenths of `age`, by the peer's port: connections that were opened together part.
fn spread(age: Duration, peer: SocketAddr) -> Duration {
    age.mul_f64(0.9 + 0.2 * f64::from(peer.port() % 1024) / 1024.0)
}
