//! What the embedded default keeps in its own memory: how many logins were tried, and how many requests were made.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use crate::model::throttle::{
    AccountDigest, Admission, Attempts, LoginAttempt, Rate, Source, ThrottlePolicy, is_known, steady,
};
use crate::model::{Clock, UnixMillis};
use crate::store::{LoginThrottle, RequestThrottle, StoreError};

/// How many accounts and sources are remembered at least, and at most twice of it; a few megabytes.
const REMEMBERED: usize = 50_000;

/// Login throttling for one process.
pub struct InProcessThrottle {
    clock: Arc<dyn Clock>,
    policy: ThrottlePolicy,
    buckets: Mutex<Buckets>,
}

struct Buckets {
    accounts: Recent<(AccountDigest, Source), Attempts>,
    totals: Recent<AccountDigest, Attempts>,
    sources: Recent<Source, UnixMillis>,
    /// When an account last succeeded at a source.
    succeeded: Recent<(AccountDigest, Source), UnixMillis>,
    global: UnixMillis,
}

impl InProcessThrottle {
    /// Nothing was tried yet.
    pub fn new(clock: Arc<dyn Clock>, policy: ThrottlePolicy) -> Self {
        let buckets = Buckets {
            accounts: Recent::new(REMEMBERED),
            totals: Recent::new(REMEMBERED),
            sources: Recent::new(REMEMBERED),
            succeeded: Recent::new(REMEMBERED),
            global: UnixMillis::default(),
        };
        Self { clock, policy, buckets: Mutex::new(buckets) }
    }

    fn now(&self) -> UnixMillis {
        steady(self.clock.monotonic())
    }
}

impl fmt::Debug for InProcessThrottle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InProcessThrottle").field("policy", &self.policy).finish_non_exhaustive()
    }
}

#[async_trait]
impl LoginThrottle for InProcessThrottle {
    async fn admit(&self, attempt: LoginAttempt) -> Result<Admission, StoreError> {
        let ThrottlePolicy { account, account_total, source, global } = &self.policy;
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        // Read once the lock is held, so that time goes forward from one to the next.
        let now = self.now();
        let key = (attempt.account, attempt.source);
        let attempts = buckets.accounts.get(&key).unwrap_or_default();
        let arrival = buckets.sources.get(&attempt.source).unwrap_or_default();
        let total = buckets.totals.get(&attempt.account).unwrap_or_default();
        let for_strangers = if is_known(buckets.succeeded.get(&key), now) {
            Duration::ZERO
        } else {
            account_total.wait(total, now).max(global.wait(buckets.global, now))
        };
        let waits = [account.wait(attempts, now), source.wait(arrival, now), for_strangers];
        let retry_after = waits.into_iter().max().unwrap_or_default();
        if !retry_after.is_zero() {
            return Ok(Admission::Refused { retry_after });
        }
        buckets.accounts.set(key, account.take(attempts, now));
        buckets.totals.set(attempt.account, account_total.take(total, now));
        buckets.sources.set(attempt.source, source.take(arrival, now));
        buckets.global = global.take(buckets.global, now);
        Ok(Admission::Admitted)
    }

    async fn succeeded(&self, attempt: LoginAttempt) -> Result<(), StoreError> {
        let ThrottlePolicy { source, global, .. } = &self.policy;
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (attempt.account, attempt.source);
        buckets.accounts.remove(&key);
        buckets.totals.remove(&attempt.account);
        buckets.succeeded.set(key, self.now());
        if let Some(arrival) = buckets.sources.get(&attempt.source) {
            buckets.sources.set(attempt.source, source.give_back(arrival));
        }
        buckets.global = global.give_back(buckets.global);
        Ok(())
    }
}

/// Throttling of requests for one process.
pub struct InProcessRequests {
    clock: Arc<dyn Clock>,
    rate: Rate,
    buckets: Mutex<Recent<Source, UnixMillis>>,
}

impl InProcessRequests {
    /// Nobody has asked for anything yet.
    pub fn new(clock: Arc<dyn Clock>, rate: Rate) -> Self {
        Self { clock, rate, buckets: Mutex::new(Recent::new(REMEMBERED)) }
    }
}

impl fmt::Debug for InProcessRequests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InProcessRequests").field("rate", &self.rate).finish_non_exhaustive()
    }
}

#[async_trait]
impl RequestThrottle for InProcessRequests {
    async fn admit(&self, source: Source) -> Result<Admission, StoreError> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        // Read once the lock is held, so that time goes forward from one to the next.
        let now = steady(self.clock.monotonic());
        let arrival = buckets.get(&source).unwrap_or_default();
        let retry_after = self.rate.wait(arrival, now);
        if !retry_after.is_zero() {
            return Ok(Admission::Refused { retry_after });
        }
        buckets.set(source, self.rate.take(arrival, now));
        Ok(Admission::Admitted)
    }
}

/// A map that forgets what was not used for longest: when the young half is full, the old half goes. Every
/// operation takes the same short time, however hard somebody tries to fill it.
struct Recent<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    half: usize,
}

impl<K: Eq + Hash, V: Copy> Recent<K, V> {
    fn new(half: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), half }
    }

    fn get(&self, key: &K) -> Option<V> {
        self.young.get(key).or_else(|| self.old.get(key)).copied()
    }

    fn set(&mut self, key: K, value: V) {
        self.old.remove(&key);
        if self.young.len() >= self.half && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }

    fn remove(&mut self, key: &K) {
        self.young.remove(key);
        self.old.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_what_is_not_goes() {
        let mut recent = Recent::new(3);
        recent.set(0, 0);
        for key in 1..100 {
            recent.set(key, key);
            recent.set(0, key);
            assert!(recent.young.len() + recent.old.len() <= 6);
            assert_eq!((recent.get(&0), recent.get(&key)), (Some(key), Some(key)));
        }
        assert_eq!(recent.get(&50), None);
        recent.remove(&0);
        assert_eq!(recent.get(&0), None);
    }
}
