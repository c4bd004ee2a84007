package dev.countersign;

import com.google.protobuf.Duration;
import com.google.protobuf.Timestamp;
import dev.countersign.v1.RevokedSession;
import dev.countersign.v1.RevokedUser;
import dev.countersign.v1.WatchBegin;
import dev.countersign.v1.WatchHeartbeat;
import dev.countersign.v1.WatchKey;
import dev.countersign.v1.WatchKeySet;
import dev.countersign.v1.WatchPing;
import dev.countersign.v1.WatchPosition;
import dev.countersign.v1.WatchRevocationsResponse;
import dev.countersign.v1.WatchRevoked;
import dev.countersign.v1.WatchStart;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.security.GeneralSecurityException;
import java.util.HashMap;
import java.util.Map;
import java.util.function.Consumer;

/**
 * Knows what a server has sent and what to say next. It does no I/O, has no timers, and is used by
 * one thread.
 */
final class Follower {
  /** Seconds of a time that is beyond every clock. */
  private static final long FAR = 1L << 53;

  /** Seconds, some 68 years: no view is older. */
  private static final long LONGEST_AGE = 1L << 31;

  private static final Logger LOGGER = System.getLogger("dev.countersign");

  private final Engine engine;
  private final Clock clock;
  private final long patienceNanos;
  private final Consumer<Revocation> revoked;
  private final Runnable proven;

  /** How far everything was taken in; null when a stream must begin with a snapshot. */
  private WatchPosition position;

  /**
   * Makes one.
   *
   * @param revoked is called for what was not refused before
   * @param proven is called when a heartbeat has proven something
   */
  Follower(
      Engine engine,
      Clock clock,
      long patienceNanos,
      Consumer<Revocation> revoked,
      Runnable proven) {
    this.engine = engine;
    this.clock = clock;
    this.patienceNanos = patienceNanos;
    this.revoked = revoked;
    this.proven = proven;
  }

  /** What a new stream begins with. */
  WatchStart start() {
    WatchStart.Builder start = WatchStart.newBuilder();
    return position == null ? start.build() : start.setResume(position).build();
  }

  /** A stream that begins now. */
  Conversation converse() {
    return new Conversation(clock.wallMillis(), clock.monotonicNanos());
  }

  /** Forgets the position where the next stream must begin with a snapshot. */
  void end(StreamEnd end) {
    if (end.beginsAnew()) {
      position = null;
    }
  }

  /**
   * Makes the question that asks the server to prove that the view is fresh. It counts as sent.
   *
   * @throws StreamEnd when the server owes an answer for too long, or the wall clock was set
   */
  WatchPing ping(Conversation conversation) throws StreamEnd {
    look(conversation);
    return conversation.ping(clock.monotonicNanos());
  }

  /**
   * Looks whether the stream may go on, without a question.
   *
   * @throws StreamEnd as {@link #ping} does
   */
  void look(Conversation conversation) throws StreamEnd {
    long monotonic = clock.monotonicNanos();
    // Before the server has begun, what is known is that of an earlier stream; after a step that
    // ended it, nothing is known until this one has begun anew.
    if (conversation.hasBegun()) {
      lookAtTheClock(clock.wallMillis(), monotonic);
    }
    if (monotonic - conversation.owesSince(monotonic) > patienceNanos) {
      throw new StreamEnd(StreamEnd.Why.SILENT, "the server does not answer pings");
    }
  }

  /**
   * Ends the stream when the wall clock was set, because what is forgotten is forgotten by it.
   * After a step nothing is known until everything was loaded again; after a slow correction what
   * is known holds meanwhile.
   */
  private void lookAtTheClock(long wall, long monotonic) throws StreamEnd {
    long drift = engine.freshness().drift(wall, monotonic);
    if (drift <= Freshness.CLOCK_STEP_MILLIS / 2) {
      return;
    }
    if (drift > Freshness.CLOCK_STEP_MILLIS) {
      engine.freshness().invalidate();
    }
    throw new StreamEnd(
        StreamEnd.Why.CLOCK_SET, "the wall clock was set: it differs by " + drift + " ms");
  }

  /**
   * Takes in what the server sends.
   *
   * @throws StreamEnd when the stream must be left
   */
  void takeIn(WatchRevocationsResponse message, Conversation conversation) throws StreamEnd {
    switch (message.getMessageCase()) {
      case BEGIN -> begin(message.getBegin(), conversation);
      case KEY_SET -> trust(message.getKeySet());
      case REVOKED -> revoke(message.getRevoked(), conversation);
      case HEARTBEAT -> prove(message.getHeartbeat(), conversation);
      case RESYNCHRONISE ->
          throw new StreamEnd(
              StreamEnd.Why.RESYNCHRONISE,
              "the subscriber fell behind; the snapshot must be reloaded");
      case MESSAGE_NOT_SET -> {
        // A newer server says something that this release does not know.
      }
    }
  }

