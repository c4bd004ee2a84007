package dev.countersign;

import static dev.countersign.VerifierTest.answerOf;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.countersign.testing.FakeServer;
import dev.countersign.testing.Signer;
import dev.countersign.testing.SteppedClock;
import dev.countersign.testing.Wait;
import dev.countersign.v1.VerifiedToken;
import dev.countersign.v1.VerifyAccessTokenResponse;
import dev.countersign.v1.WatchBegin;
import dev.countersign.v1.WatchHeartbeat;
import dev.countersign.v1.WatchRevocationsResponse;
import dev.countersign.v1.WatchRevoked;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class PositionsTest {
  private final FakeServer server = new FakeServer();
  private final SteppedClock clock = new SteppedClock(System.currentTimeMillis());
  private final Signer signer = Signer.ed25519("k1");
  private final String token = signer.token(1, clock.wallMillis());
  private final ExecutorService threads = Executors.newCachedThreadPool();
  private Verifier verifier;
  private FakeServer.Stream stream;

  @AfterEach
  void end() {
    verifier.close();
    server.close();
    threads.shutdownNow();
  }

  private void follow(OnStale onStale, Duration askTimeout) {
    verifier =
        Verifier.connect(
            VerifierOptions.builder(server.endpoint(), Signer.ISSUER, Signer.AUDIENCE)
                .clock(clock)
                .maxBackoff(Duration.ofMillis(10))
                .patience(Duration.ofHours(1))
                .askTimeout(askTimeout)
                .onStale(onStale)
                .build());
    stream = server.next();
    stream.started();
    stream.load(signer);
    Wait.until("the verifier is ready", verifier::isReady);
  }

  private Future<String> ask(String position) {
    return threads.submit(() -> answerOf(verifier.verifyAtLeast(position, token)));
  }

  @Test
  void aPositionIsWaitedForAndRemembered() throws Exception {
    follow(OnStale.SERVE, Wait.PATIENCE);
    Future<String> first = ask("p1");
    long nonce = stream.askedFor("p1");
    stream.revoked(6, 1);
    stream.reached(nonce, 6, true);
    assertEquals("REVOKED", first.get());
    // Remembered: no question is asked, though the server would not answer it.
    assertEquals("REVOKED", ask("p1").get());
    assertEquals("REVOKED", ask("").get());
    Future<String> second = ask("p2");
    stream.reached(stream.askedFor("p2"), 6, false);
    assertEquals("unknown", second.get(), "not reached, also with SERVE");
    assertEquals("unknown", ask("1".repeat(65)).get(), "too long");
    Future<String> last = ask("p3");
    stream.askedFor("p3");
    stream.end();
    assertEquals("unknown", last.get(), "the stream was lost");
  }

  @Test
  void onlySoLong() throws Exception {
    follow(OnStale.FAIL_CLOSED, Duration.ofMillis(50));
    assertEquals("unknown", ask("p1").get());
    long nonce = stream.askedFor("p1");
    // The answer that comes too late ends no stream.
    stream.reached(nonce, 5, true);
    Future<String> second = ask("p1");
    stream.reached(stream.askedFor("p1"), 5, true);
    second.get();
    assertEquals(0, verifier.statistics().streamsEnded());
  }

  @Test
  void hundredsThatWaitForOnePositionShareAQuestion() throws Exception {
    follow(OnStale.FAIL_CLOSED, Wait.PATIENCE);
    List<Future<String>> waiting = new ArrayList<>();
    for (int i = 0; i < 300; i++) {
      waiting.add(ask("p1"));
    }
    stream.reached(stream.askedFor("p1"), 5, true);
    for (Future<String> each : waiting) {
      assertEquals("verified", each.get());
    }
  }

  @Test
  void fortyThatWaitForPositionsOfTheirOwnAreAllAnswered() throws Exception {
    follow(OnStale.FAIL_CLOSED, Wait.PATIENCE);
    List<Future<String>> waiting = new ArrayList<>();
    for (int i = 0; i < 40; i++) {
      waiting.add(ask("p" + i));
      stream.reached(stream.askedFor("p" + i), 5, true);
    }
    for (Future<String> each : waiting) {
      assertEquals("verified", each.get());
    }
  }

  @Test
  void aPositionIsAskedForOnTheNextStream() throws Exception {
    follow(OnStale.FAIL_CLOSED, Wait.PATIENCE);
    stream.end();
    FakeServer.Stream next = server.next();
    Future<String> waiting = ask("p1");
    next.started();
    next.begin(1, true);
    next.reached(next.askedFor("p1"), 5, true);
    assertEquals("verified", waiting.get());
  }

  @Test
  void aPositionThatIsNotReachedIsAskedOfTheServer() throws Exception {
    follow(OnStale.ASK_SERVER, Wait.PATIENCE);
    BlockingQueue<String> asked = new LinkedBlockingQueue<>();
    server.verify =
        request -> {
          asked.add(request.getAtLeast());
          return VerifyAccessTokenResponse.newBuilder()
              .setVerified(VerifiedToken.getDefaultInstance())
              .build();
        };
    Future<String> waiting = ask("p1");
    stream.reached(stream.askedFor("p1"), 5, false);
    assertEquals("verified", waiting.get());
    assertEquals("p1", asked.poll());
  }

  @Test
  void anInterruptedThreadWaitsNoLonger() throws Exception {
    follow(OnStale.FAIL_CLOSED, Wait.PATIENCE);
    CompletableFuture<Boolean> interrupted = new CompletableFuture<>();
    CompletableFuture<String> answer = new CompletableFuture<>();
    Thread thread =
        new Thread(
            () -> {
              answer.complete(answerOf(verifier.verifyAtLeast("p1", token)));
              interrupted.complete(Thread.currentThread().isInterrupted());
            });
    thread.start();
    stream.askedFor("p1");
    thread.interrupt();
    assertEquals("unknown", answer.get());
    assertTrue(interrupted.get());
  }

  @Test
  void theAnswerToAPositionThatWasGivenUpIsNoNonsense() throws Exception {
    follow(OnStale.FAIL_CLOSED, Wait.PATIENCE);
    Verifier alone =
        new Verifier(VerifierOptions.builder("http://x", "i", "a").clock(clock).build());
    Follower follower = alone.follower();
    Conversation conversation = follower.converse();
    follower.takeIn(
        WatchRevocationsResponse.newBuilder()
            .setBegin(WatchBegin.newBuilder().setIncarnation(1))
            .build(),
        conversation);
    follower.takeIn(
        WatchRevocationsResponse.newBuilder()
            .setRevoked(WatchRevoked.newBuilder().setSequence(5))
            .build(),
        conversation);
    List<Positions.Question> questions = new ArrayList<>();
    for (int i = 0; i <= Positions.MAX_WAITING; i++) {
      Positions.Question question = new Positions.Question("" + i);
      questions.add(question);
      conversation.ask(question);
    }
    assertEquals(false, questions.get(0).answered(), "the oldest of too many is given up");
    // The server had begun to look for it before it heard of the one too many.
    for (long nonce : new long[] {1, Positions.MAX_WAITING + 1}) {
      follower.takeIn(reached(nonce), conversation);
    }
    assertEquals(true, questions.get(Positions.MAX_WAITING).answered());
    for (WatchRevocationsResponse nonsense :
        List.of(
            reached(Positions.MAX_WAITING + 2),
            WatchRevocationsResponse.newBuilder()
                .setHeartbeat(WatchHeartbeat.newBuilder().setNonce(1).setSequence(5))
                .build())) {
      assertEquals(
          StreamEnd.Why.NONSENSE,
          assertThrows(StreamEnd.class, () -> follower.takeIn(nonsense, conversation)).why());
    }
  }

  private static WatchRevocationsResponse reached(long nonce) {
    return WatchRevocationsResponse.newBuilder()
        .setHeartbeat(WatchHeartbeat.newBuilder().setNonce(nonce).setSequence(5).setReached(true))
        .build();
  }

  @Test
  void tooManyAreRefusedAndThoseWhoGaveUpMakeRoom() throws Exception {
    follow(OnStale.FAIL_CLOSED, Wait.PATIENCE);
    Positions positions = new Positions();
    List<Thread> waiting = new ArrayList<>();
    for (int i = 0; i < Positions.MAX_WAITING; i++) {
      String name = "p" + i;
      Thread thread = new Thread(() -> positions.reach(name, Wait.PATIENCE.toNanos()));
      thread.start();
      waiting.add(thread);
    }
    Wait.until("all wait", () -> positions.size() == 2 * Positions.MAX_WAITING);
    assertFalse(positions.reach("one more", Wait.PATIENCE.toNanos()));
    for (Thread each : waiting) {
      each.interrupt();
      each.join();
    }
    assertEquals(0, positions.size());
    positions.onUnasked(() -> positions.next().answer(true));
    for (int i = 0; i < 100; i++) {
      assertTrue(positions.reach("q" + i, Wait.PATIENCE.toNanos()));
    }
    assertEquals(64, positions.size(), "so many are remembered");
  }
}
