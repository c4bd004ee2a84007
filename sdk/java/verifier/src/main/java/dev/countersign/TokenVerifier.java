package dev.countersign;

import java.util.List;

/** What decides over tokens: a {@link Verifier}, or in tests something else. */
public interface TokenVerifier {
  /**
   * Decides whether an access token may be used with a service that goes by one of the audiences.
   *
   * @param token the access token, without {@code Bearer}
   * @param audiences the names that the service goes by; empty for the verifier's own
   * @return what is known of the token
   */
  Verification verify(String token, List<String> audiences);

  /**
   * Decides whether an access token may be used with a service that goes by one of the verifier's
   * own audiences.
   *
   * @param token the access token, without {@code Bearer}
   * @return what is known of the token
   */
  default Verification verify(String token) {
    return verify(token, List.of());
  }

  /**
   * Calls a listener once, soon after the token's session, or every session of its user, is
   * revoked; also when that was so before. It is for what stays open longer than a request:
   * streams, WebSockets, server-sent events. That the token expires does not call it.
   *
   * @param token the token
   * @param listener is called on the thread that follows the server, or at once on this one, and
   *     must return soon. What it throws is logged
   * @return close it when what is open is over by itself; until then the listener is kept
   */
  Watch whenRevoked(Token token, Runnable listener);

  /** A listener that waits for a token to be revoked. */
  interface Watch extends AutoCloseable {
    /** Forgets the listener. */
    @Override
    void close();
  }
}
