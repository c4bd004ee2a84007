//! Writes events that belong to no change of the database, many in one transaction: logins, refused logins, refused callers.
//!
//! Nobody waits for it. While the database does not answer, events wait in a queue; when that is full, more are lost, counted,
//! and told as an event of their own as soon as the database answers again.

use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::model::{Actor, Clock, EventFacts, EventKind, NewEvent, Origin, Position, UnixMillis};
use crate::store::{AuditStore, EventBatch, StoreError};

/// The most events that wait: some 4 MiB.
const QUEUE: usize = 8192;
/// The most events of one transaction, which holds the head of the log for as long as it takes.
const BATCH: usize = 256;
/// How long a batch waits for more events than have come.
const GATHER: Duration = Duration::from_millis(100);
/// The pauses before a database that did not answer is asked again; the last one goes on.
const PAUSES: [Duration; 4] =
    [Duration::from_millis(100), Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];

/// The way to the one task that writes. The default one records nothing.
#[derive(Clone, Default)]
pub struct EventRecorder(Option<Arc<Shared>>);

struct Shared {
    queue: mpsc::Sender<NewEvent>,
    clock: Arc<dyn Clock>,
    written: AtomicU64,
    lost: AtomicU64,
    untold: Mutex<Option<Loss>>,
    closing: CancellationToken,
    tasks: TaskTracker,
}

/// Events that were lost and are not told of yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Loss {
    count: u64,
    first: UnixMillis,
    last: UnixMillis,
}

/// What the recorder has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EventStats {
    /// Events that are in the database.
    pub written: u64,
    /// Events that were lost.
    pub lost: u64,
    /// Events that wait.
    pub queued: u64,
}

impl EventRecorder {
    /// Starts the task that writes.
    pub fn start(store: Arc<dyn AuditStore>, clock: Arc<dyn Clock>) -> Self {
        let (queue, inbox) = mpsc::channel(QUEUE);
        let shared = Arc::new(Shared {
            queue,
            clock,
            written: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            untold: Mutex::default(),
            closing: CancellationToken::new(),
            tasks: TaskTracker::new(),
        });
        let writer = Writer { shared: Arc::clone(&shared), store, inbox, end: None };
        shared.tasks.spawn(writer.run());
        Self(Some(shared))
    }

    /// Takes an event; never waits.
    pub fn record(&self, event: NewEvent) {
        let Some(shared) = &self.0 else { return };
        if shared.queue.try_send(event).is_err() {
            shared.lose(1);
        }
    }

    /// What it has done so far.
    pub fn stats(&self) -> EventStats {
        let Some(shared) = &self.0 else { return EventStats::default() };
        EventStats {
            written: shared.written.load(Ordering::Relaxed),
            lost: shared.lost.load(Ordering::Relaxed),
            queued: (shared.queue.max_capacity() - shared.queue.capacity()) as u64,
        }
    }

    /// Writes what waits, as far as the database takes it within this time, and ends. What comes later is lost.
    pub async fn close(&self, within: Duration) {
        let Some(shared) = &self.0 else { return };
        shared.closing.cancel();
        shared.tasks.close();
        if tokio::time::timeout(within, shared.tasks.wait()).await.is_err() {
            tracing::warn!(events = self.stats().queued, "audit events are lost: the database took too long");
        }
    }
}

impl std::fmt::Debug for EventRecorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventRecorder").field("stats", &self.stats()).finish()
    }
}

impl Shared {
    fn lose(&self, count: u64) {
        self.lost.fetch_add(count, Ordering::Relaxed);
        let now = self.clock.now();
        let mut untold = self.untold.lock().unwrap_or_else(PoisonError::into_inner);
        let before = untold.unwrap_or(Loss { count: 0, first: now, last: now });
        *untold = Some(Loss { count: before.count.saturating_add(count), last: now, ..before });
    }

    /// The event that tells of what was lost since the last one.
    fn loss(&self) -> Option<NewEvent> {
        let Loss { count, first, last } =
            self.untold.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        let event = NewEvent::new(EventKind::EventsLost, Actor::System, &Origin::default());
        let facts = EventFacts { count, first_at: Some(first.0), last_at: Some(last.0), ..event.facts };
        Some(NewEvent { facts, ..event })
    }
}

struct Writer {
    shared: Arc<Shared>,
    store: Arc<dyn AuditStore>,
    inbox: mpsc::Receiver<NewEvent>,
    /// Where the log ended when this was last known.
    end: Option<Position>,
}

impl Writer {
    async fn run(mut self) {
        let closing = self.shared.closing.clone();
        loop {
            let first = tokio::select! {
                biased;
                event = self.inbox.recv() => event,
                () = closing.cancelled() => {
                    self.inbox.close();
                    self.inbox.recv().await
                }
            };
            let Some(first) = first else { break };
            let mut events: Vec<NewEvent> = self.shared.loss().into_iter().collect();
            events.push(first);
            self.gather(&mut events).await;
            self.write(events).await;
        }
        if let Some(loss) = self.shared.loss() {
            self.write(vec![loss]).await;
        }
    }

