import { callSafely } from "./safely.js";

/** Where a verifier says that the stream was lost and that keys changed. `console` is one. No token is ever logged. */
export interface Logger {
  debug(message: string, details?: object): void;
  info(message: string, details?: object): void;
  warn(message: string, details?: object): void;
}

/** Warnings go to `console`, and nothing else. */
export const defaultLogger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: (message, details) => {
    console.warn(message, ...(details === undefined ? [] : [details]));
  },
};

/**
 * One that goes on where `logger` throws, or returns a promise that is rejected: a defect of a log must not end the
 * stream of revocations. There is nowhere to say it.
 */
export function neverThrowing(logger: Logger): Logger {
  const guarded =
    (level: keyof Logger) =>
    (...said: [string, object?]): void =>
      callSafely(
        () => logger[level](...said),
        () => undefined,
      );
  return { debug: guarded("debug"), info: guarded("info"), warn: guarded("warn") };
}
