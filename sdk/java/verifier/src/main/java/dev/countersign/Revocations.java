package dev.countersign;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.security.SecureRandom;

/**
 * What is revoked. It is only added to, and forgets what cannot matter any more. Those who ask take
 * no lock. A million sessions take about 50 MiB, as a few arrays of numbers.
 */
final class Revocations {
  /**
   * Into how many tables the ids are divided, so that none takes long, or much, to be made larger;
   * and so that the arrays of a million are small ones for the garbage collector, which gives large
   * ones whole regions.
   */
  private static final int SHARDS = 256;

  private final IdTable[] sessions = new IdTable[SHARDS];
  private final IdTable[] users = new IdTable[SHARDS];

  Revocations() {
    long seed = new SecureRandom().nextLong();
    for (int i = 0; i < SHARDS; i++) {
      sessions[i] = new IdTable(seed, false);
      users[i] = new IdTable(seed, true);
    }
  }

  boolean isRevoked(Id user, Id session, long epoch) {
    if (shard(sessions, session).find(session) != IdTable.NONE) {
      return true;
    }
    long raised = shard(users, user).find(user);
    return raised != IdTable.NONE && Long.compareUnsigned(epoch, raised) < 0;
  }

  /**
   * Refuses a session, and remembers it at least until a time in milliseconds since 1970. Whether
   * it was not refused before.
   */
  boolean revokeSession(Id session, long forgetAt) {
    return shard(sessions, session).put(session, 0, forgetAt);
  }

  /**
   * Refuses smaller epochs of a user, and remembers that at least until a time. Whether a token is
   * refused now that was not before.
   */
  boolean raiseEpoch(Id user, long epoch, long forgetAt) {
    return shard(users, user).put(user, epoch, forgetAt);
  }

  /** Forgets what need not be remembered at a time. */
  void purge(long nowMillis) {
    for (int i = 0; i < SHARDS; i++) {
      sessions[i].purge(nowMillis);
      users[i].purge(nowMillis);
    }
  }

  /** How many sessions and users are remembered. */
  int size() {
    int size = 0;
    for (int i = 0; i < SHARDS; i++) {
      size += sessions[i].size() + users[i].size();
    }
    return size;
  }

  /** Takes bits that are random in both kinds of id and that only the server chooses. */
  private static IdTable shard(IdTable[] tables, Id id) {
    return tables[(int) id.low() & (SHARDS - 1)];
  }

  /**
   * Ids, each with the time until which it is remembered, and for users with an epoch. Open
   * addressing, with places that are searched one after another, and never more than three quarters
   * full. The hash is seeded, and ids are chosen by the server.
   *
   * <p>One thread writes at a time, and any number read meanwhile: an id is written before its
   * time, with which its place is taken; and where places change, a copy is written and then put in
   * the place of the table.
   */
  private static final class IdTable {
    /** What {@link #find} answers where the id is not there. No epoch is refused by it. */
    static final long NONE = 0;

    private static final int FIRST_CAPACITY = 16;
    private static final VarHandle LONGS = MethodHandles.arrayElementVarHandle(long[].class);

    /** forgetAt is 0 where a place is free. epochs is null for sessions. */
    private record Places(long[] ids, long[] forgetAt, long[] epochs) {
      static Places of(int capacity, boolean hasEpochs) {
        return new Places(
            new long[2 * capacity], new long[capacity], hasEpochs ? new long[capacity] : null);
      }

      /** Where the id is, or the free place for it, as a negative number less one. */
      int search(Id id, long seed) {
        int mask = forgetAt.length - 1;
        for (int place = (int) mix(id, seed) & mask; ; place = place + 1 & mask) {
          if ((long) LONGS.getAcquire(forgetAt, place) == 0) {
            return -1 - place;
          }
          if (ids[2 * place] == id.low() && ids[2 * place + 1] == id.high()) {
            return place;
          }
        }
      }

      private static long mix(Id id, long seed) {
        long a = id.low() ^ seed;
        long b = id.high() ^ Long.rotateLeft(seed, 32) ^ 0x9e3779b97f4a7c15L;
        long product = a * b ^ Math.multiplyHigh(a, b);
        return product ^ product >>> 32;
      }

      void write(int place, Id id, long epoch, long until) {
        ids[2 * place] = id.low();
        ids[2 * place + 1] = id.high();
        if (epochs != null) {
          epochs[place] = epoch;
        }
        LONGS.setRelease(forgetAt, place, until);
      }
    }

    private final long seed;
    private final boolean hasEpochs;
    private volatile Places places;
    private volatile int size;

    IdTable(long seed, boolean hasEpochs) {
      this.seed = seed;
      this.hasEpochs = hasEpochs;
      places = Places.of(FIRST_CAPACITY, hasEpochs);
    }

    int size() {
      return size;
    }

    /** A user's epoch; 1 for a session; {@link #NONE} where the id is not there. */
    long find(Id id) {
      Places table = places;
      int place = table.search(id, seed);
      if (place < 0) {
        return NONE;
      }
      return hasEpochs ? (long) LONGS.getAcquire(table.epochs(), place) : 1;
    }

    /**
     * Remembers an id at least until a time, with an epoch that never falls. Whether anything is
     * refused now that was not before.
     */
    synchronized boolean put(Id id, long epoch, long forgetAt) {
      long until = forgetAt == 0 ? -1 : forgetAt;
      Places table = places;
      int place = table.search(id, seed);
      if (place >= 0) {
        boolean raises = hasEpochs && Long.compareUnsigned(epoch, table.epochs()[place]) > 0;
        if (raises) {
          LONGS.setRelease(table.epochs(), place, epoch);
        }
        if (until > table.forgetAt()[place]) {
          LONGS.setRelease(table.forgetAt(), place, until);
        }
        return raises;
      }
      int capacity = table.forgetAt().length;
      if ((size + 1) * 4L > capacity * 3L) {
        table = rebuilt(capacity * 2, Long.MIN_VALUE);
        place = table.search(id, seed);
        places = table;
      }
      table.write(-1 - place, id, epoch, until);
      size++;
      return !hasEpochs || epoch != 0;
    }

    synchronized void purge(long nowMillis) {
      int left = 0;
      for (long until : places.forgetAt()) {
        left += until != 0 && until > nowMillis ? 1 : 0;
      }
      if (left == size) {
        return;
      }
      int capacity = FIRST_CAPACITY;
      while ((left + 1) * 4L > capacity * 3L) {
        capacity *= 2;
      }
      places = rebuilt(capacity, nowMillis);
      size = left;
    }

    /** A copy with so many places, without what need not be remembered at a time. */
    private Places rebuilt(int capacity, long nowMillis) {
      Places from = places;
      Places to = Places.of(capacity, hasEpochs);
      for (int place = 0; place < from.forgetAt().length; place++) {
        long until = from.forgetAt()[place];
        if (until != 0 && until > nowMillis) {
          Id id = new Id(from.ids()[2 * place + 1], from.ids()[2 * place]);
          long epoch = hasEpochs ? from.epochs()[place] : 0;
          to.write(-1 - to.search(id, seed), id, epoch, until);
        }
      }
      return to;
    }
  }
}
