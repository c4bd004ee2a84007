package dev.countersign.example;

import dev.countersign.Token;
import dev.countersign.Verifier;
import dev.countersign.VerifierOptions;
import dev.countersign.servlet.CountersignFilter;
import jakarta.servlet.DispatcherType;
import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.util.EnumSet;
import org.eclipse.jetty.ee10.servlet.FilterHolder;
import org.eclipse.jetty.ee10.servlet.ServletContextHandler;
import org.eclipse.jetty.ee10.servlet.ServletHolder;
import org.eclipse.jetty.server.Server;

/** A web service that greets those whose access token is good, and is ready once it can tell. */
public final class Orders {
  private Orders() {}

  /**
   * Serves until the process is ended.
   *
   * @param arguments none
   * @throws Exception where it cannot serve
   */
  public static void main(String[] arguments) throws Exception {
    VerifierOptions options =
        VerifierOptions.builder(
                setting("COUNTERSIGN", "http://127.0.0.1:50051"),
                setting("ISSUER", "countersign"), // the server's tokens.issuer
                setting("AUDIENCE", "countersign")) // what this service goes by
            .build();
    try (Verifier verifier = Verifier.connect(options)) {
      Server server = serve(verifier, Integer.parseInt(setting("PORT", "3000")));
      System.out.println("listening on " + server.getURI());
      server.join();
    }
  }

  private static String setting(String name, String otherwise) {
    return System.getenv().getOrDefault(name, otherwise);
  }

  static Server serve(Verifier verifier, int port) throws Exception {
    ServletContextHandler context = new ServletContextHandler();
    CountersignFilter filter =
        new CountersignFilter(verifier)
            .withOpen(request -> request.getRequestURI().equals("/readyz"));
    context.addFilter(new FilterHolder(filter), "/*", EnumSet.of(DispatcherType.REQUEST));
    context.addServlet(new ServletHolder(new Greeting()), "/*");
    context.addServlet(new ServletHolder(new Readiness(verifier)), "/readyz");
    Server server = new Server(port);
    server.setHandler(context);
    server.setStopAtShutdown(true);
    server.start();
    return server;
  }

  private static final class Greeting extends HttpServlet {
    @Override
    protected void doGet(HttpServletRequest request, HttpServletResponse response)
        throws IOException {
      Token token = CountersignFilter.tokenOf(request).orElseThrow();
      response.setContentType("text/plain; charset=utf-8");
      response.getWriter().println("Hello, " + token.username() + ".");
    }
  }

  private static final class Readiness extends HttpServlet {
    private final transient Verifier verifier;

    Readiness(Verifier verifier) {
      this.verifier = verifier;
    }

    @Override
    protected void doGet(HttpServletRequest request, HttpServletResponse response) {
      response.setStatus(verifier.isReady() ? 200 : 503);
    }
  }
}
