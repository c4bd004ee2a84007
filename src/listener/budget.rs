//! What callers may hold in memory: all together, and each peer.
//!
//! Everything that stays here because a caller has not finished sending it, or has not read it, is charged: a
//! connection, the head of a request, a message that has begun, an answer that waits to be read. A connection reserves
//! in steps of [`STEP`], so that a usual call touches nothing that other connections share.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// How much a connection reserves or returns at a time, in bytes.
pub(super) const STEP: usize = 16 * 1024;
/// What an open connection is charged by itself, in bytes: its buffers, its task, its state in TLS and HTTP/2.
pub const CONNECTION_BYTES: usize = 20 * 1024;

/// The memory that callers of all listeners share. Cheap to clone.
#[derive(Clone)]
pub struct Budget(Arc<Shared>);

impl std::fmt::Debug for Budget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Budget")
            .field("limit", &self.limit())
            .field("used", &self.used())
            .finish_non_exhaustive()
    }
}

struct Shared {
    limit: usize,
    /// What one peer may have.
    peer_limit: usize,
    used: AtomicUsize,
    peers: Mutex<HashMap<Peer, Arc<PeerShare>>>,
    /// Addresses that speak for many clients.
    speaks_for_many: Box<dyn Fn(IpAddr) -> bool + Send + Sync>,
}

/// A peer as budgets know it: an IPv4 address, or the /64 of an IPv6 address, all of whose addresses one host can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Peer(u64, bool);

impl Peer {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(u64::from(address.to_bits()), false),
            IpAddr::V6(address) => {
                let bits = address.to_bits() >> 64;
                Self(u64::try_from(bits).unwrap_or(u64::MAX), true)
            }
        }
    }
}

/// What one peer has, over all listeners.
#[derive(Debug, Default)]
pub(super) struct PeerShare {
    bytes: AtomicUsize,
    connections: AtomicUsize,
}

impl PeerShare {
    /// How many connections it has.
    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

impl Budget {
    /// So many bytes for all together. One peer may have a quarter of them; one whose connections may be those of many
    /// clients (loopback, where sidecars are, and what `speaks_for_many` says: trusted proxies) three quarters, so that
    /// others always have the rest.
    pub fn new(limit: usize, speaks_for_many: impl Fn(IpAddr) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(Shared {
            limit,
            peer_limit: limit / 4,
            used: AtomicUsize::new(0),
            peers: Mutex::default(),
            speaks_for_many: Box::new(speaks_for_many),
        }))
    }

    /// The most that may be held, in bytes.
    pub fn limit(&self) -> usize {
        self.0.limit
    }

    /// What is held now, in bytes.
    pub fn used(&self) -> usize {
        self.0.used.load(Ordering::Relaxed)
    }

    /// Whether so little is left that those who hold most must give way.
    pub(super) fn is_short(&self) -> bool {
        self.used() > self.0.limit / 8 * 7
    }

    /// An account for a connection from there, which has paid for itself. `None` when there is no room for it, or the
    /// peer has as many connections as it may.
    pub(super) fn open(&self, address: IpAddr, connections_per_peer: usize) -> Option<Account> {
        let many = address.is_loopback() || (self.0.speaks_for_many)(address);
        let peer = Peer::of(address);
        let share = {
            let mut peers = self.0.peers.lock().unwrap_or_else(PoisonError::into_inner);
            let share = Arc::clone(peers.entry(peer).or_default());
            share.connections.fetch_add(1, Ordering::Relaxed);
            share
        };
        let limit = if many { self.0.limit / 4 * 3 } else { self.0.peer_limit };
        let account = Account { budget: self.clone(), peer, share, limit };
        let too_many = !many && account.share.connections() > connections_per_peer;
        if too_many || !account.take(CONNECTION_BYTES) {
            // It pays nothing back that it has not taken.
            account.leave();
            std::mem::forget(account);
            return None;
        }
        Some(account)
    }
}

