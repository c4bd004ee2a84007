//! A request and its answer, as far as they hold memory and wait for the peer.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use futures_util::task::AtomicWaker;
use http::HeaderMap;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};

use super::activity::{Activity, Since};
use super::{BodyRefused, Limits};

/// What a request is charged beside its head, in bytes: its stream, its task, and a short answer.
const REQUEST_BYTES: usize = 1024;
/// The longest piece of an answer that is handed to the protocol at once, in bytes: what it holds when the peer takes
/// one byte of it.
const PIECE: usize = 16 * 1024;
/// What stands before a message of gRPC: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// What the peer of a request's body owes.
const OWES_NOTHING: u8 = 0;
/// The body's first bytes, or the rest of a message that has begun.
const OWES_MESSAGE: u8 = 1;
/// One more message of a stream.
const OWES_NEXT: u8 = 2;

/// See the module. It is over when the body, the answer, and the last piece of the answer are dropped.
#[derive(Debug)]
pub(super) struct Exchange {
    connection: Arc<Activity>,
    key: usize,
    charged: AtomicUsize,
    /// Since when a piece of the answer has waited for the peer to take it.
    pub(super) unread_answer: Since,
    /// Since when the peer has owed what `owes` says.
    owed: Since,
    owes: AtomicU8,
    late: AtomicBool,
    reader: AtomicWaker,
}

impl Exchange {
    /// Begins one for a request with this head, unless there is no room for it.
    pub(super) fn begin<B>(connection: &Arc<Activity>, request: &http::Request<B>) -> Option<Arc<Self>> {
        let bytes = REQUEST_BYTES + head_bytes(request.headers()) + request.uri().path().len();
        connection.charge(bytes).then(|| Self::charged(connection, request, bytes))
    }

    /// Begins one that is answered at once, because there is no room.
    pub(super) fn begin_unpaid<B>(connection: &Arc<Activity>, request: &http::Request<B>) -> Arc<Self> {
        Self::charged(connection, request, 0)
    }

    fn charged<B>(connection: &Arc<Activity>, request: &http::Request<B>, bytes: usize) -> Arc<Self> {
        connection.begin(request.version(), |key| {
            Arc::new(Self {
                connection: Arc::clone(connection),
                key,
                charged: AtomicUsize::new(bytes),
                unread_answer: Since::default(),
                owed: Since::default(),
                owes: AtomicU8::new(OWES_NOTHING),
                late: AtomicBool::new(false),
                reader: AtomicWaker::new(),
            })
        })
    }

    fn charge(&self, bytes: usize) -> bool {
        let fits = self.connection.charge(bytes);
        if fits {
            self.charged.fetch_add(bytes, Ordering::Relaxed);
        }
        fits
    }

    fn discharge(&self, bytes: usize) {
        self.charged.fetch_sub(bytes, Ordering::Relaxed);
        self.connection.discharge(bytes);
    }

    fn owe(&self, what: u8) {
        self.owes.store(what, Ordering::Relaxed);
        self.owed.set(self.connection.ticks.now());
    }

    /// Whether its peer has nothing to do but to wait for us.
    pub(super) fn is_our_turn(&self) -> bool {
        self.owes.load(Ordering::Relaxed) == OWES_NOTHING && !self.unread_answer.is_set()
    }

    /// Ends the body when it is late.
    pub(super) fn expire_body(&self, limits: &Limits, now: u32) {
        let limit = match self.owes.load(Ordering::Relaxed) {
            OWES_MESSAGE => limits.message,
            OWES_NEXT => limits.stream_idle,
            _ => return,
        };
        if self.owed.is_over(limit, now) && !self.late.swap(true, Ordering::Relaxed) {
            self.reader.wake();
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.connection.discharge(*self.charged.get_mut());
        self.connection.finish(self.key);
    }
}

/// What a head takes in memory, about.
fn head_bytes(headers: &HeaderMap) -> usize {
    /// Of an entry in the map.
    const ENTRY: usize = 64;
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + ENTRY).sum()
}

/// A request's body.
pub(super) struct RequestBody {
    inner: Incoming,
    exchange: Arc<Exchange>,
    reading: Reading,
}

/// Where in the body the reader is.
enum Reading {
    /// Any body: it is gathered, so all of it is charged.
    Whole,
    /// Messages of gRPC: within the prefix of the next one.
    Prefix { bytes: [u8; PREFIX], have: usize, charged: usize },
    /// Within a message.
    Message { left: usize, charged: usize },
}

impl RequestBody {
    /// Of this exchange. `grpc`: it is made of messages, each behind its length.
    pub(super) fn new(inner: Incoming, exchange: Arc<Exchange>, grpc: bool) -> Self {
        if !inner.is_end_stream() {
            exchange.owe(OWES_MESSAGE);
        }
        let reading =
            if grpc { Reading::Prefix { bytes: [0; PREFIX], have: 0, charged: 0 } } else { Reading::Whole };
        Self { inner, exchange, reading }
    }

