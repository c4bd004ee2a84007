import type { IncomingMessage } from "node:http";
import { bearerToken } from "./bearer.js";
import type { Refusal } from "./refusal.js";
import { setToken, tokenOf } from "./request-token.js";
import type { TokenVerifier } from "./verifier.js";

/**
 * Decides whether a request is let in. Where it is, the request carries who is calling, and the answer is undefined.
 *
 * `raw` is node's own request. A header that is there twice is none: Node would take the first.
 */
export async function admit(
  verifier: TokenVerifier,
  raw: IncomingMessage,
  request: object,
  audiences: readonly string[] | undefined,
): Promise<Refusal | undefined> {
  const token = bearerToken(valuesOf(raw, "authorization"));
  if (token === undefined) {
    return { outcome: "missing" };
  }
  const verification = await verifier.verify(token, { audiences });
  if (verification.outcome !== "verified") {
    return verification;
  }
  setToken(request, verification.token);
  return undefined;
}

function valuesOf(raw: IncomingMessage, name: string): string[] {
  const rawHeaders: readonly string[] = raw.rawHeaders ?? [];
  const values = rawHeaders.filter((_, i) => i % 2 === 1 && rawHeaders[i - 1]!.toLowerCase() === name);
  // Requests that an adapter or a test has made up may have headers alone.
  const value = raw.headers[name];
  return values.length === 0 && typeof value === "string" ? [value] : values;
}

/** Why a caller without this role is not let in, to a handler behind the middleware. */
export function refusalForRole(request: object, role: string): Refusal | undefined {
  const token = tokenOf(request);
  if (token === undefined) {
    return { outcome: "missing" };
  }
  return token.hasRole(role) ? undefined : { outcome: "role", role };
}
