//! Revocation: durable first, then known everywhere.
//!
//! A revocation is acknowledged when its row in the [`Ledger`] is committed. The [`recorder`] writes the rows, many
//! in one commit under load; the [`follower`] keeps this replica's view of the ledger in memory and knows how old
//! it is; the [`feed`] passes on what has become known.

pub mod feed;
pub mod follower;
mod progress;
pub mod recorder;
pub mod store_time;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use countersign_verifier::{CLOCK_STEP, RevocationView, Revoked};
use tokio::sync::{Notify, watch};
use tracing::Instrument as _;

use crate::model::{Clock, Origin, Position, Revocation, RevocationScope, UnixMillis};
use crate::store::{Ledger, Push, SessionRevocation, StoreError};
use crate::telemetry::traces;

use feed::{Feed, Snapshot};
use progress::Progress;
use recorder::Recorder;
use store_time::{Reading, StoreTime};

/// What loads this replica's keys when the ledger tells that those in the database have changed.
#[async_trait]
pub trait LoadKeys: Send + Sync + 'static {
    /// Loads them. When this returns, no token of a key that was withdrawn before it was called is accepted here.
    async fn load(&self) -> Result<(), StoreError>;
}

/// A replica's hold on the ledger: it writes through this, and asks the view in memory.
#[derive(Clone)]
pub struct Revocations {
    view: Arc<RevocationView>,
    feed: Arc<Feed>,
    ledger: Arc<dyn Ledger>,
    clock: Arc<dyn Clock>,
    recorder: Recorder,
    push: Option<Arc<dyn Push>>,
    horizon: Duration,
    progress: Arc<Progress>,
    store_time: Arc<StoreTime>,
    keys: Option<Arc<dyn LoadKeys>>,
    keys_changed: Arc<Notify>,
}

impl Revocations {
    /// An empty view, and a recorder that runs until the last clone of this is dropped. `horizon` is how long
    /// after its writing a row can matter to an access token: the longest access token life, and what clocks
    /// and replicas may differ by.
    pub fn new(
        ledger: Arc<dyn Ledger>,
        push: Option<Arc<dyn Push>>,
        clock: Arc<dyn Clock>,
        horizon: Duration,
    ) -> Self {
        let view = Arc::new(RevocationView::new());
        let recorder = Recorder::start(ledger.clone());
        let (feed, progress, store_time) = (Arc::default(), Arc::default(), Arc::default());
        let (keys, keys_changed) = (None, Arc::default());
        Self { view, feed, ledger, clock, recorder, push, horizon, progress, store_time, keys, keys_changed }
    }

    /// The same, with keys that are in the database: nothing that the ledger tells of them is taken for known before they are
    /// loaded.
    #[must_use]
    pub fn with_keys(self, keys: Arc<dyn LoadKeys>) -> Self {
        Self { keys: Some(keys), ..self }
    }

    /// Returns when another replica has told that the keys have changed, or this one has.
    pub async fn keys_changed(&self) {
        self.keys_changed.notified().await;
    }

    /// Loads the keys, where they are in the database.
    async fn load_keys(&self) -> Result<(), StoreError> {
        match &self.keys {
            Some(keys) => keys.load().await,
            None => Ok(()),
        }
    }

    /// What this replica knows.
    pub const fn view(&self) -> &Arc<RevocationView> {
        &self.view
    }

    /// How old that knowledge is at most. Asked before it is used, see [`RevocationView::staleness`].
    pub fn staleness(&self) -> Option<Duration> {
        self.view.staleness(self.clock.as_ref())
    }

    /// The number of the last row of the ledger up to which everything is known here; 0 before it was loaded.
    pub fn sequence(&self) -> u64 {
        self.progress.sequence()
    }

    /// The last row of the ledger as its database has it now: everything that was revoked before this was asked is up to
    /// here.
    pub async fn head(&self) -> Result<Position, StoreError> {
        self.ledger.head().await
    }

    /// Whether this replica knows of everything up to a position. Where it does not yet, the ledger is polled at once, and
    /// its answer waited for as long as `wait`. `false`: the ledger does not have the position, or could not be asked in time.
    pub async fn reach_within(&self, position: Position, wait: Duration) -> bool {
        let reached = tokio::time::timeout(wait, self.progress.reach(position, self.ledger.as_ref())).await;
        reached.unwrap_or(Ok(false)).unwrap_or_else(|error| {
            tracing::debug!(%position, %error, "the ledger could not be asked for a position");
            false
        })
    }

