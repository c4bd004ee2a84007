package dev.countersign;

import java.nio.file.Path;

/**
 * How to speak TLS with a server. The files are read for each connection, so that what replaces
 * them is used from the next one on; the server ends connections after some ten minutes.
 *
 * @param caFile the authorities in PEM that the server's certificate must come from. No others are
 *     trusted. Null for those of the Java runtime
 * @param certFile the client's own certificate in PEM, for a server that asks for one; or null
 * @param keyFile its private key in PEM (PKCS #8); or null
 * @param serverName the name that the server's certificate must have, where it is not the host of
 *     the endpoint; or null
 */
public record Tls(Path caFile, Path certFile, Path keyFile, String serverName) {
  /**
   * Checks that a certificate has its key.
   *
   * @param caFile the authorities, or null
   * @param certFile the certificate, or null
   * @param keyFile its private key, or null
   * @param serverName the name of the server, or null
   * @throws IllegalArgumentException where one is without the other
   */
  public Tls {
    if ((certFile == null) != (keyFile == null)) {
      throw new IllegalArgumentException(
          "countersign: a certificate needs its key, and a key its certificate");
    }
  }

  /**
   * Trusts the authorities of the Java runtime.
   *
   * @return without files
   */
  public static Tls system() {
    return new Tls(null, null, null, null);
  }

  /**
   * Trusts the authorities of a file alone.
   *
   * @param caFile the authorities in PEM
   * @return with this file
   */
  public static Tls ofAuthorities(Path caFile) {
    return new Tls(caFile, null, null, null);
  }

  /**
   * The same with a certificate of the client's own.
   *
   * @param certFile the certificate in PEM
   * @param keyFile its private key in PEM (PKCS #8)
   * @return with these files
   */
  public Tls withCertificate(Path certFile, Path keyFile) {
    return new Tls(caFile, certFile, keyFile, serverName);
  }

  /**
   * The same for a certificate with another name than the host of the endpoint.
   *
   * @param serverName the name
   * @return with this name
   */
  public Tls withServerName(String serverName) {
    return new Tls(caFile, certFile, keyFile, serverName);
  }
}
