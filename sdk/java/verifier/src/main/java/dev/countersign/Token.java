package dev.countersign;

import java.time.Instant;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;

/**
 * Who is calling: an access token that passed every check. It cannot be changed, and does not hold
 * the text of the token.
 */
public final class Token {
  private final String subject;
  private final SubjectKind subjectKind;
  private final String sessionId;
  private final String username;
  private final String externalId;
  private final List<String> roles;
  private final List<String> audiences;
  private final String tokenId;
  private final Instant issuedAt;
  private final Instant expiresAt;
  private final Instant authTime;
  private final List<String> amr;
  private final long epoch;
  private final Instant sessionExpiresAt;
  private final Map<String, Object> customClaims;

  private Token(Builder builder) {
    subject = builder.subject;
    subjectKind = builder.subjectKind;
    sessionId = builder.sessionId;
    username = builder.username;
    externalId = builder.externalId;
    roles = builder.roles;
    audiences = builder.audiences;
    tokenId = builder.tokenId;
    issuedAt = builder.issuedAt;
    expiresAt = builder.expiresAt;
    authTime = builder.authTime;
    amr = builder.amr;
    epoch = builder.epoch;
    sessionExpiresAt = builder.sessionExpiresAt;
    customClaims = builder.customClaims;
  }

  /**
   * Makes a token that nobody has verified, for tests of code that is given one.
   *
   * @param subject the user's id, a UUID
   * @param sessionId the session's name
   * @return what the rest is said to
   */
  public static Builder builder(String subject, String sessionId) {
    return new Builder(subject, sessionId);
  }

  /**
   * The id of the user or the service account (claim {@code sub}).
   *
   * @return a UUID
   */
  public String subject() {
    return subject;
  }

  /**
   * What the subject is. A handler that expects a person must look here.
   *
   * @return a service account where the claim {@code client_id} is the subject (RFC 9068 section
   *     2.2)
   */
  public SubjectKind subjectKind() {
    return subjectKind;
  }

  /**
   * The session that the token belongs to (claim {@code sid}).
   *
   * @return its name
   */
  public String sessionId() {
    return sessionId;
  }

  /**
   * The subject's name when the token was made.
   *
   * @return the claim {@code username}
   */
  public String username() {
    return username;
  }

  /**
   * What the user is called in another system (claim {@code ext}).
   *
   * @return empty where that is not known
   */
  public Optional<String> externalId() {
    return Optional.ofNullable(externalId);
  }

  /**
   * What the user may do.
   *
   * @return the claim {@code roles}
   */
  public List<String> roles() {
    return roles;
  }

  /**
   * Whether a role is one of the token's.
   *
   * @param role the role
   * @return whether it is
   */
  public boolean hasRole(String role) {
    return roles.contains(role);
  }

  /**
   * The services that the token is meant for. One of those that were expected is among them.
   *
   * @return the claim {@code aud}
   */
  public List<String> audiences() {
    return audiences;
  }

  /**
   * The token's own name.
   *
   * @return the claim {@code jti}
   */
  public String tokenId() {
    return tokenId;
  }

  /**
   * When the token was made.
   *
   * @return the claim {@code iat}
   */
  public Instant issuedAt() {
    return issuedAt;
  }

  /**
   * The first moment at which the token is not accepted any more.
   *
   * @return the claim {@code exp}
   */
  public Instant expiresAt() {
    return expiresAt;
  }

  /**
   * When the user last proved who they are.
   *
   * @return the claim {@code auth_time}
   */
  public Instant authTime() {
    return authTime;
  }

  /**
   * How they proved it (RFC 8176).
   *
   * @return the claim {@code amr}
   */
  public List<String> amr() {
    return amr;
  }

  /**
   * The user's epoch that the session began in. Every revocation of all sessions of a user raises
   * it.
   *
   * @return the claim {@code epoch}, an unsigned number
   */
  public long epoch() {
    return epoch;
  }

  /**
   * When the session ends whatever happens.
   *
   * @return the claim {@code sxp}
   */
  public Instant sessionExpiresAt() {
    return sessionExpiresAt;
  }

  /**
   * The operator's own claims, which cannot be changed.
   *
   * @return their values are String, Long, BigInteger, BigDecimal, Boolean, null, List and Map
   */
  public Map<String, Object> customClaims() {
    return customClaims;
  }

