/** A custom claim's value. An integer that a `number` cannot hold exactly is a `bigint`. */
export type ClaimValue =
  | string
  | number
  | bigint
  | boolean
  | null
  | readonly ClaimValue[]
  | { readonly [name: string]: ClaimValue };

/** What the subject of a token is: a user, who has logged in, or a service account (RFC 6749 section 4.4). */
export type SubjectKind = "user" | "service";

/** What {@link Token} is made of. */
export interface TokenFields {
  readonly subject: string;
  readonly subjectKind?: SubjectKind | undefined;
  readonly username: string;
  readonly externalId?: string | undefined;
  readonly sessionId: string;
  readonly roles: readonly string[];
  readonly audiences: readonly string[];
  readonly tokenId: string;
  readonly issuedAt: number;
  readonly expiresAt: number;
  readonly authTime: number;
  readonly amr: readonly string[];
  readonly epoch: bigint;
  readonly sessionExpiresAt: number;
  readonly customClaims: { readonly [name: string]: ClaimValue };
}

/** Who is calling: an access token that passed every check. It is shared between requests and must not be changed. */
export class Token implements TokenFields {
  /** The id of the user or the service account, a UUID (claim `sub`). */
  readonly subject: string;
  /** Which of the two it is. A handler that expects a person must look here. */
  readonly subjectKind: SubjectKind;
  /** The subject's name when the token was made. */
  readonly username: string;
  /** What the user is called in another system (claim `ext`); undefined where that is not known. */
  readonly externalId: string | undefined;
  /** The session that the token belongs to (claim `sid`). */
  readonly sessionId: string;
  /** What the user may do. */
  readonly roles: readonly string[];
  /** The services that the token is meant for. One of those that were expected is among them. */
  readonly audiences: readonly string[];
  /** The token's own name (claim `jti`). */
  readonly tokenId: string;
  /** When the token was made, in seconds since 1970, as the other times here (claim `iat`). */
  readonly issuedAt: number;
  /** The first second in which the token is not accepted any more (claim `exp`). */
  readonly expiresAt: number;
  /** When the user last proved who they are (claim `auth_time`). */
  readonly authTime: number;
  /** How they proved it (RFC 8176). */
  readonly amr: readonly string[];
  /** The user's epoch that the session began in. Every revocation of all sessions of a user raises it. 64 bits. */
  readonly epoch: bigint;
  /** When the session ends whatever happens (claim `sxp`). */
  readonly sessionExpiresAt: number;
  /** The operator's own claims. The objects have no prototype. */
  readonly customClaims: { readonly [name: string]: ClaimValue };

  constructor(fields: TokenFields) {
    this.subject = fields.subject;
    this.subjectKind = fields.subjectKind ?? "user";
    this.username = fields.username;
    this.externalId = fields.externalId;
    this.sessionId = fields.sessionId;
    this.roles = Object.freeze([...fields.roles]);
    this.audiences = Object.freeze([...fields.audiences]);
    this.tokenId = fields.tokenId;
    this.issuedAt = fields.issuedAt;
    this.expiresAt = fields.expiresAt;
    this.authTime = fields.authTime;
    this.amr = Object.freeze([...fields.amr]);
    this.epoch = fields.epoch;
    this.sessionExpiresAt = fields.sessionExpiresAt;
    this.customClaims = fields.customClaims;
    Object.freeze(this);
  }

  /** Whether `role` is one of the token's roles. */
  hasRole(role: string): boolean {
    return this.roles.includes(role);
  }

  /** For `JSON.stringify`, which cannot write a `bigint`: such numbers are written as text. */
  toJSON(): Record<string, unknown> {
    return JSON.parse(
      JSON.stringify({ ...this }, (_name, value: unknown) => (typeof value === "bigint" ? value.toString() : value)),
    ) as Record<string, unknown>;
  }
}

/**
 * Why an access token is not accepted. The names are those that `VerifyAccessToken` publishes. A token with several
 * defects has the reason of the first check that fails.
 */
export type InvalidReason =
  /** `exp` has come. Refresh. */
  | "EXPIRED"
  /** `iat` or `nbf` lies further ahead than two machines' clocks may differ. */
  | "NOT_YET_VALID"
  /** It is not a token that Countersign could have made. A refresh token is this. */
  | "MALFORMED"
  /** The key that `kid` names did not sign it, or `alg` is not that key's algorithm. */
  | "BAD_SIGNATURE"
  /** It names no key that is trusted. */
  | "UNKNOWN_KEY"
  /** It is meant for other services. */
  | "WRONG_AUDIENCE"
  /** Another issuer made it. */
  | "WRONG_ISSUER"
  /** Its `typ` does not say that it is an access token (RFC 9068). */
  | "WRONG_TYPE"
  /** Its session, or every session of its user, was revoked. */
  | "REVOKED";

/**
 * What is known of an access token. Only `verified` has a token, so that code that forgets to look at the outcome has
 * nobody to let in.
 */
export type Verification =
  /** Who is calling. */
  | { readonly outcome: "verified"; readonly token: Token }
  /** The token must be refused, and why. */
  | { readonly outcome: "invalid"; readonly reason: InvalidReason }
  /** It cannot be known now. Ask the caller to try again; never log a user out for it. */
  | Unknown;

/** It cannot be known at the moment whether an access token is still good. This says nothing about the token. */
export interface Unknown {
  readonly outcome: "unknown";
  /**
   * How old the view of revocations is, in milliseconds; undefined while nothing is loaded, and after the wall clock
   * was set.
   */
  readonly staleness: number | undefined;
  /** Why the server did not answer, where it was asked. */
  readonly cause?: unknown;
}
