//! The tokens that were found authentic lately, under the whole token: signature included, so that another spelling
//! of a token is another token.
//!
//! A table of fixed size instead of a map that grows: buckets of eight places, chosen by bits of a keyed hash. It is
//! bounded by construction; nothing is ever moved, so a reader needs no lock and waits for nobody. The hash only
//! finds the place and proves nothing: whether it is the same token is told by all of its bytes. Its key is random
//! and secret, so that nobody can choose tokens for one bucket. Who comes into a full bucket takes the place of a
//! token that is expired or was not asked for lately.

use std::hash::Hasher as _;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwapOption, Guard};
use foldhash::SharedSeed;
use foldhash::quality::FoldHasher;

use crate::{UnixMillis, VerifiedToken};

/// As many tags as a cache line holds.
const PLACES: usize = 8;

/// A token as it came, and where to look for it.
#[derive(Clone, Copy)]
pub(crate) struct Presented<'t> {
    pub(crate) token: &'t str,
    hash: u64,
}

impl Presented<'_> {
    /// Compares every byte, wherever the first difference is: how long it takes tells nothing of the token that is
    /// remembered.
    fn is(&self, entry: &Entry) -> bool {
        let (ours, theirs) = (self.token.as_bytes(), entry.text.as_bytes());
        let difference = || ours.iter().zip(theirs).fold(0, |found, (a, b)| found | (a ^ b));
        ours.len() == theirs.len() && black_box(difference()) == 0
    }
}

/// Where a token is looked for: a hash that whoever does not know the key cannot foresee.
struct HashKey {
    first: u64,
    rest: SharedSeed,
}

impl HashKey {
    #[expect(
        clippy::disallowed_methods,
        reason = "the server's one source of randomness is not in this crate"
    )]
    fn random() -> Self {
        let number = || {
            let mut bytes = [0; 8];
            aws_lc_rs::rand::fill(&mut bytes).expect("the operating system gives random bytes");
            u64::from_ne_bytes(bytes)
        };
        Self { first: number(), rest: SharedSeed::from_u64(number()) }
    }

    fn hash(&self, token: &str) -> u64 {
        let mut hasher = FoldHasher::with_seed(self.first, &self.rest);
        hasher.write(token.as_bytes());
        hasher.finish()
    }
}

/// A token whose signature, claims and issuer were found good: the checks whose outcome no passing of time
/// changes. The others are made again each time.
#[derive(Debug)]
pub(crate) struct AuthenticToken {
    pub(crate) identity: Arc<VerifiedToken>,
    pub(crate) not_before: Option<i64>,
}

/// Has no `Debug`, because the token stands in it.
struct Entry {
    text: Box<str>,
    /// [`TrustedKeys::withdrawals`](crate::TrustedKeys) from before the signature was verified.
    withdrawals: u64,
    /// That of the token, beside the rest of what an eviction looks at.
    expires_at: UnixMillis,
    token: AuthenticToken,
    /// Whether it was asked for since the eviction last came by.
    used: AtomicBool,
}

impl Entry {
    fn is_dead(&self, withdrawals: u64, now: UnixMillis) -> bool {
        self.withdrawals != withdrawals || now >= self.expires_at
    }
}

#[derive(Default)]
struct Bucket {
    tags: Tags,
    entries: [ArcSwapOption<Entry>; PLACES],
    /// Where the search for a place goes on. Whoever puts something in holds it; readers never do.
    hand: Mutex<usize>,
}

/// The hashes of the tokens in a bucket, which a reader looks at before anything else. Zero is an empty place; that
/// one token in 2^64 has this hash too costs nothing but a look.
#[derive(Default)]
#[repr(align(64))]
struct Tags([AtomicU64; PLACES]);

/// See the module.
pub(crate) struct TokenCache {
    buckets: Box<[Bucket]>,
    key: HashKey,
}

impl TokenCache {
    /// Room for `tokens`, rounded up to eight times a power of two; none for 0.
    pub(crate) fn with_capacity(tokens: usize) -> Self {
        let buckets = match tokens {
            0 => 0,
            _ => tokens.div_ceil(PLACES).next_power_of_two(),
        };
        let buckets = std::iter::repeat_with(Bucket::default).take(buckets).collect();
        Self { buckets, key: HashKey::random() }
    }

    pub(crate) const fn capacity(&self) -> usize {
        self.buckets.len() * PLACES
    }

    /// How many tokens are in it, the dead ones too.
    pub(crate) fn len(&self) -> usize {
        let entries = self.buckets.iter().flat_map(|bucket| &bucket.entries);
        entries.filter(|entry| entry.load().is_some()).count()
    }

