use std::hash::{BuildHasher, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use arc_swap::ArcSwap;

use crate::{Epoch, SessionId, UnixMillis, UserId};

/// One thing that is refused from now on, and until when that must be remembered: as it stands in the index, and
/// as it travels to those who keep an index of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revoked {
    /// Every access token of a session.
    Session {
        /// The session.
        session: SessionId,
        /// No access token of it can be alive from then on.
        forget_at: UnixMillis,
    },
    /// Every access token of a user with a smaller epoch.
    User {
        /// The user.
        user: UserId,
        /// The smallest epoch that is accepted.
        epoch: Epoch,
        /// No access token of a smaller one can be alive from then on.
        forget_at: UnixMillis,
    },
}

/// What is revoked, in memory. A look-up takes no lock and does no I/O; changes wait for each other.
///
/// An entry may be forgotten once no access token that it refuses can be alive any more.
#[derive(Debug, Default)]
pub struct RevocationIndex {
    current: ArcSwap<Tables>,
    /// Tables that are being loaded to take the place of the current ones. Every change holds the lock, so that
    /// it goes to both or is over before the exchange.
    loading: Mutex<Vec<Weak<Tables>>>,
}

impl RevocationIndex {
    /// An index in which nothing is revoked.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether an access token of this user, session and epoch is refused.
    pub fn is_revoked(&self, user: UserId, session: SessionId, epoch: Epoch) -> bool {
        self.current.load().is_revoked(user, session, epoch)
    }

    /// Whether this session by itself is revoked, whatever its user's epoch.
    pub fn is_session_revoked(&self, session: SessionId) -> bool {
        self.current.load().is_session_revoked(session)
    }

    /// Takes something in. Says whether it was news: neither known nor to be remembered longer than before.
    pub fn apply(&self, revoked: &Revoked) -> bool {
        match *revoked {
            Revoked::Session { session, forget_at } => self.revoke_session(session, forget_at),
            Revoked::User { user, epoch, forget_at } => self.raise_epoch(user, epoch, forget_at),
        }
    }

    /// Refuses every access token of a session from now on, and remembers it at least until `forget_at`. Says
    /// whether that was news.
    pub fn revoke_session(&self, session: SessionId, forget_at: UnixMillis) -> bool {
        self.change(|tables| tables.revoke_session(session, forget_at))
    }

    /// Refuses every access token of a user with an epoch smaller than this one, and remembers it at least until
    /// `forget_at`. A smaller epoch than the one that is known changes nothing. Says whether that was news.
    pub fn raise_epoch(&self, user: UserId, epoch: Epoch, forget_at: UnixMillis) -> bool {
        self.change(|tables| tables.raise_epoch(user, epoch, forget_at))
    }

    /// Forgets what need not be remembered at `now`.
    pub fn purge(&self, now: UnixMillis) {
        self.change(|tables| tables.purge(now));
    }

    /// Everything that is revoked, in no order. What is taken in meanwhile may be among it or not.
    pub fn entries(&self) -> Vec<Revoked> {
        self.current.load().entries()
    }

    /// How many sessions and users it remembers.
    pub fn len(&self) -> usize {
        self.current.load().len()
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
        let mut loading = self.lock();
        loading.retain(|other| other.strong_count() > 0);
        loading.push(Arc::downgrade(&tables));
        Reload { index: self, tables }
    }

    fn change<T>(&self, change: impl Fn(&Tables) -> T) -> T {
        let loading = self.lock();
        for tables in loading.iter().filter_map(Weak::upgrade) {
            change(&tables);
        }
        change(&self.current.load())
    }

    /// No change leaves the tables half done: a poisoned lock still guards sound ones.
    fn lock(&self) -> MutexGuard<'_, Vec<Weak<Tables>>> {
        self.loading.lock().unwrap_or_else(PoisonError::into_inner)
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
        let _changes_wait = self.index.lock();
        self.tables.revoke_session(session, forget_at);
    }

    /// As [`RevocationIndex::raise_epoch`], in the new index alone.
    pub fn raise_epoch(&self, user: UserId, epoch: Epoch, forget_at: UnixMillis) {
        let _changes_wait = self.index.lock();
        self.tables.raise_epoch(user, epoch, forget_at);
    }

    /// Puts the new index in the place of the old one, all at once.
    pub fn commit(self) {
        let mut loading = self.index.lock();
        loading.retain(|other| !std::ptr::eq(other.as_ptr(), Arc::as_ptr(&self.tables)));
        self.index.current.store(self.tables);
    }
}

/// Read by anybody at any time; changed by whoever holds [`RevocationIndex::loading`].
#[derive(Debug, Default)]
struct Tables {
    sessions: papaya::HashMap<SessionId, UnixMillis, IdHash>,
    users: papaya::HashMap<UserId, RaisedEpoch, IdHash>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct RaisedEpoch {
    epoch: Epoch,
    forget_at: UnixMillis,
}

impl Tables {
    fn is_revoked(&self, user: UserId, session: SessionId, epoch: Epoch) -> bool {
        self.is_session_revoked(session)
            || self.users.pin().get(&user).is_some_and(|raised| epoch < raised.epoch)
    }

    fn is_session_revoked(&self, session: SessionId) -> bool {
        self.sessions.pin().contains_key(&session)
    }

    fn revoke_session(&self, session: SessionId, forget_at: UnixMillis) -> bool {
        let sessions = self.sessions.pin();
        if sessions.get(&session).is_some_and(|known| *known >= forget_at) {
            return false;
        }
        sessions.insert(session, forget_at);
        true
    }

    fn raise_epoch(&self, user: UserId, epoch: Epoch, forget_at: UnixMillis) -> bool {
        let users = self.users.pin();
        let known = users.get(&user).copied();
        let raised = known.map_or(RaisedEpoch { epoch, forget_at }, |known| RaisedEpoch {
            epoch: epoch.max(known.epoch),
            forget_at: forget_at.max(known.forget_at),
        });
        if known == Some(raised) {
            return false;
        }
        users.insert(user, raised);
        true
    }

    fn purge(&self, now: UnixMillis) {
        self.sessions.pin().retain(|_, forget_at| *forget_at > now);
        self.users.pin().retain(|_, raised| raised.forget_at > now);
    }

    fn entries(&self) -> Vec<Revoked> {
        let (sessions, users) = (self.sessions.pin(), self.users.pin());
        let mut entries = Vec::with_capacity(sessions.len() + users.len());
        entries.extend(sessions.iter().map(|(&session, &forget_at)| Revoked::Session { session, forget_at }));
        entries.extend(users.iter().map(|(&user, &RaisedEpoch { epoch, forget_at })| Revoked::User {
            user,
            epoch,
            forget_at,
        }));
        entries
    }

    fn len(&self) -> usize {
        self.sessions.len() + self.users.len()
    }
}

/// The last eight bytes of an identifier, which are random in both kinds and chosen by nobody but the server:
/// there is nothing left to mix, and nobody who could make them collide.
#[derive(Debug, Clone, Copy, Default)]
struct IdHash;

impl BuildHasher for IdHash {
    type Hasher = IdHasher;

    fn build_hasher(&self) -> IdHasher {
        IdHasher(0)
    }
}

struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(last) = bytes.last_chunk() {
            self.0 = u64::from_be_bytes(*last);
        }
    }

    /// The length of the array, which is always the same.
    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests;
