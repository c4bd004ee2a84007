use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};
use std::time::Duration;

use crate::{Clock, Epoch, Monotonic, SessionId, UnixMillis, UserId};

/// A power of two, large enough that a reader seldom meets a writer.
const SHARDS: usize = 64;

/// What is revoked, in memory. A look-up does no I/O, and readers do not hold each other up.
///
/// An entry may be forgotten once no access token that it refuses can be alive any more.
#[derive(Debug, Default)]
pub struct RevocationIndex {
    generations: RwLock<Generations>,
}

/// The tables that answer, and those that are being loaded to take their place. Writers hold the lock shared,
/// and only the exchange holds it alone: a revocation goes to both or is over before the exchange begins.
#[derive(Debug, Default)]
struct Generations {
    current: Arc<Tables>,
    loading: Vec<Weak<Tables>>,
}

impl RevocationIndex {
    /// An index in which nothing is revoked.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether an access token of this user, session and epoch is refused.
    pub fn is_revoked(&self, user: UserId, session: SessionId, epoch: Epoch) -> bool {
        read(&self.generations).current.is_revoked(user, session, epoch)
    }

    /// Whether this session by itself is revoked, whatever its user's epoch.
    pub fn is_session_revoked(&self, session: SessionId) -> bool {
        read(&self.generations).current.is_session_revoked(session)
    }

    /// Refuses every access token of a session from now on, and remembers it at least until `forget_at`.
    pub fn revoke_session(&self, session: SessionId, forget_at: UnixMillis) {
        self.write(|tables| tables.revoke_session(session, forget_at));
    }

    /// Refuses every access token of a user with an epoch smaller than this one, and remembers it at least until
    /// `forget_at`. A smaller epoch than the one that is known changes nothing.
    pub fn raise_epoch(&self, user: UserId, epoch: Epoch, forget_at: UnixMillis) {
        self.write(|tables| tables.raise_epoch(user, epoch, forget_at));
    }

    /// Forgets what need not be remembered at `now`.
    pub fn purge(&self, now: UnixMillis) {
        self.write(|tables| tables.purge(now));
    }

    /// How many sessions and users it remembers.
    pub fn len(&self) -> usize {
        read(&self.generations).current.len()
    }

    /// Whether it remembers none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Begins to load everything anew, beside the index that goes on answering. Begin before the ledger is
    /// read: a revocation that comes through the index meanwhile is written to both, so none falls between the
    /// reading and [`Reload::commit`]. Dropped without a commit it changes nothing.
    pub fn reload(&self) -> Reload<'_> {
        let tables = Arc::new(Tables::default());
        let mut generations = write(&self.generations);
        generations.loading.retain(|other| other.strong_count() > 0);
        generations.loading.push(Arc::downgrade(&tables));
        Reload { index: self, tables }
    }

    fn write(&self, change: impl Fn(&Tables)) {
        let generations = read(&self.generations);
        change(&generations.current);
        generations.loading.iter().filter_map(Weak::upgrade).for_each(|tables| change(&tables));
    }
}

/// A [`RevocationIndex`] being filled anew.
#[derive(Debug)]
#[must_use = "nothing is exchanged until it is committed"]
pub struct Reload<'i> {
    index: &'i RevocationIndex,
    tables: Arc<Tables>,
}

impl Reload<'_> {
    /// As [`RevocationIndex::revoke_session`], in the new index alone.
    pub fn revoke_session(&self, session: SessionId, forget_at: UnixMillis) {
        self.tables.revoke_session(session, forget_at);
    }

    /// As [`RevocationIndex::raise_epoch`], in the new index alone.
    pub fn raise_epoch(&self, user: UserId, epoch: Epoch, forget_at: UnixMillis) {
        self.tables.raise_epoch(user, epoch, forget_at);
    }

    /// Puts the new index in the place of the old one, all at once.
    pub fn commit(self) {
        let mut generations = write(&self.index.generations);
        generations.loading.retain(|other| !std::ptr::eq(other.as_ptr(), Arc::as_ptr(&self.tables)));
        generations.current = self.tables;
    }
}

#[derive(Debug, Default)]
struct Tables {
    sessions: Sharded<SessionId, UnixMillis>,
    users: Sharded<UserId, RaisedEpoch>,
}