    async fn gather(&mut self, events: &mut Vec<NewEvent>) {
        let mut gathered = pin!(tokio::time::sleep(GATHER));
        while events.len() < BATCH {
            let more = tokio::select! {
                biased;
                more = self.inbox.recv() => more,
                () = &mut gathered => return,
                () = self.shared.closing.cancelled() => self.inbox.try_recv().ok(),
            };
            match more {
                Some(event) => merge(events, event),
                None => return,
            }
        }
    }

    /// Writes a batch, again and again until the database has taken it or this ends.
    async fn write(&mut self, events: Vec<NewEvent>) {
        let mut batch = EventBatch::new(events);
        let mut pauses = PAUSES.into_iter();
        let mut pause = GATHER;
        loop {
            let error = match self.try_write(&mut batch).await {
                Ok(()) => {
                    if batch.tried_since.is_some() {
                        tracing::info!("audit events are written again");
                    }
                    self.shared.written.fetch_add(batch.events.len() as u64, Ordering::Relaxed);
                    return;
                }
                Err(error) => error,
            };
            if self.shared.closing.is_cancelled() {
                tracing::warn!(%error, events = batch.events.len(), "audit events are lost");
                self.shared.lose(batch.events.len() as u64);
                return;
            }
            if pause == GATHER {
                tracing::warn!(%error, "audit events cannot be written; they wait");
            }
            pause = pauses.next().unwrap_or(pause);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.shared.closing.cancelled() => {}
            }
        }
    }

    /// Where the log ends is known before anything is tried: from there on a batch is looked for that may have been written.
    async fn try_write(&mut self, batch: &mut EventBatch) -> Result<(), StoreError> {
        let end = match self.end {
            Some(end) => end,
            None => *self.end.insert(self.store.end().await?),
        };
        let written = self.store.write(batch.clone()).await;
        batch.tried_since = Some(end.seq);
        self.end = Some(written?);
        Ok(())
    }
}

/// Adds an event to a batch. A caller who is refused again and again, or tries to log in again and again, fills the log no
/// faster than one event for each batch.
fn merge(events: &mut Vec<NewEvent>, event: NewEvent) {
    let is_alike = |other: &&mut NewEvent| {
        (other.kind, &other.actor, other.user) == (event.kind, &event.actor, event.user)
            && (&other.facts.peer, &other.facts.cause, &other.facts.method)
                == (&event.facts.peer, &event.facts.cause, &event.facts.method)
    };
    let mergeable = match event.kind {
        EventKind::CallerRefused => true,
        EventKind::LoginFailed => event.facts.cause == TOO_MANY_ATTEMPTS,
        _ => false,
    };
    match events.iter_mut().find(is_alike).filter(|_| mergeable) {
        Some(before) => before.facts.count = before.facts.count.max(1) + 1,
        None => events.push(event),
    }
}

