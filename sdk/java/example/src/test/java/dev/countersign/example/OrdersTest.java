package dev.countersign.example;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.countersign.Client;
import dev.countersign.Tokens;
import dev.countersign.Verifier;
import dev.countersign.testing.Deployment;
import dev.countersign.testing.Wait;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import org.eclipse.jetty.server.Server;
import org.junit.jupiter.api.Test;

/** The example works, against the real binary. */
class OrdersTest {
  @Test
  void itGreetsUntilTheSessionHasEnded() throws Exception {
    Deployment deployment = new Deployment();
    int port = Deployment.freePort();
    Server server = null;
    try (Verifier verifier = Verifier.connect(deployment.options().build())) {
      server = Orders.serve(verifier, port);
      String address = "http://127.0.0.1:" + port;
      Wait.until("it is ready", () -> get(address + "/readyz", "").statusCode() == 200);
      Client client = deployment.client();
      Tokens tokens = deployment.login(client);
      assertEquals("Hello, ada.\n", get(address + "/", tokens.accessToken()).body());
      client.logout(tokens.refreshToken());
      Wait.until(
          "it is refused", () -> get(address + "/", tokens.accessToken()).statusCode() == 401);
    } finally {
      if (server != null) {
        server.stop();
      }
      deployment.close();
    }
  }

  private static HttpResponse<String> get(String uri, String token) {
    try {
      HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(uri));
      if (!token.isEmpty()) {
        request.header("Authorization", "Bearer " + token);
      }
      return HttpClient.newHttpClient().send(request.build(), HttpResponse.BodyHandlers.ofString());
    } catch (java.io.IOException | InterruptedException e) {
      throw new AssertionError(e);
    }
  }
}
