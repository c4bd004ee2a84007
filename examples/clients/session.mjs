// A client of the edge with tokens in bodies (`edge.refresh_transport = "body"`), for programs that have no browser's
// cookie jar: command lines, desktop and mobile shells, back ends. Node 20 or newer, no dependencies. docs/clients.md
// explains each rule; browsers have @countersign/web (sdk/web), which keeps them, too.

/** The only reasons to forget tokens. On everything else, known or not, keep them. */
const ENDED = new Set([
  "REFRESH_TOKEN_INVALID",
  "REFRESH_TOKEN_EXPIRED",
  "REFRESH_TOKEN_REUSED",
  "SESSION_REVOKED",
]);

/** The session is over: ask for the password. */
export class SessionEnded extends Error {
  constructor(reason) {
    super(`the session has ended: ${reason}`);
    this.reason = reason;
  }
}

/** The edge cannot tell now, or cannot be reached. The tokens are kept: try again later. */
export class Unavailable extends Error {
  constructor(reason, retryAfter) {
    super(`not available: ${reason}`);
    this.reason = reason;
    this.retryAfter = retryAfter;
  }
}

/** The edge says no to this request, and would again. */
export class Refused extends Error {
  constructor(reason, status) {
    super(`refused: ${reason}`);
    this.reason = reason;
    this.status = status;
  }
}

export class Session {
  #edge;
  #store;
  #patience;
  #refreshing;

  /**
   * `store` keeps the tokens for every process that shares the session: `read()` gives them or `undefined`,
   * `write(tokens)` replaces them, with `undefined` to forget them, and `exclusively(work)` runs `work` while no
   * other process does. `patience` is how long a refresh goes on trying, in milliseconds.
   */
  constructor(edge, store, { patience = 30_000 } = {}) {
    this.#edge = edge;
    this.#store = store;
    this.#patience = patience;
  }

  /** A 401 here says that the password is wrong. It must not go through `fetch`, which would refresh. */
  async login(username, password) {
    const { tokens } = await this.#post("login", { username, password });
    await this.#store.exclusively(() => this.#store.write(tokens));
  }

  /** `fetch` with the access token; one refresh and one more try when that is not good any more. */
  async fetch(url, init = {}) {
    const tokens = await this.#store.read();
    if (!tokens) throw new SessionEnded("TOKEN_MISSING");
    const answer = await withToken(url, init, tokens.accessToken);
    if (answer.status !== 401) return answer;
    const { accessToken } = await this.refresh(tokens.accessToken);
    return withToken(url, init, accessToken);
  }

  /** Replaces an access token that was refused. However many callers ask, one request is under way. */
  refresh(stale) {
    this.#refreshing ??= this.#store
      .exclusively(() => this.#refresh(stale))
      .finally(() => (this.#refreshing = undefined));
    return this.#refreshing;
  }

  async logout() {
    await this.#store.exclusively(async () => {
      const tokens = await this.#store.read();
      if (!tokens) return;
      // Until the edge has acknowledged it the session lives on, so the token is kept for another try.
      await this.#post("logout", { refreshToken: tokens.refreshToken });
      await this.#store.write(undefined);
    });
  }

  async #refresh(stale) {
    // Whoever held the lock before may have refreshed: never present a token from memory.
    const tokens = await this.#store.read();
    if (!tokens) throw new SessionEnded("TOKEN_MISSING");
    if (tokens.accessToken !== stale) return tokens;
    const end = Date.now() + this.#patience;
    for (let attempt = 0; ; attempt += 1) {
      try {
        const fresh = (await this.#post("refresh", { refreshToken: tokens.refreshToken })).tokens;
        // Every answer has the refresh token that is to be presented next. Store it before anything uses the other.
        await this.#store.write(fresh);
        return fresh;
      } catch (error) {
        if (error instanceof SessionEnded) await this.#store.write(undefined);
        if (!(error instanceof Unavailable)) throw error;
        // The same token again: the edge answers a repetition with the same successor.
        const pause = error.retryAfter ?? Math.min(250 * 2 ** attempt, 5_000) * (0.5 + Math.random() / 2);
        if (Date.now() + pause > end) throw error;
        await new Promise((resolve) => setTimeout(resolve, pause));
      }
    }
  }

  async #post(method, message) {
    let answer;
    let body;
    try {
      answer = await fetch(`${this.#edge}/v1/auth/${method}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(message),
        signal: AbortSignal.timeout(10_000),
      });
      body = await answer.json();
    } catch (error) {
      // No answer, half of one, or a gateway's page: nothing is known.
      throw new Unavailable(answer ? `HTTP ${answer.status}` : String(error.cause ?? error));
    }
    if (answer.ok) return body;
    const reason = body.reason ?? `HTTP ${answer.status}`;
    if (answer.status === 401 && ENDED.has(reason)) throw new SessionEnded(reason);
    if (answer.status >= 500 || answer.status === 429 || answer.status === 408) {
      const seconds = Number(answer.headers.get("retry-after"));
      throw new Unavailable(reason, seconds > 0 ? seconds * 1_000 : undefined);
    }
    throw new Refused(reason, answer.status);
  }
}

function withToken(url, init, accessToken) {
  const headers = new Headers(init.headers);
  headers.set("authorization", `Bearer ${accessToken}`);
  return fetch(url, { ...init, headers });
}
