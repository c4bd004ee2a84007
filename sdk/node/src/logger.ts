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
