import { readAnswer } from "./edge.js";
import { ProtocolError } from "./errors.js";
import { instantOrUndefined, isObject, stringOrUndefined } from "./token.js";

/** Who is logged in, as the server verified it. */
export interface Session {
  /** The user: a UUID, never reused. */
  readonly subject: string;
  /** What the user is called. */
  readonly username: string;
  /** What the user is called in another system, where that is known. */
  readonly externalId: string | undefined;
  /** Names the session in public. */
  readonly sessionId: string;
  /** What the user may do. */
  readonly roles: readonly string[];
  /** The services that the access token is meant for. */
  readonly audiences: readonly string[];
  /** When the user last proved who they are, by the server's clock; RFC 3339. */
  readonly authTime: string | undefined;
  /** When the access token expires, by the server's clock; RFC 3339. */
  readonly expiresAt: string | undefined;
  /** How the user proved who they are (RFC 8176). */
  readonly amr: readonly string[];
  /** The operator's own claims. */
  readonly customClaims: Readonly<Record<string, unknown>>;
}

/** Reads the answer of `GET /v1/auth/session`. */
export async function readSession(response: Response): Promise<Session> {
  const answer = await readAnswer(response);
  const subject = isObject(answer) ? stringOrUndefined(answer["subject"]) : undefined;
  if (!isObject(answer) || subject === undefined) throw new ProtocolError("The answer names no user.");
  return {
    subject,
    username: stringOrUndefined(answer["username"]) ?? "",
    externalId: stringOrUndefined(answer["externalId"]),
    sessionId: stringOrUndefined(answer["sessionId"]) ?? "",
    roles: strings(answer["roles"]),
    audiences: strings(answer["audiences"]),
    authTime: instantOrUndefined(answer["authTime"]),
    expiresAt: instantOrUndefined(answer["expiresAt"]),
    amr: strings(answer["amr"]),
    customClaims: isObject(answer["customClaims"]) ? answer["customClaims"] : {},
  };
}

function strings(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((entry) => typeof entry === "string") : [];
}
