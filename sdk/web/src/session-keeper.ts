import type { Call, Edge } from "./edge.js";
import type { Channel, Environment } from "./environment.js";
import { ClosedError, LoggedOutError, type EndCause, type LogoutReason } from "./errors.js";
import { Listeners } from "./listeners.js";
import { underLock } from "./lock.js";
import { decodeMessage, encodeMessage, type Message } from "./messages.js";
import { readOwnSessions, readRevoked, type OwnSession } from "./own-session.js";
import { retrying } from "./retry.js";
import { endConcerns, judgeArrival, type Held } from "./state.js";
import type { HeldToken } from "./token.js";
import { readTokens } from "./tokens.js";
import { sleep } from "./wait.js";

/** How long things may take, in milliseconds. */
export interface Limits {
  readonly callTimeout: number;
  readonly refreshDeadline: number;
  readonly lockWait: number;
}

/** The end of a session. */
export interface Ending {
  readonly reason: LogoutReason;
  readonly endCause: EndCause | undefined;
}

/** What changed the state. */
export type ChangeCause = "login" | "refresh" | "other-tab" | "end";

/** The lock may be granted before the news of what its last holder did arrives. */
const NEWS_DELAY = 100;
/** For how long a token that was refused on a replay too is not renewed for further refusals. */
const FUTILE_FOR = 10_000;

/** Holds the access token, renews it, and ends the session: once, and in every tab. */
export class SessionKeeper {
  /** Once for each session that ends. */
  readonly ended = new Listeners<Ending>();
  /** After each change. */
  readonly changed = new Listeners<ChangeCause>();
  /** Another tab has found that this session still stands. */
  readonly checkedElsewhere = new Listeners<void>();

  readonly #environment: Environment;
  readonly #edge: Edge;
  readonly #name: string;
  readonly #limits: Limits;
  readonly #channel: Channel | undefined;
  readonly #life = new AbortController();
  #held: Held = { status: "unknown" };
  /** Ends with the session: what is under way for it must not touch the next one, nor its cookie. */
  #era = new AbortController();
  /** Aborted, and made anew, when another tab's token arrives. */
  #arrival = new AbortController();
  #flight: Promise<HeldToken> | undefined;
  #refusedOnReplay: { readonly accessToken: string; readonly at: number } | undefined;

  constructor(environment: Environment, edge: Edge, baseUrl: string, limits: Limits) {
    this.#environment = environment;
    this.#edge = edge;
    this.#limits = limits;
    this.#name = `countersign:${new URL(baseUrl, environment.origin).href}`;
    this.#channel = environment.openChannel(this.#name, (data) => this.#receive(data));
  }

  get held(): Held {
    return this.#held;
  }

  isLoggedOut(): boolean {
    return this.#held.status === "logged-out";
  }

  /** Aborted by `close()`. */
  get life(): AbortSignal {
    return this.#life.signal;
  }

  async login(body: object, headers: Readonly<Record<string, string>>): Promise<void> {
    this.#life.signal.throwIfAborted();
    // A refresh under way could bring the old session's cookie after the new one's.
    this.#newEra(new LoggedOutError(null));
    const asked = this.#environment.now();
    const { callTimeout: deadline } = this.#limits;
    const answer = await this.#edge.call("/v1/auth/login", { body, headers, deadline, signal: this.#life.signal });
    this.#take(readTokens(answer, asked), "login");
  }

  async logout(everywhere: boolean): Promise<void> {
    const { callTimeout: deadline, refreshDeadline } = this.#limits;
    const signal = this.#life.signal;
    signal.throwIfAborted();
    const body = everywhere ? { everywhere } : {};
    // The cookie names the session; where that is gone, the access token still does.
    const token = this.#current();
    const headers = token === undefined ? {} : { authorization: `Bearer ${token.accessToken}` };
    try {
      await retrying(this.#environment, refreshDeadline, signal, () => undefined, () =>
        this.#edge.call("/v1/auth/logout", { body, headers, deadline, signal, keepalive: true }),
      );
    } catch (error) {
      // A session that has ended already is what was asked for.
      if (!(error instanceof LoggedOutError)) throw error;
    }
    this.#endByUser();
  }

