package countersign

import (
	"encoding/binary"
	"hash/maphash"
	"math/bits"
	"strings"
	"sync"
	"sync/atomic"
	"unsafe"
)

// placesPerBucket is as many tags as a cache line holds.
const placesPerBucket = 8

// tokenCache remembers tokens that were found authentic lately, under the whole token: signature included, so that
// another spelling of a token is another token.
//
// It is a table of fixed size: buckets of eight places, chosen by bits of a hash with a random key, so that an attacker
// cannot choose tokens for one bucket. It is bounded by construction, and a reader takes no lock. The hash only finds the
// place and proves nothing: whether it is the same token is decided by all of its bytes. A token that comes into a full
// bucket takes the place of one that is expired or was not asked for lately.
type tokenCache struct {
	buckets []cacheBucket
	seed    maphash.Seed
}

type cacheBucket struct {
	tags    [placesPerBucket]atomic.Uint64
	entries [placesPerBucket]atomic.Pointer[cacheEntry]
	// writing is held while a token is put in. hand is where the search for a place goes on.
	writing sync.Mutex
	hand    int
}

type cacheEntry struct {
	text   string
	claims *claims
	// withdrawals is that of the key set that the token was verified with.
	withdrawals uint64
	// used says whether it was asked for since the eviction last came by.
	used atomic.Bool
}

// newTokenCache makes room for so many tokens, rounded up to eight times a power of two; for none if it is not positive.
func newTokenCache(tokens int) *tokenCache {
	c := &tokenCache{seed: maphash.MakeSeed()}
	if tokens > 0 {
		buckets := (tokens + placesPerBucket - 1) / placesPerBucket
		c.buckets = make([]cacheBucket, 1<<bits.Len(uint(buckets-1)))
	}
	return c
}

// place says where to look for a token.
func (c *tokenCache) place(token string) uint64 {
	if len(c.buckets) == 0 {
		return 0
	}
	return maphash.String(c.seed, token)
}

func (c *tokenCache) bucket(place uint64) *cacheBucket {
	if len(c.buckets) == 0 {
		return nil
	}
	return &c.buckets[(place>>32)&uint64(len(c.buckets)-1)]
}

// get returns what is known of a token, unless a key was withdrawn since it was verified.
func (c *tokenCache) get(token string, place, withdrawals uint64) *claims {
	bucket := c.bucket(place)
	if bucket == nil {
		return nil
	}
	for i := range placesPerBucket {
		if bucket.tags[i].Load() != place {
			continue
		}
		entry := bucket.entries[i].Load()
		if entry == nil || entry.withdrawals != withdrawals || !equalInConstantTime(entry.text, token) {
			continue
		}
		// Looked at before it is written, so that readers of one token do not take its cache line from each other.
		if !entry.used.Load() {
			entry.used.Store(true)
		}
		return entry.claims
	}
	return nil
}

// put remembers a token, in the place of the same one, of a dead one, or of one that was not asked for lately.
func (c *tokenCache) put(token string, place, withdrawals uint64, claims *claims, now int64) {
	bucket := c.bucket(place)
	if bucket == nil {
		return
	}
	// The token may be part of a larger text, which must not be kept for it.
	entry := &cacheEntry{text: strings.Clone(token), claims: claims, withdrawals: withdrawals}
	bucket.writing.Lock()
	defer bucket.writing.Unlock()
	i := bucket.placeFor(token, withdrawals, now)
	bucket.hand = (i + 1) % placesPerBucket
	bucket.entries[i].Store(entry)
	bucket.tags[i].Store(place)
}

func (b *cacheBucket) placeFor(token string, withdrawals uint64, now int64) int {
	free := -1
	for i := range placesPerBucket {
		entry := b.entries[i].Load()
		switch {
		case entry == nil, entry.withdrawals != withdrawals, now >= entry.claims.expiresAt*1000:
			if free < 0 {
				free = i
			}
		case equalInConstantTime(entry.text, token):
			return i
		}
	}
	if free >= 0 {
		return free
	}
	for i := range placesPerBucket {
		place := (b.hand + i) % placesPerBucket
		if !b.entries[place].Load().used.Swap(false) {
			return place
		}
	}
	return b.hand
}

// len counts the tokens in the cache, the dead ones too.
func (c *tokenCache) len() int {
	count := 0
	for i := range c.buckets {
		for j := range placesPerBucket {
			if c.buckets[i].entries[j].Load() != nil {
				count++
			}
		}
	}
	return count
}

// equalInConstantTime compares every byte, wherever the first difference is: how long it takes says nothing about the
// token that is remembered. It takes eight bytes at a time, which subtle.ConstantTimeCompare does not.
func equalInConstantTime(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	x, y := unsafe.Slice(unsafe.StringData(a), len(a)), unsafe.Slice(unsafe.StringData(b), len(b))
	var difference uint64
	for len(x) >= 8 {
		difference |= binary.LittleEndian.Uint64(x) ^ binary.LittleEndian.Uint64(y)
		x, y = x[8:], y[8:]
	}
	for i := range x {
		difference |= uint64(x[i] ^ y[i])
	}
	return difference == 0
}
