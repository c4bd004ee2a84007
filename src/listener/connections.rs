//! The connections of a listener: how many there are, who may come in, and which must go.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use slab::Slab;

use super::activity::{Activity, Patience, Ticks};
use super::budget::CONNECTION_BYTES;
use super::{Budget, Ended, Limits};

/// How many connections are looked at to find one that gives way to a new one.
const SAMPLE: usize = 64;
/// The fewest ticks between two lines of the log about the same.
const LOG_EVERY: u32 = 20;

/// The connections of one listener, counted while it serves.
#[derive(Debug, Default)]
pub struct Connections {
    open: AtomicUsize,
    refused: AtomicU64,
    ended: [AtomicU64; Ended::ALL.len()],
    logged: [AtomicU32; Ended::ALL.len() + 1],
    refused_requests: AtomicU64,
    list: Mutex<Slab<Arc<Activity>>>,
    /// Where the next look for one that gives way begins.
    next: AtomicUsize,
    ticks: Ticks,
    /// The paths that are answered, where that is not all: then each connection is for one request.
    only: Option<&'static [&'static str]>,
}

impl Connections {
    /// Connections for one request each, of one of these paths; afterwards they give way at once.
    pub(super) fn for_one_request(only: &'static [&'static str]) -> Self {
        Self { only: Some(only), ..Self::default() }
    }

    /// The paths that are answered, where that is not all.
    pub(super) const fn only(&self) -> Option<&'static [&'static str]> {
        self.only
    }

    /// How many are open now, TLS handshakes under way included.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// How many were closed since the start as soon as they came: there were as many as there may be, or its peer had
    /// as many as one may have.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// How many were ended since the start for this reason.
    pub fn ended(&self, reason: Ended) -> u64 {
        self.ended[reason as usize].load(Ordering::Relaxed)
    }

    /// How many requests were refused since the start because there was no room for them.
    pub fn refused_requests(&self) -> u64 {
        self.refused_requests.load(Ordering::Relaxed)
    }

    /// One more, which is open until the slot is dropped. When there are as many as there may be, one that does nothing
    /// gives way; when there is none, there is no place for the new one.
    pub(super) fn admit(
        self: &Arc<Self>,
        listener: &'static str,
        limits: &Limits,
        budget: &Budget,
        peer: IpAddr,
    ) -> Option<Slot> {
        let full = self.open() >= limits.connections;
        if full && !self.make_room(listener) {
            return None;
        }
        let account = budget.open(peer, limits.connections_per_peer)?;
        self.open.fetch_add(1, Ordering::Relaxed);
        let activity = Arc::new(Activity::new(account, self.ticks.clone(), self.only.is_some()));
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        let key = list.insert(Arc::clone(&activity));
        Some(Slot { connections: Arc::clone(self), key, activity })
    }

    /// One was closed as soon as it came.
    pub(super) fn refuse(&self, listener: &'static str, limits: &Limits, peer: IpAddr) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        if self.may_log(Ended::ALL.len()) {
            let (limit, refused) = (limits.connections, self.refused());
            tracing::warn!(listener, limit, %peer, refused, "connection refused: too many are open");
        }
    }

    /// A request was refused for want of room.
    pub(super) fn refuse_request(&self) {
        self.refused_requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Ends a connection, and counts it.
    pub(super) fn end(&self, listener: &'static str, activity: &Activity, reason: Ended) {
        if !activity.close(reason) {
            return;
        }
        let ended = self.ended[reason as usize].fetch_add(1, Ordering::Relaxed) + 1;
        if reason.is_abuse() && self.may_log(reason as usize) {
            tracing::warn!(listener, reason = reason.as_str(), ended, "connections ended");
        }
    }

    /// Of a sample, ends the connection that is best dispensed with.
    fn make_room(&self, listener: &'static str) -> bool {
        let list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        let from = self.next.fetch_add(SAMPLE, Ordering::Relaxed) % list.capacity().max(1);
        let around = (from..list.capacity()).chain(0..from).filter_map(|key| list.get(key));
        let open = around.filter(|activity| !activity.is_closing()).take(SAMPLE);
        let victim =
            open.filter_map(|activity| Some((activity.dispensable()?, activity))).max_by_key(|it| it.0);
        let Some((_, activity)) = victim else { return false };
        self.end(listener, activity, Ended::GaveWay);
        true
    }

    /// One tick: ends what is overdue, and when memory is short those that hold most of it.
    pub(super) fn sweep(&self, listener: &'static str, limits: &Limits, budget: &Budget) {
        self.ticks.advance();
        let activities: Vec<_> = {
            let list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
            list.iter().map(|(_, activity)| Arc::clone(activity)).collect()
        };
        for activity in &activities {
            activity.trim();
            if let Some(reason) = activity.overdue(limits) {
                self.end(listener, activity, reason);
            }
        }
        if budget.is_short() {
            self.relieve(listener, &activities, budget);
        }
    }

    /// Ends those that are best dispensed with, largest first, until a quarter of the budget is free.
    fn relieve(&self, listener: &'static str, activities: &[Arc<Activity>], budget: &Budget) {
        let mut excess = budget.used().saturating_sub(budget.limit() / 4 * 3);
        let mut open: Vec<_> = activities
            .iter()
            .filter(|activity| !activity.is_closing())
            .map(|activity| {
                let is_over = activity.dispensable().is_some_and(|(patience, ..)| patience == Patience::Over);
                (is_over, activity.held(), activity)
            })
            .collect();
        open.sort_by_key(|(dispensable, held, _)| std::cmp::Reverse((*dispensable, *held)));
        for (dispensable, held, activity) in open {
            // One that gets on is ended only for what it holds beyond a usual call.
            if excess == 0 || !(dispensable || held > CONNECTION_BYTES) {
                break;
            }
            self.end(listener, activity, Ended::NoRoom);
            excess = excess.saturating_sub(held + CONNECTION_BYTES);
        }
    }

    fn may_log(&self, what: usize) -> bool {
        let now = self.ticks.now();
        let last = self.logged[what].load(Ordering::Relaxed);
        (last == 0 || now.saturating_sub(last) >= LOG_EVERY)
            && self.logged[what].compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

/// A connection's place among those that there may be.
#[derive(Debug)]
pub(super) struct Slot {
    connections: Arc<Connections>,
    key: usize,
    activity: Arc<Activity>,
}

impl Slot {
    /// What the connection does.
    pub(super) const fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }

    /// Those among which it is.
    pub(super) const fn connections(&self) -> &Arc<Connections> {
        &self.connections
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut list = self.connections.list.lock().unwrap_or_else(PoisonError::into_inner);
        list.try_remove(self.key);
        self.connections.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
