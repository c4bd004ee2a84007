//! Follows the ledger: loads it, polls it, and proves how fresh the view is.

use std::sync::atomic::Ordering;
use std::time::Duration;

use countersign_verifier::CLOCK_STEP;
use tokio_util::sync::CancellationToken;

use super::Revocations;
use crate::model::{Cursor, Monotonic, UnixMillis};
use crate::readiness::Readiness;
use crate::store::{LedgerPoll, StoreError};

/// The most rows that one poll takes; more are fetched at once.
const PAGE: u32 = 1_000;

/// How long the first load waits for the other replicas to be heard. Without Redis it comes without them.
const LISTEN_FIRST: Duration = Duration::from_millis(500);

/// Keeps a [`Revocations`] view up to date.
pub struct Follower {
    revocations: Revocations,
    readiness: Readiness,
    every: Duration,
    cursor: Option<Cursor>,
    /// From when on revocations are forgotten again: after a step of the clock, none is before every access token that
    /// was alive then has expired.
    forget_from: Monotonic,
}

impl Follower {
    /// Polls once per `every`, and tells `readiness` how it goes.
    pub const fn new(revocations: Revocations, readiness: Readiness, every: Duration) -> Self {
        Self { revocations, readiness, every, cursor: None, forget_from: Monotonic(Duration::ZERO) }
    }

    /// Follows until `stop` is cancelled: at every interval, and whenever listening to the other replicas begins,
    /// for what they told before that was missed. So between what is loaded and what is pushed there is no gap.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut listening = self.revocations.listening();
        let heard = async { listening.wait_for(|times| *times > 0).await.is_ok() };
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tokio::time::timeout(self.every.min(LISTEN_FIRST), heard) => {}
        }
        let mut tick = tokio::time::interval(self.every);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => {}
                Ok(()) = listening.changed() => {}
            }
            self.step().await;
        }
    }

    /// One poll, or one load where there is nothing to continue from.
    pub async fn step(&mut self) {
        // Freshness is proven by a request: what counts is when it was sent, not when its answer came.
        let sent = self.revocations.clock.monotonic();
        let wall = self.look_at_the_clock(sent);
        let result = match self.cursor {
            Some(cursor) => self.poll(cursor).await,
            None => self.load().await,
        };
        let view = self.revocations.view();
        match result {
            Ok(()) => {
                view.freshness.record_poll_sent(sent);
                let sequence = self.cursor.map_or(0, |cursor| cursor.seq);
                self.revocations.sequence.store(sequence, Ordering::Relaxed);
                self.readiness.set_ledger_loaded(self.cursor.is_some());
                self.readiness.set_store("ledger", Ok(()));
            }
            Err(error) => self.readiness.set_store("ledger", Err(error.to_string())),
        }
        self.readiness.set_staleness(view.staleness(self.revocations.clock.as_ref()));
        if sent >= self.forget_from {
            view.index.purge(wall);
        }
    }

    /// A wall clock that is not where the monotonic one says makes what was left out or forgotten by it worthless, so the
    /// ledger is loaded anew; after a step nothing is known until then, and after a slow correction what is known holds
    /// meanwhile. Returns the time that it looked at.
    fn look_at_the_clock(&mut self, monotonic: Monotonic) -> UnixMillis {
        let freshness = &self.revocations.view().freshness;
        let wall = self.revocations.clock.now();
        let drift = freshness.clock_drift(wall, monotonic);
        if drift > CLOCK_STEP {
            tracing::error!(
                by_seconds = drift.as_secs(),
                now = wall.as_secs(),
                "the wall clock has stepped; loading the revocation ledger anew"
            );
            freshness.invalidate();
            self.forget_from = Monotonic(monotonic.0 + self.revocations.horizon);
            self.readiness.set_ledger_loaded(false);
            self.cursor = None;
        } else if drift > CLOCK_STEP / 2 {
            tracing::info!(
                by_seconds = drift.as_secs(),
                "the wall clock was corrected; loading the revocation ledger anew"
            );
            self.cursor = None;
        }
        wall
    }

    /// The ledger from its first row that still matters, piece by piece: it may be long.
    async fn load(&mut self) -> Result<(), StoreError> {
        let from = self.begin().await?;
        self.poll(from).await
    }

    async fn begin(&mut self) -> Result<Cursor, StoreError> {
        let (wall, monotonic) = (self.revocations.clock.now(), self.revocations.clock.monotonic());
        let since = self.revocations.learn_store_time().await? - self.revocations.horizon;
        let snapshot = self.revocations.ledger.snapshot(since).await?;
        // Nothing is taken out: what was revoked before the ledger was replaced by an older one stays revoked.
        for row in &snapshot.rows {
            self.revocations.apply(row);
        }
        // Not before it was loaded: until then what is known is what was known by the time before.
        self.revocations.view().freshness.anchor(wall, monotonic);
        self.cursor = Some(snapshot.cursor);
        Ok(snapshot.cursor)
    }

    async fn poll(&mut self, from: Cursor) -> Result<(), StoreError> {
        let mut from = from;
        loop {
            match self.revocations.ledger.poll(from, PAGE).await? {
                LedgerPoll::Rows(rows, next) => {
                    for row in &rows {
                        self.revocations.apply(row);
                    }
                    self.cursor = Some(next);
                    if rows.len() < PAGE as usize {
                        return Ok(());
                    }
                    from = next;
                }
                LedgerPoll::AnotherIncarnation => {
                    tracing::error!(
                        seq = from.seq,
                        "the revocation ledger went back in time: restored from a backup? loading it anew"
                    );
                    self.cursor = None;
                    self.readiness.set_ledger_loaded(false);
                    from = self.begin().await?;
                }
            }
        }
    }
}
