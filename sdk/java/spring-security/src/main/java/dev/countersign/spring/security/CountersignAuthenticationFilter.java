package dev.countersign.spring.security;

import dev.countersign.BearerToken;
import jakarta.servlet.FilterChain;
import jakarta.servlet.ServletException;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.util.Collections;
import java.util.Enumeration;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import org.springframework.security.authentication.AuthenticationManager;
import org.springframework.security.authentication.AuthenticationServiceException;
import org.springframework.security.core.Authentication;
import org.springframework.security.core.AuthenticationException;
import org.springframework.security.core.context.SecurityContext;
import org.springframework.security.core.context.SecurityContextHolder;
import org.springframework.security.core.context.SecurityContextHolderStrategy;
import org.springframework.security.web.AuthenticationEntryPoint;
import org.springframework.security.web.authentication.WebAuthenticationDetailsSource;
import org.springframework.security.web.context.RequestAttributeSecurityContextRepository;
import org.springframework.security.web.context.SecurityContextRepository;
import org.springframework.web.filter.OncePerRequestFilter;

/**
 * Authenticates requests by the token in {@code Authorization: Bearer}. One that brings none goes
 * on as it came, and the application's rules decide; one whose token is not good is answered at
 * once. No session is made.
 */
public final class CountersignAuthenticationFilter extends OncePerRequestFilter {
  private final AuthenticationManager manager;
  private final AuthenticationEntryPoint entryPoint;
  private final SecurityContextHolderStrategy contexts =
      SecurityContextHolder.getContextHolderStrategy();
  private final SecurityContextRepository repository =
      new RequestAttributeSecurityContextRepository();
  private final WebAuthenticationDetailsSource details = new WebAuthenticationDetailsSource();

  /**
   * Makes one.
   *
   * @param manager authenticates a {@link BearerAuthentication}: a {@link CountersignProvider} is
   *     among its providers
   * @param entryPoint answers a request whose token is not good
   */
  public CountersignAuthenticationFilter(
      AuthenticationManager manager, AuthenticationEntryPoint entryPoint) {
    this.manager = Objects.requireNonNull(manager, "manager");
    this.entryPoint = Objects.requireNonNull(entryPoint, "entryPoint");
  }

  @Override
  protected void doFilterInternal(
      HttpServletRequest request, HttpServletResponse response, FilterChain chain)
      throws ServletException, IOException {
    Optional<String> presented = presented(request);
    if (presented.isEmpty()) {
      chain.doFilter(request, response);
      return;
    }
    try {
      BearerAuthentication asked = new BearerAuthentication(presented.get());
      asked.setDetails(details.buildDetails(request));
      Authentication good = manager.authenticate(asked);
      SecurityContext context = contexts.createEmptyContext();
      context.setAuthentication(good);
      contexts.setContext(context);
      repository.saveContext(context, request, response);
    } catch (AuthenticationServiceException e) {
      // A defect of the application's, and nothing that the caller could do better.
      contexts.clearContext();
      throw e;
    } catch (AuthenticationException e) {
      contexts.clearContext();
      entryPoint.commence(request, response, e);
      return;
    }
    chain.doFilter(request, response);
  }

  /** The token that a request brings. */
  static Optional<String> presented(HttpServletRequest request) {
    Enumeration<String> values = request.getHeaders("Authorization");
    return BearerToken.of(values == null ? List.of() : Collections.list(values));
  }
}
