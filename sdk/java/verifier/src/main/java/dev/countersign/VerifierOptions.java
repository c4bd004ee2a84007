package dev.countersign;

import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Objects;
import java.util.function.Consumer;
import java.util.function.Supplier;

/** How a {@link Verifier} behaves. */
public final class VerifierOptions {
  /** More tokens are not remembered. */
  static final int MOST_CACHED_TOKENS = 1 << 24;

  private final String endpoint;
  private final Tls tls;
  private final Supplier<String> credential;
  private final String issuer;
  private final List<String> audiences;
  private final Duration maxStaleness;
  private final OnStale onStale;
  private final Consumer<Revocation> onRevoked;
  private final Duration pingInterval;
  private final Duration patience;
  private final Duration maxBackoff;
  private final Duration askTimeout;
  private final Duration leeway;
  private final int cachedTokens;
  private final Clock clock;

  private VerifierOptions(Builder builder) {
    endpoint = builder.endpoint;
    tls = builder.tls;
    credential = builder.credential;
    issuer = builder.issuer;
    audiences = builder.audiences;
    maxStaleness = builder.maxStaleness;
    onStale = builder.onStale;
    onRevoked = builder.onRevoked;
    pingInterval = builder.pingInterval;
    patience = builder.patience;
    maxBackoff = builder.maxBackoff;
    askTimeout = builder.askTimeout;
    leeway = builder.leeway;
    cachedTokens = builder.cachedTokens;
    clock = builder.clock;
  }

