package dev.countersign.spring.security;

import java.util.List;
import org.springframework.security.authentication.AbstractAuthenticationToken;

/** The text of a token that was not looked at yet: what {@link CountersignProvider} is asked. */
public final class BearerAuthentication extends AbstractAuthenticationToken {
  private final transient String text;

  /**
   * Makes one that is not authenticated.
   *
   * @param text the access token, without {@code Bearer}
   */
  public BearerAuthentication(String text) {
    super(List.of());
    this.text = text;
  }

  /**
   * The text of the token.
   *
   * @return the access token
   */
  @Override
  public String getCredentials() {
    return text;
  }

  /**
   * Nothing is known yet.
   *
   * @return a text that names nobody
   */
  @Override
  public Object getPrincipal() {
    return "";
  }

  @Override
  public boolean equals(Object other) {
    return this == other;
  }

  @Override
  public int hashCode() {
    return System.identityHashCode(this);
  }

  /** Shows no token. */
  @Override
  public String toString() {
    return "BearerAuthentication";
  }
}
