package dev.countersign;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.countersign.testing.Deployment;
import dev.countersign.testing.FakeServer;
import dev.countersign.testing.Signer;
import dev.countersign.testing.Wait;
import io.grpc.ServerCredentials;
import io.grpc.TlsServerCredentials;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TlsTest {
  @TempDir private Path folder;
  private final List<AutoCloseable> closing = new ArrayList<>();

  /** Issues certificates into files. */
  private final class Authority {
    private final Path files;

    Authority(String name) throws Exception {
      files = Files.createDirectory(folder.resolve(name));
      openssl("req -x509 KEY -keyout ca.key -out ca.pem -subj /CN=test -days 1");
    }

    Path path(String name) {
      return files.resolve(name);
    }

    void issue(String name) throws Exception {
      Files.writeString(path(name + ".ext"), "subjectAltName=DNS:countersign.test,IP:127.0.0.1\n");
      openssl("req KEY -keyout %1$s.key -out %1$s.csr -subj /CN=%1$s".formatted(name));
      openssl(
          ("x509 -req -in %1$s.csr -out %1$s.pem -CA ca.pem -CAkey ca.key -CAcreateserial"
                  + " -extfile %1$s.ext -days 1")
              .formatted(name));
    }

    /** Credentials of a server that asks for a certificate of this authority. */
    ServerCredentials server() throws Exception {
      issue("server");
      return TlsServerCredentials.newBuilder()
          .keyManager(path("server.pem").toFile(), path("server.key").toFile())
          .trustManager(path("ca.pem").toFile())
          .clientAuth(TlsServerCredentials.ClientAuth.REQUIRE)
          .build();
    }

    /** What a client uses whose certificate this authority has issued. */
    Tls client() throws Exception {
      issue("client");
      return Tls.ofAuthorities(path("ca.pem"))
          .withCertificate(path("client.pem"), path("client.key"));
    }

    private void openssl(String arguments) throws Exception {
      String key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
      List<String> command = new ArrayList<>(List.of("openssl"));
      command.addAll(List.of(arguments.replace("KEY", key).split(" ")));
      Process process =
          new ProcessBuilder(command).directory(files.toFile()).redirectErrorStream(true).start();
      String output = new String(process.getInputStream().readAllBytes());
      assertEquals(0, process.waitFor(), output);
    }
  }

  @BeforeEach
  void begin() {
    Deployment.tool("openssl", "openssl");
  }

  @AfterEach
  void end() throws Exception {
    for (AutoCloseable each : closing) {
      each.close();
    }
  }

  private FakeServer serve(ServerCredentials credentials) {
    FakeServer server = new FakeServer(0, credentials);
    closing.add(server);
    return server;
  }

  private Verifier connect(FakeServer server, Tls tls) {
    Verifier verifier =
        Verifier.connect(
            VerifierOptions.builder(
                    "https://127.0.0.1:" + server.port(), Signer.ISSUER, Signer.AUDIENCE)
                .maxBackoff(Duration.ofMillis(10))
                .tls(tls)
                .build());
    closing.add(0, verifier);
    return verifier;
  }

  private static void comesNot(FakeServer server, Verifier verifier) {
    Wait.until("streams end", () -> verifier.statistics().streamsEnded() >= 2);
    assertFalse(verifier.isReady());
    assertFalse(server.hasArrival());
  }

  @Test
  void aCertificateThatIsReplaced() throws Exception {
    Authority ours = new Authority("ours");
    Authority others = new Authority("others");
    FakeServer server = serve(ours.server());
    Tls good = ours.client();
    // At first with a certificate that the server does not accept.
    Tls files = others.client();
    Verifier verifier =
        connect(
            server,
            Tls.ofAuthorities(ours.path("ca.pem"))
                .withCertificate(files.certFile(), files.keyFile()));
    comesNot(server, verifier);
    Files.copy(good.certFile(), files.certFile(), StandardCopyOption.REPLACE_EXISTING);
    Files.copy(good.keyFile(), files.keyFile(), StandardCopyOption.REPLACE_EXISTING);
    server.next();
  }

  @Test
  void anotherNameOfTheServerAndAByteOrderMark() throws Exception {
    Authority ours = new Authority("ours");
    FakeServer server = serve(ours.server());
    Path marked = ours.path("marked.pem");
    Files.writeString(marked, "\ufeff" + Files.readString(ours.path("ca.pem")));
    Tls files = ours.client();
    Tls tls = Tls.ofAuthorities(marked).withCertificate(files.certFile(), files.keyFile());
    comesNot(server, connect(server, tls.withServerName("other.test")));
    connect(server, tls.withServerName("countersign.test"));
    server.next();
  }

  @Test
  void noOtherAuthorityIsTrusted() throws Exception {
    Authority ours = new Authority("ours");
    Authority others = new Authority("others");
    FakeServer server = serve(ours.server());
    Tls files = ours.client();
    for (Path authorities : new Path[] {others.path("ca.pem"), null}) {
      comesNot(
          server, connect(server, new Tls(authorities, files.certFile(), files.keyFile(), null)));
    }
  }

  @Test
  void filesThatCannotBeUsedAreSaid() throws Exception {
    Authority ours = new Authority("ours");
    Tls files = ours.client();
    assertThrows(IllegalArgumentException.class, () -> new Tls(null, files.certFile(), null, null));
    Endpoint endpoint = new Endpoint("https://x", files, Duration.ofSeconds(1));
    String before = endpoint.files();
    ours.issue("client");
    assertNotEquals(before, endpoint.files());
    for (String file : List.of("client.pem", "client.key", "ca.pem")) {
      String text = Files.readString(ours.path(file));
      Files.writeString(ours.path(file), "no certificate");
      IllegalArgumentException error =
          assertThrows(
              IllegalArgumentException.class,
              () -> new Endpoint("https://x", files, Duration.ofSeconds(1)),
              file);
      assertTrue(error.getMessage().startsWith("countersign: "), error.getMessage());
      Files.writeString(ours.path(file), text);
    }
  }

  /** A connection goes on while its files are replaced. */
  @Test
  void aSharedChannelIsMadeAnew() throws Exception {
    Authority ours = new Authority("ours");
    FakeServer server = serve(ours.server());
    Tls files = ours.client();
    Client client =
        new Client(ClientOptions.builder("https://127.0.0.1:" + server.port()).tls(files).build());
    closing.add(0, client);
    client.auth().verifyAccessToken(request());
    String text = Files.readString(files.certFile());
    Files.writeString(files.certFile(), "");
    Thread.sleep(1100);
    client.auth().verifyAccessToken(request());
    Files.writeString(files.certFile(), text + "\n");
    Thread.sleep(1100);
    client.auth().verifyAccessToken(request());
  }

  private static dev.countersign.v1.VerifyAccessTokenRequest request() throws IOException {
    return dev.countersign.v1.VerifyAccessTokenRequest.getDefaultInstance();
  }
}