  private void begin(WatchBegin begin, Conversation conversation) {
    if (!begin.getResumed()) {
      position = null;
      engine.freshness().anchor(conversation.wallMillis(), conversation.monotonicNanos());
    }
    conversation.begin(begin.getIncarnation());
  }

  /**
   * A key that this release cannot read is left out: its tokens are signed by a key that is not
   * trusted.
   */
  private void trust(WatchKeySet told) throws StreamEnd {
    Map<String, VerificationKey> keys = new HashMap<>();
    for (WatchKey each : told.getKeysList()) {
      VerificationKey key;
      try {
        key =
            VerificationKey.parse(each.getId(), each.getAlgorithm(), each.getSpki().toByteArray());
      } catch (GeneralSecurityException | RuntimeException e) {
        LOGGER.log(Level.WARNING, "a key of the server cannot be used: " + e.getMessage());
        continue;
      }
      if (keys.put(key.id(), key) != null) {
        throw nonsense("two keys are called " + key.id());
      }
    }
    KeySet before = engine.keys();
    KeySet next = before.replacedBy(keys);
    engine.trust(next);
    LOGGER.log(
        Level.INFO,
        "keys of the server: {0}{1}",
        keys.size(),
        next.withdrawals() == before.withdrawals() ? "" : "; one was withdrawn");
  }

  /** Only ever adds: what was learned from another server stays true, and is forgotten in time. */
  private void revoke(WatchRevoked told, Conversation conversation) throws StreamEnd {
    if (position == null) {
      conversation.partCame(clock.monotonicNanos());
    }
    for (RevokedSession session : told.getSessionsList()) {
      Id id = Id.of(session.getSessionId());
      if (id == null || !session.hasForgetAt()) {
        throw nonsense("a session without a name or an end");
      }
      if (engine.revocations().revokeSession(id, millis(session.getForgetAt()))) {
        revoked.accept(new Revocation.OfSession(id.formatSession()));
      }
    }
    for (RevokedUser user : told.getUsersList()) {
      Id id = Id.of(user.getSubject());
      if (id == null || !user.hasForgetAt()) {
        throw nonsense("a user without a name or an end");
      }
      if (engine.revocations().raiseEpoch(id, user.getEpoch(), millis(user.getForgetAt()))) {
        revoked.accept(new Revocation.OfUser(id.formatUser(), user.getEpoch()));
      }
    }
    if (told.hasSequence() && conversation.hasBegun()) {
      position =
          WatchPosition.newBuilder()
              .setIncarnation(conversation.incarnation())
              .setSequence(told.getSequence())
              .build();
    }
  }

  /** Milliseconds since 1970, rounded up: to forget later than was said does no harm. */
  private static long millis(Timestamp at) {
    long seconds = Math.min(Math.max(at.getSeconds(), -FAR), FAR);
    return seconds * 1000 + (at.getNanos() + 999_999L) / 1_000_000;
  }

  /**
   * Takes a heartbeat. It proves that everything is known that the server knew when the ping came:
   * as of when the ping was sent, less what the server's own knowledge lagged behind.
   */
  private void prove(WatchHeartbeat heartbeat, Conversation conversation) throws StreamEnd {
    if (position == null
        || Long.compareUnsigned(position.getSequence(), heartbeat.getSequence()) < 0) {
      throw nonsense("a heartbeat for more than it had sent");
    }
    if (conversation.answerPosition(heartbeat)) {
      return;
    }
    Long sent = conversation.answered(heartbeat.getNonce());
    if (sent == null) {
      throw nonsense("an answer to no ping");
    }
    Duration age = heartbeat.getStaleness();
    boolean isDuration =
        heartbeat.hasStaleness()
            && age.getSeconds() >= 0
            && age.getNanos() >= 0
            && age.getNanos() < 1_000_000_000;
    if (isDuration) {
      long seconds = Math.min(age.getSeconds(), LONGEST_AGE);
      engine.freshness().recordAnswer(sent, seconds * 1_000_000_000 + age.getNanos());
      proven.run();
    }
  }

  private static StreamEnd nonsense(String what) {
    return new StreamEnd(StreamEnd.Why.NONSENSE, "the server broke the protocol: " + what);
  }
}
