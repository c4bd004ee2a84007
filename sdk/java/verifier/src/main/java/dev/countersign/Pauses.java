package dev.countersign;

import java.time.Duration;
import java.util.concurrent.ThreadLocalRandom;

/** Pauses that double; each is drawn at random from the upper half of what it may be. */
final class Pauses {
  /** The longest that the first pause can be. */
  static final Duration FIRST = Duration.ofMillis(100);

  private final long longest;
  private long next;

  Pauses(Duration longest) {
    this.longest = longest.toNanos();
    reset();
  }

  /** Begins anew, when things go well. */
  void reset() {
    next = Math.min(FIRST.toNanos(), longest);
  }

  /** The next pause, in nanoseconds. */
  long draw() {
    long upper = next;
    next = Math.min(2 * next, longest);
    return upper / 2 + ThreadLocalRandom.current().nextLong(upper / 2 + 1);
  }
}
