//! Logins of one source that are under way, and those that wait for what comes of them.
//!
//! An attempt counts as a failure until its password was looked at, so that guesses made at once are no more than guesses
//! made one after the other. One that is refused for that reason alone waits here until another one of its source has
//! ended: a success takes its count back, and there may be room. It waits within its own deadline, and no more than
//! [`MOST_WAITING`] do. What is under way on other replicas is not waited for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::model::throttle::Source;

/// How many attempts of one source may wait; one more is refused at once.
const MOST_WAITING: usize = 64;

/// See the module. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct LoginTurns(Arc<Mutex<HashMap<Source, UnderWay>>>);

#[derive(Debug, Default)]
struct UnderWay {
    attempts: usize,
    waiting: usize,
    ended: Arc<Notify>,
}

impl LoginTurns {
    /// An attempt begins: before the throttle is asked, so that none is refused in the belief that nothing is under way.
    pub(super) fn begin(&self, source: Source) -> Turn {
        self.lock().entry(source).or_default().attempts += 1;
        Turn { turns: self.clone(), source }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Source, UnderWay>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An attempt that is under way until this is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    turns: LoginTurns,
    source: Source,
}

impl Turn {
    /// The attempt was refused: waits until another one of its source has ended, and begins again. `None` when there is no
    /// other, too many wait already, or the time is up.
    pub(super) async fn after_another(self, at_most: Duration) -> Option<Self> {
        let ended = {
            let mut sources = self.turns.lock();
            let under_way = sources.get_mut(&self.source)?;
            if under_way.attempts < 2 || under_way.waiting >= MOST_WAITING {
                return None;
            }
            under_way.attempts -= 1;
            under_way.waiting += 1;
            Arc::clone(&under_way.ended).notified_owned()
        };
        // From here on it is one of those that wait, and no attempt any more.
        let waiting = Waiting { turns: self.turns.clone(), source: self.source };
        std::mem::forget(self);
        tokio::time::timeout(at_most, ended).await.ok()?;
        let turn = waiting.turns.begin(waiting.source);
        drop(waiting);
        Some(turn)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut sources = self.turns.lock();
        let Some(under_way) = sources.get_mut(&self.source) else { return };
        under_way.attempts -= 1;
        under_way.ended.notify_waiters();
        if under_way.attempts == 0 && under_way.waiting == 0 {
            sources.remove(&self.source);
        }
    }
}

/// One that waits.
struct Waiting {
    turns: LoginTurns,
    source: Source,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut sources = self.turns.lock();
        let Some(under_way) = sources.get_mut(&self.source) else { return };
        under_way.waiting -= 1;
        if under_way.attempts == 0 && under_way.waiting == 0 {
            sources.remove(&self.source);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: Source = Source::V4([192, 0, 2, 1]);
    const LONG: Duration = Duration::from_mins(1);

    #[tokio::test]
    async fn a_refused_attempt_waits_for_another_and_for_nobody_else() {
        let turns = LoginTurns::default();
        assert!(turns.begin(SOURCE).after_another(LONG).await.is_none(), "there is no other");
        let elsewhere = turns.begin(Source::V4([192, 0, 2, 2]));
        assert!(turns.begin(SOURCE).after_another(LONG).await.is_none(), "nor one of this source");
        drop(elsewhere);
        assert!(turns.lock().is_empty());

        let first = turns.begin(SOURCE);
        let refused = turns.begin(SOURCE);
        let waits = tokio::spawn(refused.after_another(LONG));
        while turns.lock()[&SOURCE].waiting == 0 {
            tokio::task::yield_now().await;
        }
        drop(first);
        let turn = waits.await.unwrap().expect("it may ask again");
        assert!(turn.after_another(LONG).await.is_none(), "nothing is under way any more");
        assert!(turns.lock().is_empty());
    }

    #[tokio::test]
    async fn no_more_wait_than_may_and_none_for_longer_than_it_has() {
        let turns = LoginTurns::default();
        let first = turns.begin(SOURCE);
        let waiting: Vec<_> =
            (0..MOST_WAITING).map(|_| tokio::spawn(turns.begin(SOURCE).after_another(LONG))).collect();
        while turns.lock()[&SOURCE].waiting < MOST_WAITING {
            tokio::task::yield_now().await;
        }
        assert!(turns.begin(SOURCE).after_another(LONG).await.is_none(), "one more is refused at once");
        drop(first);
        for waits in waiting {
            let _ = waits.await.unwrap();
        }
        let first = turns.begin(SOURCE);
        assert!(turns.begin(SOURCE).after_another(Duration::from_millis(1)).await.is_none());
        drop(first);
        assert!(turns.lock().is_empty());
    }
}
