import { STATUS_CODES } from "node:http";
import type { Verification } from "./token.js";

/** Why a request is not let in. */
export type Refusal =
  /** It brings no access token. */
  | { readonly outcome: "missing" }
  /** Its caller has not the role that is asked for. */
  | { readonly outcome: "role"; readonly role: string }
  | Exclude<Verification, { outcome: "verified" }>;

/** When to try again where nothing can be known about a token, in seconds. */
const RETRY_AFTER = 1;

/** A refusal's name in the catalogue of reasons (docs/errors.md). */
export function reasonOf(refusal: Refusal): string {
  switch (refusal.outcome) {
    case "missing":
      return "TOKEN_MISSING";
    case "role":
      return "ROLE_REQUIRED";
    case "invalid":
      switch (refusal.reason) {
        case "EXPIRED":
          return "ACCESS_TOKEN_EXPIRED";
        case "REVOKED":
          return "SESSION_REVOKED";
        default:
          return "ACCESS_TOKEN_INVALID";
      }
    default:
      return "REVOCATIONS_STALE";
  }
}

/** How a refusal is told over HTTP. */
export interface Problem {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** A problem (RFC 9457). */
  readonly body: { readonly type: string; readonly title: string; readonly status: number; readonly reason: string };
}

/**
 * How a refusal is told over HTTP, as the server's own HTTP edge does it: a problem (RFC 9457) with the reason,
 * `WWW-Authenticate` (RFC 6750) with 401 and `Retry-After` with 503.
 */
export function problemOf(refusal: Refusal): Problem {
  const { status, headers } = statusOf(refusal);
  return {
    status,
    headers: { ...headers, "content-type": "application/problem+json", "cache-control": "no-store" },
    body: { type: "about:blank", title: STATUS_CODES[status] ?? "", status, reason: reasonOf(refusal) },
  };
}

function statusOf(refusal: Refusal): { status: number; headers: Record<string, string> } {
  switch (refusal.outcome) {
    case "missing":
      return { status: 401, headers: { "www-authenticate": "Bearer" } };
    case "invalid":
      return { status: 401, headers: { "www-authenticate": 'Bearer error="invalid_token"' } };
    case "role":
      return { status: 403, headers: {} };
    default:
      return { status: 503, headers: { "retry-after": String(RETRY_AFTER) } };
  }
}
