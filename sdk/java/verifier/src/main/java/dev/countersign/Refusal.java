package dev.countersign;

import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Why a request is not let in, and how its caller is told so: as the server's own HTTP edge does
 * it.
 */
public final class Refusal {
  private final String reason;
  private final String message;
  private final int status;
  private final String header;
  private final String value;

  private Refusal(String reason, String message, int status, String header, String value) {
    this.reason = reason;
    this.message = message;
    this.status = status;
    this.header = header;
    this.value = value;
  }

  /**
   * The request brings no access token.
   *
   * @return 401 {@code TOKEN_MISSING}
   */
  public static Refusal missing() {
    return new Refusal("TOKEN_MISSING", "No access token.", 401, "WWW-Authenticate", "Bearer");
  }

  /**
   * The caller has not the role that is asked for.
   *
   * @return 403 {@code ROLE_REQUIRED}
   */
  public static Refusal role() {
    return new Refusal(
        "ROLE_REQUIRED", "The caller has not the role that is asked for.", 403, null, null);
  }

  /**
   * The token is invalid, or nothing can be known about it.
   *
   * @param verification what is known of it
   * @return 401 {@code ACCESS_TOKEN_EXPIRED}, {@code SESSION_REVOKED} or {@code
   *     ACCESS_TOKEN_INVALID}; 503 {@code REVOCATIONS_STALE}
   * @throws IllegalArgumentException where the token is good
   */
  public static Refusal of(Verification verification) {
    if (verification instanceof Verification.Invalid invalid) {
      String reason =
          switch (invalid.reason()) {
            case EXPIRED -> "ACCESS_TOKEN_EXPIRED";
            case REVOKED -> "SESSION_REVOKED";
            default -> "ACCESS_TOKEN_INVALID";
          };
      return new Refusal(
          reason,
          "The access token is not accepted.",
          401,
          "WWW-Authenticate",
          "Bearer error=\"invalid_token\"");
    }
    if (verification instanceof Verification.Unknown) {
      return new Refusal(
          "REVOCATIONS_STALE",
          "It cannot be told whether the access token is still good.",
          503,
          "Retry-After",
          "1");
    }
    throw new IllegalArgumentException("countersign: a token that is good is not refused");
  }

  /**
   * The name in the catalogue of reasons (docs/errors.md).
   *
   * @return for example {@code SESSION_REVOKED}
   */
  public String reason() {
    return reason;
  }

  /**
   * What it means, for people.
   *
   * @return a sentence
   */
  public String message() {
    return message;
  }

  /**
   * The status of the answer over HTTP.
   *
   * @return 401, 403 or 503
   */
  public int status() {
    return status;
  }

  /**
   * The headers of the answer over HTTP: {@code WWW-Authenticate} (RFC 6750) with 401, {@code
   * Retry-After} with 503, and those of the body.
   *
   * @return the headers by their name
   */
  public Map<String, String> headers() {
    Map<String, String> headers = new LinkedHashMap<>();
    if (header != null) {
      headers.put(header, value);
    }
    headers.put("Content-Type", "application/problem+json");
    headers.put("Cache-Control", "no-store");
    return headers;
  }

  /**
   * The body of the answer over HTTP.
   *
   * @return a problem (RFC 9457) with the reason, in ASCII
   */
  public String body() {
    String title =
        switch (status) {
          case 401 -> "Unauthorized";
          case 403 -> "Forbidden";
          default -> "Service Unavailable";
        };
    return "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%d,\"reason\":\"%s\"}"
        .formatted(title, status, reason);
  }

  @Override
  public String toString() {
    return status + " " + reason;
  }
}
