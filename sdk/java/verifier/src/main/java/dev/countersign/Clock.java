package dev.countersign;

/**
 * Where a {@link Verifier} gets the time from. Tests pass their own, so that no test of an expiry
 * needs to sleep.
 */
public interface Clock {
  /**
   * The wall-clock time, for what is compared with times that other machines wrote.
   *
   * @return milliseconds since 1970
   */
  long wallMillis();

  /**
   * The time that has passed since an arbitrary origin by a clock that is never set, for how old
   * something is.
   *
   * @return nanoseconds, not below 0
   */
  long monotonicNanos();

  /**
   * The operating system's clocks.
   *
   * @return the clock
   */
  static Clock system() {
    long origin = System.nanoTime();
    return new Clock() {
      @Override
      public long wallMillis() {
        return System.currentTimeMillis();
      }

      @Override
      public long monotonicNanos() {
        return System.nanoTime() - origin;
      }
    };
  }
}
