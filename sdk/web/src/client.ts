import { browserEnvironment, type Environment } from "./environment.js";
import { AuthenticatedFetch } from "./authenticated-fetch.js";
import { Edge } from "./edge.js";
import type { EndCause, LogoutReason } from "./errors.js";
import type { OwnSession } from "./own-session.js";
import { readSession, type Session } from "./session.js";
import { SessionKeeper, type ChangeCause, type Limits } from "./session-keeper.js";
import { Timekeeper } from "./timekeeper.js";
import { withDeadline } from "./wait.js";

/** How the client is set up. Only `baseUrl` is needed; times are milliseconds. */
export interface AuthClientOptions {
  /** Where the edge is, without `/v1/auth`: `https://auth.example.com`, or the page's own origin. */
  readonly baseUrl: string;
  /** Further origins whose requests get the access token. The edge's own and the page's always do. */
  readonly origins?: readonly string[];
  /** The language of error messages, as `Accept-Language`; the browser's own when missing. */
  readonly language?: string;
  /** Ask the server so often whether the session still stands, in one visible tab of all. 0, the default: never. */
  readonly checkEvery?: number;
  /** Refresh ahead of expiry while a tab is visible. Default true. */
  readonly renewAhead?: boolean;
  /** How long one call of the edge may take. Default 8 seconds. */
  readonly callTimeout?: number;
  /** How long a refresh is tried again before whoever waits for it is told. Default 20 seconds. */
  readonly refreshDeadline?: number;
  /** How long another tab's refresh is waited for. Default 1 second. */
  readonly lockWait?: number;
  /** Stands in for parts of the browser: in tests, and to watch or wrap `fetch`. */
  readonly environment?: Partial<Environment>;
}

/** Who logs in. */
export interface LoginRequest {
  readonly username: string;
  readonly password: string;
  /** The services that the access token is meant for; the server's default when missing. */
  readonly audiences?: readonly string[];
  /** A name for this client that the user will recognise in a list of sessions. */
  readonly clientName?: string;
  /**
   * What kind of client this is: one of the classes that the server's `sessions.limits` names, `web` for instance. It
   * bounds how many sessions of the class the user has at once.
   */
  readonly clientClass?: string;
  /** What the captcha's widget gave, when the edge asks for one. */
  readonly captchaResponse?: string;
}

/** What the client knows without asking anyone. */
export type AuthState =
  | { readonly status: "unknown" }
  | {
      readonly status: "logged-out";
      readonly reason: LogoutReason | null;
      /** What ended the session, where the server says so. */
      readonly endCause: EndCause | undefined;
    }
  | {
      readonly status: "logged-in";
      readonly accessToken: string;
      /** Milliseconds until it expires, by the server's word and a monotonic clock. */
      readonly expiresIn: number;
      readonly sessionId: string | undefined;
      readonly subject: string | undefined;
    };

export type { ChangeCause };

/** A login, kept alive. One for each page; `close()` it when the page outlives it. */
export interface AuthClient {
  /** Begins a session. Tried once: rejects with `InvalidCredentialsError`, `RateLimitedError` and so on. */
  login(request: LoginRequest): Promise<void>;
  /**
   * Ends the session, everywhere if asked to, in every tab. Rejects when the server cannot be told: the session then
   * goes on, for to say otherwise would be untrue.
   */
  logout(options?: { readonly everywhere?: boolean }): Promise<void>;
  /**
   * Changes the password. Every session of the user ends by it, but for the one that this browser goes on with. Tried
   * once: rejects with `InvalidCredentialsError` when the current password is another, `PasswordRejectedError` when the
   * new one is not good enough, `RateLimitedError` after too many guesses. After an `UnavailableError` it is not known
   * whether it was changed: if it was, the session has ended, and the user logs in with the new password.
   */
  changePassword(currentPassword: string, newPassword: string): Promise<void>;
  /**
   * Sets another password by the token that the user was sent; they log in with it then. Tried once: rejects with an
   * `AuthError` of the reason `RESET_TOKEN_INVALID` when the token is not good any more, and with
   * `PasswordRejectedError`.
   */
  resetPassword(resetToken: string, newPassword: string): Promise<void>;
  /** Where the user is logged in, the newest login first. */
  sessions(): Promise<readonly OwnSession[]>;
  /** Ends one of the user's sessions; the one of this browser as `logout` would. Answers whether it was alive. */
  endSession(id: string): Promise<boolean>;
  /** Ends every session of the user but the one of this browser. Answers how many they were. */
  endOtherSessions(): Promise<number>;
  /** Who is logged in, asked from the server; null when nobody is. After a page load this finds the session again. */
  session(): Promise<Session | null>;
  /**
   * As the browser's `fetch`, with the access token. A 401 is answered by one refresh and one replay. Rejects with
   * `LoggedOutError` when there is no session, and with `UnavailableError` when it cannot be renewed just now.
   */
  fetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response>;
  /** Refreshes now, for example after the user was given another role. */
  refresh(): Promise<void>;
  /**
   * An access token to use now, for those who send requests in another way. After a 401 pass the token as `refused`:
   * the answer is another one, or the same again when no better one is to be had. When a replay was refused, pass
   * its token with `replayed`, so that an API which refuses everything does not cause a refresh for every request.
   */
  accessToken(options?: { readonly refused?: string; readonly replayed?: boolean }): Promise<string>;
  /** Whether requests to this address get the access token. */
  attachesTo(url: string | URL): boolean;
  /** What is known without asking. */
  readonly state: AuthState;
  /**
   * Calls once for each session that ends, whichever tab ended it, with what ended it where the server says so. Answers
   * how to stop.
   */
  onLoggedOut(listener: (reason: LogoutReason, endCause: EndCause | undefined) => void): () => void;
  /** Calls after every change of `state`. Answers how to stop. */
  onChange(listener: (state: AuthState, cause: ChangeCause) => void): () => void;
  /** Stops every timer, listener and request. Whoever waits gets a `ClosedError`. The session is left alone. */
  close(): void;
}

