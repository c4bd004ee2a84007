//! Follows the ledger: loads it, polls it, and proves how fresh the view is.

use std::time::Duration;

use countersign_verifier::CLOCK_STEP;
use tokio_util::sync::CancellationToken;

use super::Revocations;
use super::progress::POLLS_APART;
use crate::model::{Monotonic, Position, Revocation, RevocationScope, UnixMillis};
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
    cursor: Option<Position>,
    /// From when on revocations are forgotten again: after a step of the clock, none is before every access token that
    /// was alive then has expired.
    forget_from: Monotonic,
    /// Whether the ledger has told of keys that are not loaded yet.
    keys_changed: bool,
}

impl Follower {
    /// Polls once per `every`, and tells `readiness` how it goes.
    pub const fn new(revocations: Revocations, readiness: Readiness, every: Duration) -> Self {
        Self {
            revocations,
            readiness,
            every,
            cursor: None,
            forget_from: Monotonic(Duration::ZERO),
            keys_changed: false,
        }
    }

    /// Follows until `stop` is cancelled: at every interval, whenever listening to the other replicas begins, for what they
    /// told before that was missed, and whenever a caller waits for a position. So between what is loaded and what is pushed
    /// there is no gap.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut listening = self.revocations.listening();
        let heard = async { listening.wait_for(|times| *times > 0).await.is_ok() };
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tokio::time::timeout(self.every.min(LISTEN_FIRST), heard) => {}
        }
        let mut tick = tokio::time::interval(self.every);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut apart = tokio::time::interval(POLLS_APART);
        apart.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let progress = &self.revocations.progress;
            let wanted = async {
                progress.wanted().await;
                apart.tick().await;
            };
            tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => {}
                Ok(()) = listening.changed() => {}
                () = wanted => {}
            }
            self.step().await;
        }
    }

    /// One poll, or one load where there is nothing to continue from.
    pub async fn step(&mut self) {
        // Freshness is proven by a request: what counts is when it was sent, not when its answer came.
        let sent = self.revocations.clock.monotonic();
        let wall = self.look_at_the_clock(sent);
        let number = self.revocations.progress.begin();
        let result = match self.cursor {
            Some(cursor) => self.poll(cursor).await,
            None => self.load().await,
        };
        let result = match result {
            Ok(()) => self.load_keys().await,
            failed => failed,
        };
        let view = self.revocations.view();
        match result {
            Ok(()) => {
                view.freshness.record_poll_sent(sent);
                if let Some(cursor) = self.cursor {
                    self.revocations.progress.succeed(number, cursor);
                }
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

    async fn begin(&mut self) -> Result<Position, StoreError> {
        let (wall, monotonic) = (self.revocations.clock.now(), self.revocations.clock.monotonic());
        let since = self.revocations.learn_store_time().await? - self.revocations.horizon;
        let snapshot = self.revocations.ledger.snapshot(since).await?;
        self.keys_changed = true;
        // Nothing is taken out: what was revoked before the ledger was replaced by an older one stays revoked.
        self.revocations.progress.start_over();
        self.take_in(&snapshot.rows);
        // Not before it was loaded: until then what is known is what was known by the time before.
        self.revocations.view().freshness.anchor(wall, monotonic);
        self.cursor = Some(snapshot.cursor);
        Ok(snapshot.cursor)
    }

    /// What the ledger has told of keys is known when they are loaded: only then is this replica where the ledger is.
    async fn load_keys(&mut self) -> Result<(), StoreError> {
        if self.keys_changed {
            self.revocations.load_keys().await?;
            self.keys_changed = false;
        }
        Ok(())
    }

    fn take_in(&mut self, rows: &[Revocation]) {
        for row in rows {
            self.keys_changed |= row.scope == RevocationScope::KeysChanged;
            self.revocations.apply(row);
            self.revocations.progress.read(row.position());
        }
    }

    async fn poll(&mut self, from: Position) -> Result<(), StoreError> {
        let mut from = from;
        loop {
            match self.revocations.ledger.poll(from, PAGE).await? {
                LedgerPoll::Rows(rows, next) => {
                    self.take_in(&rows);
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
