package dev.countersign;

import java.util.Optional;

/** Reads the header {@code Authorization} (RFC 6750 section 2.1). */
public final class BearerToken {
  private BearerToken() {}

  /**
   * The token of the header, given every value of it.
   *
   * @param authorization the values
   * @return empty when the header is missing, is there twice, or says something else
   */
  public static Optional<String> of(Iterable<String> authorization) {
    String only = null;
    for (String value : authorization) {
      if (only != null || value == null) {
        return Optional.empty();
      }
      only = value;
    }
    if (only == null || only.length() < 7 || only.charAt(6) != ' ') {
      return Optional.empty();
    }
    int from = 7;
    int to = only.length();
    while (from < to && only.charAt(from) == ' ') {
      from++;
    }
    while (to > from && only.charAt(to - 1) == ' ') {
      to--;
    }
    String token = only.substring(from, to);
    boolean isOne = !token.isEmpty() && token.indexOf(' ') < 0;
    return isOne && Ascii.equalsIgnoreCase(only.substring(0, 6), "Bearer")
        ? Optional.of(token)
        : Optional.empty();
  }
}
