//! `countersign.v1.RevocationService`: what this replica knows, to those who verify in their own process.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use countersign_verifier::KeySet;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, Stream, StreamExt as _, stream};
use tokio::sync::watch;
use tonic::{Request, Response, Status, Streaming};

use super::call::Call;
use super::proto::v1;
use super::proto::v1::watch_revocations_request::Message as Said;
use super::stream_end::StreamEnd;
use super::{convert, status};
use crate::auth::AuthError;
use crate::model::NotAPosition;
use crate::reason::{Language, Reason};
use crate::revocation::Revocations;
use crate::revocation::feed::Snapshot;

/// The most entries in one message: some 40 KiB.
const CHUNK: usize = 1_000;
/// The most pings of one client that wait for a position.
const POSITIONS_ASKED: usize = 64;
/// How long a position is looked for.
const LONGEST_LOOK: Duration = Duration::from_secs(2);

/// What [`super::routes`] lets others follow.
#[derive(Clone)]
pub struct Published {
    /// What is revoked, and how fresh that knowledge is.
    pub revocations: Revocations,
    /// The keys that access tokens are accepted from.
    pub keys: watch::Receiver<Arc<KeySet>>,
}

/// The service, over what this replica knows.
pub(super) struct RevocationService {
    pub(super) published: Published,
    pub(super) end: StreamEnd,
}

type Answer = Result<v1::WatchRevocationsResponse, Status>;

#[tonic::async_trait]
impl v1::revocation_service_server::RevocationService for RevocationService {
    type WatchRevocationsStream = Pin<Box<dyn Stream<Item = Answer> + Send>>;

    async fn watch_revocations(
        &self,
        request: Request<Streaming<v1::WatchRevocationsRequest>>,
    ) -> Result<Response<Self::WatchRevocationsStream>, Status> {
        let (call, said) = Call::split(request);
        // A client that took an empty view for all that there is to know would be worse off than without.
        if self.published.revocations.staleness().is_none() {
            return Err(status::refuse(&Reason::RevocationsStale.into(), call.language));
        }
        let watch = Watch::new(self.published.clone(), said, call.language);
        let told = stream::unfold(watch, |mut watch| async {
            let answer = watch.next().await?;
            Some((answer, watch))
        });
        Ok(Response::new(Box::pin(told.take_until(self.end.reached()))))
    }
}

/// One client's stream. It is asked for the next message when the client has room for one, and keeps nothing but
/// its place in the feed.
struct Watch {
    published: Published,
    said: Streaming<v1::WatchRevocationsRequest>,
    head: watch::Receiver<u64>,
    language: Language,
    phase: Phase,
    due: Option<Due>,
    positions: Positions,
}

enum Phase {
    /// Nothing was said yet.
    Silent,
    /// The snapshot is being told from this entry on.
    Snapshot(Arc<Snapshot>, usize),
    /// The feed was told up to this number.
    Following(u64),
    /// Nothing more is told.
    Over,
}

/// A ping to be answered, and what was known when it came.
struct Due {
    nonce: u64,
    staleness: Option<prost_types::Duration>,
    head: u64,
    /// Whether the position is known that the ping asks for, if it asks for one.
    reached: Option<bool>,
}

/// The pings that ask for positions: looked for one after the other, for they share the poll that finds them.
#[derive(Default)]
struct Positions {
    asked: VecDeque<v1::WatchPing>,
    looking: Option<BoxFuture<'static, (u64, bool)>>,
    /// The answer to the one that was looked for last, which is still to be told.
    found: Option<Due>,
}

impl Positions {
    /// Takes a ping in. One too many takes the place of the oldest that waits, which goes unanswered.
    fn ask(&mut self, ping: v1::WatchPing) {
        if self.asked.len() == POSITIONS_ASKED {
            self.asked.pop_front();
        }
        self.asked.push_back(ping);
    }

    /// The nonce of the next ping, and whether its position is known, as soon as that is clear; does not return as long as
    /// there is none or the last answer is not told.
    async fn next(&mut self, revocations: &Revocations) -> (u64, bool) {
        if self.found.is_some() {
            return std::future::pending().await;
        }
        if self.looking.is_none()
            && let Some(v1::WatchPing { nonce, at_least }) = self.asked.pop_front()
        {
            let revocations = revocations.clone();
            let look = async move {
                match at_least.parse() {
                    Ok(position) => (nonce, revocations.reach_within(position, LONGEST_LOOK).await),
                    Err(NotAPosition) => (nonce, false),
                }
            };
            self.looking = Some(look.boxed());
        }
        let Some(looking) = &mut self.looking else { return std::future::pending().await };
        let found = looking.await;
        self.looking = None;
        found
    }
}

impl Watch {
    fn new(
        mut published: Published,
        said: Streaming<v1::WatchRevocationsRequest>,
        language: Language,
    ) -> Self {
        published.keys.mark_changed();
        let head = published.revocations.feed().subscribe();
        let positions = Positions::default();
        Self { published, said, head, language, phase: Phase::Silent, due: None, positions }
    }

