package dev.countersign;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.ByteString;
import dev.countersign.testing.FakeServer;
import dev.countersign.testing.Signer;
import dev.countersign.testing.SteppedClock;
import dev.countersign.testing.Wait;
import dev.countersign.v1.InvalidToken;
import dev.countersign.v1.RevocationServiceGrpc;
import dev.countersign.v1.RevokedSession;
import dev.countersign.v1.VerifiedToken;
import dev.countersign.v1.VerifyAccessTokenResponse;
import dev.countersign.v1.WatchBegin;
import dev.countersign.v1.WatchHeartbeat;
import dev.countersign.v1.WatchPosition;
import dev.countersign.v1.WatchResynchronise;
import dev.countersign.v1.WatchRevocationsRequest;
import dev.countersign.v1.WatchRevocationsResponse;
import dev.countersign.v1.WatchRevoked;
import io.grpc.MethodDescriptor;
import io.grpc.Server;
import io.grpc.ServerServiceDefinition;
import io.grpc.Status;
import io.grpc.netty.shaded.io.grpc.netty.NettyServerBuilder;
import io.grpc.stub.ServerCalls;
import io.grpc.stub.StreamObserver;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class VerifierTest {
  private final FakeServer server = new FakeServer();
  private final SteppedClock clock = new SteppedClock(System.currentTimeMillis());
  private final Signer signer = Signer.ed25519("k1");
  private Verifier verifier;
  private FakeServer.Stream stream;

  @AfterEach
  void end() {
    if (verifier != null) {
      verifier.close();
    }
    server.close();
  }

  private VerifierOptions.Builder quick() {
    return VerifierOptions.builder(server.endpoint(), Signer.ISSUER, Signer.AUDIENCE)
        .pingInterval(Duration.ofMillis(5))
        .maxBackoff(Duration.ofMillis(10))
        .clock(clock);
  }

  /** A verifier that has loaded one key, and nothing revoked, up to position 5. */
  private void follow(VerifierOptions.Builder options) {
    verifier = Verifier.connect(options.build());
    stream = server.next();
    assertFalse(stream.started().hasResume());
    stream.load(signer);
    Wait.until("the verifier is ready", verifier::isReady);
  }

  private String answer(String token) {
    return answerOf(verifier.verify(token));
  }

  static String answerOf(Verification verification) {
    return verification instanceof Verification.Verified
        ? "verified"
        : verification instanceof Verification.Invalid invalid
            ? invalid.reason().name()
            : "unknown";
  }

  private String token(int session) {
    return signer.token(session, clock.wallMillis());
  }

  @Test
  void aRevocationIsToldAndTheStreamResumes() {
    BlockingQueue<Revocation> told = new LinkedBlockingQueue<>();
    follow(quick().onRevoked(told::add));
    Token good = verifier.verify(token(1)).orElseThrow();
    assertEquals("ada", good.username());
    assertTrue(good.hasRole("admin"));
    AtomicInteger calls = new AtomicInteger();
    verifier.whenRevoked(good, calls::incrementAndGet);
    TokenVerifier.Watch closed = verifier.whenRevoked(good, calls::incrementAndGet);
    closed.close();
    stream.revoked(9, 1);
    assertTrue(Wait.take("a revocation", told).covers(good));
    assertEquals(1, calls.get());
    assertEquals("REVOKED", answer(token(1)));
    assertEquals("verified", answer(token(2)));
    verifier.whenRevoked(good, calls::incrementAndGet);
    assertEquals(2, calls.get(), "what was revoked before is told at once");
    assertEquals(0, verifier.watchers().size());

    stream.end();
    FakeServer.Stream second = server.next();
    WatchPosition resume = second.started().getResume();
    assertEquals(1, resume.getIncarnation());
    assertEquals(9, resume.getSequence());
  }

  @Test
  void anEpochIsRaised() {
    BlockingQueue<Revocation> told = new LinkedBlockingQueue<>();
    follow(quick().onRevoked(told::add));
    Token good = verifier.verify(token(1)).orElseThrow();
    AtomicBoolean ended = new AtomicBoolean();
    verifier.whenRevoked(good, () -> ended.set(true));
    ByteString subject = ByteString.copyFrom(Id.parseUser(good.subject()).toBytes());
    stream.raised(6, subject, 3);
    assertFalse(Wait.take("a revocation", told).covers(good), "its own epoch is good");
    assertFalse(ended.get());
    stream.raised(7, subject, 4);
    assertTrue(Wait.take("a revocation", told).covers(good));
    assertTrue(ended.get());
    assertEquals("REVOKED", answer(token(1)));
  }

  @Test
  void whatACallbackThrowsEndsNothing() {
    BlockingQueue<Revocation> told = new LinkedBlockingQueue<>();
    Consumer<Revocation> throwing =
        revocation -> {
          told.add(revocation);
          throw new AssertionError("a callback");
        };
    follow(quick().onRevoked(throwing));
    Token good = verifier.verify(token(1)).orElseThrow();
    AtomicBoolean second = new AtomicBoolean();
    verifier.whenRevoked(
        good,
        () -> {
          throw new IllegalStateException("a listener");
        });
    verifier.whenRevoked(good, () -> second.set(true));
    stream.revoked(6, 1);
    Wait.take("a revocation", told);
    assertTrue(second.get());
    stream.revoked(7, 2);
    Wait.take("a revocation", told);
    assertEquals(0, verifier.statistics().streamsEnded());
  }

  @Test
  void aSnapshotMayTakeLongerThanPatienceForAsLongAsItComes() throws StreamEnd {
    Verifier alone = new Verifier(quick().patience(Duration.ofSeconds(5)).build());
    Follower follower = alone.follower();
    Conversation conversation = follower.converse();
    follower.ping(conversation);
    for (int part = 0; part < 10; part++) {
      clock.advance(Duration.ofSeconds(4));
      follower.takeIn(
          WatchRevocationsResponse.newBuilder()
              .setRevoked(
                  WatchRevoked.newBuilder()
                      .addSessions(
                          RevokedSession.newBuilder()
                              .setSessionId(Signer.session(part))
                              .setForgetAt(
                                  com.google.protobuf.Timestamp.newBuilder().setSeconds(1L << 40))))
              .build(),
          conversation);
      follower.ping(conversation);
    }
    clock.advance(Duration.ofSeconds(6));
    assertEquals(
        StreamEnd.Why.SILENT,
        assertThrows(StreamEnd.class, () -> follower.ping(conversation)).why());
  }

  @Test
  void aLongSnapshotIsNotBegunAgain() {
    verifier =
        Verifier.connect(quick().patience(Duration.ofMillis(400)).clock(Clock.system()).build());
    stream = server.next();
    stream.started();
    stream.begin(1, false);
    stream.keys(signer);
    long nonce = stream.pinged();
    long begun = System.nanoTime();
    for (int part = 0; System.nanoTime() - begun < Duration.ofMillis(1600).toNanos(); part++) {
      stream.part(part);
      new Ticks(20).await();
    }
    stream.revoked(5);
    stream.beat(nonce, 5);
    Wait.until("the verifier is ready", verifier::isReady);
    assertFalse(server.hasArrival());
    assertEquals(0, verifier.statistics().streamsEnded());
  }

  /** Some milliseconds, of a test of real time. */
  private static final class Ticks {
    private final long until;

    Ticks(long millis) {
      until = System.nanoTime() + Duration.ofMillis(millis).toNanos();
    }

    boolean areOver() {
      return System.nanoTime() > until;
    }

    void await() {
      Wait.until("some milliseconds later", this::areOver);
    }
  }

  @Test
  void aStalledStreamIsLeftForANewConnectionAndResumes() {
    follow(quick());
    clock.advance(Duration.ofSeconds(6));
    FakeServer.Stream second = server.next();
    assertEquals(5, second.started().getResume().getSequence());
    Wait.until("the first stream is left", stream::isOver);
  }

  @Test
  void aServerThatSaysNothingAtAllIsLeft() throws Exception {
    try (ServerSocket silent = new ServerSocket(0, 10, InetAddress.getLoopbackAddress())) {
      verifier =
          Verifier.connect(
              VerifierOptions.builder(
                      "http://127.0.0.1:" + silent.getLocalPort(), Signer.ISSUER, "orders")
                  .patience(Duration.ofMillis(100))
                  .maxBackoff(Duration.ofMillis(10))
                  .build());
      silent.accept();
      silent.accept();
      assertEquals("unknown", answer(token(1)));
      assertEquals("MALFORMED", answer("x"));
      assertFalse(verifier.awaitReady(Duration.ofMillis(1)));
    }
  }

  @Test
  void whatIsNoGrpcServerIsNotListenedTo() throws Exception {
    try (ServerSocket other = new ServerSocket(0, 10, InetAddress.getLoopbackAddress())) {
      verifier =
          Verifier.connect(
              VerifierOptions.builder(
                      "http://127.0.0.1:" + other.getLocalPort(), Signer.ISSUER, "orders")
                  .maxBackoff(Duration.ofMillis(10))
                  .build());
      for (int i = 0; i < 3; i++) {
        try (var connection = other.accept()) {
          connection.getOutputStream().write("HTTP/1.1 200 OK\r\n\r\nhello".getBytes());
        } catch (IOException e) {
          // The client was faster.
        }
      }
      Wait.until("streams end", () -> verifier.statistics().streamsEnded() >= 2);
      assertEquals("unknown", answer(token(1)));
    }
  }

  @Test
  void nonsenseEndsTheStreamAndTheNextBeginsAnew() {
    follow(quick());
    stream.tell(
        WatchRevocationsResponse.newBuilder()
            .setHeartbeat(WatchHeartbeat.newBuilder().setNonce(1).setSequence(6)));
    FakeServer.Stream second = server.next();
    assertFalse(second.started().hasResume());
    second.load(signer);
    second.tell(
        WatchRevocationsResponse.newBuilder()
            .setResynchronise(WatchResynchronise.getDefaultInstance()));
    assertFalse(server.next().started().hasResume());
    assertEquals("verified", answer(token(1)), "what is known stays known");
  }

  /** The stub would refuse to send it. */
  @Test
  void bytesThatAreNoMessageAreNonsense() throws Exception {
    MethodDescriptor.Marshaller<byte[]> plain =
        new MethodDescriptor.Marshaller<>() {
          @Override
          public InputStream stream(byte[] bytes) {
            return new ByteArrayInputStream(bytes);
          }

          @Override
          public byte[] parse(InputStream stream) {
            try {
              return stream.readAllBytes();
            } catch (IOException e) {
              throw new UncheckedIOException(e);
            }
          }
        };
    BlockingQueue<StreamObserver<byte[]>> callers = new LinkedBlockingQueue<>();
    BlockingQueue<byte[]> starts = new LinkedBlockingQueue<>();
    ServerServiceDefinition service =
        ServerServiceDefinition.builder(RevocationServiceGrpc.SERVICE_NAME)
            .addMethod(
                RevocationServiceGrpc.getWatchRevocationsMethod().toBuilder(plain, plain).build(),
                ServerCalls.asyncBidiStreamingCall(
                    answers -> {
                      callers.add(answers);
                      return new StreamObserver<>() {
                        private boolean hasBegun;

                        @Override
                        public void onNext(byte[] message) {
                          if (!hasBegun) {
                            hasBegun = true;
                            starts.add(message);
                          }
                        }

                        @Override
                        public void onError(Throwable error) {}

                        @Override
                        public void onCompleted() {}
                      };
                    }))
            .build();
    Server raw =
        NettyServerBuilder.forAddress(new InetSocketAddress("127.0.0.1", 0))
            .addService(service)
            .build()
            .start();
    try {
      verifier =
          Verifier.connect(
              VerifierOptions.builder("http://127.0.0.1:" + raw.getPort(), "issuer", "orders")
                  .maxBackoff(Duration.ofMillis(10))
                  .build());
      StreamObserver<byte[]> first = Wait.take("a client", callers);
      Wait.take("a start", starts);
      first.onNext(
          WatchRevocationsResponse.newBuilder()
              .setBegin(WatchBegin.newBuilder().setIncarnation(1))
              .build()
              .toByteArray());
      first.onNext(
          WatchRevocationsResponse.newBuilder()
              .setRevoked(WatchRevoked.newBuilder().setSequence(5))
              .build()
              .toByteArray());
      first.onNext(new byte[] {0x0a, 0x7f, 1});
      byte[] start = Wait.take("a start again", starts);
      assertFalse(WatchRevocationsRequest.parseFrom(start).getStart().hasResume());
    } finally {
      raw.shutdownNow();
    }
  }

  @Test
  void aMessageThatIsTooBigEndsTheStream() {
    follow(quick());
    int[] sessions = new int[600_000];
    java.util.Arrays.setAll(sessions, i -> i);
    stream.part(sessions);
    FakeServer.Stream second = server.next();
    assertEquals(5, second.started().getResume().getSequence());
    assertEquals(0, verifier.statistics().revocations());
  }

  @Test
  void aClockThatBreaksEndsTheStreamAlone() {
    AtomicBoolean breaks = new AtomicBoolean();
    Clock broken =
        new Clock() {
          @Override
          public long wallMillis() {
            if (breaks.get()) {
              throw new IllegalStateException("a clock");
            }
            return clock.wallMillis();
          }

          @Override
          public long monotonicNanos() {
            return clock.monotonicNanos();
          }
        };
    follow(quick().clock(broken));
    breaks.set(true);
    Wait.until("streams end", () -> verifier.statistics().streamsEnded() >= 2);
    breaks.set(false);
    FakeServer.Stream next = server.next();
    next.started();
    next.begin(1, true);
    Wait.until("it follows again", () -> answer(token(1)).equals("verified"));
  }

  @Test
  void aWallClockThatIsSetLoadsEverythingAnew() {
    follow(quick());
    assertEquals("verified", answer(token(1)));
    String before = token(1);
    clock.stepWallClock(Duration.ofSeconds(20));
    assertEquals("unknown", answer(before));
    FakeServer.Stream second = server.next();
    assertFalse(second.started().hasResume());
    second.load(signer);
    Wait.until("it is known again", () -> answer(before).equals("verified"));
  }

  @Test
  void pastTheBoundTheServerIsAsked() {
    follow(quick().onStale(OnStale.ASK_SERVER).patience(Duration.ofHours(1)));
    BlockingQueue<String> requests = new LinkedBlockingQueue<>();
    server.verify =
        request -> {
          requests.add(request.getAudiencesList() + " " + request.getMaxStaleness().getSeconds());
          return VerifyAccessTokenResponse.newBuilder()
              .setVerified(VerifiedToken.getDefaultInstance())
              .build();
        };
    String token = token(1);
    assertEquals("verified", answer(token));
    assertTrue(requests.isEmpty());
    clock.advance(Duration.ofSeconds(11));
    assertEquals("ada", verifier.verify(token).orElseThrow().username());
    assertEquals("[orders] 10", requests.poll());
    assertEquals("verified", answerOf(verifier.verify(token, List.of("x", "orders"))));
    assertEquals("[x, orders] 10", requests.poll());
    assertEquals("MALFORMED", answer("garbage"), "that is known without the server");
    assertEquals("MALFORMED", answer("A".repeat(9000)));
    assertTrue(requests.isEmpty());
    server.verify =
        request ->
            VerifyAccessTokenResponse.newBuilder()
                .setInvalid(
                    InvalidToken.newBuilder()
                        .setReason(dev.countersign.v1.InvalidReason.INVALID_REASON_REVOKED))
                .build();
    assertEquals("REVOKED", answer(token));
    server.verify =
        request ->
            VerifyAccessTokenResponse.newBuilder()
                .setInvalid(InvalidToken.newBuilder().setReasonValue(99))
                .build();
    assertEquals("MALFORMED", answer(token), "a reason that this release does not know");
    server.verify = request -> VerifyAccessTokenResponse.getDefaultInstance();
    assertEquals("unknown", answer(token));
    server.verify =
        request -> {
          throw Status.UNAVAILABLE.asRuntimeException();
        };
    Verification unknown = verifier.verify(token);
    assertTrue(((Verification.Unknown) unknown).cause().isPresent());
    assertEquals(
        "REVOCATIONS_STALE",
        assertThrows(RefusedException.class, unknown::orElseThrow).refusal().reason());
    assertEquals(6, verifier.statistics().asked());
  }

  @Test
  void pastTheBoundNothingIsKnownOrItGoesOn() {
    follow(quick().patience(Duration.ofHours(1)));
    stream.revoked(6, 2);
    Wait.until("it is revoked", () -> answer(token(2)).equals("REVOKED"));
    clock.advance(Duration.ofSeconds(11));
    assertEquals("unknown", answer(token(1)));
    assertEquals("REVOKED", answer(token(2)));
    assertEquals("verified", answerOf(verifier.verifyHere(token(1), List.of(), OnStale.SERVE)));
    assertTrue(verifier.staleness().orElseThrow().toSeconds() >= 11);
  }

  @Test
  void itFindsAServerThatComesLater() throws Exception {
    int port = server.port();
    server.close();
    verifier = Verifier.connect(quick().clock(Clock.system()).onStale(OnStale.ASK_SERVER).build());
    Wait.until("streams end", () -> verifier.statistics().streamsEnded() >= 2);
    assertEquals("unknown", answer(token(1)));
    try (FakeServer late = new FakeServer(port)) {
      FakeServer.Stream first = late.next();
      first.started();
      first.load(signer);
      assertTrue(verifier.awaitReady(Wait.PATIENCE));
      assertEquals("verified", answer(token(1)));
    }
  }

  @Test
  void theCredentialGoesWithTheStream() {
    AtomicInteger count = new AtomicInteger();
    verifier = Verifier.connect(quick().credential(() -> "key-" + count.incrementAndGet()).build());
    stream = server.next();
    assertEquals("Bearer key-1", server.credential());
    stream.end();
    server.next();
    assertEquals("Bearer key-2", server.credential());
  }

  @Test
  void aCredentialThatHangsOrFailsEndsNothing() {
    AtomicInteger count = new AtomicInteger();
    verifier =
        Verifier.connect(
            quick()
                .patience(Duration.ofMillis(100))
                .credential(
                    () -> {
                      if (count.incrementAndGet() == 1) {
                        new Ticks(500).await();
                      }
                      if (count.get() == 2) {
                        throw new IllegalStateException("no key");
                      }
                      return "key";
                    })
                .build());
    server.next();
    assertEquals("Bearer key", server.credential());
    assertTrue(verifier.statistics().streamsEnded() >= 1);
  }

  @Test
  void aCredentialThatCannotBeSentIsNotShown() {
    for (String credential : List.of("", "a secret", "secret\n", "sécret")) {
      IllegalArgumentException error =
          assertThrows(IllegalArgumentException.class, () -> quick().credential(credential));
      assertFalse(error.getMessage().contains("cret\n") || error.getMessage().contains("a secret"));
    }
  }

  @Test
  void closeEndsEverything() throws Exception {
    follow(quick());
    verifier.close();
    Wait.until("the stream is over", stream::isOver);
    assertFalse(server.hasArrival());
    clock.advance(Duration.ofSeconds(11));
    assertEquals("unknown", answer(token(1)));
    verifier.close();
    Verifier never =
        Verifier.connect(VerifierOptions.builder("http://127.0.0.1:1", "x", "y").build());
    never.close();
    assertFalse(never.awaitReady(Duration.ofHours(1)));
  }

  @Test
  void optionsAreChecked() {
    for (String endpoint :
        List.of(
            "",
            "localhost",
            "localhost:50051",
            "ftp://x",
            "http://",
            "http://x/y",
            "http://x?y",
            "http://u:secret@x",
            "http://x:99999",
            "http:x",
            "http://x y")) {
      IllegalArgumentException error =
          assertThrows(
              IllegalArgumentException.class,
              () -> Verifier.connect(VerifierOptions.builder(endpoint, "issuer", "a").build()),
              endpoint);
      assertTrue(error.getMessage().contains("the endpoint"), error.getMessage());
      assertFalse(error.getMessage().contains("secret"));
    }
    assertThrows(
        IllegalArgumentException.class, () -> VerifierOptions.builder("http://x", "", "a"));
    assertThrows(IllegalArgumentException.class, () -> VerifierOptions.builder("http://x", "i"));
    assertThrows(
        IllegalArgumentException.class, () -> VerifierOptions.builder("http://x", "i", ""));
    assertThrows(IllegalArgumentException.class, () -> quick().maxStaleness(Duration.ofMillis(-1)));
    assertThrows(IllegalArgumentException.class, () -> quick().patience(Duration.ZERO));
    assertThrows(IllegalArgumentException.class, () -> quick().cachedTokens(-1));
    quick().leeway(Duration.ZERO).cachedTokens(0).build();
    assertThrows(
        IllegalArgumentException.class,
        () -> Verifier.connect(quick().tls(Tls.system()).build()),
        "TLS without https");
    assertThrows(
        UncheckedIOException.class,
        () ->
            Verifier.connect(
                VerifierOptions.builder("https://x", "i", "a")
                    .tls(Tls.ofAuthorities(Path.of("/nowhere.pem")))
                    .build()));
  }
}