  /**
   * Begins with what has no default.
   *
   * @param endpoint the server's gRPC address: {@code https://host:port}, or {@code
   *     http://host:port} without TLS
   * @param issuer the one issuer that is accepted, exactly: the server's {@code tokens.issuer}
   * @param audiences the names that this service goes by. A token must be meant for one of them,
   *     unless a call to verify names others
   * @return what the rest is said to
   */
  public static Builder builder(String endpoint, String issuer, String... audiences) {
    return new Builder(endpoint, issuer, List.of(audiences));
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

  String issuer() {
    return issuer;
  }

  List<String> audiences() {
    return audiences;
  }

  Duration maxStaleness() {
    return maxStaleness;
  }

  OnStale onStale() {
    return onStale;
  }

  Consumer<Revocation> onRevoked() {
    return onRevoked;
  }

  Duration pingInterval() {
    return pingInterval;
  }

  Duration patience() {
    return patience;
  }

  Duration maxBackoff() {
    return maxBackoff;
  }

  Duration askTimeout() {
    return askTimeout;
  }

  Duration leeway() {
    return leeway;
  }

  int cachedTokens() {
    return cachedTokens;
  }

  Clock clock() {
    return clock;
  }

  /** Says how a verifier behaves, beside where its server is. */
  public static final class Builder {
    private final String endpoint;
    private final String issuer;
    private final List<String> audiences;
    private Tls tls;
    private Supplier<String> credential;
    private Duration maxStaleness = Duration.ofSeconds(10);
    private OnStale onStale = OnStale.FAIL_CLOSED;
    private Consumer<Revocation> onRevoked;
    private Duration pingInterval = Duration.ofSeconds(1);
    private Duration patience = Duration.ofSeconds(5);
    private Duration maxBackoff = Duration.ofSeconds(5);
    private Duration askTimeout = Duration.ofSeconds(1);
    private Duration leeway = Duration.ofSeconds(5);
    private int cachedTokens = 65_536;
    private Clock clock = Clock.system();

    private Builder(String endpoint, String issuer, Collection<String> audiences) {
      this.endpoint = Objects.requireNonNull(endpoint, "endpoint");
      this.issuer = Objects.requireNonNull(issuer, "issuer");
      if (issuer.isEmpty()) {
        throw new IllegalArgumentException("countersign: the issuer is empty");
      }
      this.audiences = Audiences.copyOf(audiences);
      if (audiences.isEmpty()) {
        throw new IllegalArgumentException(
            "countersign: there are no audiences: no token could be accepted");
      }
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
     * What the server knows this service by, where its rules ({@code [[grpc.allow]]}) name roles:
     * the key of a service account, or an access token. Whoever sees the connection reads it, so
     * use https beyond the loopback interface.
     *
     * @param credential the key or the token
     * @return this
     */
    public Builder credential(String credential) {
      this.credential = BearerCredential.fixed(credential);
      return this;
    }

    /**
     * The same, for what is asked for one with each stream.
     *
     * @param credential gives a key or a token. It may take as long as {@link #patience}
     * @return this
     */
    public Builder credential(Supplier<String> credential) {
      this.credential = Objects.requireNonNull(credential, "credential");
      return this;
    }

    /**
     * The oldest view of revocations that is answered from; 10 s. It should be several times {@link
     * #pingInterval} and the server's {@code revocation.poll_interval} together, so that a busy
     * moment is not taken for an outage.
     *
     * @param maxStaleness the bound
     * @return this
     */
    public Builder maxStaleness(Duration maxStaleness) {
      this.maxStaleness = Durations.positive("maxStaleness", maxStaleness);
      return this;
    }

    /**
     * What happens beyond {@link #maxStaleness}; {@link OnStale#FAIL_CLOSED}.
     *
     * @param onStale the policy
     * @return this
     */
    public Builder onStale(OnStale onStale) {
      this.onStale = Objects.requireNonNull(onStale, "onStale");
      return this;
    }

    /**
     * Is called for each revocation that was not known before, so that whatever a session holds
     * open can be ended; see also {@link Verifier#whenRevoked}. It is called by the thread that
     * follows the server and must return soon. What it throws is logged.
     *
     * @param onRevoked the callback
     * @return this
     */
    public Builder onRevoked(Consumer<Revocation> onRevoked) {
      this.onRevoked = Objects.requireNonNull(onRevoked, "onRevoked");
      return this;
    }

    /**
     * How often the server is asked to prove that the view is fresh; 1 s.
     *
     * @param pingInterval the interval
     * @return this
     */
    public Builder pingInterval(Duration pingInterval) {
      this.pingInterval = Durations.positive("pingInterval", pingInterval);
      return this;
    }

    /**
     * How long a ping may go unanswered before the connection is given up, and how long connecting
     * may take; 5 s. The answer to the first ping stands behind all that is revoked, and is waited
     * for as long as that comes.
     *
     * @param patience the time
     * @return this
     */
    public Builder patience(Duration patience) {
      this.patience = Durations.positive("patience", patience);
      return this;
    }

    /**
     * The longest pause before connecting again; 5 s. Each pause is drawn at random.
     *
     * @param maxBackoff the pause
     * @return this
     */
    public Builder maxBackoff(Duration maxBackoff) {
      this.maxBackoff = Durations.positive("maxBackoff", maxBackoff);
      return this;
    }

    /**
     * How long the server may take to answer with {@link OnStale#ASK_SERVER}, and how long {@link
     * Verifier#verifyAtLeast} waits for a position; 1 s.
     *
     * @param askTimeout the time
     * @return this
     */
    public Builder askTimeout(Duration askTimeout) {
      this.askTimeout = Durations.positive("askTimeout", askTimeout);
      return this;
    }

    /**
     * How far another machine's clock may be ahead, for {@code iat} and {@code nbf}; 5 s. {@code
     * exp} has never any leeway.
     *
     * @param leeway the time; zero for none
     * @return this
     */
    public Builder leeway(Duration leeway) {
      this.leeway = Durations.notNegative("leeway", leeway);
      return this;
    }

    /**
     * How many verified tokens are remembered; 65,536. A usual token takes about 1.5 KiB.
     *
     * @param cachedTokens how many; 0 for none
     * @return this
     */
    public Builder cachedTokens(int cachedTokens) {
      if (cachedTokens < 0 || cachedTokens > MOST_CACHED_TOKENS) {
        throw new IllegalArgumentException(
            "countersign: cachedTokens is not between 0 and " + MOST_CACHED_TOKENS);
      }
      this.cachedTokens = cachedTokens;
      return this;
    }

    /**
     * Where the time comes from; {@link Clock#system}.
     *
     * @param clock the clock
     * @return this
     */
    public Builder clock(Clock clock) {
      this.clock = Objects.requireNonNull(clock, "clock");
      return this;
    }

    /**
     * Makes the options.
     *
     * @return the options
     */
    public VerifierOptions build() {
      return new VerifierOptions(this);
    }
  }
}
