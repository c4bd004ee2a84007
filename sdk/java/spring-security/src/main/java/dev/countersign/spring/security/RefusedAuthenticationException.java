package dev.countersign.spring.security;

import dev.countersign.Refusal;
import org.springframework.security.core.AuthenticationException;

/** A token is invalid, or nothing can be known about it. */
public final class RefusedAuthenticationException extends AuthenticationException {
  private final transient Refusal refusal;

  /**
   * Makes one.
   *
   * @param refusal why
   */
  public RefusedAuthenticationException(Refusal refusal) {
    super(refusal.reason() + ": " + refusal.message());
    this.refusal = refusal;
  }

  /**
   * Why.
   *
   * @return what to answer the caller; null after the exception was serialized
   */
  public Refusal refusal() {
    return refusal;
  }
}
