package dev.countersign;

import dev.countersign.v1.AuthServiceGrpc;
import dev.countersign.v1.VerifyAccessTokenRequest;
import dev.countersign.v1.VerifyAccessTokenResponse;
import io.grpc.StatusRuntimeException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.Consumer;

/**
 * Verifies access tokens in this process, with the keys and revocations of a server that it follows
 * until it is closed. It knows how old its knowledge is, and past a bound acts by policy. Any
 * number of threads may call it; they take no lock.
 */
public final class Verifier implements TokenVerifier, AutoCloseable {
  private static final Logger LOGGER = System.getLogger("dev.countersign");

  private final VerifierOptions options;
  private final long maxStalenessNanos;
  private final Engine engine;
  private final Watchers watchers = new Watchers();
  private final Positions positions = new Positions();
  private final Pauses pauses;
  private final Follower follower;
  private final CountDownLatch ready = new CountDownLatch(1);
  private final LongAdder verified = new LongAdder();
  private final LongAdder invalid = new LongAdder();
  private final LongAdder unknown = new LongAdder();
  private final LongAdder asked = new LongAdder();
  private final LongAdder streamsEnded = new LongAdder();

  /** Both are null in one that follows no server. */
  private Following following;

  private SharedChannel channel;
  private BearerCredential credential;
  private volatile boolean isClosed;

  /** One that follows no server. */
  Verifier(VerifierOptions options) {
    this.options = options;
    maxStalenessNanos = options.maxStaleness().toNanos();
    engine =
        new Engine(
            options.issuer(),
            options.audiences(),
            options.leeway().toMillis(),
            options.cachedTokens());
    pauses = new Pauses(options.maxBackoff());
    follower =
        new Follower(
            engine, options.clock(), options.patience().toNanos(), this::tell, this::proven);
  }

  /**
   * Begins to follow the server and returns at once: the server need not be there yet. Until
   * everything is loaded no token is accepted; {@link #awaitReady} waits for that.
   *
   * @param options how the verifier behaves
   * @return the verifier, which must be closed
   * @throws IllegalArgumentException that says what is wrong with the options
   * @throws java.io.UncheckedIOException where a file of {@link Tls} cannot be read
   */
  public static Verifier connect(VerifierOptions options) {
    Endpoint endpoint = new Endpoint(options.endpoint(), options.tls(), options.patience());
    Verifier verifier = new Verifier(options);
    verifier.credential =
        options.credential() == null ? null : new BearerCredential(options.credential());
    verifier.channel = new SharedChannel(endpoint);
    verifier.following =
        new Following(
            endpoint,
            verifier.credential,
            options,
            verifier.engine,
            verifier.follower,
            verifier.positions,
            verifier.pauses,
            verifier.streamsEnded::increment);
    verifier.following.start();
    return verifier;
  }

  Engine engine() {
    return engine;
  }

  Follower follower() {
    return follower;
  }

  Watchers watchers() {
    return watchers;
  }

  /**
   * Stops following the server. From then on the view of revocations grows older, as if the server
   * could not be heard.
   */
  @Override
  public void close() {
    isClosed = true;
    if (following != null) {
      following.close();
      channel.close();
    }
  }

  /**
   * Waits until keys and revocations were loaded for the first time, for a service that is not to
   * start before.
   *
   * @param timeout how long to wait
   * @return whether they were
   * @throws InterruptedException where the thread is interrupted
   */
  public boolean awaitReady(Duration timeout) throws InterruptedException {
    return isReady() || (!isClosed && ready.await(timeout.toNanos(), TimeUnit.NANOSECONDS));
  }

  /**
   * Whether keys and revocations were loaded once.
   *
   * @return whether they were
   */
  public boolean isReady() {
    return ready.getCount() == 0;
  }

  /**
   * How old the view of revocations is at most, for readiness and metrics.
   *
   * @return empty when there is none, or the wall clock was set
   */
  public Optional<Duration> staleness() {
    Clock clock = options.clock();
    return durationOf(engine.freshness().staleness(clock.wallMillis(), clock.monotonicNanos()));
  }

