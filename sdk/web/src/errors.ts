/** Why a session is over. Each of them is definitive: nothing but a new login helps. */
export type LogoutReason =
  /** The user logged out, in this tab or in another one. */
  | "LOGGED_OUT"
  /** Another user logged in, in another tab of this browser. */
  | "SESSION_REPLACED"
  | EndingReason;

/** The reasons with which the server ends a session (docs/errors.md). */
export type EndingReason =
  /** The refresh cookie is gone: it has expired, or somebody deleted it. */
  | "TOKEN_MISSING"
  | "REFRESH_TOKEN_INVALID"
  | "REFRESH_TOKEN_EXPIRED"
  | "REFRESH_TOKEN_REUSED"
  | "SESSION_REVOKED";

const ENDING: ReadonlySet<string> = new Set<EndingReason>([
  "TOKEN_MISSING",
  "REFRESH_TOKEN_INVALID",
  "REFRESH_TOKEN_EXPIRED",
  "REFRESH_TOKEN_REUSED",
  "SESSION_REVOKED",
]);

/** Whether this reason ends a session. A reason that is not known here never does. */
export function endsSession(reason: string | undefined): reason is EndingReason {
  return reason !== undefined && ENDING.has(reason);
}

/** What ended a session, where the server says it (docs/errors.md, `SESSION_REVOKED`). */
export type EndCause =
  /** The user logged out of this session elsewhere. */
  | "LOGGED_OUT"
  /** The user logged out everywhere. */
  | "LOGGED_OUT_EVERYWHERE"
  /** The password was changed, by the user or by an administrator. */
  | "PASSWORD_CHANGED"
  /** A newer session took its place, because the user had as many as they may. */
  | "SIGNED_IN_ELSEWHERE"
  /** An administrator ended it. */
  | "REVOKED_BY_ADMINISTRATOR"
  /** The user was disabled. */
  | "USER_DISABLED"
  /** The user was deleted. */
  | "USER_DELETED"
  /** An old refresh token was used: two parties held the session. */
  | "TOKEN_REUSED";

const END_CAUSES: ReadonlySet<unknown> = new Set<EndCause>([
  "LOGGED_OUT",
  "LOGGED_OUT_EVERYWHERE",
  "PASSWORD_CHANGED",
  "SIGNED_IN_ELSEWHERE",
  "REVOKED_BY_ADMINISTRATOR",
  "USER_DISABLED",
  "USER_DELETED",
  "TOKEN_REUSED",
]);

/** The cause with this name; undefined for one that is not known here, such as a newer server's. */
export function endCauseOf(name: unknown): EndCause | undefined {
  return END_CAUSES.has(name) ? (name as EndCause) : undefined;
}

/** One field that the server refused, and why. */
export interface FieldViolation {
  /** The field as the contract names it; empty for the request as a whole. */
  readonly field: string;
  /** For people. */
  readonly description: string;
}

/** What the server said beside the message. */
export interface ErrorFacts {
  /** The published reason, such as `INVALID_CREDENTIALS`; missing when no server answered. */
  readonly reason?: string | undefined;
  /** The reason's stable number. */
  readonly code?: number | undefined;
  /** The HTTP status. */
  readonly status?: number | undefined;
  /** In how many milliseconds trying again may help. */
  readonly retryAfter?: number | undefined;
  /** Which fields were refused. */
  readonly violations?: readonly FieldViolation[] | undefined;
  /** What ended the session. */
  readonly endCause?: EndCause | undefined;
  /** What lies beneath. */
  readonly cause?: unknown;
}

/** The ancestor of every error that this package throws. */
export class AuthError extends Error {
  override readonly name: string = "AuthError";
  /** The published reason, such as `INVALID_CREDENTIALS`; undefined when no server answered. */
  readonly reason: string | undefined;
  /** The reason's stable number. */
  readonly code: number | undefined;
  /** The HTTP status. */
  readonly status: number | undefined;
  /** In how many milliseconds trying again may help. */
  readonly retryAfter: number | undefined;

  constructor(message: string, facts: ErrorFacts = {}) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.reason = facts.reason;
    this.code = facts.code;
    this.status = facts.status;
    this.retryAfter = facts.retryAfter;
  }
}

/** Wrong password, unknown user or disabled user; which of them is not told. */
export class InvalidCredentialsError extends AuthError {
  override readonly name = "InvalidCredentialsError";
}

/** The request breaks the contract. Repeating it unchanged never helps. */
export class InvalidRequestError extends AuthError {
  override readonly name = "InvalidRequestError";
  /** Which fields, and what is wrong with them. */
  readonly violations: readonly FieldViolation[];

  constructor(message: string, facts: ErrorFacts = {}) {
    super(message, facts);
    this.violations = facts.violations ?? [];
  }
}

/** What was to become a password is not good enough. `violations` says why, for people. */
export class PasswordRejectedError extends AuthError {
  override readonly name = "PasswordRejectedError";
  /** Why, as sentences. */
  readonly violations: readonly FieldViolation[];

  constructor(message: string, facts: ErrorFacts = {}) {
    super(message, facts);
    this.violations = facts.violations ?? [];
  }
}

/** Too many attempts, or too many at once. `retryAfter` says when another one may help. */
export class RateLimitedError extends AuthError {
  override readonly name = "RateLimitedError";
}

/** There is no session, or it has ended. */
export class LoggedOutError extends AuthError {
  override readonly name = "LoggedOutError";
  /** How it ended; null when there was none. */
  readonly logoutReason: LogoutReason | null;
  /** What ended it, where the server says so. */
  readonly endCause: EndCause | undefined;

  constructor(reason: LogoutReason | null, facts: ErrorFacts = {}) {
    super(reason === null ? "Nobody is logged in." : `The session has ended: ${reason}.`, facts);
    this.logoutReason = reason;
    this.endCause = facts.endCause;
  }
}

/** The server could not be asked, or could not say. This is never news about the session: it goes on. */
export class UnavailableError extends AuthError {
  override readonly name = "UnavailableError";
}

/** What answered does not speak the contract: a wrong `baseUrl`, or something between that meddles. */
export class ProtocolError extends AuthError {
  override readonly name = "ProtocolError";
}

/** The client was closed. */
export class ClosedError extends AuthError {
  override readonly name = "ClosedError";

  constructor() {
    super("The client was closed.");
  }
}
