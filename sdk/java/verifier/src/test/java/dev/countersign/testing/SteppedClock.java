package dev.countersign.testing;

import dev.countersign.Clock;
import java.time.Duration;
import java.util.concurrent.TimeUnit;

/** A clock that moves only when it is told to. */
public final class SteppedClock implements Clock {
  private long wallMillis;
  private long monotonicNanos = TimeUnit.MINUTES.toNanos(5);

  public SteppedClock(long wallMillis) {
    this.wallMillis = wallMillis;
  }

  @Override
  public synchronized long wallMillis() {
    return wallMillis;
  }

  @Override
  public synchronized long monotonicNanos() {
    return monotonicNanos;
  }

  public synchronized void advance(Duration by) {
    wallMillis += by.toMillis();
    monotonicNanos += by.toNanos();
  }

  public synchronized void stepWallClock(Duration by) {
    wallMillis += by.toMillis();
  }
}
