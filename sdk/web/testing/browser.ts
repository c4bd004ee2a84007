import { createAuthClient, type AuthClient, type AuthClientOptions, type Locks } from "@countersign/web";
import { FakeClock } from "./clock.js";
import { FakeServer } from "./server.js";

/** Web Locks as the specification has them, for the one name that is used. */
class FakeLocks {
  #held = false;
  readonly #queue: (() => void)[] = [];

  request<T>(
    _name: string,
    options: { ifAvailable?: true; signal?: AbortSignal },
    run: (lock: object | null) => Promise<T>,
  ): Promise<T> {
    if (options.ifAvailable) return this.#held ? run(null) : this.#hold(run);
    return new Promise((resolve, reject) => {
      const grant = (): void => this.#hold(run).then(resolve, reject) as unknown as void;
      if (!this.#held) return grant();
      this.#queue.push(grant);
      options.signal?.addEventListener("abort", () => {
        const index = this.#queue.indexOf(grant);
        if (index < 0) return;
        this.#queue.splice(index, 1);
        reject(options.signal?.reason);
      });
    });
  }

  async #hold<T>(run: (lock: object) => Promise<T>): Promise<T> {
    this.#held = true;
    try {
      return await run({});
    } finally {
      this.#held = false;
      this.#queue.shift()?.();
    }
  }
}

/** A tab, with the client in it. */
export interface Tab {
  readonly client: AuthClient;
  /** Why it was logged out, each time. */
  readonly logouts: string[];
  /** What ended the sessions, as the page was told. */
  readonly endCauses: (string | undefined)[];
  /** What changed its state, each time. */
  readonly changes: string[];
  hidden: boolean;
  /** Seen again, or back on the network. */
  wake(): void;
}

export const ORIGIN = "https://app.example";

/** A browser with tabs of one origin, one server and one clock. */
export class FakeBrowser {
  readonly clock = new FakeClock();
  readonly server = new FakeServer();
  readonly locks: Locks = new FakeLocks() as Locks;
  random = 0.5;
  readonly #channels = new Set<(message: unknown) => void>();

  tab(options: Partial<AuthClientOptions> = {}): Tab {
    const wakers = new Set<() => void>();
    const tab = {
      logouts: [] as string[],
      endCauses: [] as (string | undefined)[],
      changes: [] as string[],
      hidden: false,
      wake: () => undefined,
    };
    const { environment, ...rest } = options;
    const client = createAuthClient({
      baseUrl: ORIGIN,
      ...rest,
      environment: {
        fetch: this.server.fetch,
        now: () => this.clock.now,
        random: () => this.random,
        setTimeout: (run, milliseconds) => this.clock.setTimeout(run, milliseconds),
        clearTimeout: (timer) => this.clock.clearTimeout(timer),
        locks: this.locks,
        openChannel: (_name, receive) => this.#open(receive),
        hidden: () => tab.hidden,
        onWake: (listener) => {
          wakers.add(listener);
          return () => wakers.delete(listener);
        },
        origin: ORIGIN,
        ...environment,
      },
    });
    client.onLoggedOut((reason, endCause) => {
      tab.logouts.push(reason);
      tab.endCauses.push(endCause);
    });
    client.onChange((_state, cause) => tab.changes.push(cause));
    return Object.assign(tab, { client, wake: () => wakers.forEach((wake) => wake()) });
  }

  /** So many tabs, all logged in. */
  async tabs(count: number, options: Partial<AuthClientOptions> = {}): Promise<Tab[]> {
    const tabs = Array.from({ length: count }, () => this.tab(options));
    await tabs[0]!.client.login({ username: "ada", password: "right" });
    await this.clock.advance(0);
    for (const tab of tabs) tab.changes.length = 0;
    return tabs;
  }

  #open(receive: (message: unknown) => void): { post(message: unknown): void; close(): void } {
    this.#channels.add(receive);
    return {
      post: (message) => {
        const copy: unknown = structuredClone(message);
        for (const other of this.#channels) if (other !== receive) queueMicrotask(() => other(copy));
      },
      close: () => this.#channels.delete(receive),
    };
  }
}
