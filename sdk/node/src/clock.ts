import { performance } from "node:perf_hooks";

/** Where a verifier gets the time from. Tests pass their own, so that no test of an expiry needs to sleep. */
export interface Clock {
  /** Milliseconds since 1970, for what is compared with times that other machines wrote. */
  wall(): number;
  /** Milliseconds since an arbitrary origin, by a clock that is never set: for how old something is. */
  monotonic(): number;
}

/** The operating system's clocks. */
export const systemClock: Clock = {
  wall: () => Date.now(),
  monotonic: () => performance.now(),
};

/**
 * By how many milliseconds the wall clock may differ from where the monotonic one says that it should be before nothing
 * is known any more. Revocations are remembered for longer than they matter by more than this, so a smaller step does
 * no harm.
 */
export const CLOCK_STEP = 10_000;

/**
 * How old the view of revocations may be. It is proven by a question that was answered and never by a message that
 * arrives: counted from when the last answered question was sent, on the monotonic clock, plus the age that the answer
 * itself had.
 */
export class Freshness {
  /** On the monotonic clock; undefined before the first answer. */
  #knownUpTo: number | undefined;
  /** By how much the wall clock was ahead of the monotonic one when loading began. */
  #offset: number | undefined;

  /**
   * A question that was sent at `sent` has been answered by a server whose own view was at most `age` old, and what it
   * knows is known here. An answer that proves less than an earlier one changes nothing.
   */
  recordAnswer(sent: number, age: number): void {
    this.#knownUpTo = Math.max(this.#knownUpTo ?? -Infinity, sent - age);
  }

  /**
   * Loading begins at this moment of both clocks. What is left out of what is loaded, and what is forgotten later, is
   * decided by the wall clock, so both hold for as long as it goes on from here without a step.
   */
  anchor(wall: number, monotonic: number): void {
    this.#offset = wall - monotonic;
  }

  /** By how much the wall clock differs from where it should be by the monotonic one; 0 before loading began. */
  drift(wall: number, monotonic: number): number {
    return this.#offset === undefined ? 0 : Math.abs(wall - monotonic - this.#offset);
  }

  /** Everything must be loaded again. */
  invalidate(): void {
    this.#knownUpTo = undefined;
  }

  /**
   * How old the view is at most. Undefined when nothing was loaded, or when the wall clock has stepped by more than
   * `CLOCK_STEP` since loading began.
   */
  staleness(wall: number, monotonic: number): number | undefined {
    if (this.#knownUpTo === undefined || this.drift(wall, monotonic) > CLOCK_STEP) {
      return undefined;
    }
    return Math.max(monotonic - this.#knownUpTo, 0);
  }
}
