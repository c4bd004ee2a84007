package dev.countersign.spring.security;

import dev.countersign.Token;
import dev.countersign.TokenVerifier;
import java.util.Collection;
import java.util.List;
import java.util.Objects;
import java.util.function.Function;
import org.springframework.security.authentication.AuthenticationManager;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.config.annotation.web.configurers.AbstractHttpConfigurer;
import org.springframework.security.config.annotation.web.configurers.CsrfConfigurer;
import org.springframework.security.config.annotation.web.configurers.ExceptionHandlingConfigurer;
import org.springframework.security.core.GrantedAuthority;
import org.springframework.security.web.authentication.UsernamePasswordAuthenticationFilter;
import org.springframework.security.web.util.matcher.RequestMatcher;

/**
 * Authenticates the requests of a security filter chain by access tokens.
 *
 * <pre>{@code
 * http.with(new CountersignConfigurer(verifier), Customizer.withDefaults())
 *     .sessionManagement(it -> it.sessionCreationPolicy(SessionCreationPolicy.STATELESS))
 *     .authorizeHttpRequests(it -> it.anyRequest().authenticated())
 * }</pre>
 *
 * <p>A request that brings a token needs no token against forgery beside it (CSRF): no browser
 * sends the header by itself.
 */
public final class CountersignConfigurer
    extends AbstractHttpConfigurer<CountersignConfigurer, HttpSecurity> {
  private static final RequestMatcher BRINGS_TOKEN =
      request -> CountersignAuthenticationFilter.presented(request).isPresent();

  private final TokenVerifier verifier;
  private final CountersignEntryPoint entryPoint = new CountersignEntryPoint();
  private List<String> audiences = List.of();
  private Function<Token, Collection<? extends GrantedAuthority>> authorities =
      CountersignProvider::rolesOf;

  /**
   * Verifies for the verifier's own audiences, with the authorities of {@link
   * CountersignProvider#rolesOf}.
   *
   * @param verifier what decides
   */
  public CountersignConfigurer(TokenVerifier verifier) {
    this.verifier = Objects.requireNonNull(verifier, "verifier");
  }

  /**
   * Expects one of these instead of the verifier's own audiences.
   *
   * @param audiences the audiences
   * @return this
   */
  public CountersignConfigurer audiences(String... audiences) {
    this.audiences = List.of(audiences);
    return this;
  }

  /**
   * Gives other authorities than those of the roles.
   *
   * @param authorities what the caller may do
   * @return this
   */
  public CountersignConfigurer authorities(
      Function<Token, Collection<? extends GrantedAuthority>> authorities) {
    this.authorities = Objects.requireNonNull(authorities, "authorities");
    return this;
  }

  @Override
  @SuppressWarnings("unchecked")
  public void init(HttpSecurity http) {
    ExceptionHandlingConfigurer<HttpSecurity> handling =
        http.getConfigurer(ExceptionHandlingConfigurer.class);
    if (handling != null) {
      handling.defaultAuthenticationEntryPointFor(entryPoint, request -> true);
      handling.defaultAccessDeniedHandlerFor(entryPoint, BRINGS_TOKEN);
    }
    CsrfConfigurer<HttpSecurity> csrf = http.getConfigurer(CsrfConfigurer.class);
    if (csrf != null) {
      csrf.ignoringRequestMatchers(BRINGS_TOKEN);
    }
    http.authenticationProvider(new CountersignProvider(verifier, audiences, authorities));
  }

  @Override
  public void configure(HttpSecurity http) {
    AuthenticationManager manager = http.getSharedObject(AuthenticationManager.class);
    http.addFilterBefore(
        new CountersignAuthenticationFilter(manager, entryPoint),
        UsernamePasswordAuthenticationFilter.class);
  }
}
