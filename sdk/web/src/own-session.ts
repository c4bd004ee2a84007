import { ProtocolError } from "./errors.js";
import { instantOrUndefined, isObject, stringOrUndefined } from "./token.js";

/** One of the user's sessions: a place where they are logged in. */
export interface OwnSession {
  /** Names the session in public. */
  readonly id: string;
  /** Whether it is the one that this browser has. */
  readonly current: boolean;
  /** What its client called itself at the login; empty when it did not. */
  readonly clientName: string;
  /** What kind of client it said that it is; empty when it did not. */
  readonly clientClass: string;
  /** The `User-Agent` of the login. */
  readonly userAgent: string;
  /** The address that the login came from. */
  readonly address: string;
  /** When the login was, by the server's clock; RFC 3339. */
  readonly createdAt: string | undefined;
  /** When it was refreshed last, by the server's clock; RFC 3339. */
  readonly refreshedAt: string | undefined;
  /** When it ends whatever happens, by the server's clock; RFC 3339. */
  readonly expiresAt: string | undefined;
}

/** Reads the answer of `GET /v1/auth/sessions`. */
export function readOwnSessions(answer: unknown): readonly OwnSession[] {
  const current = isObject(answer) ? stringOrUndefined(answer["currentSessionId"]) : undefined;
  if (!isObject(answer) || current === undefined) throw new ProtocolError("The answer is no list of sessions.");
  const list = Array.isArray(answer["sessions"]) ? answer["sessions"].filter(isObject) : [];
  return list.map((session) => {
    const client = isObject(session["client"]) ? session["client"] : {};
    const id = stringOrUndefined(session["id"]) ?? "";
    return {
      id,
      current: id === current,
      clientName: stringOrUndefined(client["name"]) ?? "",
      clientClass: stringOrUndefined(client["class"]) ?? "",
      userAgent: stringOrUndefined(client["userAgent"]) ?? "",
      address: stringOrUndefined(client["address"]) ?? "",
      createdAt: instantOrUndefined(session["createdAt"]),
      refreshedAt: instantOrUndefined(session["refreshedAt"]),
      expiresAt: instantOrUndefined(session["expiresAt"]),
    };
  });
}

/** Reads how many sessions have ended: a number that proto3 JSON leaves out when it is zero. */
export function readRevoked(answer: unknown): number {
  const revoked = isObject(answer) ? (answer["revoked"] ?? 0) : undefined;
  if (typeof revoked !== "number") throw new ProtocolError("The answer does not say how many sessions have ended.");
  return revoked;
}