    /// Charges what these bytes begin, and notes what the peer owes after them.
    fn account(&mut self, mut data: &[u8]) -> Result<(), BodyRefused> {
        if matches!(self.reading, Reading::Whole) {
            return if self.exchange.charge(data.len()) { Ok(()) } else { Err(BodyRefused::NoRoom) };
        }
        while !data.is_empty() {
            match &mut self.reading {
                Reading::Whole => return Ok(()),
                Reading::Prefix { bytes, have, charged } => {
                    let taken = data.len().min(PREFIX - *have);
                    bytes[*have..*have + taken].copy_from_slice(&data[..taken]);
                    if *have == 0 {
                        self.exchange.owe(OWES_MESSAGE);
                    }
                    *have += taken;
                    data = &data[taken..];
                    if *have == PREFIX {
                        let length = u32::from_be_bytes([bytes[1], bytes[2], bytes[3], bytes[4]]) as usize;
                        // The reader makes room for all of a message when it has read how long it is, unless it
                        // refuses it for its length.
                        let room = if length > super::MOST_HELD { 0 } else { length };
                        self.exchange.discharge(std::mem::take(charged));
                        if !self.exchange.charge(room) {
                            return Err(BodyRefused::NoRoom);
                        }
                        self.reading = Reading::Message { left: length, charged: room };
                        self.end_message();
                    }
                }
                Reading::Message { left, .. } => {
                    let taken = data.len().min(*left);
                    *left -= taken;
                    data = &data[taken..];
                    self.end_message();
                }
            }
        }
        Ok(())
    }

    /// Goes on to the next message when this one is whole. It stays charged until then: its handler has it.
    fn end_message(&mut self) {
        if let Reading::Message { left: 0, charged } = self.reading {
            self.reading = Reading::Prefix { bytes: [0; PREFIX], have: 0, charged };
            self.exchange.owe(OWES_NEXT);
        }
    }
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = &mut *self;
        match Pin::new(&mut this.inner).poll_frame(cx) {
            Poll::Pending => {
                this.exchange.reader.register(cx.waker());
                if this.exchange.late.load(Ordering::Relaxed) {
                    return Poll::Ready(Some(Err(BodyRefused::Late.into())));
                }
                Poll::Pending
            }
            Poll::Ready(Some(Ok(frame))) => {
                this.exchange.connection.progress();
                if let Some(data) = frame.data_ref() {
                    this.exchange.connection.consumed(data.len());
                    if let Err(refused) = this.account(data) {
                        return Poll::Ready(Some(Err(refused.into())));
                    }
                }
                if this.inner.is_end_stream() {
                    this.exchange.owes.store(OWES_NOTHING, Ordering::Relaxed);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(end) => {
                this.exchange.owes.store(OWES_NOTHING, Ordering::Relaxed);
                Poll::Ready(end.map(|failed| failed.map_err(io::Error::other)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        self.exchange.owes.store(OWES_NOTHING, Ordering::Relaxed);
    }
}

/// The body of an answer: in pieces, each of which keeps the exchange alive until the peer has it.
pub(super) struct AnswerBody {
    inner: Body,
    exchange: Arc<Exchange>,
    rest: Option<(Bytes, Hold)>,
}

/// What a piece of an answer keeps alive: the exchange, whose own charge covers it, or a charge of its own.
type Hold = Arc<dyn Send + Sync>;

/// What a piece of an answer was charged.
struct Held {
    exchange: Arc<Exchange>,
    bytes: usize,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.exchange.discharge(self.bytes);
    }
}

/// Bytes that wait for the peer.
struct Piece {
    bytes: Bytes,
    _hold: Hold,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl AnswerBody {
    /// Of this exchange.
    pub(super) fn new(inner: Body, exchange: Arc<Exchange>) -> Self {
        Self { inner, exchange, rest: None }
    }

    /// The first piece of these bytes.
    fn piece(&mut self, mut bytes: Bytes, hold: Hold) -> Frame<Bytes> {
        let piece = bytes.split_to(bytes.len().min(PIECE));
        if !bytes.is_empty() {
            self.rest = Some((bytes, hold.clone()));
        }
        Frame::data(Bytes::from_owner(Piece { bytes: piece, _hold: hold }))
    }
}

impl HttpBody for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        // It is asked for the next piece when the peer has taken the last.
        this.exchange.connection.progress();
        if let Some((bytes, hold)) = this.rest.take() {
            this.exchange.unread_answer.set(this.exchange.connection.ticks.now());
            return Poll::Ready(Some(Ok(this.piece(bytes, hold))));
        }
        let frame = match Pin::new(&mut this.inner).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => frame,
            Poll::Pending => {
                this.exchange.unread_answer.clear();
                return Poll::Pending;
            }
            end @ Poll::Ready(_) => return end,
        };
        this.exchange.unread_answer.set(this.exchange.connection.ticks.now());
        let bytes = match frame.into_data() {
            Ok(bytes) if !bytes.is_empty() => bytes,
            Ok(bytes) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
            Err(other) => return Poll::Ready(Some(Ok(other))),
        };
        let exchange = Arc::clone(&this.exchange);
        // A short answer is in the charge for its request.
        if bytes.len() <= REQUEST_BYTES {
            return Poll::Ready(Some(Ok(this.piece(bytes, exchange))));
        }
        if !exchange.charge(bytes.len()) {
            return Poll::Ready(Some(Err(axum::Error::new(io::Error::from(BodyRefused::NoRoom)))));
        }
        let held = Arc::new(Held { exchange, bytes: bytes.len() });
        Poll::Ready(Some(Ok(this.piece(bytes, held))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_none() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.rest {
            None => self.inner.size_hint(),
            Some((rest, _)) => {
                let (inner, rest) = (self.inner.size_hint(), rest.len() as u64);
                let mut hint = SizeHint::new();
                hint.set_lower(inner.lower().saturating_add(rest));
                if let Some(upper) = inner.upper() {
                    hint.set_upper(upper.saturating_add(rest));
                }
                hint
            }
        }
    }
}
