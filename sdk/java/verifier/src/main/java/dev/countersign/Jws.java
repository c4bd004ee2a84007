package dev.countersign;

import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;

/**
 * A token in compact serialization (RFC 7515 section 7.1), taken apart and not yet trusted.
 *
 * @param payload must not be read before the signature was verified
 * @param signingInput the first two parts as they were sent: what the signature covers
 */
record Jws(Header header, byte[] payload, byte[] signingInput, byte[] signature) {
  /**
   * Header parameters that bring a key of their own or change what the bytes mean: crit (RFC 7515
   * section 4.1.11), b64 (RFC 7797), zip and enc (RFC 7516), cty (a nested JWT, RFC 7519 section
   * 5.2), and the ways to say "verify me with this" (RFC 7515 sections 4.1.2 to 4.1.8). No token of
   * Countersign has one. What is in them is never looked at.
   */
  private static final List<String> FORBIDDEN =
      List.of("crit", "jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256", "b64", "zip", "enc", "cty");

  /**
   * What a token says of itself. alg is good for one comparison with the algorithm of the key, and
   * for nothing else.
   *
   * @param typ null where it is missing
   * @param kid null where it is missing
   */
  record Header(String typ, String alg, String kid, boolean hasForbidden) {
    /**
     * Whether typ says that it is an access token: a media type, hence without regard to case and
     * with application/ understood where it is left out (RFC 7515 section 4.1.9, RFC 9068 section
     * 4).
     */
    boolean isAccessToken() {
      return typ != null
          && (Ascii.equalsIgnoreCase(typ, "at+jwt")
              || Ascii.equalsIgnoreCase(typ, "application/at+jwt"));
    }

    /** Null where a member is there that is no string, and where alg is missing. */
    private static Header read(Map<String, Object> members) {
      for (String name : List.of("typ", "alg", "kid")) {
        if (members.containsKey(name) && !(members.get(name) instanceof String)) {
          return null;
        }
      }
      String alg = (String) members.get("alg");
      boolean hasForbidden = FORBIDDEN.stream().anyMatch(members::containsKey);
      return alg == null
          ? null
          : new Header((String) members.get("typ"), alg, (String) members.get("kid"), hasForbidden);
    }
  }

  /**
   * Takes a token apart: at most so many characters, exactly three parts, none of them empty, each
   * in the one spelling that base64url gives its bytes. Null where it is none.
   */
  static Jws parse(String token, int maxLength) {
    if (token.length() > maxLength) {
      return null;
    }
    int first = token.indexOf('.');
    int last = token.lastIndexOf('.');
    if (first < 0 || first == last || token.indexOf('.', first + 1) != last) {
      return null;
    }
    byte[] headerBytes = Base64Url.decode(token, 0, first);
    if (headerBytes == null) {
      return null;
    }
    Map<String, Object> members = StrictJson.parseObject(headerBytes);
    if (members == null) {
      return null;
    }
    Header header = Header.read(members);
    byte[] payload = Base64Url.decode(token, first + 1, last);
    byte[] signature = Base64Url.decode(token, last + 1, token.length());
    if (header == null || payload == null || signature == null) {
      return null;
    }
    byte[] signingInput = token.substring(0, last).getBytes(StandardCharsets.US_ASCII);
    return new Jws(header, payload, signingInput, signature);
  }
}
