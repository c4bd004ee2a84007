package dev.countersign;

import static dev.countersign.VerifierTest.answerOf;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.countersign.testing.Deployment;
import dev.countersign.testing.Wait;
import io.grpc.StatusRuntimeException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Against the real binary, with Redis. */
class ServerTest {
  private static final Duration BOUND = Duration.ofSeconds(10);

  private Deployment deployment;

  /** The system's clocks, some time later. */
  private static final class MovedClock implements Clock {
    private final Clock system = Clock.system();
    private final AtomicLong laterMillis = new AtomicLong();

    @Override
    public long wallMillis() {
      return system.wallMillis() + laterMillis.get();
    }

    @Override
    public long monotonicNanos() {
      return system.monotonicNanos() + TimeUnit.MILLISECONDS.toNanos(laterMillis.get());
    }

    void advance(Duration by) {
      laterMillis.addAndGet(by.toMillis());
    }
  }

  private final MovedClock clock = new MovedClock();
  private Verifier closed;
  private Verifier asks;
  private Verifier serves;
  private Tokens good;
  private String revoked;

  @BeforeEach
  void deploy() throws Exception {
    deployment = new Deployment();
  }

  @AfterEach
  void end() throws Exception {
    if (deployment != null) {
      deployment.close();
    }
  }

  private Verifier of(OnStale policy) throws InterruptedException {
    return deployment.verifier(
        deployment.options().onStale(policy).clock(clock).pingInterval(Duration.ofMillis(100)));
  }

  private List<Verifier> all() {
    return List.of(closed, asks, serves);
  }

  private static String answer(Verifier verifier, String token) {
    return answerOf(verifier.verify(token));
  }

  /** A verifier of each policy, over one clock, with a good token and a revoked one. */
  private void observe() throws Exception {
    closed = of(OnStale.FAIL_CLOSED);
    asks = of(OnStale.ASK_SERVER);
    serves = of(OnStale.SERVE);
    Client client = deployment.client();
    good = deployment.login(client);
    Tokens bad = deployment.login(client);
    revoked = bad.accessToken();
    client.logout(bad.refreshToken());
    for (Verifier verifier : all()) {
      Wait.until("the revocation arrives", () -> answer(verifier, revoked).equals("REVOKED"));
      assertEquals("verified", answer(verifier, good.accessToken()));
    }
  }

  /** Holds the verifiers to what they must do while the server cannot be heard. */
  private void unheard() {
    // A heartbeat may have been on its way.
    clock.advance(BOUND.dividedBy(2));
    for (Verifier verifier : all()) {
      assertTrue(verifier.staleness().orElseThrow().compareTo(BOUND.dividedBy(2)) >= 0);
      assertEquals("verified", answer(verifier, good.accessToken()), "within the bound");
    }
    clock.advance(BOUND.dividedBy(2).plusSeconds(1));
    assertEquals("unknown", answer(closed, good.accessToken()));
    assertEquals("unknown", answer(asks, good.accessToken()));
    assertEquals("verified", answer(serves, good.accessToken()));
    for (Verifier verifier : all()) {
      assertEquals("REVOKED", answer(verifier, revoked), "what is known is said");
    }
  }

  /** Waits until the verifiers are fresh again, by themselves. */
  private void heals() {
    for (Verifier verifier : all()) {
      Wait.until(
          "it is fresh again",
          () ->
              verifier
                  .staleness()
                  .filter(age -> age.compareTo(BOUND.dividedBy(4)) < 0)
                  .isPresent());
      assertEquals("verified", answer(verifier, good.accessToken()));
      assertEquals("REVOKED", answer(verifier, revoked));
    }
  }

  @Test
  void theServerIsKilled() throws Exception {
    observe();
    deployment.kill();
    unheard();
    deployment.start();
    heals();
    // What is revoked after the restart is heard.
    deployment.client().logout(good.refreshToken());
    for (Verifier verifier : all()) {
      Wait.until(
          "the revocation arrives", () -> answer(verifier, good.accessToken()).equals("REVOKED"));
    }
  }

  @Test
  void theStreamStalls() throws Exception {
    observe();
    deployment.halt();
    unheard();
    deployment.goOn();
    heals();
  }

  @Test
  void redisDies() throws Exception {
    observe();
    deployment.killRedis();
    Client client = deployment.client();
    client.logout(good.refreshToken());
    for (Verifier verifier : all()) {
      Wait.until(
          "the revocation arrives without Redis",
          () -> answer(verifier, good.accessToken()).equals("REVOKED"));
    }
    clock.advance(BOUND.dividedBy(2));
    for (Verifier verifier : all()) {
      Wait.until(
          "it stays fresh without Redis",
          () ->
              verifier
                  .staleness()
                  .filter(age -> age.compareTo(BOUND.dividedBy(4)) < 0)
                  .isPresent());
    }
    deployment.startRedis();
    // Logins work again by themselves.
    Wait.until(
        "a login after Redis came back",
        () -> {
          try {
            good = deployment.login(client);
            return true;
          } catch (StatusRuntimeException e) {
            return false;
          }
        });
    heals();
  }

