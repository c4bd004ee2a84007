package dev.countersign;

import java.time.Duration;

/** Checks durations of options. */
final class Durations {
  /** Longer than anything that is waited for, and short enough for every sum. */
  private static final Duration LONGEST = Duration.ofDays(365);

  private Durations() {}

  static Duration positive(String name, Duration value) {
    if (value.isZero()) {
      throw new IllegalArgumentException("countersign: " + name + " is zero");
    }
    return notNegative(name, value);
  }

  static Duration notNegative(String name, Duration value) {
    if (value.isNegative() || value.compareTo(LONGEST) > 0) {
      throw new IllegalArgumentException(
          "countersign: " + name + " is not between 0 and 365 days: " + value);
    }
    return value;
  }
}
