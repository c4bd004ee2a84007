package dev.countersign;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.security.SecureRandom;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.atomic.AtomicReferenceArray;

/**
 * Remembers tokens that were found authentic lately, under the whole token: signature included, so
 * that another spelling of a token is another token.
 *
 * <p>It is a table of fixed size: buckets of eight places, chosen by bits of a hash with a random
 * key, so that an attacker cannot choose tokens for one bucket. It is bounded by construction, and
 * a reader takes no lock. The hash only finds the place and proves nothing: whether it is the same
 * token is decided by all of its bytes. A token that comes into a full bucket takes the place of
 * one that is expired or was not asked for lately.
 */
final class TokenCache {
  private static final int PLACES = 8;
  private static final int LOCKS = 64;
  private static final VarHandle LONGS =
      MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

  private final int buckets;
  private final AtomicLongArray tags;
  private final AtomicReferenceArray<Entry> entries;

  /** Where the search for a place goes on in each bucket. Guarded by the bucket's lock. */
  private final byte[] hands;

  private final Object[] locks = new Object[LOCKS];
  private final long firstKey;
  private final long secondKey;

  private static final class Entry {
    private final byte[] token;
    private final Claims claims;

    /** That of the key set that the token was verified with. */
    private final long withdrawals;

    /**
     * Whether it was asked for since the eviction last came by. Two threads may both write it, and
     * it does not matter which of them is first.
     */
    private volatile boolean used;

    Entry(byte[] token, Claims claims, long withdrawals) {
      this.token = token;
      this.claims = claims;
      this.withdrawals = withdrawals;
    }
  }

  /** Makes room for so many tokens, rounded up to eight times a power of two; for none with 0. */
  TokenCache(int tokens) {
    int wanted = (tokens + PLACES - 1) / PLACES;
    buckets = wanted <= 1 ? wanted : Integer.highestOneBit(wanted - 1) * 2;
    tags = new AtomicLongArray(buckets * PLACES);
    entries = new AtomicReferenceArray<>(buckets * PLACES);
    hands = new byte[buckets];
    for (int i = 0; i < LOCKS; i++) {
      locks[i] = new Object();
    }
    SecureRandom random = new SecureRandom();
    firstKey = random.nextLong();
    secondKey = random.nextLong() | 1;
  }

  /**
   * The bytes to look for. A character that no token has becomes a question mark, which is in no
   * token that is remembered.
   */
  static byte[] bytesOf(String token) {
    return token.getBytes(StandardCharsets.ISO_8859_1);
  }

  /** Where to look for a token. */
  long hash(byte[] token) {
    long hash = firstKey ^ token.length;
    int at = 0;
    for (; at + 8 <= token.length; at += 8) {
      hash = fold(hash ^ (long) LONGS.get(token, at));
    }
    long rest = 0;
    for (; at < token.length; at++) {
      rest = rest << 8 | token[at];
    }
    return fold(fold(hash ^ rest));
  }

  private long fold(long word) {
    return word * secondKey ^ Math.multiplyHigh(word, secondKey);
  }

  private int firstPlace(long hash) {
    return ((int) (hash >>> 32) & buckets - 1) * PLACES;
  }

  /** What is known of a token, unless a key was withdrawn since it was verified. Null otherwise. */
  Claims get(byte[] token, long hash, long withdrawals) {
    if (buckets == 0) {
      return null;
    }
    int first = firstPlace(hash);
    for (int place = first; place < first + PLACES; place++) {
      if (tags.get(place) != hash) {
        continue;
      }
      Entry entry = entries.get(place);
      if (entry == null || entry.withdrawals != withdrawals || !areEqual(entry.token, token)) {
        continue;
      }
      // Looked at before it is written, so that readers of one token do not take its cache line
      // from each other.
      if (!entry.used) {
        entry.used = true;
      }
      return entry.claims;
    }
    return null;
  }

  /** Remembers a token, in the place of the same one, of a dead one, or of one not asked for. */
  void put(byte[] token, long hash, long withdrawals, Claims claims, long nowMillis) {
    if (buckets == 0) {
      return;
    }
    Entry entry = new Entry(token, claims, withdrawals);
    int first = firstPlace(hash);
    int bucket = first / PLACES;
    synchronized (locks[bucket & LOCKS - 1]) {
      int place = placeFor(first, hands[bucket], token, withdrawals, nowMillis);
      hands[bucket] = (byte) ((place + 1) % PLACES);
      entries.set(first + place, entry);
      tags.set(first + place, hash);
    }
  }

  private int placeFor(int first, int hand, byte[] token, long withdrawals, long nowMillis) {
    int free = -1;
    for (int i = 0; i < PLACES; i++) {
      Entry entry = entries.get(first + i);
      if (entry == null
          || entry.withdrawals != withdrawals
          || nowMillis >= entry.claims.expiresAt() * 1000) {
        free = free < 0 ? i : free;
      } else if (areEqual(entry.token, token)) {
        return i;
      }
    }
    if (free >= 0) {
      return free;
    }
    for (int i = 0; i < PLACES; i++) {
      int place = (hand + i) % PLACES;
      Entry entry = entries.get(first + place);
      if (!entry.used) {
        return place;
      }
      entry.used = false;
    }
    return hand;
  }

  /** How many tokens are remembered, the dead ones too. */
  int size() {
    int size = 0;
    for (int i = 0; i < entries.length(); i++) {
      size += entries.get(i) == null ? 0 : 1;
    }
    return size;
  }

  /**
   * Compares every byte, wherever the first difference is: how long it takes says nothing about the
   * token that is remembered.
   */
  private static boolean areEqual(byte[] a, byte[] b) {
    if (a.length != b.length) {
      return false;
    }
    long difference = 0;
    int at = 0;
    for (; at + 8 <= a.length; at += 8) {
      difference |= (long) LONGS.get(a, at) ^ (long) LONGS.get(b, at);
    }
    for (; at < a.length; at++) {
      difference |= a[at] ^ b[at];
    }
    return difference == 0;
  }
}
