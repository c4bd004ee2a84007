/** A request of the application that goes out with a token, and can perhaps go out again with another one. */
export interface Replayable {
  readonly url: URL;
  /** The caller's own signal. */
  readonly signal: AbortSignal | null;
  /** Whether the caller has set `Authorization`; the request is then none of ours. */
  readonly authorized: boolean;
  /** Whether it can be sent a second time. A body that is a stream is gone after the first. */
  readonly canReplay: boolean;
  /** The request with this token. To be called once, and once more only if it can be replayed. */
  make(accessToken: string): Request;
}

/** Looks at a request without touching its body. Relative addresses are taken from `base`. */
export function prepare(
  input: RequestInfo | URL,
  init: RequestInit | undefined,
  base: string | undefined,
): Replayable {
  const request = input instanceof Request ? input : undefined;
  const url = new URL(request?.url ?? String(input), base);
  const headers = new Headers(init?.headers ?? request?.headers);
  // The body of a Request can be read only once, so that a copy goes out first and the original is kept. (What is
  // sent is kept in memory until then, as it would be if the caller had kept it.)
  const copied = request !== undefined && request.body !== null && init?.body == null;
  let made = false;
  return {
    url,
    signal: init?.signal ?? request?.signal ?? null,
    authorized: headers.has("authorization"),
    canReplay: !isStream(init?.body),
    make(accessToken) {
      const source = copied && !made ? request.clone() : (request ?? url);
      made = true;
      const withToken = new Headers(headers);
      withToken.set("authorization", `Bearer ${accessToken}`);
      return new Request(source, { ...init, headers: withToken });
    },
  };
}

function isStream(body: unknown): boolean {
  return typeof ReadableStream !== "undefined" && body instanceof ReadableStream;
}
