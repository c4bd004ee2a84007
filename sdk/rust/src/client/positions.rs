//! Positions of the ledger that somebody waits for: asked of the server on the stream, and remembered once they are reached.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// The most that wait at once, here and at the server.
pub(super) const WAITING: usize = 64;
/// How many that were reached are remembered: what is known is only ever added to, so they stay reached.
const REMEMBERED: usize = 64;
/// No position is longer, in bytes.
const LONGEST: usize = 64;

/// Somebody waits for a position.
#[derive(Debug)]
pub(super) struct Asked {
    /// As the server told it.
    pub position: String,
    /// Whether everything up to there is known here; dropped where that could not be found out.
    pub answer: oneshot::Sender<bool>,
}

/// The asking side.
#[derive(Debug)]
pub(super) struct Positions {
    ask: mpsc::Sender<Asked>,
    reached: Mutex<VecDeque<String>>,
}

impl Positions {
    /// Both sides; the other is the follower's.
    pub(super) fn new() -> (Self, mpsc::Receiver<Asked>) {
        let (ask, asked) = mpsc::channel(WAITING);
        (Self { ask, reached: Mutex::default() }, asked)
    }

    /// Whether everything up to a position is known here, now or within `patience`.
    pub(super) async fn reach(&self, position: &str, patience: Duration) -> bool {
        if self.is_known(position) {
            return true;
        }
        let reached = position.len() <= LONGEST
            && timeout(patience, self.find_out(position)).await.unwrap_or_default().unwrap_or_default();
        if reached {
            self.remember(position);
        }
        reached
    }

    async fn find_out(&self, position: &str) -> Option<bool> {
        let (answer, found) = oneshot::channel();
        self.ask.send(Asked { position: position.to_owned(), answer }).await.ok()?;
        found.await.ok()
    }

    fn is_known(&self, position: &str) -> bool {
        let reached = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
        reached.iter().any(|known| known == position)
    }

    fn remember(&self, position: &str) {
        let mut reached = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
        if reached.len() == REMEMBERED {
            reached.pop_front();
        }
        reached.push_back(position.to_owned());
    }
}