  @Override
  public String toString() {
    return "Token[subject=" + subject + ", username=" + username + ", sessionId=" + sessionId + "]";
  }

  /** Makes a {@link Token}. What is not said is empty, and every time is 1970. */
  public static final class Builder {
    private final String subject;
    private final String sessionId;
    private SubjectKind subjectKind = SubjectKind.USER;
    private String username = "";
    private String externalId;
    private List<String> roles = List.of();
    private List<String> audiences = List.of();
    private String tokenId = "";
    private Instant issuedAt = Instant.EPOCH;
    private Instant expiresAt = Instant.EPOCH;
    private Instant authTime = Instant.EPOCH;
    private List<String> amr = List.of();
    private long epoch;
    private Instant sessionExpiresAt = Instant.EPOCH;
    private Map<String, Object> customClaims = Map.of();

    private Builder(String subject, String sessionId) {
      this.subject = Objects.requireNonNull(subject, "subject");
      this.sessionId = Objects.requireNonNull(sessionId, "sessionId");
    }

    /**
     * Says {@link Token#subjectKind}.
     *
     * @param subjectKind the kind
     * @return this
     */
    public Builder subjectKind(SubjectKind subjectKind) {
      this.subjectKind = Objects.requireNonNull(subjectKind, "subjectKind");
      return this;
    }

    /**
     * Says {@link Token#username}.
     *
     * @param username the name
     * @return this
     */
    public Builder username(String username) {
      this.username = Objects.requireNonNull(username, "username");
      return this;
    }

    /**
     * Says {@link Token#externalId}.
     *
     * @param externalId the id, or null
     * @return this
     */
    public Builder externalId(String externalId) {
      this.externalId = externalId;
      return this;
    }

    /**
     * Says {@link Token#roles}.
     *
     * @param roles the roles
     * @return this
     */
    public Builder roles(List<String> roles) {
      this.roles = List.copyOf(roles);
      return this;
    }

    /**
     * Says {@link Token#audiences}.
     *
     * @param audiences the audiences
     * @return this
     */
    public Builder audiences(List<String> audiences) {
      this.audiences = List.copyOf(audiences);
      return this;
    }

    /**
     * Says {@link Token#tokenId}.
     *
     * @param tokenId the id
     * @return this
     */
    public Builder tokenId(String tokenId) {
      this.tokenId = Objects.requireNonNull(tokenId, "tokenId");
      return this;
    }

    /**
     * Says {@link Token#issuedAt}.
     *
     * @param issuedAt the time
     * @return this
     */
    public Builder issuedAt(Instant issuedAt) {
      this.issuedAt = Objects.requireNonNull(issuedAt, "issuedAt");
      return this;
    }

    /**
     * Says {@link Token#expiresAt}.
     *
     * @param expiresAt the time
     * @return this
     */
    public Builder expiresAt(Instant expiresAt) {
      this.expiresAt = Objects.requireNonNull(expiresAt, "expiresAt");
      return this;
    }

    /**
     * Says {@link Token#authTime}.
     *
     * @param authTime the time
     * @return this
     */
    public Builder authTime(Instant authTime) {
      this.authTime = Objects.requireNonNull(authTime, "authTime");
      return this;
    }

    /**
     * Says {@link Token#amr}.
     *
     * @param amr the methods
     * @return this
     */
    public Builder amr(List<String> amr) {
      this.amr = List.copyOf(amr);
      return this;
    }

    /**
     * Says {@link Token#epoch}.
     *
     * @param epoch the epoch, an unsigned number
     * @return this
     */
    public Builder epoch(long epoch) {
      this.epoch = epoch;
      return this;
    }

    /**
     * Says {@link Token#sessionExpiresAt}.
     *
     * @param sessionExpiresAt the time
     * @return this
     */
    public Builder sessionExpiresAt(Instant sessionExpiresAt) {
      this.sessionExpiresAt = Objects.requireNonNull(sessionExpiresAt, "sessionExpiresAt");
      return this;
    }

    /**
     * Says {@link Token#customClaims}.
     *
     * @param customClaims the claims, which must not be changed afterwards
     * @return this
     */
    public Builder customClaims(Map<String, Object> customClaims) {
      this.customClaims = Collections.unmodifiableMap(customClaims);
      return this;
    }

    /**
     * Makes the token.
     *
     * @return the token
     */
    public Token build() {
      return new Token(this);
    }
  }
}
