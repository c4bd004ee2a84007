//! The tokens that were found authentic lately, under the SHA-256 digest of the whole token: signature included,
//! so that another spelling of a token is another token.
//!
//! A table of fixed size instead of a map that grows: buckets of eight places, chosen by bits of the digest. It is
//! bounded by construction; nothing is ever moved, so a reader needs no lock and waits for nobody; and the digest
//! is evenly distributed already, so there is nothing to hash again. Who comes into a full bucket takes the place
//! of a token that is expired or was not asked for lately. A token can displace only the seven others of its
//! bucket, and whoever wanted to choose which would have to be issued tokens by the thousand.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwapOption, Guard};
use aws_lc_rs::digest;

use crate::{UnixMillis, VerifiedToken};

/// As many tags as a cache line holds.
const PLACES: usize = 8;

/// SHA-256 of a whole token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct TokenDigest([u8; 32]);

impl TokenDigest {
    pub(crate) fn of(token: &str) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
        Self(bytes)
    }

    fn word(&self, place: usize) -> u64 {
        let (words, _) = self.0.as_chunks::<8>();
        u64::from_ne_bytes(words[place])
    }

    /// What a reader looks for before it looks at anything else. Zero is an empty place; that one digest in 2^64
    /// has this tag too costs nothing but a look.
    fn tag(&self) -> u64 {
        self.word(0)
    }
}

/// A token whose signature, claims and issuer were found good: the checks whose outcome no passing of time
/// changes. The others are made again each time.
#[derive(Debug)]
pub(crate) struct AuthenticToken {
    pub(crate) identity: Arc<VerifiedToken>,
    pub(crate) not_before: Option<i64>,
}

pub(crate) struct Entry {
    digest: TokenDigest,
    /// How many times a key had been withdrawn before the signature was verified.
    withdrawals: u64,
    pub(crate) token: AuthenticToken,
    /// Whether it was asked for since the eviction last came by.
    used: AtomicBool,
}

impl Entry {
    pub(crate) const fn new(digest: TokenDigest, withdrawals: u64, token: AuthenticToken) -> Self {
        Self { digest, withdrawals, token, used: AtomicBool::new(false) }
    }

    fn is_dead(&self, withdrawals: u64, now: UnixMillis) -> bool {
        self.withdrawals != withdrawals || now >= UnixMillis::from_secs(self.token.identity.expires_at)
    }
}

#[derive(Default)]
struct Bucket {
    tags: Tags,
    entries: [ArcSwapOption<Entry>; PLACES],
    /// Where the search for a place goes on. Whoever puts something in holds it; readers never do.
    hand: Mutex<usize>,
}

#[derive(Default)]
#[repr(align(64))]
struct Tags([AtomicU64; PLACES]);

/// See the module.
pub(crate) struct TokenCache {
    buckets: Box<[Bucket]>,
}

impl TokenCache {
    /// Room for `tokens`, rounded up to eight times a power of two; none for 0.
    pub(crate) fn with_capacity(tokens: usize) -> Self {
        let buckets = match tokens {
            0 => 0,
            _ => tokens.div_ceil(PLACES).next_power_of_two(),
        };
        Self { buckets: std::iter::repeat_with(Bucket::default).take(buckets).collect() }
    }

    pub(crate) const fn capacity(&self) -> usize {
        self.buckets.len() * PLACES
    }

    /// How many tokens are in it, the dead ones too.
    pub(crate) fn len(&self) -> usize {
        let entries = self.buckets.iter().flat_map(|bucket| &bucket.entries);
        entries.filter(|entry| entry.load().is_some()).count()
    }

    /// The token with this digest, unless a key was withdrawn since it was verified.
    pub(crate) fn get(&self, digest: &TokenDigest, withdrawals: u64) -> Option<Found> {
        let bucket = self.bucket(digest)?;
        let tag = digest.tag();
        for (place, entry) in bucket.tags.0.iter().zip(&bucket.entries) {
            if place.load(Ordering::Acquire) != tag {
                continue;
            }
            let entry = entry.load();
            if entry.as_ref().is_some_and(|it| it.digest == *digest && it.withdrawals == withdrawals) {
                return Some(Found(entry));
            }
        }
        None
    }

    /// Puts a token in, in the place of the same one, of a dead one, or of one not asked for lately.
    pub(crate) fn put(&self, entry: Entry, now: UnixMillis) {
        let Some(bucket) = self.bucket(&entry.digest) else { return };
        let mut hand = bucket.hand.lock().unwrap_or_else(PoisonError::into_inner);
        let place = bucket.place_of(&entry.digest).unwrap_or_else(|| {
            let place = bucket.free_place(*hand, entry.withdrawals, now);
            *hand = (place + 1) % PLACES;
            place
        });
        let tag = entry.digest.tag();
        bucket.entries[place].store(Some(Arc::new(entry)));
        bucket.tags.0[place].store(tag, Ordering::Release);
    }

    fn bucket(&self, digest: &TokenDigest) -> Option<&Bucket> {
        let last = u64::try_from(self.buckets.len()).ok()?.checked_sub(1)?;
        self.buckets.get(usize::try_from(digest.word(1) & last).ok()?)
    }
}

impl Bucket {
    fn place_of(&self, digest: &TokenDigest) -> Option<usize> {
        self.entries.iter().position(|entry| entry.load().as_ref().is_some_and(|it| it.digest == *digest))
    }

    /// An empty place or a dead token's; otherwise, from the hand on, the first token that was not asked for since
    /// the hand last passed it.
    fn free_place(&self, hand: usize, withdrawals: u64, now: UnixMillis) -> usize {
        let free = |entry: &ArcSwapOption<Entry>| {
            entry.load().as_ref().is_none_or(|it| it.is_dead(withdrawals, now))
        };
        if let Some(place) = self.entries.iter().position(free) {
            return place;
        }
        let unused = |place: &usize| {
            self.entries[*place].load().as_ref().is_none_or(|it| !it.used.swap(false, Ordering::Relaxed))
        };
        (hand..hand + PLACES).map(|place| place % PLACES).find(unused).unwrap_or(hand)
    }
}

/// A token in the cache.
pub(crate) struct Found(Guard<Option<Arc<Entry>>>);

impl Found {
    pub(crate) fn token(&self) -> Option<&AuthenticToken> {
        let entry = self.0.as_ref()?;
        // Looked at before it is written, so that readers of one token do not take its cache line from each other.
        if !entry.used.load(Ordering::Relaxed) {
            entry.used.store(true, Ordering::Relaxed);
        }
        Some(&entry.token)
    }
}
