package dev.countersign;

import java.util.List;

/**
 * Verifies tokens against keys and revocations as they are now, and remembers those whose signature
 * it has checked. It does no I/O. Any number of threads may ask it.
 */
final class Engine {
  /** The longest token that is looked at; no token that Countersign mints is longer. */
  static final int MAX_TOKEN_BYTES = 8192;

  private final String issuer;
  private final List<String> audiences;
  private final long leewayMillis;
  private final int maxTokenBytes;
  private final TokenCache cache;
  private final Revocations revocations = new Revocations();
  private final Freshness freshness = new Freshness();
  private volatile KeySet keys = KeySet.EMPTY;

  Engine(String issuer, List<String> audiences, long leewayMillis, int cachedTokens) {
    this(issuer, audiences, leewayMillis, cachedTokens, MAX_TOKEN_BYTES);
  }

  Engine(
      String issuer,
      List<String> audiences,
      long leewayMillis,
      int cachedTokens,
      int maxTokenBytes) {
    this.issuer = issuer;
    this.audiences = List.copyOf(audiences);
    this.leewayMillis = leewayMillis;
    this.maxTokenBytes = maxTokenBytes;
    cache = new TokenCache(cachedTokens);
  }

  Revocations revocations() {
    return revocations;
  }

  Freshness freshness() {
    return freshness;
  }

  TokenCache cache() {
    return cache;
  }

  KeySet keys() {
    return keys;
  }

  void trust(KeySet next) {
    keys = next;
  }

  /**
   * Decides whether an access token may be used at a time with a service that goes by one of some
   * audiences, or by one of the verifier's own where none is named. The checks, in this order; the
   * first that fails is the answer:
   *
   * <ol>
   *   <li>size and shape: MALFORMED
   *   <li>typ: WRONG_TYPE
   *   <li>kid names a key that is trusted, or UNKNOWN_KEY; and alg is the algorithm of exactly that
   *       key, or BAD_SIGNATURE
   *   <li>no header parameter that no token of Countersign has: MALFORMED
   *   <li>the signature: BAD_SIGNATURE
   *   <li>the claims are complete, each of its type: MALFORMED. Nothing of them is read before the
   *       signature was verified
   *   <li>iss: WRONG_ISSUER
   *   <li>aud: WRONG_AUDIENCE
   *   <li>exp: EXPIRED
   *   <li>iat, nbf: NOT_YET_VALID
   *   <li>the session and the user's epoch: REVOKED
   * </ol>
   *
   * <p>A token that is remembered passed 1 to 7, whose outcome does not change for as long as no
   * key is withdrawn.
   */
  Verification verify(String token, List<String> asked, long nowMillis) {
    if (token.length() > maxTokenBytes) {
      return Verification.Invalid.of(InvalidReason.MALFORMED);
    }
    KeySet trusted = keys;
    byte[] bytes = TokenCache.bytesOf(token);
    long hash = cache.hash(bytes);
    Claims known = cache.get(bytes, hash, trusted.withdrawals());
    if (known != null) {
      InvalidReason reason = check(known, asked, nowMillis);
      return reason == null ? known.verified() : Verification.Invalid.of(reason);
    }
    Claims claims;
    try {
      claims = authenticate(token, trusted);
    } catch (Unauthentic e) {
      return Verification.Invalid.of(e.reason);
    }
    InvalidReason reason = check(claims, asked, nowMillis);
    // An expired token never becomes good again; one that is revoked or meant for another may come
    // again.
    if (reason != InvalidReason.EXPIRED) {
      cache.put(bytes, hash, trusted.withdrawals(), claims, nowMillis);
    }
    return reason == null ? claims.verified() : Verification.Invalid.of(reason);
  }

  /** One of the checks 1 to 7 of verify failed. */
  private static final class Unauthentic extends Exception {
    private final InvalidReason reason;

    Unauthentic(InvalidReason reason) {
      super(null, null, false, false);
      this.reason = reason;
    }
  }

  /** Makes the checks 1 to 7 of verify. */
  private Claims authenticate(String token, KeySet trusted) throws Unauthentic {
    Jws jws = Jws.parse(token, maxTokenBytes);
    require(jws != null, InvalidReason.MALFORMED);
    Jws.Header header = jws.header();
    require(header.isAccessToken(), InvalidReason.WRONG_TYPE);
    require(header.kid() != null, InvalidReason.UNKNOWN_KEY);
    VerificationKey key = trusted.keys().get(header.kid());
    require(key != null, InvalidReason.UNKNOWN_KEY);
    require(header.alg().equals(key.algorithm()), InvalidReason.BAD_SIGNATURE);
    require(!header.hasForbidden(), InvalidReason.MALFORMED);
    require(key.verify(jws.signingInput(), jws.signature()), InvalidReason.BAD_SIGNATURE);
    Claims claims = Claims.parse(jws.payload());
    require(claims != null, InvalidReason.MALFORMED);
    require(claims.issuer().equals(issuer), InvalidReason.WRONG_ISSUER);
    return claims;
  }

  private static void require(boolean holds, InvalidReason otherwise) throws Unauthentic {
    if (!holds) {
      throw new Unauthentic(otherwise);
    }
  }

  /**
   * Makes the checks 8 to 11 of verify, whose outcome changes with time and with who asks. Null
   * where all are passed.
   */
  private InvalidReason check(Claims claims, List<String> asked, long nowMillis) {
    if (!intersect(claims.token().audiences(), asked.isEmpty() ? audiences : asked)) {
      return InvalidReason.WRONG_AUDIENCE;
    }
    // exp is the first moment at which the token is not accepted any more (RFC 7519 section 4.1.4).
    // No clock has leeway here. Seconds are at most 2^53, so nothing overflows.
    if (nowMillis >= claims.expiresAt() * 1000) {
      return InvalidReason.EXPIRED;
    }
    long latest = nowMillis + leewayMillis;
    if (claims.issuedAt() * 1000 > latest || claims.notBefore() * 1000 > latest) {
      return InvalidReason.NOT_YET_VALID;
    }
    boolean revoked =
        revocations.isRevoked(claims.subject(), claims.session(), claims.token().epoch());
    return revoked ? InvalidReason.REVOKED : null;
  }

  private static boolean intersect(List<String> some, List<String> others) {
    for (int i = 0; i < some.size(); i++) {
      if (others.contains(some.get(i))) {
        return true;
      }
    }
    return false;
  }
}
