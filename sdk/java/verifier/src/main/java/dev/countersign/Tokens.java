package dev.countersign;

import java.time.Duration;
import java.time.Instant;

/**
 * What a client holds of a session. It shows no token where it is printed or logged.
 *
 * @param accessToken goes with each request, as {@code Authorization: Bearer ...}
 * @param refreshToken goes to {@link Client#refresh} and {@link Client#logout}, and nowhere else.
 *     Keep it until the next one has arrived, whatever else happens
 * @param expiresIn how long the access token is accepted from when the answer arrived
 * @param refreshExpiresAt when the refresh token is refused unless it was used before, by the
 *     server's clock
 */
public record Tokens(
    String accessToken, String refreshToken, Duration expiresIn, Instant refreshExpiresAt) {
  static Tokens of(dev.countersign.v1.Tokens message) {
    return new Tokens(
        message.getAccessToken(),
        message.getRefreshToken(),
        Duration.ofSeconds(message.getExpiresIn()),
        Instant.ofEpochSecond(
            message.getRefreshExpiresAt().getSeconds(), message.getRefreshExpiresAt().getNanos()));
  }

  @Override
  public String toString() {
    return "Tokens[expiresIn=" + expiresIn + ", refreshExpiresAt=" + refreshExpiresAt + "]";
  }
}
