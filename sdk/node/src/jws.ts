import { Buffer } from "node:buffer";
import { parseObject, type JsonObject } from "./strict-json.js";

/**
 * Header parameters that bring a key of their own or change what the bytes mean: `crit` (RFC 7515 section 4.1.11),
 * `b64` (RFC 7797), `zip` and `enc` (RFC 7516), `cty` (a nested JWT, RFC 7519 section 5.2), and the ways to say "verify
 * me with this" (RFC 7515 sections 4.1.2 to 4.1.8). No token of Countersign has one. What is in them is never looked
 * at.
 */
const FORBIDDEN = ["crit", "jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256", "b64", "zip", "enc", "cty"];

/**
 * What a token says of itself. `alg` is good for one comparison with the algorithm of the key, and for nothing else.
 */
export interface JwsHeader {
  readonly typ: string | undefined;
  readonly alg: string;
  readonly kid: string | undefined;
  readonly hasForbidden: boolean;
}

/** A token in compact serialization (RFC 7515 section 7.1), taken apart and not yet trusted. */
export interface Jws {
  readonly header: JwsHeader;
  /** Must not be read before the signature was verified. */
  readonly payload: Buffer;
  /** The first two parts as they were sent: what the signature covers. */
  readonly signingInput: string;
  readonly signature: Buffer;
}

/**
 * Takes a token apart: at most `maxBytes`, exactly three parts, none of them empty, each in the one spelling that
 * base64url gives its bytes.
 */
export function parseJws(token: string, maxBytes: number): Jws | undefined {
  if (token.length > maxBytes) {
    return undefined;
  }
  const first = token.indexOf(".");
  const last = token.lastIndexOf(".");
  if (first < 0 || first === last || token.indexOf(".", first + 1) !== last) {
    return undefined;
  }
  const headerBytes = decodePart(token.slice(0, first));
  const members = headerBytes && parseObject(headerBytes);
  const header = members && readHeader(members);
  if (header === undefined) {
    return undefined;
  }
  const payload = decodePart(token.slice(first + 1, last));
  const signature = decodePart(token.slice(last + 1));
  if (payload === undefined || signature === undefined) {
    return undefined;
  }
  return { header, payload, signingInput: token.slice(0, last), signature };
}

/**
 * Decodes base64url without padding, white space or stray trailing bits. Node's own decoder skips what it does not
 * know, so the bytes must encode to the same text again.
 */
export function decodePart(part: string): Buffer | undefined {
  if (part === "") {
    return undefined;
  }
  const decoded = Buffer.from(part, "base64url");
  return decoded.toString("base64url") === part ? decoded : undefined;
}

function readHeader(members: JsonObject): JwsHeader | undefined {
  const { typ, alg, kid } = members;
  if (typeof alg !== "string" || !isTextIfAny(typ) || !isTextIfAny(kid)) {
    return undefined;
  }
  return { typ, alg, kid, hasForbidden: FORBIDDEN.some((name) => name in members) };
}

function isTextIfAny(value: unknown): value is string | undefined {
  return value === undefined || typeof value === "string";
}

/**
 * Whether `typ` says that it is an access token: a media type, hence without regard to the case of ASCII letters and
 * with `application/` understood where it is left out (RFC 7515 section 4.1.9, RFC 9068 section 4).
 */
export function isAccessToken(header: JwsHeader): boolean {
  return header.typ !== undefined && /^(?:application\/)?at\+jwt$/i.test(header.typ);
}
