package dev.countersign;

import java.util.concurrent.atomic.AtomicLong;

/**
 * How old the view of revocations may be. It is proven by a question that was answered and never by
 * a message that arrives: counted from when the last answered question was sent, on the monotonic
 * clock, plus the age that the answer itself had.
 */
final class Freshness {
  /**
   * By how much the wall clock may differ from where the monotonic one says that it should be
   * before nothing is known any more. Revocations are remembered for longer than they matter by
   * more than this, so a smaller step does no harm.
   */
  static final long CLOCK_STEP_MILLIS = 10_000;

  /** {@link #staleness} where it is not known. */
  static final long UNKNOWN = -1;

  /**
   * Lets times before the clock's own origin be told apart: another's knowledge may be older than
   * this process. In nanoseconds, some 73 years.
   */
  private static final long ORIGIN = 1L << 61;

  /** No load has begun. */
  private static final long UNANCHORED = Long.MIN_VALUE;

  /** In nanoseconds on the monotonic clock since ORIGIN before its own; 0 before the first. */
  private final AtomicLong knownUpTo = new AtomicLong();

  /** By how many milliseconds the wall clock was ahead of the monotonic one when loading began. */
  private volatile long offset = UNANCHORED;

  /**
   * A question that was sent at a time has been answered by a server whose own view was at most so
   * old, and what it knew is known here. An answer that proves less than an earlier one changes
   * nothing.
   */
  void recordAnswer(long sent, long age) {
    long upTo = Math.max(ORIGIN + sent - Math.min(age, ORIGIN), 1);
    knownUpTo.accumulateAndGet(upTo, Math::max);
  }

  /**
   * Loading begins at this moment of both clocks. What is left out of what is loaded, and what is
   * forgotten later, is decided by the wall clock, so both hold for as long as it goes on from here
   * without a step.
   */
  void anchor(long wallMillis, long monotonicNanos) {
    offset = offset(wallMillis, monotonicNanos);
  }

  /**
   * By how many milliseconds the wall clock differs from where it should be by the monotonic one; 0
   * before loading began.
   */
  long drift(long wallMillis, long monotonicNanos) {
    long anchored = offset;
    return anchored == UNANCHORED ? 0 : Math.abs(offset(wallMillis, monotonicNanos) - anchored);
  }

  private static long offset(long wallMillis, long monotonicNanos) {
    return wallMillis - monotonicNanos / 1_000_000;
  }

  /** Everything must be loaded again. */
  void invalidate() {
    knownUpTo.set(0);
  }

  /**
   * How old the view is at most, in nanoseconds. {@link #UNKNOWN} when nothing was loaded, or when
   * the wall clock has stepped since loading began.
   *
   * <p>Ask before the revocations are looked at: what comes in between makes the answer better than
   * was said, and never worse.
   */
  long staleness(long wallMillis, long monotonicNanos) {
    long upTo = knownUpTo.get();
    if (upTo == 0 || drift(wallMillis, monotonicNanos) > CLOCK_STEP_MILLIS) {
      return UNKNOWN;
    }
    return Math.max(ORIGIN + monotonicNanos - upTo, 0);
  }
}