    /// Has the ledger polled now, and returns when that has succeeded: give it a deadline. For the test server, whose clock is
    /// moved.
    #[cfg(feature = "test-server")]
    pub async fn poll(&self) {
        self.progress.poll().await;
    }

    /// What time it is by the stores' clock; by this machine's before the ledger was loaded.
    pub fn store_time(&self) -> Reading {
        let known = self.store_time.read(self.clock.monotonic());
        known.unwrap_or_else(|| Reading::certain(self.clock.now()))
    }

    /// Asks the ledger for its time, and remembers it.
    pub async fn learn_store_time(&self) -> Result<UnixMillis, StoreError> {
        let asked = self.clock.monotonic();
        let time = self.ledger.time().await?;
        self.store_time.learn(asked, time);
        Ok(time)
    }

    /// Whether the other replicas can be heard now; `None` where they only poll.
    pub fn is_listening(&self) -> Option<bool> {
        self.push.as_ref().map(|push| push.is_listening())
    }

    /// What becomes known, for others.
    pub const fn feed(&self) -> &Arc<Feed> {
        &self.feed
    }

    /// All that is known, for others, and where the feed continues it.
    pub async fn snapshot(&self) -> Arc<Snapshot> {
        let (feed, view) = (self.feed.clone(), self.view.clone());
        let taken = tokio::task::spawn_blocking(move || feed.snapshot(&view.index)).await;
        taken.unwrap_or_else(|_| self.feed.snapshot(&self.view.index))
    }

    /// Revokes a session, at the request of somebody of whom this is known. When this returns, the row is durable and this
    /// replica refuses the session. Returns the position of the row.
    pub async fn revoke_session(
        &self,
        session: SessionRevocation,
        origin: Arc<Origin>,
    ) -> Result<Position, StoreError> {
        // The task that writes is nobody's child, so the wait for it is what a trace shows.
        let step = traces::step("other_sql", "ledger.record");
        let row = self.recorder.record(session, origin).instrument(step).await?;
        self.announce(&row);
        Ok(row.position())
    }

    /// Takes a row that this replica has just committed into the view, and tells the other replicas. Nobody waits
    /// for that: what is lost on the way is found by polling.
    pub fn announce(&self, row: &Revocation) {
        self.apply(row);
        if let Some(push) = self.push.clone() {
            let row = *row;
            tokio::spawn(async move {
                if let Err(error) = push.publish(&[row]).await {
                    tracing::debug!(%error, "a revocation was not pushed; the other replicas poll it");
                }
            });
        }
    }

    /// Takes in what other replicas tell of, for as long as they can be heard.
    pub async fn listen(self) {
        let Some(push) = self.push.clone() else { return };
        let mut rows = push.subscribe();
        while let Some(row) = rows.recv().await {
            self.apply(&row);
        }
    }

    /// How often this replica has begun to listen; closed where there is nothing to listen to.
    fn listening(&self) -> watch::Receiver<u64> {
        self.push.as_ref().map_or_else(|| watch::channel(0).1, |push| push.listening())
    }

    /// Takes a committed row into the view at once, without waiting for the next poll.
    pub fn apply(&self, row: &Revocation) {
        let forget_at = self.forget_at(row);
        let revoked = match row.scope {
            RevocationScope::Session { session, .. } => Revoked::Session { session, forget_at },
            RevocationScope::User { user, epoch } => Revoked::User { user, epoch, forget_at },
            RevocationScope::UserChanged { .. } => return,
            RevocationScope::KeysChanged => {
                self.keys_changed.notify_one();
                return;
            }
        };
        self.feed.tell(&self.view.index, &revoked);
    }

    /// Forgetting goes by this machine's clock, and so do the tokens that it makes. Where that is ahead of the
    /// database's, a row would otherwise be forgotten too early, or as soon as it is known.
    fn forget_at(&self, row: &Revocation) -> UnixMillis {
        let now = self.clock.now();
        if now.since(row.at) > CLOCK_STEP { now + self.horizon } else { row.at + self.horizon }
    }
}