  @Test
  void aRevocationReachesFiftyVerifiers() throws Exception {
    int rounds = 20;
    Client client = deployment.client();
    List<Verifier> verifiers = new ArrayList<>();
    List<BlockingQueue<Long>> told = new ArrayList<>();
    for (int i = 0; i < 50; i++) {
      BlockingQueue<Long> heard = new LinkedBlockingQueue<>();
      told.add(heard);
      verifiers.add(
          deployment.verifier(
              deployment.options().onRevoked(revocation -> heard.add(System.nanoTime()))));
    }
    List<Long> delays = new ArrayList<>();
    for (int round = 0; round < rounds; round++) {
      Tokens tokens = deployment.login(client);
      for (Verifier verifier : verifiers) {
        assertEquals("verified", answer(verifier, tokens.accessToken()));
      }
      String position = client.logout(tokens.refreshToken());
      long acknowledged = System.nanoTime();
      assertFalse(position.isEmpty());
      for (Verifier verifier : verifiers.subList(0, 3)) {
        assertEquals("REVOKED", answerOf(verifier.verifyAtLeast(position, tokens.accessToken())));
      }
      for (int i = 0; i < verifiers.size(); i++) {
        long at = Wait.take("a revocation", told.get(i));
        delays.add(Math.max(0, at - acknowledged));
        assertEquals("REVOKED", answer(verifiers.get(i), tokens.accessToken()));
      }
    }
    Collections.sort(delays);
    System.out.printf(
        "acknowledged to refused, 50 verifiers, %d logouts: p50 %.1f ms, p99 %.1f ms, max %.1f ms%n",
        rounds,
        delays.get(delays.size() / 2) / 1e6,
        delays.get(delays.size() * 99 / 100) / 1e6,
        delays.get(delays.size() - 1) / 1e6);
  }

  @Test
  void aPositionOfNoLedgerIsUnknown() throws Exception {
    Client client = deployment.client();
    Verifier verifier = deployment.verifier(deployment.options());
    Tokens tokens = deployment.login(client);
    assertEquals("unknown", answerOf(verifier.verifyAtLeast("nonsense", tokens.accessToken())));
    String position = client.logoutEverywhere(tokens.refreshToken());
    assertEquals("REVOKED", answerOf(verifier.verifyAtLeast(position, tokens.accessToken())));
    assertEquals(0, verifier.statistics().streamsEnded());
  }

  @Test
  void oneClientAndOneVerifierOfManyThreads() throws Exception {
    Client client = deployment.client();
    Verifier verifier = deployment.verifier(deployment.options());
    ExecutorService threads = Executors.newFixedThreadPool(8);
    List<Future<?>> running = new ArrayList<>();
    for (int i = 0; i < 8; i++) {
      running.add(
          threads.submit(
              () -> {
                for (int round = 0; round < 5; round++) {
                  Tokens tokens = deployment.login(client);
                  assertEquals("verified", answer(verifier, tokens.accessToken()));
                  Tokens next = client.refresh(tokens.refreshToken());
                  client.logout(next.refreshToken());
                  Wait.until(
                      "the revocation arrives",
                      () -> answer(verifier, next.accessToken()).equals("REVOKED"));
                  CallError error =
                      CallError.of(
                          assertThrows(
                              StatusRuntimeException.class,
                              () -> client.refresh(next.refreshToken())));
                  assertTrue(error.sessionEnded());
                  assertEquals("LOGGED_OUT", error.cause());
                }
              }));
    }
    for (Future<?> each : running) {
      each.get();
    }
    threads.shutdown();
  }

  @Test
  void aChangedPasswordEndsEverySessionButTheNewOne() throws Exception {
    Client client = deployment.client();
    Verifier verifier = deployment.verifier(deployment.options());
    Tokens first = deployment.login(client);
    Tokens other = deployment.login(client);
    Client.PasswordChange change =
        client.changePassword(first.refreshToken(), Deployment.PASSWORD, "another horse battery");
    for (Tokens before : List.of(first, other)) {
      assertEquals(
          "REVOKED", answerOf(verifier.verifyAtLeast(change.position(), before.accessToken())));
    }
    assertEquals("verified", answer(verifier, change.tokens().accessToken()));
  }
}
