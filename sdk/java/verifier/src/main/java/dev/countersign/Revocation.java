package dev.countersign;

/** Something that is refused from now on. */
public sealed interface Revocation {
  /**
   * One session has ended.
   *
   * @param sessionId as in {@link Token#sessionId}
   */
  record OfSession(String sessionId) implements Revocation {
    @Override
    public boolean covers(Token token) {
      return sessionId.equals(token.sessionId());
    }
  }

  /**
   * All sessions of a user have ended that have a smaller epoch.
   *
   * @param subject as in {@link Token#subject}
   * @param epoch the smallest {@link Token#epoch} that is still accepted, an unsigned number
   */
  record OfUser(String subject, long epoch) implements Revocation {
    @Override
    public boolean covers(Token token) {
      return subject.equals(token.subject()) && Long.compareUnsigned(token.epoch(), epoch) < 0;
    }
  }

  /**
   * Whether it refuses a token.
   *
   * @param token the token
   * @return whether it does
   */
  boolean covers(Token token);
}
