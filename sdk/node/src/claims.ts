import type { Buffer } from "node:buffer";
import { parseSessionId, parseUserId, type Id } from "./id.js";
import { JsonNumber, parseObject, type JsonObject, type JsonValue } from "./strict-json.js";
import { Token, type ClaimValue } from "./token.js";

/** An authentic token: what it says, and the same as numbers for the checks that are made each time. */
export interface Claims {
  readonly issuer: string;
  readonly token: Token;
  /** Milliseconds since 1970, as the two others. */
  readonly issuedAt: number;
  readonly expiresAt: number;
  /** 0 where there is none. */
  readonly notBefore: number;
  readonly subject: Id;
  readonly session: Id;
}

/**
 * Reads the payload of a token strictly: every claim but `nbf` and `ext` must be there and of its one type (RFC 9068
 * section 2.2).
 */
export function parseClaims(payload: Buffer): Claims | undefined {
  const members = parseObject(payload);
  if (members === undefined) {
    return undefined;
  }
  try {
    return readClaims(members);
  } catch (error) {
    if (error === WRONG_CLAIM) {
      return undefined;
    }
    throw error;
  }
}

/** Thrown inside of the reader alone. */
const WRONG_CLAIM = Symbol("a claim is missing or not of its type");

function readClaims(members: JsonObject): Claims {
  const take = (name: string): JsonValue | undefined => {
    const value = members[name];
    delete members[name];
    return value;
  };
  const issuer = text(take("iss"));
  const sub = text(take("sub"));
  // A service account is its own client, and nobody else has one (RFC 9068 section 2.2).
  const isService = "client_id" in members;
  if (isService && take("client_id") !== sub) {
    refuse();
  }
  const audiences = audiencesOf(take("aud"));
  const expiresAt = date(take("exp"));
  const issuedAt = date(take("iat"));
  const notBefore = "nbf" in members ? date(take("nbf")) : 0;
  const tokenId = text(take("jti"));
  const sid = text(take("sid"));
  const username = text(take("username"));
  const externalId = "ext" in members ? text(take("ext")) : undefined;
  const roles = texts(take("roles"));
  const authTime = date(take("auth_time"));
  const amr = texts(take("amr"));
  const epoch = counter(take("epoch"));
  const sessionEnd = date(take("sxp"));
  const subject = parseUserId(sub) ?? refuse();
  const session = parseSessionId(sid) ?? refuse();
  const token = new Token({
    subject: sub,
    subjectKind: isService ? "service" : "user",
    username,
    externalId,
    sessionId: sid,
    roles,
    audiences,
    tokenId,
    issuedAt,
    expiresAt,
    authTime,
    amr,
    epoch,
    sessionExpiresAt: sessionEnd,
    customClaims: customClaims(members),
  });
  return {
    issuer,
    token,
    issuedAt: issuedAt * 1000,
    expiresAt: expiresAt * 1000,
    notBefore: notBefore * 1000,
    subject,
    session,
  };
}

function refuse(): never {
  throw WRONG_CLAIM;
}

/**
 * A string that says something and has no control characters: a NUL would cut it short in whatever is written in C
 * behind us.
 */
function text(value: JsonValue | undefined): string {
  return typeof value === "string" && value !== "" && !/\p{Cc}/u.test(value) ? value : refuse();
}

function texts(value: JsonValue | undefined): string[] {
  return Array.isArray(value) ? value.map((it: JsonValue) => text(it)) : refuse();
}

/** `aud`: one string or an array of them (RFC 7519 section 4.1.3), and never none. */
function audiencesOf(value: JsonValue | undefined): string[] {
  const all = typeof value === "string" ? [text(value)] : texts(value);
  return all.length > 0 ? all : refuse();
}

/** A number that is spelled as digits and nothing else, of at most 64 bits. */
function counter(value: JsonValue | undefined): bigint {
  const digits = value instanceof JsonNumber ? value.text : "";
  const count = /^[0-9]{1,20}$/.test(digits) ? BigInt(digits) : refuse();
  return count < 1n << 64n ? count : refuse();
}

/** The largest number up to which every integer is exact in a float64. */
const LARGEST_EXACT = 1n << 53n;

/**
 * A NumericDate (RFC 7519 section 2): an integer, not before 1970, and exact in a float64, so that every reader sees
 * the same one.
 */
function date(value: JsonValue | undefined): number {
  const seconds = counter(value);
  return seconds <= LARGEST_EXACT ? Number(seconds) : refuse();
}

function customClaims(members: JsonObject): { readonly [name: string]: ClaimValue } {
  const claims = Object.create(null) as Record<string, ClaimValue>;
  for (const [name, value] of Object.entries(members)) {
    claims[name] = customClaim(value);
  }
  return Object.freeze(claims);
}

function customClaim(value: JsonValue): ClaimValue {
  if (value instanceof JsonNumber) {
    const number = Number(value.text);
    return Number.isSafeInteger(number) || !/^-?[0-9]+$/.test(value.text) ? number : BigInt(value.text);
  }
  if (value === null || typeof value !== "object") {
    return value;
  }
  return Array.isArray(value)
    ? Object.freeze(value.map((it: JsonValue) => customClaim(it)))
    : customClaims(value as JsonObject);
}
