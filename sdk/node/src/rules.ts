import { TokenCache } from "./cache.js";
import { parseClaims, type Claims } from "./claims.js";
import { Freshness } from "./clock.js";
import { isAccessToken, parseJws } from "./jws.js";
import { KeySet } from "./key.js";
import { Revocations } from "./revocations.js";
import type { InvalidReason, Verification } from "./token.js";

/** What an access token is held to. */
export interface Rules {
  readonly issuer: string;
  /** The audiences that are expected where a call names none. */
  readonly audiences: readonly string[];
  /** How many milliseconds another machine's clock may be ahead, for `iat` and `nbf`. */
  readonly leeway: number;
  /** The longest token that is looked at. */
  readonly maxTokenBytes: number;
}

/** What is said of a token by itself, without how fresh the revocations are. */
export type Judgement = Exclude<Verification, { outcome: "unknown" }>;

/** The answers that refuse, made once. */
const INVALID = Object.freeze(
  Object.fromEntries(
    (
      [
        "EXPIRED",
        "NOT_YET_VALID",
        "MALFORMED",
        "BAD_SIGNATURE",
        "UNKNOWN_KEY",
        "WRONG_AUDIENCE",
        "WRONG_ISSUER",
        "WRONG_TYPE",
        "REVOKED",
      ] as const
    ).map((reason) => [reason, Object.freeze({ outcome: "invalid", reason })]),
  ),
) as Readonly<Record<InvalidReason, { readonly outcome: "invalid"; readonly reason: InvalidReason }>>;

/** The answer that refuses for this reason. */
export function invalid(reason: InvalidReason): { readonly outcome: "invalid"; readonly reason: InvalidReason } {
  return INVALID[reason];
}

/**
 * Verifies tokens against keys and revocations as they are now, and remembers those whose signature it has checked. It
 * does no I/O.
 */
export class Engine {
  readonly rules: Rules;
  readonly revocations = new Revocations();
  readonly freshness = new Freshness();
  readonly cache: TokenCache;
  #keys = new KeySet();

  constructor(rules: Rules, cachedTokens: number) {
    this.rules = rules;
    this.cache = new TokenCache(cachedTokens);
  }

  /** Trusts these keys and no others. Whether a key was withdrawn by it: then nothing is remembered any more. */
  trust(keys: KeySet): boolean {
    const withdrawn = this.#keys.loses(keys);
    this.#keys = keys;
    if (withdrawn) {
      this.cache.clear();
    }
    return withdrawn;
  }

  /**
   * Decides whether an access token may be used at `now` (milliseconds since 1970) with a service that goes by one of
   * `audiences`, or by one of the rules' own where it names none. The checks, in this order; the first that fails is
   * the answer:
   *
   *  1. size and shape: MALFORMED
   *  2. `typ`: WRONG_TYPE
   *  3. `kid` names a key that is trusted, or UNKNOWN_KEY; and `alg` is the algorithm of exactly that key, or
   *     BAD_SIGNATURE
   *  4. no header parameter that no token of Countersign has: MALFORMED
   *  5. the signature: BAD_SIGNATURE
   *  6. the claims are complete, each of its type: MALFORMED. Nothing of them is read before the signature was verified
   *  7. `iss`: WRONG_ISSUER
   *  8. `aud`: WRONG_AUDIENCE
   *  9. `exp`: EXPIRED
   * 10. `iat`, `nbf`: NOT_YET_VALID
   * 11. the session and the user's epoch: REVOKED
   *
   * A token that is remembered passed 1 to 7, whose outcome does not change for as long as no key is withdrawn.
   */
  verify(token: string, audiences: readonly string[], now: number): Judgement {
    if (typeof token !== "string" || token.length > this.rules.maxTokenBytes) {
      return INVALID.MALFORMED;
    }
    const known = this.cache.get(token);
    if (known !== undefined) {
      const reason = this.#check(known.claims, audiences, now);
      return reason === undefined ? (known.verified as Judgement) : INVALID[reason];
    }
    const claims = this.#authenticate(token);
    if (typeof claims === "string") {
      return INVALID[claims];
    }
    const verified: Judgement = Object.freeze({ outcome: "verified", token: claims.token });
    const reason = this.#check(claims, audiences, now);
    // An expired token never becomes good again; one that is revoked or meant for another may come again.
    if (reason !== "EXPIRED") {
      this.cache.put(token, { claims, verified });
    }
    return reason === undefined ? verified : INVALID[reason];
  }

  /** Makes the checks 1 to 7 of {@link verify}. */
  #authenticate(token: string): Claims | InvalidReason {
    const jws = parseJws(token, this.rules.maxTokenBytes);
    if (jws === undefined) {
      return "MALFORMED";
    }
    const { header } = jws;
    if (!isAccessToken(header)) {
      return "WRONG_TYPE";
    }
    if (header.kid === undefined) {
      return "UNKNOWN_KEY";
    }
    const key = this.#keys.keys.get(header.kid);
    if (key === undefined) {
      return "UNKNOWN_KEY";
    }
    if (header.alg !== key.algorithm) {
      return "BAD_SIGNATURE";
    }
    if (header.hasForbidden) {
      return "MALFORMED";
    }
    if (!key.verify(jws.signingInput, jws.signature)) {
      return "BAD_SIGNATURE";
    }
    const claims = parseClaims(jws.payload);
    if (claims === undefined) {
      return "MALFORMED";
    }
    if (claims.issuer !== this.rules.issuer) {
      return "WRONG_ISSUER";
    }
    return claims;
  }

  /** Makes the checks 8 to 11 of {@link verify}, whose outcome changes with time and with who asks. */
  #check(claims: Claims, audiences: readonly string[], now: number): InvalidReason | undefined {
    const expected = audiences.length === 0 ? this.rules.audiences : audiences;
    if (!claims.token.audiences.some((audience) => expected.includes(audience))) {
      return "WRONG_AUDIENCE";
    }
    // exp is the first moment at which the token is not accepted any more (RFC 7519 section 4.1.4). No clock has leeway
    // here.
    if (now >= claims.expiresAt) {
      return "EXPIRED";
    }
    const latest = now + this.rules.leeway;
    if (claims.issuedAt > latest || claims.notBefore > latest) {
      return "NOT_YET_VALID";
    }
    if (this.revocations.isRevoked(claims.subject, claims.session, claims.token.epoch)) {
      return "REVOKED";
    }
    return undefined;
  }
}
