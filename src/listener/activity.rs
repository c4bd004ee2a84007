//! What a connection does, and for how long it has waited for its peer.
//!
//! Times are ticks of the listener's sweeper, so that a call reads no clock. The sweeper looks at every connection at
//! each tick and ends those that [`Activity::overdue`] names.

use std::sync::atomic::{AtomicU8, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use slab::Slab;
use tokio::sync::Notify;

use super::budget::{Account, STEP};
use super::exchange::Exchange;
use super::{Ended, Limits};

/// How long a tick lasts.
pub(super) const TICK: Duration = Duration::from_millis(500);
/// What a connection may hold before it reserves anything, in bytes: a call of usual size.
const FREE: usize = 4 * 1024;
/// The most bytes that can be read and wait to be understood: a head, and what HTTP/2's windows let in.
const MOST_UNREAD: usize = 160 * 1024;

/// The sweeper's time, in ticks since the listener started; never 0.
#[derive(Debug, Clone)]
pub(super) struct Ticks(Arc<AtomicU32>);

impl Default for Ticks {
    fn default() -> Self {
        Self(Arc::new(AtomicU32::new(1)))
    }
}

impl Ticks {
    pub(super) fn now(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn advance(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// How many ticks a time is, at least one.
fn ticks(time: Duration) -> u32 {
    u32::try_from(time.as_millis().div_ceil(TICK.as_millis())).unwrap_or(u32::MAX).max(1)
}

/// A moment that may not have come: 0.
#[derive(Debug, Default)]
pub(super) struct Since(AtomicU32);

impl Since {
    pub(super) fn set(&self, now: u32) {
        self.0.store(now, Ordering::Relaxed);
    }

    pub(super) fn clear(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// Whether it has come.
    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed) != 0
    }

    /// Whether it is longer ago than that.
    pub(super) fn is_over(&self, limit: Duration, now: u32) -> bool {
        let since = self.0.load(Ordering::Relaxed);
        since != 0 && now.saturating_sub(since) > ticks(limit)
    }
}

/// Why a connection may be made to give way, the better reason last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Patience {
    /// It has just come, and has asked nothing yet.
    Fresh,
    /// It does not read what it asked for.
    Unread,
    /// Nothing has happened for a while.
    Over,
}

/// Which protocol a connection speaks, as its first request says.
const HTTP1: u8 = 1;
const HTTP2: u8 = 2;

/// One connection.
#[derive(Debug)]
pub(super) struct Activity {
    account: Account,
    pub(super) ticks: Ticks,
    opened: u32,
    protocol: AtomicU8,
    /// When its peer or we last got on with anything.
    progressed: AtomicU32,
    /// Since when its socket takes nothing.
    pub(super) blocked: Since,
    /// Since when a head has been coming in on HTTP/1.
    head: Since,
    /// Bytes that were read, and that no handler has got yet.
    unread: AtomicUsize,
    charged: AtomicUsize,
    reserved: AtomicUsize,
    exchanges: Mutex<Slab<Weak<Exchange>>>,
    ended: AtomicU8,
    end: Notify,
    /// Whether it is for one request.
    brief: bool,
}

impl Activity {
    /// `brief`: for one request.
    pub(super) fn new(account: Account, ticks: Ticks, brief: bool) -> Self {
        let now = ticks.now();
        Self {
            account,
            ticks,
            opened: now,
            protocol: AtomicU8::new(0),
            progressed: AtomicU32::new(now),
            blocked: Since::default(),
            head: Since::default(),
            unread: AtomicUsize::new(0),
            charged: AtomicUsize::new(0),
            reserved: AtomicUsize::new(0),
            exchanges: Mutex::default(),
            ended: AtomicU8::new(0),
            end: Notify::new(),
            brief,
        }
    }

    /// Its peer, or we, got on with something.
    pub(super) fn progress(&self) {
        self.progressed.store(self.ticks.now(), Ordering::Relaxed);
    }

    /// So many bytes came in. Fails when there is no room for what waits to be understood.
    pub(super) fn read(&self, bytes: usize) -> bool {
        let before = self.unread.load(Ordering::Relaxed);
        let after = before.saturating_add(bytes).min(MOST_UNREAD);
        self.unread.store(after, Ordering::Relaxed);
        if self.protocol.load(Ordering::Relaxed) == HTTP1 && self.is_idle() {
            // The first bytes of the next head.
            if before == 0 {
                self.head.set(self.ticks.now());
            }
        }
        self.cover()
    }

    /// A handler got so many of the bytes that were read.
    pub(super) fn consumed(&self, bytes: usize) {
        let unread = self.unread.load(Ordering::Relaxed);
        self.unread.store(unread.saturating_sub(bytes), Ordering::Relaxed);
    }

    /// Charges so many bytes, or none.
    pub(super) fn charge(&self, bytes: usize) -> bool {
        let charged = self.charged.fetch_add(bytes, Ordering::Relaxed);
        if charged + bytes <= super::MOST_HELD && self.cover() {
            return true;
        }
        self.charged.fetch_sub(bytes, Ordering::Relaxed);
        false
    }

    /// Takes a charge back. What was reserved for it stays reserved until the next tick.
    pub(super) fn discharge(&self, bytes: usize) {
        self.charged.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// What it holds, in bytes.
    pub(super) fn held(&self) -> usize {
        self.charged.load(Ordering::Relaxed) + self.unread.load(Ordering::Relaxed)
    }

    /// Reserves what is held and not reserved yet.
    fn cover(&self) -> bool {
        let needed = self.held().saturating_sub(FREE);
        let reserved = self.reserved.load(Ordering::Relaxed);
        if needed <= reserved {
            return true;
        }
        let more = (needed - reserved).next_multiple_of(STEP);
        let taken = self.account.take(more);
        if taken {
            self.reserved.fetch_add(more, Ordering::Relaxed);
        }
        taken
    }

    /// Returns what is reserved and not needed any more.
    pub(super) fn trim(&self) {
        let needed = self.held().saturating_sub(FREE).next_multiple_of(STEP);
        let reserved = self.reserved.load(Ordering::Relaxed);
        if reserved > needed {
            let spare = reserved - needed;
            // A charge that comes in between reserves again: better too much than too little.
            if self.reserved.compare_exchange(reserved, needed, Ordering::Relaxed, Ordering::Relaxed).is_ok()
            {
                self.account.release(spare);
            }
        }
    }

    /// A request has come; what is known of it goes by the key until it is over.
    pub(super) fn begin(
        &self,
        version: http::Version,
        make: impl FnOnce(usize) -> Arc<Exchange>,
    ) -> Arc<Exchange> {
        let protocol = if version == http::Version::HTTP_2 { HTTP2 } else { HTTP1 };
        self.protocol.store(protocol, Ordering::Relaxed);
        self.head.clear();
        self.progress();
        if protocol == HTTP1 {
            self.unread.store(0, Ordering::Relaxed);
        }
        let mut exchanges = self.exchanges.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = exchanges.vacant_entry();
        let exchange = make(entry.key());
        entry.insert(Arc::downgrade(&exchange));
        exchange
    }

    /// The request is over.
    pub(super) fn finish(&self, key: usize) {
        let idle = {
            let mut exchanges = self.exchanges.lock().unwrap_or_else(PoisonError::into_inner);
            exchanges.try_remove(key);
            exchanges.is_empty()
        };
        if idle {
            self.unread.store(0, Ordering::Relaxed);
        }
        self.progress();
    }

    /// The requests under way. The list is free again when this returns: whoever drops one of these may be the last to hold
    /// it, and [`Activity::finish`] then takes it out of the list.
    fn under_way(&self) -> Vec<Arc<Exchange>> {
        let exchanges = self.exchanges.lock().unwrap_or_else(PoisonError::into_inner);
        exchanges.iter().filter_map(|(_, exchange)| exchange.upgrade()).collect()
    }

    fn is_idle(&self) -> bool {
        self.exchanges.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Whether a request has ever come.
    pub(super) fn has_spoken(&self) -> bool {
        self.protocol.load(Ordering::Relaxed) != 0
    }

    /// Why it must end now, if it must. Exchanges whose body is late are ended by themselves.
    pub(super) fn overdue(&self, limits: &Limits) -> Option<Ended> {
        let now = self.ticks.now();
        let over = |since: u32, limit: Duration| now.saturating_sub(since) > ticks(limit);
        if !self.has_spoken() {
            return over(self.opened, limits.request_head).then_some(Ended::NoRequest);
        }
        if self.blocked.is_over(limits.unread_answer, now) {
            return Some(Ended::UnreadAnswer);
        }
        if self.head.is_over(limits.request_head, now) {
            return Some(Ended::NoRequest);
        }
        for exchange in self.under_way() {
            if exchange.unread_answer.is_over(limits.unread_answer, now) {
                return Some(Ended::UnreadAnswer);
            }
            exchange.expire_body(limits, now);
        }
        let idle_since = self.progressed.load(Ordering::Relaxed);
        let is_http1 = self.protocol.load(Ordering::Relaxed) == HTTP1;
        (is_http1 && self.is_idle() && over(idle_since, limits.keep_alive)).then_some(Ended::Idle)
    }

    /// How good a choice it is when a connection must give way, the greatest first; `None` when it is not to be
    /// ended: it has a request under way that gets on, or had one a moment ago. First go those in which nothing has
    /// happened for a while; then, before they are any older, those that do not read what they asked for; then those that
    /// have asked nothing yet: else a flood of new ones would keep everybody out until they have aged. Among equals, whose
    /// peer has most connections goes first.
    pub(super) fn dispensable(&self) -> Option<(Patience, usize, u32)> {
        /// For how long nothing must have happened.
        const STILL: u32 = 2;
        let still = self.ticks.now().saturating_sub(self.progressed.load(Ordering::Relaxed));
        let (mut is_ours, mut waits_to_be_read) = (false, false);
        let under_way = self.under_way();
        let has_had_its_request = self.brief && self.has_spoken() && under_way.is_empty();
        for exchange in under_way {
            is_ours |= exchange.is_our_turn();
            waits_to_be_read |= exchange.unread_answer.is_set();
        }
        if is_ours {
            return None;
        }
        // On a channel that is in use there is always an answer that was not read yet: it must have waited, or the socket
        // take no more.
        let is_unread = self.blocked.is_set() || (waits_to_be_read && still > 0);
        let patience = match still {
            STILL.. => Patience::Over,
            _ if has_had_its_request => Patience::Over,
            _ if is_unread => Patience::Unread,
            _ if !self.has_spoken() => Patience::Fresh,
            _ => return None,
        };
        Some((patience, self.account.peer().connections(), still))
    }

    /// Ends it, for this reason. Says whether nobody did so before.
    pub(super) fn close(&self, reason: Ended) -> bool {
        let mark = reason as u8 + 1;
        let first = self.ended.compare_exchange(0, mark, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if first {
            self.end.notify_one();
        }
        first
    }

    /// Whether it was told to end.
    pub(super) fn is_closing(&self) -> bool {
        self.ended.load(Ordering::Relaxed) != 0
    }

    /// Resolves when it must end.
    pub(super) async fn closed(&self) {
        self.end.notified().await;
    }
}

impl Drop for Activity {
    fn drop(&mut self) {
        self.account.release(*self.reserved.get_mut());
    }
}

#[cfg(test)]
mod tests;
