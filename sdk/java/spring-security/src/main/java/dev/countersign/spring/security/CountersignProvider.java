package dev.countersign.spring.security;

import dev.countersign.Refusal;
import dev.countersign.Token;
import dev.countersign.TokenVerifier;
import dev.countersign.Verification;
import java.util.Collection;
import java.util.List;
import java.util.Objects;
import java.util.function.Function;
import org.springframework.security.authentication.AuthenticationProvider;
import org.springframework.security.core.Authentication;
import org.springframework.security.core.GrantedAuthority;
import org.springframework.security.core.authority.SimpleGrantedAuthority;

/**
 * Makes a {@link CountersignAuthentication} of a {@link BearerAuthentication} whose token is good,
 * and throws a {@link RefusedAuthenticationException} otherwise.
 */
public final class CountersignProvider implements AuthenticationProvider {
  private final TokenVerifier verifier;
  private final List<String> audiences;
  private final Function<Token, Collection<? extends GrantedAuthority>> authorities;

  /**
   * Verifies for the verifier's own audiences. A role {@code admin} becomes the authority {@code
   * ROLE_admin}, so that {@code hasRole("admin")} is true.
   *
   * @param verifier what decides
   */
  public CountersignProvider(TokenVerifier verifier) {
    this(verifier, List.of(), CountersignProvider::rolesOf);
  }

  /**
   * Verifies for other audiences, or gives other authorities.
   *
   * @param verifier what decides
   * @param audiences the names that the service goes by; empty for the verifier's own
   * @param authorities what the caller may do
   */
  public CountersignProvider(
      TokenVerifier verifier,
      List<String> audiences,
      Function<Token, Collection<? extends GrantedAuthority>> authorities) {
    this.verifier = Objects.requireNonNull(verifier, "verifier");
    this.audiences = List.copyOf(audiences);
    this.authorities = Objects.requireNonNull(authorities, "authorities");
  }

  /**
   * The authorities of a token's roles: {@code ROLE_} and the role.
   *
   * @param token the token
   * @return one for each role
   */
  public static Collection<? extends GrantedAuthority> rolesOf(Token token) {
    return token.roles().stream().map(role -> new SimpleGrantedAuthority("ROLE_" + role)).toList();
  }

  @Override
  public Authentication authenticate(Authentication authentication) {
    String text = ((BearerAuthentication) authentication).getCredentials();
    Verification verification = verifier.verify(text, audiences);
    if (verification instanceof Verification.Verified verified) {
      CountersignAuthentication good =
          new CountersignAuthentication(verified.token(), authorities.apply(verified.token()));
      good.setDetails(authentication.getDetails());
      return good;
    }
    throw new RefusedAuthenticationException(Refusal.of(verification));
  }

  @Override
  public boolean supports(Class<?> authentication) {
    return BearerAuthentication.class.isAssignableFrom(authentication);
  }
}
