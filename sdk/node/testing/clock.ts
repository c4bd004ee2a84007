import type { Clock } from "../src/clock.js";

/** A clock that moves only when it is told to. */
export class TestClock implements Clock {
  #wall: number;
  #monotonic = 300_000;

  constructor(wall = Date.now()) {
    this.#wall = wall;
  }

  wall(): number {
    return this.#wall;
  }

  monotonic(): number {
    return this.#monotonic;
  }

  /** Time passes, by both clocks. */
  advance(milliseconds: number): void {
    this.#wall += milliseconds;
    this.#monotonic += milliseconds;
  }

  /** The wall clock alone is set. */
  step(milliseconds: number): void {
    this.#wall += milliseconds;
  }
}