/// Why a login is refused before its password is looked at.
pub(super) const TOO_MANY_ATTEMPTS: &str = "TOO_MANY_ATTEMPTS";

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use async_trait::async_trait;
    use tokio::sync::Notify;

    use super::*;
    use crate::model::{EventFilter, ManualClock, UserId};
    use crate::store::{EventPage, EventsAfter};

    /// A log in memory, which can be cut off; `ambiguous` loses the answer of a write that was done.
    #[derive(Default)]
    struct Log {
        down: AtomicBool,
        ambiguous: AtomicBool,
        attempts: AtomicU64,
        asked: Notify,
        batches: Mutex<Vec<EventBatch>>,
    }

    impl Log {
        fn events(&self) -> Vec<NewEvent> {
            self.batches.lock().unwrap().iter().flat_map(|batch| batch.events.clone()).collect()
        }

        async fn asked_times(&self, times: u64) {
            while self.attempts.load(Ordering::SeqCst) < times {
                self.asked.notified().await;
            }
        }
    }

    fn unavailable() -> StoreError {
        StoreError::Unavailable { store: "test", source: "down".into() }
    }

    #[async_trait]
    impl AuditStore for Log {
        async fn write(&self, batch: EventBatch) -> Result<Position, StoreError> {
            self.attempts.fetch_add(1, Ordering::SeqCst);
            self.asked.notify_one();
            if self.down.load(Ordering::SeqCst) {
                return Err(unavailable());
            }
            let mut batches = self.batches.lock().unwrap();
            let again = batch.tried_since.is_some() && batches.iter().any(|there| there.mark == batch.mark);
            if !again {
                batches.push(batch);
            }
            if self.ambiguous.swap(false, Ordering::SeqCst) {
                return Err(unavailable());
            }
            Ok(Position { seq: batches.len() as u64, mark: 0 })
        }

        async fn page(&self, _: EventFilter, _: Option<u64>, _: u32) -> Result<EventPage, StoreError> {
            Err(unavailable())
        }

        async fn after(&self, _: Option<Position>, _: u32) -> Result<EventsAfter, StoreError> {
            Err(unavailable())
        }

        async fn end(&self) -> Result<Position, StoreError> {
            Ok(Position { seq: 0, mark: 0 })
        }

        async fn purge(&self, _: UnixMillis, _: u32) -> Result<u64, StoreError> {
            Ok(0)
        }
    }

    fn login(n: u8) -> NewEvent {
        NewEvent::new(EventKind::LoginSucceeded, "user", &Origin::default())
            .about(UserId::from_bytes([n; 16]))
    }

    fn started() -> (Arc<Log>, EventRecorder) {
        let log = Arc::new(Log::default());
        let clock = Arc::new(ManualClock::new(UnixMillis(1_000)));
        (log.clone(), EventRecorder::start(log, clock))
    }

    const LONG: Duration = Duration::from_mins(1);

    #[tokio::test]
    async fn events_are_written_together_and_what_waits_at_the_end_is_written_too() {
        let (log, recorder) = started();
        (0..10).for_each(|n| recorder.record(login(n)));
        recorder.close(LONG).await;
        assert_eq!(log.events(), (0..10).map(login).collect::<Vec<_>>());
        assert_eq!(log.batches.lock().unwrap().len(), 1);
        assert_eq!(recorder.stats(), EventStats { written: 10, lost: 0, queued: 0 });
        recorder.record(login(11));
        assert_eq!(recorder.stats().lost, 1, "nobody writes any more");
    }

    #[tokio::test]
    async fn what_finds_the_queue_full_is_lost_and_told_with_the_first_that_is_written_after() {
        let (log, recorder) = started();
        // Nothing is taken out of the queue meanwhile: this test has one thread.
        (0..QUEUE + 500).for_each(|_| recorder.record(login(1)));
        assert_eq!(recorder.stats(), EventStats { written: 0, lost: 500, queued: QUEUE as u64 });
        recorder.close(LONG).await;
        let events = log.events();
        assert_eq!(events.len(), QUEUE + 1);
        let EventFacts { count, first_at, last_at, .. } = &events[0].facts;
        assert_eq!((events[0].kind, *count), (EventKind::EventsLost, 500));
        assert_eq!((*first_at, *last_at), (Some(1_000), Some(1_000)));
        assert!(events[1..].iter().all(|event| event.kind == EventKind::LoginSucceeded));
    }

    #[tokio::test]
    async fn what_the_database_does_not_take_waits_until_it_does() {
        let (log, recorder) = started();
        log.down.store(true, Ordering::SeqCst);
        recorder.record(login(1));
        log.asked_times(2).await;
        log.down.store(false, Ordering::SeqCst);
        log.asked_times(3).await;
        recorder.record(login(2));
        recorder.close(LONG).await;
        assert_eq!(log.events(), [login(1), login(2)]);
        assert_eq!(recorder.stats().lost, 0);
    }

    #[tokio::test]
    async fn a_batch_whose_answer_was_lost_is_not_written_twice() {
        let (log, recorder) = started();
        log.ambiguous.store(true, Ordering::SeqCst);
        recorder.record(login(1));
        log.asked_times(2).await;
        recorder.record(login(2));
        recorder.close(LONG).await;
        assert_eq!(log.events(), [login(1), login(2)]);
        assert_eq!(recorder.stats().written, 2);
    }

    #[tokio::test]
    async fn a_service_that_stops_while_the_database_is_down_stops() {
        let (log, recorder) = started();
        log.down.store(true, Ordering::SeqCst);
        recorder.record(login(1));
        recorder.close(LONG).await;
        assert_eq!(recorder.stats().written, 0);
        assert!(recorder.stats().lost >= 1);
        assert!(log.events().is_empty());
    }

    #[test]
    fn a_caller_who_is_refused_again_and_again_is_one_event() {
        let refused = |peer: &str| {
            let mut event = NewEvent::new(EventKind::CallerRefused, "", &Origin::default());
            peer.clone_into(&mut event.facts.peer);
            event
        };
        let mut events = Vec::new();
        for peer in ["10.0.0.1", "10.0.0.1", "10.0.0.2", "10.0.0.1"] {
            merge(&mut events, refused(peer));
        }
        merge(&mut events, login(1));
        merge(&mut events, login(1));
        let counts: Vec<_> = events.iter().map(|event| event.facts.count).collect();
        assert_eq!(counts, [3, 0, 0, 0]);
    }
}
