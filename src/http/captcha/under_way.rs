//! Logins whose passwords are being looked at: until then each may be a failure.
//!
//! Guesses made at once must be no more than guesses made in turn, and right logins made at once must not ask for captchas
//! that none of them alone would. So a login that would be one too many, were all those under way to fail, waits for what
//! comes of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::failures::{Attempt, Failures, Key};
use crate::model::Monotonic;

/// How many may wait; one more is asked for a captcha at once.
const MOST_WAITING: usize = 256;

/// See the module. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct UnderWay(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    logins: Mutex<Logins>,
    ended: Notify,
}

#[derive(Debug, Default)]
struct Logins {
    by_key: HashMap<Key, u32>,
    waiting: usize,
}

/// How many failures ask for a captcha.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    pub(super) failures: u32,
    pub(super) window: Duration,
}

impl UnderWay {
    /// Lets a login begin without a captcha, waiting for others where that decides; `None` when it needs one.
    pub(super) async fn begin(
        &self,
        failures: &Failures,
        attempt: &Attempt,
        limit: Limit,
        now: Monotonic,
        patience: Duration,
    ) -> Option<Looking> {
        let waited = async {
            loop {
                let ended = self.0.ended.notified();
                tokio::pin!(ended);
                {
                    let mut logins = self.lock();
                    ended.as_mut().enable();
                    if failures.reached(attempt, limit.failures, limit.window, now) {
                        return None;
                    }
                    let keys: Vec<_> = failures.keys(attempt).collect();
                    let may_fail = |key: &Key| {
                        let under_way = logins.by_key.get(key).copied().unwrap_or_default();
                        failures.number(key, limit.window, now).saturating_add(under_way) >= limit.failures
                    };
                    if !keys.iter().any(may_fail) {
                        for key in &keys {
                            *logins.by_key.entry(*key).or_default() += 1;
                        }
                        return Some(Looking { under_way: self.clone(), keys });
                    }
                    if logins.waiting >= MOST_WAITING {
                        return None;
                    }
                    logins.waiting += 1;
                }
                let _waits = Waits(self);
                ended.await;
            }
        };
        tokio::time::timeout(patience, waited).await.ok().flatten()
    }

    fn lock(&self) -> MutexGuard<'_, Logins> {
        self.0.logins.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One that waits.
struct Waits<'a>(&'a UnderWay);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.lock().waiting -= 1;
    }
}

/// A login without a captcha whose password is being looked at, until this is dropped: count its failure before.
#[derive(Debug)]
pub(in crate::http) struct Looking {
    under_way: UnderWay,
    keys: Vec<Key>,
}

impl Drop for Looking {
    fn drop(&mut self) {
        let mut logins = self.under_way.lock();
        for key in &self.keys {
            if let Some(number) = logins.by_key.get_mut(key) {
                *number -= 1;
                if *number == 0 {
                    logins.by_key.remove(key);
                }
            }
        }
        self.under_way.0.ended.notify_waiters();
    }
}
