package dev.countersign.servlet;

import dev.countersign.BearerToken;
import dev.countersign.Refusal;
import dev.countersign.Token;
import dev.countersign.TokenVerifier;
import dev.countersign.Verification;
import jakarta.servlet.DispatcherType;
import jakarta.servlet.Filter;
import jakarta.servlet.FilterChain;
import jakarta.servlet.ServletException;
import jakarta.servlet.ServletRequest;
import jakarta.servlet.ServletResponse;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletRequestWrapper;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.security.Principal;
import java.util.Collections;
import java.util.Enumeration;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.function.Predicate;

/**
 * Lets requests with a good token in {@code Authorization: Bearer} through; {@link #tokenOf} says
 * who is calling, and so do the request's own {@code getRemoteUser}, {@code getUserPrincipal} and
 * {@code isUserInRole}. Others are answered 401, or 503 where nothing can be known about their
 * token.
 *
 * <p>Register it for the dispatcher types {@code REQUEST} and {@code ASYNC}, before everything that
 * needs to know who is calling, and with {@code asyncSupported}. What a request is dispatched to
 * from there on is let in with it.
 */
public final class CountersignFilter implements Filter {
  private static final String TOKEN = "dev.countersign.token";

  private final TokenVerifier verifier;
  private final List<String> audiences;
  private final Predicate<HttpServletRequest> open;
  private final Answer answer;

  /** Answers requests that are not let in. */
  @FunctionalInterface
  public interface Answer {
    /**
     * Answers a request.
     *
     * @param refusal why it is not let in
     * @param request the request
     * @param response what is answered
     * @throws IOException where the caller cannot be answered
     */
    void refuse(Refusal refusal, HttpServletRequest request, HttpServletResponse response)
        throws IOException;
  }

  /**
   * Lets nobody in without a token, for the verifier's own audiences.
   *
   * @param verifier what decides
   */
  public CountersignFilter(TokenVerifier verifier) {
    this(
        verifier,
        List.of(),
        request -> false,
        (refusal, request, response) -> refuse(refusal, response));
  }

  private CountersignFilter(
      TokenVerifier verifier,
      List<String> audiences,
      Predicate<HttpServletRequest> open,
      Answer answer) {
    this.verifier = Objects.requireNonNull(verifier, "verifier");
    this.audiences = List.copyOf(audiences);
    this.open = Objects.requireNonNull(open, "open");
    this.answer = Objects.requireNonNull(answer, "answer");
  }

  /**
   * Expects one of these instead of the verifier's own audiences.
   *
   * @param audiences the audiences
   * @return a filter that does
   */
  public CountersignFilter withAudiences(String... audiences) {
    return new CountersignFilter(verifier, List.of(audiences), open, answer);
  }

  /**
   * Lets everybody make some requests: health checks, for example.
   *
   * @param open whether a request is for everybody. Compare whole paths: what is only like one is
   *     not open then
   * @return a filter that does
   */
  public CountersignFilter withOpen(Predicate<HttpServletRequest> open) {
    return new CountersignFilter(verifier, audiences, open, answer);
  }

  /**
   * Answers requests that are not let in otherwise than {@link #refuse}.
   *
   * @param answer answers them
   * @return a filter that does
   */
  public CountersignFilter withAnswer(Answer answer) {
    return new CountersignFilter(verifier, audiences, open, answer);
  }

  /**
   * Who is calling, behind the filter.
   *
   * @param request the request
   * @return empty where no filter was there, and for open requests
   */
  public static Optional<Token> tokenOf(ServletRequest request) {
    return request.getAttribute(TOKEN) instanceof Token token
        ? Optional.of(token)
        : Optional.empty();
  }

  /**
   * Makes a request say who is calling, for tests of what is behind the filter.
   *
   * @param request the request
   * @param token who is calling
   */
  public static void setToken(ServletRequest request, Token token) {
    request.setAttribute(TOKEN, token);
  }

  @Override
  public void doFilter(ServletRequest request, ServletResponse response, FilterChain chain)
      throws IOException, ServletException {
    if (!(request instanceof HttpServletRequest http)
        || !(response instanceof HttpServletResponse answered)) {
      throw new ServletException("countersign: the request is not one of HTTP");
    }
    // A request that goes on from here was let in, or is the error page of one that was not.
    if (request.getDispatcherType() != DispatcherType.REQUEST) {
      Optional<Token> token = tokenOf(request);
      chain.doFilter(
          token.isEmpty() ? http : new AuthenticatedRequest(http, token.get()), response);
      return;
    }
    // Nobody but this filter says who is calling.
    request.removeAttribute(TOKEN);
    if (open.test(http)) {
      chain.doFilter(request, response);
      return;
    }
    Refusal refusal = Refusal.missing();
    Optional<String> presented = BearerToken.of(valuesOf(http));
    if (presented.isPresent()) {
      Verification verification = verifier.verify(presented.get(), audiences);
      if (verification instanceof Verification.Verified verified) {
        setToken(request, verified.token());
        chain.doFilter(new AuthenticatedRequest(http, verified.token()), response);
        return;
      }
      refusal = Refusal.of(verification);
    }
    answer.refuse(refusal, http, answered);
  }

  private static List<String> valuesOf(HttpServletRequest request) {
    Enumeration<String> values = request.getHeaders("Authorization");
    return values == null ? List.of() : Collections.list(values);
  }

  /**
   * Lets only callers with a role through to what is behind a {@link CountersignFilter}. Others are
   * answered 403.
   *
   * @param role the role
   * @return a filter that does
   */
  public static Filter requireRole(String role) {
    Objects.requireNonNull(role, "role");
    return (request, response, chain) -> {
      Optional<Token> token = tokenOf(request);
      if (token.isPresent() && token.get().hasRole(role)) {
        chain.doFilter(request, response);
      } else {
        refuse(
            token.isPresent() ? Refusal.role() : Refusal.missing(), (HttpServletResponse) response);
      }
    };
  }

  /**
   * Answers a request that is not let in, as the server's own HTTP edge does: a problem (RFC 9457)
   * with the reason, {@code WWW-Authenticate} (RFC 6750) with 401 and {@code Retry-After} with 503.
   *
   * @param refusal why it is not let in
   * @param response what is answered
   * @throws IOException where the caller cannot be answered
   */
  public static void refuse(Refusal refusal, HttpServletResponse response) throws IOException {
    byte[] body = refusal.body().getBytes(StandardCharsets.US_ASCII);
    response.setStatus(refusal.status());
    refusal.headers().forEach(response::setHeader);
    response.setContentLength(body.length);
    response.getOutputStream().write(body);
  }

  /** A request that says who is calling in the words of servlets. */
  private static final class AuthenticatedRequest extends HttpServletRequestWrapper {
    private final Token token;

    AuthenticatedRequest(HttpServletRequest request, Token token) {
      super(request);
      this.token = token;
    }

    @Override
    public String getRemoteUser() {
      return token.username();
    }

    @Override
    public Principal getUserPrincipal() {
      return new TokenPrincipal(token);
    }

    @Override
    public boolean isUserInRole(String role) {
      return token.hasRole(role);
    }

    @Override
    public String getAuthType() {
      return "Bearer";
    }
  }
}
