import type { Environment } from "./environment.js";
import { RateLimitedError, UnavailableError } from "./errors.js";
import { sleep } from "./wait.js";

const FIRST_PAUSE = 250;
const LONGEST_PAUSE = 8_000;

/**
 * How long to wait before attempt `failures + 1`, in milliseconds: at least what the server asked for; beyond it
 * exponential, half of it at random, so that the tabs and users of one outage do not come back together.
 */
export function pauseAfter(failures: number, retryAfter: number | undefined, random: number): number {
  const backOff = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** Math.max(0, failures - 1));
  const spread = backOff * (0.5 + random / 2);
  return retryAfter === undefined ? spread : retryAfter + Math.min(spread, 1_000);
}

/** Whether trying again may help: the server could not be asked, could not say, or asked for patience. */
export function isTemporary(error: unknown): error is UnavailableError | RateLimitedError {
  return error instanceof UnavailableError || error instanceof RateLimitedError;
}

/**
 * Repeats what fails for a while, and gives up with the last failure when the next pause would pass the deadline.
 * `wake()` gives a signal that ends a pause early: something happened that makes the next attempt worthwhile.
 */
export async function retrying<T>(
  environment: Environment,
  deadline: number,
  signal: AbortSignal,
  wake: () => AbortSignal | undefined,
  attempt: () => Promise<T>,
): Promise<T> {
  const end = environment.now() + deadline;
  for (let failures = 1; ; failures += 1) {
    try {
      return await attempt();
    } catch (error) {
      signal.throwIfAborted();
      if (!isTemporary(error)) throw error;
      const pause = pauseAfter(failures, error.retryAfter, environment.random());
      if (environment.now() + pause >= end) throw error;
      await sleep(environment, pause, signal, wake());
    }
  }
}
