import type { Environment } from "./environment.js";
import { prepare } from "./replay.js";
import type { SessionKeeper } from "./session-keeper.js";
import { orAborted } from "./wait.js";

/** `fetch` with the access token, for the origins that may see it. */
export class AuthenticatedFetch {
  readonly #environment: Environment;
  readonly #keeper: SessionKeeper;
  readonly #origins: ReadonlySet<string>;

  constructor(environment: Environment, keeper: SessionKeeper, baseUrl: string, origins: readonly string[]) {
    this.#environment = environment;
    this.#keeper = keeper;
    const all = [baseUrl, ...origins].map((url) => new URL(url, environment.origin).origin);
    this.#origins = new Set(environment.origin === undefined ? all : [...all, environment.origin]);
  }

  attachesTo(url: string | URL): boolean {
    return this.#origins.has(new URL(url, this.#environment.origin).origin);
  }

  async fetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
    const request = prepare(input, init, this.#environment.origin);
    if (request.authorized || !this.attachesTo(request.url)) return this.#environment.fetch(input, init);
    const token = await orAborted(this.#keeper.token(), request.signal);
    const response = await this.#environment.fetch(request.make(token.accessToken));
    if (response.status !== 401) return response;
    const next = await orAborted(this.#keeper.token(token.accessToken), request.signal);
    if (next.accessToken === token.accessToken || !request.canReplay) return response;
    await response.body?.cancel();
    const replayed = await this.#environment.fetch(request.make(next.accessToken));
    if (replayed.status === 401) this.#keeper.refusedOnReplay(next.accessToken);
    return replayed;
  }
}
