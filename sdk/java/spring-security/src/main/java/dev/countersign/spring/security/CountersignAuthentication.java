package dev.countersign.spring.security;

import dev.countersign.Token;
import java.util.Collection;
import org.springframework.security.authentication.AbstractAuthenticationToken;
import org.springframework.security.core.GrantedAuthority;

/** Who is calling, by a token that is good. It does not hold the text of the token. */
public final class CountersignAuthentication extends AbstractAuthenticationToken {
  private final transient Token token;

  /**
   * Makes one that is authenticated.
   *
   * @param token who is calling
   * @param authorities what the caller may do
   */
  public CountersignAuthentication(
      Token token, Collection<? extends GrantedAuthority> authorities) {
    super(authorities);
    this.token = token;
    setAuthenticated(true);
  }

  /**
   * Who is calling.
   *
   * @return the token
   */
  @Override
  public Token getPrincipal() {
    return token;
  }

  /**
   * Nothing: the text of the token is not kept.
   *
   * @return an empty text
   */
  @Override
  public Object getCredentials() {
    return "";
  }

  /**
   * The user's id, which never changes.
   *
   * @return the subject
   */
  @Override
  public String getName() {
    return token.subject();
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof CountersignAuthentication it
        && super.equals(other)
        && token == it.token;
  }

  @Override
  public int hashCode() {
    return token.tokenId().hashCode();
  }
}
