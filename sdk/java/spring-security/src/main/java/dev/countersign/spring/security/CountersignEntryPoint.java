package dev.countersign.spring.security;

import dev.countersign.Refusal;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import org.springframework.security.access.AccessDeniedException;
import org.springframework.security.core.AuthenticationException;
import org.springframework.security.web.AuthenticationEntryPoint;
import org.springframework.security.web.access.AccessDeniedHandler;

/**
 * Answers requests that are not let in, as the server's own HTTP edge does: a problem (RFC 9457)
 * with the reason, {@code WWW-Authenticate} (RFC 6750) with 401 and {@code Retry-After} with 503.
 */
public final class CountersignEntryPoint implements AuthenticationEntryPoint, AccessDeniedHandler {
  /** Makes one. */
  public CountersignEntryPoint() {}

  @Override
  public void commence(
      HttpServletRequest request, HttpServletResponse response, AuthenticationException error)
      throws IOException {
    Refusal refusal =
        error instanceof RefusedAuthenticationException refused ? refused.refusal() : null;
    answer(refusal == null ? Refusal.missing() : refusal, response);
  }

  @Override
  public void handle(
      HttpServletRequest request, HttpServletResponse response, AccessDeniedException error)
      throws IOException {
    answer(Refusal.role(), response);
  }

  private static void answer(Refusal refusal, HttpServletResponse response) throws IOException {
    if (response.isCommitted()) {
      return;
    }
    byte[] body = refusal.body().getBytes(StandardCharsets.US_ASCII);
    response.setStatus(refusal.status());
    refusal.headers().forEach(response::setHeader);
    response.setContentLength(body.length);
    response.getOutputStream().write(body);
  }
}
