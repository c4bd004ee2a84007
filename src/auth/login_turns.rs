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

/// How many attempts of one source may wait, and of all together: each keeps its place in the queue of passwords. One more is
/// refused at once.
const MOST_WAITING: (usize, usize) = (16, 64);

/// See the module. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct LoginTurns(Arc<Mutex<Sources>>);

#[derive(Debug, Default)]
struct Sources {
    by_source: HashMap<Source, UnderWay>,
    waiting: usize,
}

#[derive(Debug, Default)]
struct UnderWay {
    /// Those that ask the throttle for the first time: they may turn out to be admitted.
    asking: usize,
    /// Those whose passwords are being looked at.
    admitted: usize,
    waiting: usize,
    /// How many that were admitted have ended. Only that can make room: a refusal is not asked about again for less.
    ended: u64,
    changed: Arc<Notify>,
}

impl UnderWay {
    const fn is_over(&self) -> bool {
        self.asking == 0 && self.admitted == 0 && self.waiting == 0
    }
}

impl LoginTurns {
    /// An attempt begins: before the throttle is asked, so that none is refused in the belief that nothing is under way.
    pub(super) fn begin(&self, source: Source) -> Turn {
        let mut sources = self.lock();
        let under_way = sources.by_source.entry(source).or_default();
        under_way.asking += 1;
        Turn { turns: self.clone(), source, seen: under_way.ended, stage: Stage::Asking }
    }

    fn lock(&self) -> MutexGuard<'_, Sources> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How far an attempt is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Asking,
    Waiting,
    Admitted,
}

/// An attempt, until this is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    turns: LoginTurns,
    source: Source,
    /// How many had ended when the throttle was asked.
    seen: u64,
    stage: Stage,
}

impl Turn {
    /// The throttle has let it through.
    pub(super) fn admitted(&mut self) {
        self.become_one(Stage::Admitted);
    }

    /// It was refused: waits until another one has ended that was admitted, and says whether to ask again. Not when there is
    /// no other, too many wait already, or the time is up.
    pub(super) async fn after_another(&mut self, at_most: Duration) -> bool {
        if self.stage == Stage::Asking && !self.become_one(Stage::Waiting) {
            return false;
        }
        let ended = async {
            loop {
                let changed = {
                    let mut sources = self.turns.lock();
                    let Some(under_way) = sources.by_source.get_mut(&self.source) else { return false };
                    if under_way.ended != self.seen {
                        self.seen = under_way.ended;
                        return true;
                    }
                    if under_way.asking + under_way.admitted == 0 {
                        return false;
                    }
                    Arc::clone(&under_way.changed).notified_owned()
                };
                changed.await;
            }
        };
        tokio::time::timeout(at_most, ended).await.unwrap_or(false)
    }

    /// Goes on to another stage; false when as many wait as may.
    fn become_one(&mut self, next: Stage) -> bool {
        let mut sources = self.turns.lock();
        let all_waiting = sources.waiting;
        let Some(under_way) = sources.by_source.get_mut(&self.source) else { return false };
        if next == Stage::Waiting && (under_way.waiting >= MOST_WAITING.0 || all_waiting >= MOST_WAITING.1) {
            return false;
        }
        leave(under_way, self.stage);
        match next {
            Stage::Asking => under_way.asking += 1,
            Stage::Waiting => under_way.waiting += 1,
            Stage::Admitted => under_way.admitted += 1,
        }
        let was_waiting = usize::from(self.stage == Stage::Waiting);
        sources.waiting = all_waiting - was_waiting + usize::from(next == Stage::Waiting);
        self.stage = next;
        true
    }
}

/// One less at a stage. Those that wait look again when nothing is left to wait for, and when one has ended.
fn leave(under_way: &mut UnderWay, stage: Stage) {
    match stage {
        Stage::Asking => under_way.asking -= 1,
        Stage::Waiting => under_way.waiting -= 1,
        Stage::Admitted => {
            under_way.admitted -= 1;
            under_way.ended += 1;
        }
    }
    if stage == Stage::Admitted || under_way.asking + under_way.admitted == 0 {
        under_way.changed.notify_waiters();
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut sources = self.turns.lock();
        sources.waiting -= usize::from(self.stage == Stage::Waiting);
        let Some(under_way) = sources.by_source.get_mut(&self.source) else { return };
        leave(under_way, self.stage);
        if under_way.is_over() {
            sources.by_source.remove(&self.source);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: Source = Source::V4([192, 0, 2, 1]);
    const LONG: Duration = Duration::from_mins(1);

    #[tokio::test]
    async fn a_refused_attempt_waits_for_one_that_was_admitted_and_for_nobody_else() {
        let turns = LoginTurns::default();
        assert!(!turns.begin(SOURCE).after_another(LONG).await, "there is no other");
        let mut elsewhere = turns.begin(Source::V4([192, 0, 2, 2]));
        elsewhere.admitted();
        assert!(!turns.begin(SOURCE).after_another(LONG).await, "nor one of this source");
        drop(elsewhere);
        assert!(turns.lock().by_source.is_empty());

        let mut first = turns.begin(SOURCE);
        first.admitted();
        let mut refused = turns.begin(SOURCE);
        let waits = tokio::spawn(async move { (refused.after_another(LONG).await, refused) });
        while turns.lock().waiting == 0 {
            tokio::task::yield_now().await;
        }
        drop(first);
        let (again, mut turn) = waits.await.unwrap();
        assert!(again, "it may ask again");
        assert!(!turn.after_another(LONG).await, "nothing is under way any more");
        drop(turn);
        assert!(turns.lock().by_source.is_empty());
    }

    #[tokio::test]
    async fn one_that_ended_while_the_throttle_was_asked_is_not_missed() {
        let turns = LoginTurns::default();
        let mut first = turns.begin(SOURCE);
        first.admitted();
        let mut refused = turns.begin(SOURCE);
        drop(first);
        assert!(refused.after_another(LONG).await);
    }

    /// Guesses that are all refused cost the throttle one question each, however many they are at once.
    #[tokio::test]
    async fn refused_attempts_do_not_wait_for_each_other() {
        let turns = LoginTurns::default();
        let mut all: Vec<_> = (0..10).map(|_| turns.begin(SOURCE)).collect();
        let last = all.pop().unwrap();
        let waiting: Vec<_> = all
            .into_iter()
            .map(|mut turn| tokio::spawn(async move { turn.after_another(LONG).await }))
            .collect();
        while turns.lock().waiting < 9 {
            tokio::task::yield_now().await;
        }
        drop(last);
        for waits in waiting {
            assert!(!waits.await.unwrap(), "none of them asks again");
        }
    }

    #[tokio::test]
    async fn no_more_wait_than_may_and_none_for_longer_than_it_has() {
        let turns = LoginTurns::default();
        let mut first = turns.begin(SOURCE);
        first.admitted();
        let waiting: Vec<_> = (0..MOST_WAITING.0)
            .map(|_| {
                let mut turn = turns.begin(SOURCE);
                tokio::spawn(async move { turn.after_another(LONG).await })
            })
            .collect();
        while turns.lock().waiting < MOST_WAITING.0 {
            tokio::task::yield_now().await;
        }
        assert!(!turns.begin(SOURCE).after_another(LONG).await, "one more is refused at once");
        drop(first);
        for waits in waiting {
            assert!(waits.await.unwrap());
        }
        let mut first = turns.begin(SOURCE);
        first.admitted();
        assert!(!turns.begin(SOURCE).after_another(Duration::from_millis(1)).await);
    }
}
