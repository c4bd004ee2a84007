/** What every answer looks like, with HTTP 200. */
export const success = (data: unknown = {}) => ({ code: 0, message: "ok", data, timestamp: Date.now() });

export const failure = (code: number, message: string) => ({ code, message, data: null, timestamp: Date.now() });
