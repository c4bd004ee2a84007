import { UnavailableError } from "./errors.js";
import type { Environment } from "./environment.js";

/** What a browser's timer can count to; a longer one would fire at once. */
const LONGEST_TIMER = 2 ** 31 - 1;

/** A timer of any length that is at most one and can be stopped. */
export class Timer {
  readonly #environment: Environment;
  #handle: unknown;
  #set = false;

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  /** Runs once after this many milliseconds, instead of whatever was set before. */
  start(milliseconds: number, run: () => void): void {
    this.stop();
    this.#set = true;
    this.#handle = this.#environment.setTimeout(() => {
      this.#set = false;
      run();
    }, Math.min(Math.max(0, milliseconds), LONGEST_TIMER));
  }

  stop(): void {
    if (!this.#set) return;
    this.#set = false;
    this.#environment.clearTimeout(this.#handle);
  }
}

/** Waits; ends early when `wake` is aborted, and rejects with the signal's reason when `signal` is. */
export function sleep(
  environment: Environment,
  milliseconds: number,
  signal: AbortSignal,
  wake?: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    if (wake?.aborted) return resolve();
    const timer = new Timer(environment);
    const finish = (): void => {
      timer.stop();
      signal.removeEventListener("abort", finish);
      wake?.removeEventListener("abort", finish);
      if (signal.aborted) reject(signal.reason);
      else resolve();
    };
    signal.addEventListener("abort", finish);
    wake?.addEventListener("abort", finish);
    timer.start(milliseconds, finish);
  });
}

/** The promise, or the signal's reason when that is aborted first. The promise itself goes on. */
export function orAborted<T>(promise: Promise<T>, signal: AbortSignal | null | undefined): Promise<T> {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

/** Runs with a signal that is aborted after so many milliseconds, or with the outer one. */
export async function withDeadline<T>(
  environment: Environment,
  milliseconds: number,
  outer: AbortSignal,
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const passOn = (): void => controller.abort(outer.reason);
  if (outer.aborted) passOn();
  outer.addEventListener("abort", passOn);
  const timer = new Timer(environment);
  timer.start(milliseconds, () =>
    controller.abort(new UnavailableError(`No answer within ${milliseconds} ms.`)),
  );
  try {
    return await orAborted(run(controller.signal), controller.signal);
  } finally {
    timer.stop();
    outer.removeEventListener("abort", passOn);
  }
}
