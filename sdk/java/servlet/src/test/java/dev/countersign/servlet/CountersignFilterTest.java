package dev.countersign.servlet;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.countersign.InvalidReason;
import dev.countersign.Token;
import dev.countersign.TokenVerifier;
import dev.countersign.Verification;
import jakarta.servlet.AsyncContext;
import jakarta.servlet.DispatcherType;
import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import org.eclipse.jetty.ee10.servlet.FilterHolder;
import org.eclipse.jetty.ee10.servlet.ServletContextHandler;
import org.eclipse.jetty.ee10.servlet.ServletHolder;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class CountersignFilterTest {
  private List<String> audiences;

  /** Decides by the text of the token. */
  private final TokenVerifier verifier =
      new TokenVerifier() {
        @Override
        public Verification verify(String token, List<String> asked) {
          audiences = asked;
          return switch (token) {
            case "good" ->
                new Verification.Verified(
                    Token.builder("user", "session")
                        .username("ada")
                        .roles(List.of("admin"))
                        .build());
            case "plain" ->
                new Verification.Verified(Token.builder("user", "session").username("bob").build());
            case "unknown" -> new Verification.Unknown(Optional.empty(), Optional.empty());
            default -> new Verification.Invalid(InvalidReason.valueOf(token));
          };
        }

        @Override
        public Watch whenRevoked(Token token, Runnable listener) {
          return () -> {};
        }
      };

  private static final class Echo extends HttpServlet {
    @Override
    protected void service(HttpServletRequest request, HttpServletResponse response)
        throws IOException {
      if (request.getRequestURI().equals("/async")
          && request.getDispatcherType() == DispatcherType.REQUEST) {
        AsyncContext async = request.startAsync();
        async.dispatch("/hello");
        return;
      }
      if (request.getRequestURI().equals("/error")) {
        response.sendError(500);
        return;
      }
      String caller = CountersignFilter.tokenOf(request).map(Token::username).orElse("nobody");
      response
          .getWriter()
          .print(
              caller
                  + " "
                  + request.getRemoteUser()
                  + " "
                  + request.isUserInRole("admin")
                  + " "
                  + (request.getUserPrincipal() instanceof TokenPrincipal));
    }
  }

  private final HttpClient http = HttpClient.newHttpClient();
  private Server server;
  private int port;

  @BeforeEach
  void begin() throws Exception {
    ServletContextHandler context = new ServletContextHandler();
    FilterHolder filter =
        new FilterHolder(
            new CountersignFilter(verifier)
                .withAudiences("orders")
                .withOpen(request -> request.getRequestURI().equals("/livez")));
    filter.setAsyncSupported(true);
    context.addFilter(
        filter,
        "/*",
        EnumSet.of(DispatcherType.REQUEST, DispatcherType.ASYNC, DispatcherType.ERROR));
    context.addFilter(
        new FilterHolder(CountersignFilter.requireRole("admin")),
        "/admin",
        EnumSet.of(DispatcherType.REQUEST));
    ServletHolder echo = new ServletHolder(new Echo());
    echo.setAsyncSupported(true);
    context.addServlet(echo, "/*");
    server = new Server(new InetSocketAddress("127.0.0.1", 0));
    server.setHandler(context);
    server.start();
    port = ((ServerConnector) server.getConnectors()[0]).getLocalPort();
  }

  @AfterEach
  void end() throws Exception {
    server.stop();
  }

  private HttpResponse<String> get(String path, String... authorization) throws Exception {
    HttpRequest.Builder request =
        HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + port + path));
    for (String value : authorization) {
      request.header("Authorization", value);
    }
    return http.send(request.build(), HttpResponse.BodyHandlers.ofString());
  }

  private static String header(HttpResponse<String> response, String name) {
    return response.headers().firstValue(name).orElse("");
  }

  @Test
  void aGoodTokenIsLetIn() throws Exception {
    HttpResponse<String> response = get("/hello", "Bearer good");
    assertEquals("ada ada true true", response.body());
    assertEquals(List.of("orders"), audiences);
    assertEquals("ada ada true true", get("/hello", "bearer  good").body());
    assertEquals("ada ada true true", get("/async", "Bearer good").body());
    assertEquals("nobody null false false", get("/livez").body());
    assertEquals(401, get("/livez/").statusCode());
    assertEquals(500, get("/error", "Bearer good").statusCode());
  }

  @Test
  void othersAreToldWhy() throws Exception {
    for (String[] none :
        new String[][] {{}, {"good"}, {"Basic good"}, {"Bearer"}, {"Bearer a b"}}) {
      HttpResponse<String> response = get("/hello", none);
      assertEquals(401, response.statusCode());
      assertEquals("Bearer", header(response, "WWW-Authenticate"));
      assertTrue(response.body().contains("\"reason\":\"TOKEN_MISSING\""), response.body());
    }
    HttpResponse<String> expired = get("/hello", "Bearer EXPIRED");
    assertEquals(401, expired.statusCode());
    assertEquals("Bearer error=\"invalid_token\"", header(expired, "WWW-Authenticate"));
    assertEquals("application/problem+json", header(expired, "Content-Type"));
    assertEquals("no-store", header(expired, "Cache-Control"));
    assertEquals(
        "{\"type\":\"about:blank\",\"title\":\"Unauthorized\",\"status\":401,"
            + "\"reason\":\"ACCESS_TOKEN_EXPIRED\"}",
        expired.body());
    assertTrue(get("/hello", "Bearer REVOKED").body().contains("SESSION_REVOKED"));
    HttpResponse<String> unknown = get("/hello", "Bearer unknown");
    assertEquals(503, unknown.statusCode());
    assertEquals("1", header(unknown, "Retry-After"));
    assertTrue(unknown.body().contains("REVOCATIONS_STALE"));
  }

  @Test
  void aRoleIsRequired() throws Exception {
    assertEquals(200, get("/admin", "Bearer good").statusCode());
    HttpResponse<String> refused = get("/admin", "Bearer plain");
    assertEquals(403, refused.statusCode());
    assertTrue(refused.body().contains("ROLE_REQUIRED"));
    assertEquals(401, get("/admin").statusCode());
  }

  /** What no client of a library sends. */
  @Test
  void aHeaderThatIsThereTwiceIsNone() throws Exception {
    try (Socket socket = new Socket("127.0.0.1", port)) {
      socket
          .getOutputStream()
          .write(
              ("GET /hello HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer good\r\n"
                      + "Authorization: Bearer good\r\nConnection: close\r\n\r\n")
                  .getBytes(StandardCharsets.US_ASCII));
      String answer = new String(socket.getInputStream().readAllBytes(), StandardCharsets.US_ASCII);
      assertTrue(answer.startsWith("HTTP/1.1 401 "), answer);
    }
  }
}
