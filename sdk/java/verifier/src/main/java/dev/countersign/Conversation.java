package dev.countersign;

import dev.countersign.v1.WatchHeartbeat;
import dev.countersign.v1.WatchPing;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Iterator;

/** What is known of one stream. Used by one thread. */
final class Conversation {
  private final long wallMillis;
  private final long monotonicNanos;
  private final Deque<Sent> pings = new ArrayDeque<>();
  private final Deque<Asked> positions = new ArrayDeque<>();
  private long nonce;
  private boolean hasBegun;
  private long incarnation;
  private boolean isLoading;
  private long latestPart;

  private record Sent(long nonce, long at) {}

  private record Asked(long nonce, Positions.Question question) {}

  /** A stream that begins at this moment of both clocks. */
  Conversation(long wallMillis, long monotonicNanos) {
    this.wallMillis = wallMillis;
    this.monotonicNanos = monotonicNanos;
  }

  long wallMillis() {
    return wallMillis;
  }

  long monotonicNanos() {
    return monotonicNanos;
  }

  void begin(long incarnation) {
    hasBegun = true;
    this.incarnation = incarnation;
  }

  boolean hasBegun() {
    return hasBegun;
  }

  long incarnation() {
    return incarnation;
  }

  /** A part of a snapshot has come. */
  void partCame(long now) {
    isLoading = true;
    latestPart = now;
  }

  /**
   * Since when the server owes an answer; the time itself where it owes none. The answer stands
   * behind a snapshot, so for as long as that comes it owes none.
   */
  long owesSince(long now) {
    Sent oldest = pings.peekFirst();
    if (oldest == null) {
      return now;
    }
    return isLoading ? Math.max(oldest.at, latestPart) : oldest.at;
  }

  WatchPing ping(long now) {
    nonce++;
    pings.addLast(new Sent(nonce, now));
    return WatchPing.newBuilder().setNonce(nonce).build();
  }

  /**
   * When the ping was sent; null where none with this nonce waits. The earlier ones need no answer
   * any more.
   */
  Long answered(long answeredNonce) {
    if (pings.stream().noneMatch(ping -> ping.nonce == answeredNonce)) {
      return null;
    }
    while (true) {
      Sent ping = pings.removeFirst();
      if (ping.nonce == answeredNonce) {
        return ping.at;
      }
    }
  }

  /** Asks for a position. One too many takes the place of the oldest, as it does at the server. */
  WatchPing ask(Positions.Question question) {
    nonce++;
    if (positions.size() == Positions.MAX_WAITING) {
      positions.removeFirst().question.answer(false);
    }
    positions.addLast(new Asked(nonce, question));
    return WatchPing.newBuilder().setNonce(nonce).setAtLeast(question.position()).build();
  }

  /**
   * Passes on whether a position is reached. False for the heartbeat of any other ping. The server
   * may answer a question that was given up here: it looks for one and has room for others, so its
   * oldest is not the oldest here.
   */
  boolean answerPosition(WatchHeartbeat heartbeat) {
    long told = heartbeat.getNonce();
    for (Iterator<Asked> each = positions.iterator(); each.hasNext(); ) {
      Asked asked = each.next();
      if (asked.nonce == told) {
        each.remove();
        asked.question.answer(heartbeat.getReached());
        return true;
      }
    }
    return heartbeat.hasReached()
        && Long.compareUnsigned(told, nonce) <= 0
        && pings.stream().noneMatch(ping -> ping.nonce == told);
  }

  /** Answers those who wait for a position on a stream that has ended. */
  void giveUp() {
    while (!positions.isEmpty()) {
      positions.removeFirst().question.answer(false);
    }
  }
}
