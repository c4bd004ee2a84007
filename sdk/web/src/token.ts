/** What is in an access token. Names and meaning are RFC 7519's and RFC 9068's; times are seconds since 1970. */
export interface AccessTokenClaims {
  readonly iss?: string;
  readonly sub?: string;
  readonly aud?: string | readonly string[];
  readonly exp?: number;
  readonly iat?: number;
  readonly jti?: string;
  readonly sid?: string;
  readonly username?: string;
  /** What the user is called in another system, where that is known. */
  readonly ext?: string;
  readonly roles?: readonly string[];
  readonly auth_time?: number;
  readonly amr?: readonly string[];
  readonly [claim: string]: unknown;
}

/** An access token taken apart, for show. */
export interface DecodedAccessToken {
  readonly header: Readonly<Record<string, unknown>>;
  readonly claims: AccessTokenClaims;
}

/**
 * Takes an access token apart. Nothing is verified, and a browser cannot: decide nothing by it, only show it.
 * Undefined for what is not a JWT.
 */
export function decodeAccessToken(token: string): DecodedAccessToken | undefined {
  const [header, claims, signature] = token.split(".");
  if (header === undefined || claims === undefined || signature === undefined) return undefined;
  try {
    const decoded = { header: decodePart(header), claims: decodePart(claims) };
    return isObject(decoded.header) && isObject(decoded.claims)
      ? (decoded as DecodedAccessToken)
      : undefined;
  } catch {
    return undefined;
  }
}

function decodePart(part: string): unknown {
  const bytes = Uint8Array.from(atob(part.replace(/-/g, "+").replace(/_/g, "/")), (byte) => byte.charCodeAt(0));
  return JSON.parse(new TextDecoder().decode(bytes));
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function stringOrUndefined(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

/** A point in time as RFC 3339 has it, from an edge that writes it so or in milliseconds since 1970 (`edge.times`). */
export function instantOrUndefined(value: unknown): string | undefined {
  // Beyond that there is no date (ECMA-262, "Time Values and Time Range").
  const exists = typeof value === "number" && Math.abs(value) <= 8.64e15;
  return exists ? new Date(value).toISOString() : stringOrUndefined(value);
}

/** An access token as the client keeps it: in memory, and nowhere else. */
export interface HeldToken {
  readonly accessToken: string;
  /** The session's public id, from the claim `sid`. */
  readonly sessionId: string | undefined;
  /** The user, from the claim `sub`. */
  readonly subject: string | undefined;
  /** When it expires by the server's clock, in milliseconds since 1970. Only ever compared with another such. */
  readonly serverExpiry: number;
  /** When it expires by this tab's monotonic clock. */
  readonly expiresAt: number;
  /** From then on it might expire on its way to the server: another one is fetched first. */
  readonly usableUntil: number;
}

/** How long a request may be on its way; of a token that lives very shortly a tenth of its life. */
const TRAVEL_TIME = 1_000;

/** A token that is good for so many more milliseconds. */
export function holdToken(accessToken: string, serverExpiry: number, lifetime: number, now: number): HeldToken {
  const claims = decodeAccessToken(accessToken)?.claims;
  const left = Math.max(0, lifetime);
  return {
    accessToken,
    sessionId: stringOrUndefined(claims?.sid),
    subject: stringOrUndefined(claims?.sub),
    serverExpiry,
    expiresAt: now + left,
    usableUntil: now + left - Math.min(TRAVEL_TIME, left / 10),
  };
}
