/** The part of the Web Locks API that is used. */
export interface Locks {
  /** `run` gets null when `ifAvailable` was asked for and the lock is not free. */
  request<T>(
    name: string,
    options: { ifAvailable: true } | { signal: AbortSignal },
    run: (lock: object | null) => Promise<T>,
  ): Promise<T>;
}

/** A way to the other tabs of the same origin. */
export interface Channel {
  post(message: unknown): void;
  close(): void;
}

/** What the client needs of the world around it. The browser's own by default; tests pass theirs. */
export interface Environment {
  fetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response>;
  /** Milliseconds on a clock that nobody sets. */
  now(): number;
  /** From 0 to below 1. */
  random(): number;
  setTimeout(run: () => void, milliseconds: number): unknown;
  clearTimeout(timer: unknown): void;
  /** Undefined where there are none; then the tabs do without. */
  readonly locks: Locks | undefined;
  openChannel(name: string, receive: (message: unknown) => void): Channel | undefined;
  /** Whether the user cannot see this tab. */
  hidden(): boolean;
  /** Tells when the tab is seen again, or the network is back. Answers how to stop telling. */
  onWake(listener: () => void): () => void;
  /** The origin of the page; undefined outside a browser. */
  readonly origin: string | undefined;
}

/** The browser that this runs in. */
export function browserEnvironment(): Environment {
  return {
    fetch: (input, init) => globalThis.fetch(input, init),
    now: () => performance.now(),
    random: () => Math.random(),
    setTimeout: (run, milliseconds) => globalThis.setTimeout(run, milliseconds),
    clearTimeout: (timer) => globalThis.clearTimeout(timer as number),
    locks: globalThis.navigator?.locks as Locks | undefined,
    openChannel: openBroadcastChannel,
    hidden: () => globalThis.document?.visibilityState === "hidden",
    onWake: listenForWake,
    origin: globalThis.location?.origin,
  };
}

function openBroadcastChannel(name: string, receive: (message: unknown) => void): Channel | undefined {
  if (typeof BroadcastChannel === "undefined") return undefined;
  const channel = new BroadcastChannel(name);
  channel.onmessage = (event) => receive(event.data);
  return { post: (message) => channel.postMessage(message), close: () => channel.close() };
}

function listenForWake(listener: () => void): () => void {
  if (typeof document === "undefined") return () => undefined;
  const seen = (): void => {
    if (document.visibilityState === "visible") listener();
  };
  document.addEventListener("visibilitychange", seen);
  addEventListener("online", listener);
  addEventListener("pageshow", listener);
  return () => {
    document.removeEventListener("visibilitychange", seen);
    removeEventListener("online", listener);
    removeEventListener("pageshow", listener);
  };
}