    /// What the other methods take: a token is hashed once.
    pub(crate) fn look_for<'t>(&self, token: &'t str) -> Presented<'t> {
        Presented { token, hash: self.key.hash(token) }
    }

    /// What is known of a token, unless a key was withdrawn since it was verified.
    pub(crate) fn get(&self, presented: Presented<'_>, withdrawals: u64) -> Option<Found> {
        let bucket = self.bucket(presented.hash)?;
        for (place, entry) in bucket.tags.0.iter().zip(&bucket.entries) {
            if place.load(Ordering::Acquire) != presented.hash {
                continue;
            }
            let entry = entry.load();
            if entry.as_ref().is_some_and(|it| it.withdrawals == withdrawals && presented.is(it)) {
                return Some(Found(entry));
            }
        }
        None
    }

    /// Puts a token in, in the place of the same one, of a dead one, or of one not asked for lately. `withdrawals`
    /// was read before the keys that it was verified with.
    pub(crate) fn put(
        &self,
        presented: Presented<'_>,
        withdrawals: u64,
        token: AuthenticToken,
        now: UnixMillis,
    ) {
        let Some(bucket) = self.bucket(presented.hash) else { return };
        let text = presented.token.into();
        let expires_at = UnixMillis::from_secs(token.identity.expires_at);
        let entry = Entry { text, withdrawals, expires_at, token, used: AtomicBool::new(false) };
        let mut hand = bucket.hand.lock().unwrap_or_else(PoisonError::into_inner);
        let place = bucket.place_of(presented).unwrap_or_else(|| {
            let place = bucket.free_place(*hand, withdrawals, now);
            *hand = (place + 1) % PLACES;
            place
        });
        bucket.entries[place].store(Some(Arc::new(entry)));
        bucket.tags.0[place].store(presented.hash, Ordering::Release);
    }

    fn bucket(&self, hash: u64) -> Option<&Bucket> {
        let last = u64::try_from(self.buckets.len()).ok()?.checked_sub(1)?;
        self.buckets.get(usize::try_from(hash & last).ok()?)
    }
}

impl Bucket {
    /// Where the token is already. Tags are looked at first, as a reader does: the entries of others lie anywhere in
    /// memory, and to fetch all of them took longer than all else that is done here.
    fn place_of(&self, presented: Presented<'_>) -> Option<usize> {
        let tagged = self.tags.0.iter().map(|tag| tag.load(Ordering::Relaxed) == presented.hash);
        tagged
            .zip(&self.entries)
            .position(|(tagged, entry)| tagged && entry.load().as_ref().is_some_and(|it| presented.is(it)))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Epoch, SessionId, UserId};

    const NOW: UnixMillis = UnixMillis(0);

    fn token_of(user: u8) -> AuthenticToken {
        let identity = VerifiedToken {
            subject: UserId::from_bytes([user; 16]),
            subject_kind: crate::SubjectKind::User,
            username: String::new(),
            external_id: None,
            session: SessionId::from_bytes([user; 16]),
            roles: Vec::new(),
            audiences: Vec::new(),
            token_id: String::new(),
            issued_at: 0,
            expires_at: 1,
            auth_time: 0,
            amr: Vec::new(),
            epoch: Epoch(0),
            session_expires_at: 1,
            custom: serde_json::Map::new(),
            memo: crate::Memo::default(),
        };
        AuthenticToken { identity: Arc::new(identity), not_before: None }
    }

    fn user(cache: &TokenCache, token: &str, hash: u64) -> Option<u8> {
        let found = cache.get(Presented { token, hash }, 0)?;
        found.token().map(|it| it.identity.subject.as_bytes()[0])
    }

    #[test]
    fn tokens_of_one_hash_are_told_apart_by_their_bytes() {
        for hash in [0, 1, u64::MAX] {
            let cache = TokenCache::with_capacity(64);
            let put = |token, number| cache.put(Presented { token, hash }, 0, token_of(number), NOW);
            put("token-a", 1);
            put("token-b", 2);
            assert_eq!(user(&cache, "token-a", hash), Some(1));
            assert_eq!(user(&cache, "token-b", hash), Some(2));
            for other in ["", "token-", "token-c", "token-aa", "Token-a", "token-a\0"] {
                assert_eq!(user(&cache, other, hash), None, "{other:?}");
            }
        }
    }

    #[test]
    fn no_two_caches_hash_alike() {
        let hash = || TokenCache::with_capacity(8).look_for("token").hash;
        assert_ne!(hash(), hash());
    }
}
