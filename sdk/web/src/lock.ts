import type { Environment, Locks } from "./environment.js";
import { Timer } from "./wait.js";

/**
 * Runs under a lock that the tabs of one origin share, so that usually only one of them refreshes.
 *
 * The lock saves requests; it does not keep anyone logged in, for the server's grace does that. So it is waited for
 * only shortly: its holder may be a tab that the browser has frozen, which nothing can make let go. `run` is told
 * whether another tab held it before, since that one may have done the work.
 */
export async function underLock<T>(
  environment: Environment,
  name: string,
  longestWait: number,
  run: (waited: boolean) => Promise<T>,
): Promise<T> {
  const { locks } = environment;
  if (!locks) return run(false);
  let running: Promise<T> | undefined;
  const start = (waited: boolean): Promise<T> => (running = run(waited));
  try {
    if (await heldWhileFree(locks, name, start)) return await running!;
    return await heldAfterWait(environment, locks, name, longestWait, start);
  } catch {
    // Its own failure is told by `running`. Anything else is the lock's: not granted in time, taken away, or not
    // to be had in this context.
    return running ?? run(false);
  }
}

/** Runs if the lock is free, and says whether it was. */
function heldWhileFree<T>(locks: Locks, name: string, start: (waited: boolean) => Promise<T>): Promise<boolean> {
  return locks.request(name, { ifAvailable: true }, async (lock) => {
    if (lock !== null) await start(false);
    return lock !== null;
  });
}

async function heldAfterWait<T>(
  environment: Environment,
  locks: Locks,
  name: string,
  longestWait: number,
  start: (waited: boolean) => Promise<T>,
): Promise<T> {
  const giveUp = new AbortController();
  const timer = new Timer(environment);
  timer.start(longestWait, () => giveUp.abort());
  try {
    return await locks.request(name, { signal: giveUp.signal }, () => {
      timer.stop();
      return start(true);
    });
  } finally {
    timer.stop();
  }
}