  private static Optional<Duration> durationOf(long staleness) {
    return staleness == Freshness.UNKNOWN
        ? Optional.empty()
        : Optional.of(Duration.ofNanos(staleness));
  }

  /**
   * What was counted, for metrics.
   *
   * @return the counts
   */
  public Statistics statistics() {
    return new Statistics(
        verified.sum(),
        invalid.sum(),
        unknown.sum(),
        asked.sum(),
        streamsEnded.sum(),
        engine.revocations().size(),
        engine.cache().size());
  }

  /**
   * {@inheritDoc}
   *
   * <p>It does no I/O, unless the view is too old and the policy is {@link OnStale#ASK_SERVER}.
   * Whatever the token is, and whatever the server does, it throws nothing.
   */
  @Override
  public Verification verify(String token, List<String> audiences) {
    Verification here = verifyHere(token, audiences, options.onStale());
    if (options.onStale() == OnStale.ASK_SERVER && here instanceof Verification.Unknown) {
      here = ask(token, "", audiences);
    }
    return count(here);
  }

  /**
   * Does as {@link #verify(String, List)}, once everything is known here up to a position: the text
   * that the answer to a Logout, to a change of a password or to the end of sessions carries. So
   * whoever made the change, or was handed its position, can be sure on the first call. It takes a
   * round trip to the server on the stream that is open already, and nothing the next time with the
   * same position; an empty one asks for nothing. It waits for {@link
   * VerifierOptions.Builder#askTimeout} at most.
   *
   * <p>The outcome is {@link Verification.Unknown} where the position is not reached in time or is
   * none of the server's ledger, also with {@link OnStale#SERVE}. With {@link OnStale#ASK_SERVER}
   * the server is asked for the token then.
   *
   * @param position the position
   * @param token the access token, without {@code Bearer}
   * @param audiences the names that the service goes by; empty for the verifier's own
   * @return what is known of the token
   */
  public Verification verifyAtLeast(String position, String token, List<String> audiences) {
    if (position.isEmpty() || positions.reach(position, options.askTimeout().toNanos())) {
      return verify(token, audiences);
    }
    if (options.onStale() == OnStale.ASK_SERVER && position.length() <= Positions.MAX_LENGTH) {
      return count(ask(token, position, audiences));
    }
    return count(new Verification.Unknown(staleness(), Optional.empty()));
  }

  /**
   * Does so for the verifier's own audiences.
   *
   * @param position the position
   * @param token the access token, without {@code Bearer}
   * @return what is known of the token
   */
  public Verification verifyAtLeast(String position, String token) {
    return verifyAtLeast(position, token, List.of());
  }

  @Override
  public Watch whenRevoked(Token token, Runnable listener) {
    Watchers.Watcher watcher =
        watchers.add(
            token, () -> safely("a listener of whenRevoked", told -> listener.run(), null));
    // A revocation that came before it was added has not told it.
    Id subject = Id.parseUser(token.subject());
    Id session = Id.parseSession(token.sessionId());
    if (subject != null
        && session != null
        && engine.revocations().isRevoked(subject, session, token.epoch())) {
      watcher.tell();
    }
    return watcher;
  }

  private Verification count(Verification verification) {
    if (verification instanceof Verification.Verified) {
      verified.increment();
    } else if (verification instanceof Verification.Invalid) {
      invalid.increment();
    } else {
      unknown.increment();
    }
    return verification;
  }

  /**
   * Does not ask the server. That a token is bad by itself is said from a stale view too; but then
   * a key that is not known may be a new one, and says nothing.
   */
  Verification verifyHere(String token, List<String> audiences, OnStale policy) {
    Clock clock = options.clock();
    long wall = clock.wallMillis();
    long staleness = engine.freshness().staleness(wall, clock.monotonicNanos());
    boolean fresh = staleness != Freshness.UNKNOWN && staleness <= maxStalenessNanos;
    Verification verification = engine.verify(token, audiences, wall);
    if (verification instanceof Verification.Invalid refused) {
      return refused.reason() == InvalidReason.UNKNOWN_KEY && !fresh
          ? new Verification.Unknown(durationOf(staleness), Optional.empty())
          : refused;
    }
    boolean serves = policy == OnStale.SERVE && staleness != Freshness.UNKNOWN;
    return fresh || serves
        ? verification
        : new Verification.Unknown(durationOf(staleness), Optional.empty());
  }