  /**
   * Changes the password. Every session of the user ends by it, this one too, and the answer begins another, so that
   * nobody is logged out of the page where they changed it. Under the lock that refreshes are under: what another tab's
   * refresh would get with the old cookie is the end of its session.
   */
  async changePassword(currentPassword: string, newPassword: string): Promise<void> {
    this.#requireSession();
    await this.#flight?.catch(() => undefined);
    await underLock(this.#environment, this.#name, this.#limits.lockWait, async () => {
      const asked = this.#environment.now();
      const answer = await this.#ask("/v1/auth/password", { body: { currentPassword, newPassword } });
      // A refresh that began meanwhile could bring the old session's end after the new one's beginning.
      this.#newEra(new LoggedOutError("SESSION_REVOKED"));
      this.#take(readTokens(answer, asked), "login");
    });
  }

  /** Calls what needs the refresh cookie, and ends the session here when the server says that it has ended. */
  async #ask(path: string, call: Pick<Call, "method" | "body">): Promise<unknown> {
    this.#requireSession();
    const { callTimeout: deadline } = this.#limits;
    try {
      return await this.#edge.call(path, { ...call, deadline, signal: this.#life.signal });
    } catch (error) {
      if (error instanceof LoggedOutError) this.#endByServer(error);
      throw error;
    }
  }

  /** The user's sessions, as the edge lists them. */
  async sessions(): Promise<readonly OwnSession[]> {
    return readOwnSessions(await this.#ask("/v1/auth/sessions", { method: "GET" }));
  }

  /** Ends one of the user's sessions, or `others`, and answers how many were alive. */
  async endSessions(which: string): Promise<number> {
    const path = `/v1/auth/sessions/${encodeURIComponent(which)}`;
    const revoked = readRevoked(await this.#ask(path, { method: "DELETE" }));
    if (which === this.#current()?.sessionId) this.#endByUser();
    return revoked;
  }

  /**
   * A token to use now. After a refusal another one than that; or that very one, when it was refused on a replay
   * only just now, so that a server that refuses everything does not cause a refresh for every request.
   */
  async token(refused?: string): Promise<HeldToken> {
    this.#life.signal.throwIfAborted();
    const held = this.#held;
    if (held.status === "logged-in") {
      const { token } = held;
      if (token.accessToken !== refused && this.#environment.now() < token.usableUntil) return token;
      if (token.accessToken === refused && this.#isFutile(refused)) return token;
    }
    return this.renew();
  }

  /** Remembers that a new token was refused as the old one was: the fault is not the token's. */
  refusedOnReplay(accessToken: string): void {
    this.#refusedOnReplay = { accessToken, at: this.#environment.now() };
  }

  /** A new token, by one refresh for all who ask while it is under way. */
  async renew(): Promise<HeldToken> {
    this.#requireSession();
    if (this.#flight === undefined) {
      const flight = this.#fly();
      this.#flight = flight;
      const landed = (): void => {
        if (this.#flight === flight) this.#flight = undefined;
      };
      flight.then(landed, landed);
    }
    return this.#flight;
  }

  /** Tells the other tabs that the session still stands, so that they need not ask. */
  tellChecked(): void {
    if (this.#held.status !== "logged-in") return;
    this.#post({ type: "checked", sessionId: this.#held.token.sessionId });
  }

  close(): void {
    const closed = new ClosedError();
    this.#life.abort(closed);
    this.#era.abort(closed);
    this.#channel?.close();
    for (const listeners of [this.ended, this.changed, this.checkedElsewhere]) listeners.clear();
  }

  #fly(): Promise<HeldToken> {
    const era = this.#era.signal;
    const before = this.#current();
    const { refreshDeadline, lockWait } = this.#limits;
    return retrying(this.#environment, refreshDeadline, era, () => this.#arrival.signal, () =>
      underLock(this.#environment, this.#name, lockWait, async (waited) => {
        era.throwIfAborted();
        if (waited && this.#current() === before) {
          await sleep(this.#environment, NEWS_DELAY, era, this.#arrival.signal);
        }
        const arrived = this.#current();
        if (arrived !== undefined && arrived !== before) return arrived;
        return this.#refresh(era);
      }),
    );
  }

  async #refresh(era: AbortSignal): Promise<HeldToken> {
    const asked = this.#environment.now();
    try {
      const { callTimeout: deadline } = this.#limits;
      const answer = await this.#edge.call("/v1/auth/refresh", { body: {}, deadline, signal: era });
      era.throwIfAborted();
      return this.#take(readTokens(answer, asked), "refresh");
    } catch (error) {
      // What the old session's refresh had to say is no news for the one that came after it.
      era.throwIfAborted();
      if (error instanceof LoggedOutError) this.#endByServer(error);
      throw error;
    }
  }

  /** Rejects what needs a session while none can be had. */
  #requireSession(): void {
    this.#life.signal.throwIfAborted();
    const held = this.#held;
    if (held.status === "logged-out") throw new LoggedOutError(held.reason, { endCause: held.endCause });
  }

  #endByUser(): void {
    const sessionId = this.#current()?.sessionId;
    this.#post({ type: "logged-out", reason: "LOGGED_OUT", endCause: undefined, sessionId });
    this.#end(new LoggedOutError("LOGGED_OUT"));
  }

  #endByServer(error: LoggedOutError): void {
    if (this.#held.status === "logged-in" && error.logoutReason !== null) {
      const { sessionId } = this.#held.token;
      this.#post({ type: "logged-out", reason: error.logoutReason, endCause: error.endCause, sessionId });
    }
    this.#end(error);
  }

  #receive(data: unknown): void {
    const message = decodeMessage(data, this.#environment.now());
    switch (message?.type) {
      case "refreshed":
        this.#arrive(message.token, "other-tab", message.login);
        this.#arrival.abort();
        this.#arrival = new AbortController();
        return;
      case "logged-out":
        if (!endConcerns(this.#held, message.sessionId)) return;
        this.#end(new LoggedOutError(message.reason, { endCause: message.endCause }));
        return;
      case "checked":
        if (endConcerns(this.#held, message.sessionId)) this.checkedElsewhere.tell();
        return;
      case undefined:
        return;
    }
  }

  /** Takes a token that the server gave to this tab, and tells the others. */
  #take(token: HeldToken, cause: "login" | "refresh"): HeldToken {
    this.#arrive(token, cause, cause === "login");
    this.#post({ type: "refreshed", token, login: cause === "login" });
    return this.#current() ?? token;
  }

  #arrive(token: HeldToken, cause: ChangeCause, login: boolean): void {
    const arrival = judgeArrival(this.#held, token, login);
    if (arrival === "ignore") return;
    if (arrival === "replace") this.#end(new LoggedOutError("SESSION_REPLACED"));
    this.#held = { status: "logged-in", token };
    this.changed.tell(cause);
  }

  #end(error: LoggedOutError): void {
    const before = this.#held;
    if (before.status === "logged-out") return;
    const sessionId = before.status === "logged-in" ? before.token.sessionId : undefined;
    // A page that was just loaded and finds no session has lost none.
    const none = before.status === "unknown" && error.logoutReason === "TOKEN_MISSING";
    const { logoutReason: reason, endCause } = error;
    this.#held = { status: "logged-out", reason: none ? null : reason, endCause, sessionId };
    this.#newEra(error);
    this.changed.tell("end");
    if (before.status === "logged-in" && reason !== null) this.ended.tell({ reason, endCause });
  }

  #newEra(reason: Error): void {
    this.#era.abort(reason);
    this.#era = new AbortController();
    this.#flight = undefined;
    this.#refusedOnReplay = undefined;
  }

  #current(): HeldToken | undefined {
    return this.#held.status === "logged-in" ? this.#held.token : undefined;
  }

  #isFutile(refused: string): boolean {
    const known = this.#refusedOnReplay;
    return known?.accessToken === refused && this.#environment.now() - known.at < FUTILE_FOR;
  }

  #post(message: Message): void {
    this.#channel?.post(encodeMessage(message, this.#environment.now()));
  }
}
