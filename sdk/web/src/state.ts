import type { EndCause, LogoutReason } from "./errors.js";
import type { HeldToken } from "./token.js";

/** What this tab knows of the session. */
export type Held =
  /** Nothing yet: the page was just loaded, and the refresh cookie cannot be seen from script. */
  | { readonly status: "unknown" }
  | { readonly status: "logged-in"; readonly token: HeldToken }
  | {
      readonly status: "logged-out";
      /** Null when there was no session in the first place. */
      readonly reason: LogoutReason | null;
      readonly endCause: EndCause | undefined;
      /** The session that ended: late news of it is no news. */
      readonly sessionId: string | undefined;
    };

/** What to do with a token that came from another tab, or from a refresh. */
export type Arrival = "take" | "ignore" | "replace";

/**
 * `replace` means that the browser now holds a session of another user: whatever this tab shows is no longer its
 * own. Of two tokens of one session the one that expires later, by the server's clock, is the newer.
 */
export function judgeArrival(held: Held, token: HeldToken, login: boolean): Arrival {
  switch (held.status) {
    case "unknown":
      return "take";
    case "logged-out":
      return held.sessionId !== undefined && held.sessionId === token.sessionId ? "ignore" : "take";
    case "logged-in": {
      if (held.token.subject !== token.subject) return "replace";
      if (login || held.token.sessionId !== token.sessionId) return "take";
      return token.serverExpiry >= held.token.serverExpiry ? "take" : "ignore";
    }
  }
}

/** Whether the news that a session has ended concerns this tab. */
export function endConcerns(held: Held, sessionId: string | undefined): boolean {
  if (held.status !== "logged-in") return false;
  return sessionId === undefined || held.token.sessionId === undefined || sessionId === held.token.sessionId;
}
