use std::fmt;
use std::sync::Arc;

use crate::cache::{AuthenticToken, Presented, TokenCache};
use crate::tally::Tally;
use crate::verify::{check, identity};
use crate::{
    CacheStats, InvalidReason, RevocationView, Rules, TrustedKeys, UnixMillis, VerifiedToken, authenticate,
};

/// Verifies access tokens against the keys and revocations as they are now, and remembers those whose signature
/// it has checked. What it answers is what [`verify`](crate::verify) would: a token that is remembered is held to
/// its lifetime, audience and revocation again each time.
///
/// Whether the view of revocations is fresh enough is for the caller to ask, **before** the token is verified:
/// see [`RevocationView::staleness`].
pub struct Verifier {
    rules: Rules,
    keys: Arc<TrustedKeys>,
    revocations: Arc<RevocationView>,
    cache: TokenCache,
    tally: Tally,
}

impl Verifier {
    /// The default of [`Verifier::with_cache`]. A usual token takes about 2 KiB of memory when it is remembered, one
    /// with the most claims that Countersign writes about 30 KiB: itself, who it speaks for, and what a transport
    /// makes of that.
    pub const CACHED_TOKENS: usize = 65_536;

    /// A verifier by these rules. Keys and revocations are shared with whoever keeps them up to date.
    pub fn new(rules: Rules, keys: Arc<TrustedKeys>, revocations: Arc<RevocationView>) -> Self {
        let cache = TokenCache::with_capacity(Self::CACHED_TOKENS);
        Self { rules, keys, revocations, cache, tally: Tally::default() }
    }

    /// Remembers this many tokens, rounded up to eight times a power of two; none for 0. The table itself takes
    /// 24 bytes for each from the start.
    #[must_use]
    pub fn with_cache(self, tokens: usize) -> Self {
        Self { cache: TokenCache::with_capacity(tokens), ..self }
    }

    /// What tokens are held to.
    pub const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The keys that are trusted.
    pub const fn keys(&self) -> &Arc<TrustedKeys> {
        &self.keys
    }

    /// What is known to be revoked.
    pub const fn revocations(&self) -> &Arc<RevocationView> {
        &self.revocations
    }

    /// How many tokens it can remember.
    pub const fn cache_capacity(&self) -> usize {
        self.cache.capacity()
    }

    /// How many tokens it remembers. Counts them: for tests and metrics.
    pub fn cached_tokens(&self) -> usize {
        self.cache.len()
    }

    /// How often it knew a token already.
    pub fn cache_stats(&self) -> CacheStats {
        self.tally.stats()
    }

    /// Decides whether an access token may be used at `now` with a service that goes by one of `audiences`, by
    /// the rules and in the order of [`verify`](crate::verify). Does no I/O; for a token seen before, it does no
    /// cryptography and takes no lock.
    pub fn verify(
        &self,
        token: &str,
        audiences: &[String],
        now: UnixMillis,
    ) -> Result<Arc<VerifiedToken>, InvalidReason> {
        if token.len() > self.rules.max_token_bytes {
            return Err(InvalidReason::Malformed);
        }
        let presented = self.cache.look_for(token);
        let withdrawals = self.keys.withdrawals();
        if let Some(withdrawals) = withdrawals
            && let Some(found) = self.cache.get(presented, withdrawals)
            && let Some(known) = found.token()
        {
            self.tally.hit();
            self.check(known, audiences, now)?;
            return Ok(Arc::clone(&known.identity));
        }
        self.verify_anew(presented, withdrawals, audiences, now)
    }

    /// `withdrawals` was read before the keys are.
    fn verify_anew(
        &self,
        presented: Presented<'_>,
        withdrawals: Option<u64>,
        audiences: &[String],
        now: UnixMillis,
    ) -> Result<Arc<VerifiedToken>, InvalidReason> {
        self.tally.miss();
        let claims = authenticate(presented.token, &self.rules, &self.keys.load())?;
        let not_before = claims.not_before;
        let token = AuthenticToken { identity: Arc::new(identity(claims)), not_before };
        let verdict = self.check(&token, audiences, now);
        let verified = Arc::clone(&token.identity);
        // An expired token never becomes good again; one that is revoked or meant for another may come again.
        if verdict != Err(InvalidReason::Expired)
            && let Some(withdrawals) = withdrawals
        {
            self.cache.put(presented, withdrawals, token, now);
        }
        verdict.map(|()| verified)
    }

    fn check(
        &self,
        token: &AuthenticToken,
        audiences: &[String],
        now: UnixMillis,
    ) -> Result<(), InvalidReason> {
        check(&token.identity, token.not_before, &self.rules, audiences, &self.revocations.index, now)
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("rules", &self.rules).finish_non_exhaustive()
    }
}