/** Makes the client. Nothing goes over the wire until it is used. */
export function createAuthClient(options: AuthClientOptions): AuthClient {
  const environment = { ...browserEnvironment(), ...options.environment };
  const edge = new Edge(environment, options.baseUrl, options.language);
  const limits: Limits = {
    callTimeout: options.callTimeout ?? 8_000,
    refreshDeadline: options.refreshDeadline ?? 20_000,
    lockWait: options.lockWait ?? 1_000,
  };
  const keeper = new SessionKeeper(environment, edge, options.baseUrl, limits);
  const authenticated = new AuthenticatedFetch(environment, keeper, options.baseUrl, options.origins ?? []);
  const session = (): Promise<Session | null> => askWho(environment, keeper, authenticated, edge, limits);
  const timekeeper = new Timekeeper(environment, keeper, {
    renewAhead: options.renewAhead ?? true,
    checkEvery: options.checkEvery ?? 0,
    check: session,
  });
  return {
    login: (request) => keeper.login(loginBody(request), captchaHeader(request.captchaResponse)),
    logout: (how) => keeper.logout(how?.everywhere ?? false),
    changePassword: (currentPassword, newPassword) => keeper.changePassword(currentPassword, newPassword),
    resetPassword: async (resetToken, newPassword) => {
      const body = { resetToken, newPassword };
      const { callTimeout: deadline } = limits;
      await edge.call("/v1/auth/password/reset", { body, deadline, signal: keeper.life });
    },
    sessions: () => keeper.sessions(),
    endSession: async (id) => (await keeper.endSessions(id)) > 0,
    endOtherSessions: () => keeper.endSessions("others"),
    session,
    fetch: (input, init) => authenticated.fetch(input, init),
    refresh: async () => void (await keeper.renew()),
    accessToken: async (how) => {
      if (how?.refused !== undefined && how.replayed) keeper.refusedOnReplay(how.refused);
      return (await keeper.token(how?.refused)).accessToken;
    },
    attachesTo: (url) => authenticated.attachesTo(url),
    get state() {
      return stateOf(keeper, environment);
    },
    onLoggedOut: (listener) => keeper.ended.listen(({ reason, endCause }) => listener(reason, endCause)),
    onChange: (listener) => keeper.changed.listen((cause) => listener(stateOf(keeper, environment), cause)),
    close: () => {
      timekeeper.close();
      keeper.close();
    },
  };
}

async function askWho(
  environment: Environment,
  keeper: SessionKeeper,
  authenticated: AuthenticatedFetch,
  edge: Edge,
  limits: Limits,
): Promise<Session | null> {
  if (keeper.isLoggedOut()) return null;
  const deadline = limits.refreshDeadline + limits.callTimeout;
  try {
    return await withDeadline(environment, deadline, keeper.life, async (signal) =>
      readSession(await authenticated.fetch(edge.url("/v1/auth/session"), { cache: "no-store", signal })),
    );
  } catch (error) {
    // Whichever way the session ended, the answer to the question is the same.
    if (keeper.isLoggedOut()) return null;
    throw error;
  }
}

function loginBody(request: LoginRequest): Record<string, unknown> {
  const { username, password, audiences, clientName, clientClass } = request;
  const body: Record<string, unknown> = { username, password };
  if (audiences !== undefined) body["audiences"] = audiences;
  if (clientName !== undefined || clientClass !== undefined) body["client"] = { name: clientName, class: clientClass };
  return body;
}

function captchaHeader(response: string | undefined): Record<string, string> {
  return response === undefined ? {} : { "x-captcha-response": response };
}

function stateOf(keeper: SessionKeeper, environment: Environment): AuthState {
  const { held } = keeper;
  if (held.status === "unknown") return { status: "unknown" };
  if (held.status === "logged-out") return { status: "logged-out", reason: held.reason, endCause: held.endCause };
  const { accessToken, expiresAt, sessionId, subject } = held.token;
  const expiresIn = Math.max(0, expiresAt - environment.now());
  return { status: "logged-in", accessToken, expiresIn, sessionId, subject };
}