  private Verification ask(String token, String atLeast, List<String> audiences) {
    if (token.length() > Engine.MAX_TOKEN_BYTES) {
      return Verification.Invalid.of(InvalidReason.MALFORMED);
    }
    asked.increment();
    VerifyAccessTokenResponse answer;
    try {
      channel.reconnect();
      answer =
          AuthServiceGrpc.newBlockingStub(channel)
              .withDeadlineAfter(options.askTimeout())
              .withCallCredentials(credential)
              .verifyAccessToken(
                  VerifyAccessTokenRequest.newBuilder()
                      .setAccessToken(token)
                      .addAllAudiences(audiences.isEmpty() ? options.audiences() : audiences)
                      .setMaxStaleness(
                          com.google.protobuf.Duration.newBuilder()
                              .setSeconds(options.maxStaleness().getSeconds())
                              .setNanos(options.maxStaleness().getNano()))
                      .setAtLeast(atLeast)
                      .build());
    } catch (StatusRuntimeException | IllegalArgumentException e) {
      return new Verification.Unknown(staleness(), Optional.of(e));
    }
    return switch (answer.getResultCase()) {
      case VERIFIED -> vouchedFor(token);
      case INVALID -> Verification.Invalid.of(reasonOf(answer.getInvalid().getReason()));
      case RESULT_NOT_SET ->
          new Verification.Unknown(
              staleness(),
              Optional.of(new IllegalStateException("countersign: an answer of another kind")));
    };
  }

  /**
   * Reads a token of which the server has just said that it is good. It checks nothing but its
   * form.
   */
  private static Verification vouchedFor(String token) {
    Jws jws = Jws.parse(token, Engine.MAX_TOKEN_BYTES);
    Claims claims = jws == null ? null : Claims.parse(jws.payload());
    return claims == null ? Verification.Invalid.of(InvalidReason.MALFORMED) : claims.verified();
  }

  /**
   * Reads the server's reason. One that only a newer server has is MALFORMED: whatever it is, the
   * token must not be accepted.
   */
  private static InvalidReason reasonOf(dev.countersign.v1.InvalidReason told) {
    return switch (told) {
      case INVALID_REASON_EXPIRED -> InvalidReason.EXPIRED;
      case INVALID_REASON_NOT_YET_VALID -> InvalidReason.NOT_YET_VALID;
      case INVALID_REASON_BAD_SIGNATURE -> InvalidReason.BAD_SIGNATURE;
      case INVALID_REASON_UNKNOWN_KEY -> InvalidReason.UNKNOWN_KEY;
      case INVALID_REASON_WRONG_AUDIENCE -> InvalidReason.WRONG_AUDIENCE;
      case INVALID_REASON_WRONG_ISSUER -> InvalidReason.WRONG_ISSUER;
      case INVALID_REASON_WRONG_TYPE -> InvalidReason.WRONG_TYPE;
      case INVALID_REASON_REVOKED -> InvalidReason.REVOKED;
      default -> InvalidReason.MALFORMED;
    };
  }

  /** Passes on a revocation that was not known before. */
  private void tell(Revocation revocation) {
    watchers.tell(revocation);
    if (options.onRevoked() != null) {
      safely("onRevoked", options.onRevoked(), revocation);
    }
  }

  /** What the application throws must not end the stream of revocations. */
  private static void safely(String name, Consumer<Revocation> call, Revocation revocation) {
    try {
      call.accept(revocation);
    } catch (RuntimeException | Error e) {
      if (e instanceof VirtualMachineError) {
        throw e;
      }
      LOGGER.log(Level.WARNING, name + " has thrown", e);
    }
  }

  private void proven() {
    pauses.reset();
    ready.countDown();
  }
}
