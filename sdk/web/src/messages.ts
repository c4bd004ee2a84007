import { endCauseOf, type EndCause, type LogoutReason } from "./errors.js";
import { holdToken, isObject, stringOrUndefined, type HeldToken } from "./token.js";

/**
 * What the tabs of one origin tell each other. They share the refresh cookie, and any script of the origin could
 * use it; an access token among them gives nothing away that they could not get for themselves.
 */
export type Message =
  | { readonly type: "refreshed"; readonly token: HeldToken; readonly login: boolean }
  | {
      readonly type: "logged-out";
      readonly reason: LogoutReason;
      readonly endCause: EndCause | undefined;
      readonly sessionId: string | undefined;
    }
  | { readonly type: "checked"; readonly sessionId: string | undefined };

/** Raised when the messages change in a way that an older client in another tab would misread. */
const VERSION = 1;

const LOGOUT_REASONS: Readonly<Record<LogoutReason, true>> = {
  LOGGED_OUT: true,
  SESSION_REPLACED: true,
  TOKEN_MISSING: true,
  REFRESH_TOKEN_INVALID: true,
  REFRESH_TOKEN_EXPIRED: true,
  REFRESH_TOKEN_REUSED: true,
  SESSION_REVOKED: true,
};

/** A message in the form in which it is posted. Clocks of tabs differ, so times go as what is left of them. */
export function encodeMessage(message: Message, now: number): unknown {
  if (message.type !== "refreshed") return { version: VERSION, ...message };
  const { accessToken, serverExpiry, expiresAt } = message.token;
  return {
    version: VERSION,
    type: message.type,
    login: message.login,
    accessToken,
    serverExpiry,
    lifetime: expiresAt - now,
  };
}

/** A message that came; undefined for one that is not understood, such as a newer client's. */
export function decodeMessage(data: unknown, now: number): Message | undefined {
  if (!isObject(data) || data["version"] !== VERSION) return undefined;
  const sessionId = stringOrUndefined(data["sessionId"]);
  switch (data["type"]) {
    case "refreshed": {
      const { accessToken, serverExpiry, lifetime, login } = data;
      if (typeof accessToken !== "string" || typeof serverExpiry !== "number") return undefined;
      if (typeof lifetime !== "number") return undefined;
      const token = holdToken(accessToken, serverExpiry, lifetime, now);
      return { type: "refreshed", token, login: login === true };
    }
    case "logged-out": {
      const reason = stringOrUndefined(data["reason"]);
      if (reason === undefined || !Object.hasOwn(LOGOUT_REASONS, reason)) return undefined;
      const endCause = endCauseOf(data["endCause"]);
      return { type: "logged-out", reason: reason as LogoutReason, endCause, sessionId };
    }
    case "checked":
      return { type: "checked", sessionId };
    default:
      return undefined;
  }
}