    /// The next message, as soon as there is one; none at the end.
    async fn next(&mut self) -> Option<Answer> {
        loop {
            match self.phase {
                Phase::Over => return None,
                Phase::Silent => return self.begin().await,
                Phase::Snapshot(..) | Phase::Following(_) => {}
            }
            // A ping is heard even while there is always something to tell.
            if let Some(said) = self.said.next().now_or_never() {
                if let Err(last) = self.hear(said.and_then(Result::ok)) {
                    return last;
                }
                continue;
            }
            if let Some((nonce, reached)) = self.positions.next(&self.published.revocations).now_or_never() {
                self.positions.found = Some(self.due(nonce, Some(reached)));
                continue;
            }
            if let Some(message) = self.told_at_once() {
                return Some(Ok(v1::WatchRevocationsResponse { message: Some(message) }));
            }
            // Whoever wakes us, the next round looks at everything.
            tokio::select! {
                _ = self.head.changed() => {}
                (nonce, reached) = self.positions.next(&self.published.revocations) => {
                    self.positions.found = Some(self.due(nonce, Some(reached)));
                }
                changed = self.published.keys.changed() => match changed {
                    Ok(()) => self.published.keys.mark_changed(),
                    Err(_) => return None,
                },
                said = self.said.next() => if let Err(last) = self.hear(said.and_then(Result::ok)) {
                    return last;
                },
            }
        }
    }

    /// Takes in what the client said; the error is the last that it hears.
    fn hear(&mut self, said: Option<v1::WatchRevocationsRequest>) -> Result<(), Option<Answer>> {
        let Some(v1::WatchRevocationsRequest { message }) = said else { return Err(None) };
        match message {
            Some(Said::Ping(ping)) if ping.at_least.is_empty() => self.due = Some(self.due(ping.nonce, None)),
            Some(Said::Ping(ping)) => self.positions.ask(ping),
            Some(Said::Start(_)) => return Err(Some(Err(self.refuse("must not be sent twice")))),
            // A newer client says something that we do not know.
            None => {}
        }
        Ok(())
    }

    /// Waits for what the client starts from.
    async fn begin(&mut self) -> Option<Answer> {
        let start = match self.said.next().await? {
            Ok(v1::WatchRevocationsRequest { message: Some(Said::Start(start)) }) => start,
            Ok(_) => return Some(Err(self.refuse("must be the first message"))),
            Err(_) => return None,
        };
        let feed = self.published.revocations.feed().clone();
        let resume = start.resume.filter(|position| position.incarnation == feed.incarnation());
        let resume = resume.filter(|position| feed.read(position.sequence, 0).is_ok());
        self.phase = match &resume {
            Some(position) => Phase::Following(position.sequence),
            None => Phase::Snapshot(self.published.revocations.snapshot().await, 0),
        };
        let begin = v1::WatchBegin { incarnation: feed.incarnation(), resumed: resume.is_some() };
        Some(Ok(v1::WatchRevocationsResponse { message: Some(begin.into()) }))
    }

    fn refuse(&mut self, why: &str) -> Status {
        self.phase = Phase::Over;
        status::refuse(&AuthError::invalid_field("start", why), self.language)
    }

    /// The answer to a ping. What is known is looked at after how fresh it is, so that the heartbeat never promises more
    /// than was told. A later ping takes the place of one that was not answered yet, unless that asks for a position.
    fn due(&self, nonce: u64, reached: Option<bool>) -> Due {
        let staleness = self.published.revocations.staleness();
        let staleness = staleness.and_then(|staleness| staleness.try_into().ok());
        let head = self.published.revocations.feed().head();
        Due { nonce, staleness, head, reached }
    }

    /// What can be told without waiting: keys first, for what follows may need them.
    fn told_at_once(&mut self) -> Option<v1::watch_revocations_response::Message> {
        if self.published.keys.has_changed().unwrap_or(false) {
            return Some(convert::key_set(&self.published.keys.borrow_and_update()).into());
        }
        match &mut self.phase {
            Phase::Snapshot(snapshot, told) => {
                let chunk = &snapshot.entries[*told..snapshot.entries.len().min(*told + CHUNK)];
                *told += chunk.len();
                let last = *told == snapshot.entries.len();
                let revoked = convert::revoked(chunk, last.then_some(snapshot.head));
                if last {
                    self.phase = Phase::Following(snapshot.head);
                }
                Some(revoked.into())
            }
            Phase::Following(told) => {
                let is_told = |due: &mut Due| due.head <= *told;
                let due = self.due.take_if(is_told).or_else(|| self.positions.found.take_if(is_told));
                if let Some(Due { nonce, staleness, reached, .. }) = due {
                    return Some(v1::WatchHeartbeat { nonce, sequence: *told, staleness, reached }.into());
                }
                match self.published.revocations.feed().read(*told, CHUNK) {
                    Ok(news) if news.is_empty() => None,
                    Ok(news) => {
                        *told += news.len() as u64;
                        Some(convert::revoked(&news, Some(*told)).into())
                    }
                    Err(_left_behind) => {
                        tracing::warn!("a watcher of revocations was too slow; it is told to begin anew");
                        self.phase = Phase::Over;
                        Some(v1::WatchResynchronise {}.into())
                    }
                }
            }
            Phase::Silent | Phase::Over => None,
        }
    }
}

/// Spares the arms their name.
macro_rules! arm {
    ($message:ident, $arm:ident) => {
        impl From<v1::$message> for v1::watch_revocations_response::Message {
            fn from(message: v1::$message) -> Self {
                Self::$arm(message)
            }
        }
    };
}

arm!(WatchBegin, Begin);
arm!(WatchKeySet, KeySet);
arm!(WatchRevoked, Revoked);
arm!(WatchHeartbeat, Heartbeat);
arm!(WatchResynchronise, Resynchronise);
