package dev.countersign;

import java.time.Duration;
import java.util.Objects;
import java.util.function.Supplier;

/** How a {@link Client} behaves. */
public final class ClientOptions {
  private final String endpoint;
  private final Tls tls;
  private final Supplier<String> credential;
  private final Duration deadline;
  private final Duration attemptTimeout;
  private final Duration maxBackoff;

  private ClientOptions(Builder builder) {
    endpoint = builder.endpoint;
    tls = builder.tls;
    credential = builder.credential;
    deadline = builder.deadline;
    attemptTimeout = builder.attemptTimeout;
    maxBackoff = builder.maxBackoff;
  }

  /**
   * Begins with what has no default.
   *
   * @param endpoint the server's gRPC address: {@code https://host:port}, or {@code
   *     http://host:port} without TLS
   * @return what the rest is said to
   */
  public static Builder builder(String endpoint) {
    return new Builder(endpoint);
  }

  String endpoint() {
    return endpoint;
  }

  Tls tls() {
    return tls;
  }

  Supplier<String> credential() {
    return credential;
  }

  Duration deadline() {
    return deadline;
  }

  Duration attemptTimeout() {
    return attemptTimeout;
  }

  Duration maxBackoff() {
    return maxBackoff;
  }

  /** Says how a client behaves, beside where its server is. */
  public static final class Builder {
    private final String endpoint;
    private Tls tls;
    private Supplier<String> credential;
    private Duration deadline = Duration.ofSeconds(10);
    private Duration attemptTimeout = Duration.ofSeconds(3);
    private Duration maxBackoff = Duration.ofSeconds(1);

    private Builder(String endpoint) {
      this.endpoint = Objects.requireNonNull(endpoint, "endpoint");
    }

    /**
     * Which certificates to use with https. By default the authorities of the Java runtime are
     * trusted.
     *
     * @param tls the files
     * @return this
     */
    public Builder tls(Tls tls) {
      this.tls = Objects.requireNonNull(tls, "tls");
      return this;
    }

    /**
     * A service key ({@code csgn_sk_…}) or an operator's access token. It goes with each call to
     * the administrative services, which are closed without one (or a client certificate that a
     * rule of the operator's names). Whoever sees the connection reads it, so use https beyond the
     * loopback interface.
     *
     * @param credential the key or the token
     * @return this
     */
    public Builder credential(String credential) {
      this.credential = BearerCredential.fixed(credential);
      return this;
    }

    /**
     * The same, for what is asked for one with each attempt.
     *
     * @param credential gives a key or a token
     * @return this
     */
    public Builder credential(Supplier<String> credential) {
      this.credential = Objects.requireNonNull(credential, "credential");
      return this;
    }

    /**
     * How long all attempts of a call may take together, pauses included; 10 s. The deadline of a
     * stub holds too.
     *
     * @param deadline the time
     * @return this
     */
    public Builder deadline(Duration deadline) {
      this.deadline = Durations.positive("deadline", deadline);
      return this;
    }

    /**
     * How long one attempt may take; 3 s, which is longer than the server takes over a Refresh.
     *
     * @param attemptTimeout the time
     * @return this
     */
    public Builder attemptTimeout(Duration attemptTimeout) {
      this.attemptTimeout = Durations.positive("attemptTimeout", attemptTimeout);
      return this;
    }

    /**
     * The longest pause between two attempts where the server does not say how long to wait; 1 s.
     *
     * @param maxBackoff the pause
     * @return this
     */
    public Builder maxBackoff(Duration maxBackoff) {
      this.maxBackoff = Durations.positive("maxBackoff", maxBackoff);
      return this;
    }

    /**
     * Makes the options.
     *
     * @return the options
     */
    public ClientOptions build() {
      return new ClientOptions(this);
    }
  }
}
