package dev.countersign;

/** What to answer when the view of revocations is older than it may be. */
public enum OnStale {
  /**
   * Nothing: it cannot be known whether a token is still good. The outcome is {@link
   * Verification.Unknown}.
   */
  FAIL_CLOSED,
  /** The server is asked for each token. */
  ASK_SERVER,
  /**
   * What is known: a revoked token may be accepted until the server can be heard again. A view that
   * was never loaded is not served from.
   */
  SERVE
}
