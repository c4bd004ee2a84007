package dev.countersign;

/**
 * Why an access token is not accepted. The names are those that {@code VerifyAccessToken}
 * publishes. A token with several defects has the reason of the first check that fails.
 */
public enum InvalidReason {
  /** {@code exp} has come. Refresh. */
  EXPIRED,
  /** {@code iat} or {@code nbf} lies further ahead than two machines' clocks may differ. */
  NOT_YET_VALID,
  /** It is not a token that Countersign could have made. A refresh token is this. */
  MALFORMED,
  /** The key that {@code kid} names did not sign it, or {@code alg} is not that key's algorithm. */
  BAD_SIGNATURE,
  /** It names no key that is trusted. */
  UNKNOWN_KEY,
  /** It is meant for other services. */
  WRONG_AUDIENCE,
  /** Another issuer made it. */
  WRONG_ISSUER,
  /** Its {@code typ} does not say that it is an access token (RFC 9068). */
  WRONG_TYPE,
  /** Its session, or every session of its user, was revoked. */
  REVOKED
}
