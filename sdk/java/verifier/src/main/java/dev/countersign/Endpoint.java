package dev.countersign;

import io.grpc.ChannelCredentials;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.TlsChannelCredentials;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/** Makes connections to {@code http://host:port} or {@code https://host[:port]}. */
final class Endpoint {
  /** One message of the server's is at most as long. */
  static final int MAX_MESSAGE_BYTES = 16 << 20;

  /** Where a name has several addresses, each connection takes one at random. */
  private static final Map<String, ?> SERVICE_CONFIG =
      Map.of(
          "loadBalancingConfig", List.of(Map.of("pick_first", Map.of("shuffleAddressList", true))));

  private final String target;
  private final Tls tls;
  private final Duration patience;

  /**
   * Reads the files once, so that a wrong path is known at the start.
   *
   * @param tls null for that of the endpoint alone
   * @param patience how long the answer to a probe of a connection may take
   * @throws IllegalArgumentException that says what is wrong
   * @throws UncheckedIOException where a file cannot be read
   */
  Endpoint(String endpoint, Tls tls, Duration patience) {
    URI server = parse(endpoint);
    boolean secure = server.getScheme().equalsIgnoreCase("https");
    if (!secure && tls != null) {
      throw new IllegalArgumentException(
          "countersign: the endpoint " + endpoint + " has TLS options, but is not https://");
    }
    this.tls = secure ? (tls == null ? Tls.system() : tls) : null;
    this.patience = patience;
    int port = server.getPort() >= 0 ? server.getPort() : secure ? 443 : 80;
    target = "dns:///" + server.getHost() + ":" + port;
    if (this.tls != null && this.tls.caFile() != null) {
      String text = new String(read(this.tls.caFile()), StandardCharsets.ISO_8859_1);
      if (!text.contains("-----BEGIN CERTIFICATE-----")) {
        throw new IllegalArgumentException(
            "countersign: " + this.tls.caFile() + ": no certificate is in it");
      }
    }
    builder();
  }

  private static URI parse(String endpoint) {
    URI server;
    try {
      server = new URI(endpoint);
    } catch (URISyntaxException e) {
      throw notAnEndpoint(endpoint);
    }
    boolean isKnown =
        "http".equalsIgnoreCase(server.getScheme()) || "https".equalsIgnoreCase(server.getScheme());
    boolean isPlain =
        server.getHost() != null
            && server.getUserInfo() == null
            && server.getQuery() == null
            && server.getFragment() == null
            && List.of("", "/").contains(server.getPath() == null ? "" : server.getPath());
    if (!isKnown || !isPlain || server.getPort() > 65_535) {
      throw notAnEndpoint(endpoint);
    }
    return server;
  }

  /** Without what it says, for there may be a password in it. */
  private static IllegalArgumentException notAnEndpoint(String endpoint) {
    String shown = endpoint.contains("@") ? "" : " \"" + endpoint + "\"";
    return new IllegalArgumentException(
        "countersign: the endpoint" + shown + " is not http://host:port or https://host:port");
  }

  /** Makes a connection, with the files as they are now. It connects when it is used. */
  ManagedChannel open() {
    ManagedChannelBuilder<?> builder =
        builder()
            .disableServiceConfigLookUp()
            .defaultServiceConfig(SERVICE_CONFIG)
            .keepAliveTime(10, TimeUnit.SECONDS)
            .keepAliveTimeout(patience.toMillis(), TimeUnit.MILLISECONDS)
            .keepAliveWithoutCalls(true)
            .maxInboundMessageSize(MAX_MESSAGE_BYTES)
            // The server is a neighbour, and a proxy of the environment is for the world outside.
            .proxyDetector(address -> null);
    if (tls != null && tls.serverName() != null) {
      builder.overrideAuthority(tls.serverName());
    }
    return builder.build();
  }

  private ManagedChannelBuilder<?> builder() {
    try {
      return Grpc.newChannelBuilder(target, credentials());
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(
          "countersign: the files of TLS cannot be used: " + e.getMessage(), e);
    }
  }

  private ChannelCredentials credentials() {
    if (tls == null) {
      return InsecureChannelCredentials.create();
    }
    TlsChannelCredentials.Builder builder = TlsChannelCredentials.newBuilder();
    try {
      if (tls.caFile() != null) {
        builder.trustManager(stream(tls.caFile()));
      }
      if (tls.certFile() != null) {
        builder.keyManager(stream(tls.certFile()), stream(tls.keyFile()));
      }
    } catch (IOException e) {
      throw new UncheckedIOException("countersign: " + e.getMessage(), e);
    }
    return builder.build();
  }

  /** Names what the files say now; the same name for the same files. */
  String files() {
    if (tls == null) {
      return "";
    }
    try {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      for (Path file : Arrays.asList(tls.caFile(), tls.certFile(), tls.keyFile())) {
        digest.update(file == null ? new byte[] {0} : read(file));
        digest.update((byte) 0);
      }
      return HexFormat.of().formatHex(digest.digest());
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }

  private static InputStream stream(Path file) {
    return new ByteArrayInputStream(read(file));
  }

  /** Reads a file without the byte order mark that some editors put at its head. */
  private static byte[] read(Path file) {
    try {
      byte[] bytes = Files.readAllBytes(file);
      boolean hasMark =
          bytes.length >= 3
              && bytes[0] == (byte) 0xef
              && bytes[1] == (byte) 0xbb
              && bytes[2] == (byte) 0xbf;
      return hasMark ? Arrays.copyOfRange(bytes, 3, bytes.length) : bytes;
    } catch (IOException e) {
      throw new UncheckedIOException("countersign: cannot read " + file + ": " + e, e);
    }
  }
}
