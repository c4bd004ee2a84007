package dev.countersign;

import java.time.Duration;
import java.util.EnumMap;
import java.util.Map;
import java.util.Optional;

/**
 * What is known of an access token: one of three outcomes. Only one of them has a token, so that
 * code that forgets to look lets nobody in.
 */
public sealed interface Verification {
  /**
   * The token is good.
   *
   * @param token who is calling
   */
  record Verified(Token token) implements Verification {}

  /**
   * The token must be refused.
   *
   * @param reason why
   */
  record Invalid(InvalidReason reason) implements Verification {
    private static final Map<InvalidReason, Invalid> ALL = new EnumMap<>(InvalidReason.class);

    static {
      for (InvalidReason reason : InvalidReason.values()) {
        ALL.put(reason, new Invalid(reason));
      }
    }

    static Invalid of(InvalidReason reason) {
      return ALL.get(reason);
    }
  }

  /**
   * It cannot be known at the moment whether the token is still good. It says nothing about the
   * token: ask the caller to try again, and do not log the user out because of it.
   *
   * @param staleness how old the view of revocations is; empty while nothing is loaded, and after
   *     the wall clock was set
   * @param cause why the server did not answer, where it was asked
   */
  record Unknown(Optional<Duration> staleness, Optional<Throwable> cause) implements Verification {}

  /**
   * The token, where it is good.
   *
   * @return who is calling
   * @throws RefusedException where the token is invalid, or nothing can be known about it
   */
  default Token orElseThrow() {
    if (this instanceof Verified verified) {
      return verified.token();
    }
    throw new RefusedException(Refusal.of(this));
  }
}