#[derive(Debug, Clone, Copy, Default)]
struct RaisedEpoch {
    epoch: Epoch,
    forget_at: UnixMillis,
}

impl Tables {
    fn is_revoked(&self, user: UserId, session: SessionId, epoch: Epoch) -> bool {
        self.is_session_revoked(session)
            || read(self.users.shard(user.as_bytes())).get(&user).is_some_and(|raised| epoch < raised.epoch)
    }

    fn is_session_revoked(&self, session: SessionId) -> bool {
        read(self.sessions.shard(session.as_bytes())).contains_key(&session)
    }

    fn revoke_session(&self, session: SessionId, forget_at: UnixMillis) {
        let mut shard = write(self.sessions.shard(session.as_bytes()));
        let known = shard.entry(session).or_insert(forget_at);
        *known = forget_at.max(*known);
    }

    fn raise_epoch(&self, user: UserId, epoch: Epoch, forget_at: UnixMillis) {
        let mut shard = write(self.users.shard(user.as_bytes()));
        let known = shard.entry(user).or_insert(RaisedEpoch { epoch, forget_at });
        *known = RaisedEpoch { epoch: epoch.max(known.epoch), forget_at: forget_at.max(known.forget_at) };
    }

    fn purge(&self, now: UnixMillis) {
        self.sessions.retain(|forget_at| *forget_at > now);
        self.users.retain(|raised| raised.forget_at > now);
    }

    fn len(&self) -> usize {
        self.sessions.len() + self.users.len()
    }
}

/// A hash map in parts, each under its own lock.
#[derive(Debug)]
struct Sharded<K, V>([RwLock<HashMap<K, V>>; SHARDS]);

impl<K, V> Default for Sharded<K, V> {
    fn default() -> Self {
        Self(std::array::from_fn(|_| RwLock::default()))
    }
}

impl<K: Eq + Hash, V> Sharded<K, V> {
    /// The last byte is random in both kinds of identifier.
    fn shard(&self, id: &[u8; 16]) -> &RwLock<HashMap<K, V>> {
        &self.0[usize::from(id[15]) % SHARDS]
    }

    fn retain(&self, keep: impl Fn(&V) -> bool) {
        for shard in &self.0 {
            write(shard).retain(|_, value| keep(value));
        }
    }

    fn len(&self) -> usize {
        self.0.iter().map(|shard| read(shard).len()).sum()
    }
}

/// No code panics while it holds one of these locks, and no change leaves a table half done: a poisoned lock
/// still guards a sound table.
fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

/// How old the view of the ledger may be. It is proven by a request that was answered and never by a message
/// that arrived: counted from when the last successful poll was *sent*, on the local monotonic clock.
#[derive(Debug, Default)]
pub struct Freshness {
    /// Nanoseconds on the monotonic clock, plus one; zero before the first.
    last_poll_sent: AtomicU64,
}

impl Freshness {
    /// Nothing was loaded yet.
    pub const fn new() -> Self {
        Self { last_poll_sent: AtomicU64::new(0) }
    }

    /// A poll that was sent at `at` has been answered, and what it brought is in the index. An earlier poll whose
    /// answer came later takes nothing back.
    pub fn record_poll_sent(&self, at: Monotonic) {
        let nanos = u64::try_from(at.0.as_nanos()).unwrap_or(u64::MAX);
        self.last_poll_sent.fetch_max(nanos.saturating_add(1), Ordering::Release);
    }

    /// Everything must be loaded again: the ledger is another one.
    pub fn invalidate(&self) {
        self.last_poll_sent.store(0, Ordering::Release);
    }

    /// How old the view is at most; `None` when nothing was loaded.
    pub fn staleness(&self, now: Monotonic) -> Option<Duration> {
        let nanos = self.last_poll_sent.load(Ordering::Acquire).checked_sub(1)?;
        Some(now.since(Monotonic(Duration::from_nanos(nanos))))
    }
}

/// What is known of revocations, and how old that knowledge is at most.
#[derive(Debug, Default)]
pub struct RevocationView {
    /// What is revoked.
    pub index: RevocationIndex,
    /// As of when.
    pub freshness: Freshness,
}

