package dev.countersign.servlet;

import dev.countersign.Token;
import java.security.Principal;

/**
 * Who is calling, as {@code getUserPrincipal} says it.
 *
 * @param token the token
 */
public record TokenPrincipal(Token token) implements Principal {
  @Override
  public String getName() {
    return token.username();
  }
}