/// What one connection has of the budget. Dropped, what it was charged for itself is returned.
#[derive(Debug)]
pub(super) struct Account {
    budget: Budget,
    peer: Peer,
    share: Arc<PeerShare>,
    limit: usize,
}

impl Account {
    /// Takes so many bytes, or none.
    pub(super) fn take(&self, bytes: usize) -> bool {
        let within = |used: &AtomicUsize, limit: usize| {
            let before = used.fetch_add(bytes, Ordering::Relaxed);
            let fits = before.saturating_add(bytes) <= limit;
            if !fits {
                used.fetch_sub(bytes, Ordering::Relaxed);
            }
            fits
        };
        if !within(&self.share.bytes, self.limit) {
            return false;
        }
        let fits = within(&self.budget.0.used, self.budget.0.limit);
        if !fits {
            self.share.bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
        fits
    }

    /// Returns so many bytes.
    pub(super) fn release(&self, bytes: usize) {
        self.share.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.budget.0.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// What its peer has in all.
    pub(super) fn peer(&self) -> &PeerShare {
        &self.share
    }

    fn leave(&self) {
        let mut peers = self.budget.0.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if self.share.connections.fetch_sub(1, Ordering::Relaxed) == 1 {
            peers.remove(&self.peer);
        }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.release(CONNECTION_BYTES);
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_peer_has_a_quarter_and_a_proxy_three_quarters() {
        let proxy = |at: IpAddr| at == IpAddr::from([192, 0, 2, 9]);
        let budget = Budget::new(4 * MIB, proxy);
        let take = |account: &Account| {
            let mut taken = 0;
            while account.take(STEP) {
                taken += STEP;
            }
            taken
        };
        let peer = budget.open(address("192.0.2.1"), 10).unwrap();
        let taken = take(&peer);
        assert!(taken <= MIB && taken > MIB - STEP - CONNECTION_BYTES, "{taken}");
        let sibling = budget.open(address("192.0.2.1"), 10);
        assert!(sibling.is_none(), "the same peer, whatever its port");
        peer.release(taken);
        let proxied = budget.open(address("192.0.2.9"), 1).unwrap();
        let taken = take(&proxied);
        assert!(taken <= 3 * MIB && taken > 3 * MIB - STEP - CONNECTION_BYTES, "{taken}");
        assert!(budget.open(address("192.0.2.9"), 1).is_none());
        assert!(budget.open(address("::1"), 1).is_some(), "others have the rest");
        proxied.release(taken);
        drop((peer, proxied));
        assert_eq!(budget.used(), 0);
        assert!(budget.0.peers.lock().unwrap().is_empty());
    }

    #[test]
    fn addresses_of_one_64_and_of_one_v4_are_one_peer() {
        assert_eq!(Peer::of(address("2001:db8::1")), Peer::of(address("2001:db8::ffff:1")));
        assert_ne!(Peer::of(address("2001:db8::1")), Peer::of(address("2001:db8:0:1::1")));
        assert_eq!(Peer::of(address("::ffff:192.0.2.1")), Peer::of(address("192.0.2.1")));
        assert_ne!(Peer::of(address("0:0:c000:201::")), Peer::of(address("192.0.2.1")));
    }

    #[test]
    fn a_peer_has_no_more_connections_than_it_may() {
        let budget = Budget::new(4 * MIB, |_| false);
        let first = budget.open(address("192.0.2.1"), 1).unwrap();
        assert!(budget.open(address("192.0.2.1"), 1).is_none());
        assert!(budget.open(address("192.0.2.2"), 1).is_some());
        drop(first);
        assert!(budget.open(address("192.0.2.1"), 1).is_some());
        let local: Vec<_> = (0..3).map(|_| budget.open(address("127.0.0.1"), 1).unwrap()).collect();
        assert_eq!(local.len(), 3, "loopback is where sidecars are, which speak for many");
    }
}