impl RevocationView {
    /// An empty view, of which nothing was loaded yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// How old it is at most; `None`, which is older than any bound, when nothing was loaded.
    pub fn staleness(&self, clock: &dyn Clock) -> Option<Duration> {
        self.freshness.staleness(clock.monotonic())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ManualClock;

    const USER: UserId = UserId::from_bytes([1; 16]);
    const OTHER_USER: UserId = UserId::from_bytes([65; 16]);
    const SESSION: SessionId = SessionId::from_bytes([2; 16]);
    const OTHER_SESSION: SessionId = SessionId::from_bytes([66; 16]);

    #[test]
    fn a_revoked_session_takes_no_other_with_it() {
        let index = RevocationIndex::new();
        index.revoke_session(SESSION, UnixMillis(10));
        assert!(index.is_revoked(USER, SESSION, Epoch(9)), "whatever its epoch");
        assert!(!index.is_revoked(USER, OTHER_SESSION, Epoch(0)));
    }

    #[test]
    fn a_raised_epoch_refuses_smaller_ones_of_that_user_and_never_falls() {
        let index = RevocationIndex::new();
        index.raise_epoch(USER, Epoch(3), UnixMillis(10));
        index.raise_epoch(USER, Epoch(2), UnixMillis(20));
        assert!(index.is_revoked(USER, SESSION, Epoch(2)));
        assert!(!index.is_revoked(USER, SESSION, Epoch(3)));
        assert!(!index.is_revoked(OTHER_USER, SESSION, Epoch(0)));
        index.purge(UnixMillis(15));
        assert!(index.is_revoked(USER, SESSION, Epoch(2)), "the later time to forget counts");
    }

    #[test]
    fn what_need_not_be_remembered_is_forgotten() {
        let index = RevocationIndex::new();
        index.revoke_session(SESSION, UnixMillis(10));
        index.revoke_session(SESSION, UnixMillis(5));
        index.raise_epoch(USER, Epoch(1), UnixMillis(20));
        index.purge(UnixMillis(9));
        assert_eq!(index.len(), 2);
        index.purge(UnixMillis(10));
        assert_eq!(index.len(), 1);
        index.purge(UnixMillis(20));
        assert!(index.is_empty());
    }

    #[test]
    fn a_reload_replaces_all_and_loses_nothing_that_comes_meanwhile() {
        let index = RevocationIndex::new();
        index.raise_epoch(USER, Epoch(5), UnixMillis(10));
        let reload = index.reload();
        reload.raise_epoch(USER, Epoch(4), UnixMillis(10));
        index.revoke_session(SESSION, UnixMillis(10));
        assert!(index.is_revoked(USER, OTHER_SESSION, Epoch(4)), "the old one answers until the commit");
        reload.commit();
        assert!(!index.is_revoked(USER, OTHER_SESSION, Epoch(4)), "a restored ledger may know less");
        assert!(index.is_revoked(USER, OTHER_SESSION, Epoch(3)));
        assert!(index.is_revoked(OTHER_USER, SESSION, Epoch(9)));
    }

    #[test]
    fn a_reload_that_is_dropped_changes_nothing() {
        let index = RevocationIndex::new();
        index.revoke_session(SESSION, UnixMillis(10));
        drop(index.reload());
        assert!(index.is_revoked(USER, SESSION, Epoch(0)));
        index.reload().commit();
        assert!(index.is_empty());
    }

    #[test]
    fn freshness_counts_from_the_sending_of_the_last_answered_poll() {
        let (view, clock) = (RevocationView::new(), ManualClock::new(UnixMillis(0)));
        assert_eq!(view.staleness(&clock), None);
        let first = clock.monotonic();
        clock.advance(Duration::from_secs(3));
        let second = clock.monotonic();
        clock.advance(Duration::from_secs(1));
        view.freshness.record_poll_sent(second);
        view.freshness.record_poll_sent(first);
        clock.set_wall(UnixMillis(-1_000_000));
        assert_eq!(view.staleness(&clock), Some(Duration::from_secs(1)));
        view.freshness.invalidate();
        assert_eq!(view.staleness(&clock), None);
    }
}
