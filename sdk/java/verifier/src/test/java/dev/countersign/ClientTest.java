package dev.countersign;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.Any;
import com.google.protobuf.Duration;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import dev.countersign.testing.FakeServer;
import dev.countersign.testing.Wait;
import dev.countersign.v1.AuthServiceGrpc;
import dev.countersign.v1.CreateUserRequest;
import dev.countersign.v1.CreateUserResponse;
import dev.countersign.v1.LoginRequest;
import dev.countersign.v1.LoginResponse;
import dev.countersign.v1.LogoutRequest;
import dev.countersign.v1.LogoutResponse;
import dev.countersign.v1.RefreshRequest;
import dev.countersign.v1.RefreshResponse;
import dev.countersign.v1.UpdateUserRequest;
import dev.countersign.v1.UpdateUserResponse;
import dev.countersign.v1.UserServiceGrpc;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.StreamObserver;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.CancellationException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class ClientTest {
  private static final dev.countersign.v1.Tokens TOKENS =
      dev.countersign.v1.Tokens.newBuilder()
          .setAccessToken("access-secret")
          .setRefreshToken("refresh-secret")
          .setExpiresIn(900)
          .build();

  /** What the server answers, one after another; null is an answer, and the last one stays. */
  private final Queue<StatusRuntimeException> errors = new ArrayDeque<>();

  private final List<Object> requests = Collections.synchronizedList(new ArrayList<>());
  private volatile boolean isSilent;
  private FakeServer server =
      new FakeServer(
          new AuthServiceGrpc.AuthServiceImplBase() {
            @Override
            public void login(LoginRequest request, StreamObserver<LoginResponse> answer) {
              answer(request, LoginResponse.newBuilder().setTokens(TOKENS).build(), answer);
            }

            @Override
            public void refresh(RefreshRequest request, StreamObserver<RefreshResponse> answer) {
              answer(request, RefreshResponse.newBuilder().setTokens(TOKENS).build(), answer);
            }

            @Override
            public void logout(LogoutRequest request, StreamObserver<LogoutResponse> answer) {
              answer(request, LogoutResponse.newBuilder().setPosition("p1").build(), answer);
            }
          },
          new UserServiceGrpc.UserServiceImplBase() {
            @Override
            public void createUser(
                CreateUserRequest request, StreamObserver<CreateUserResponse> answer) {
              answer(request, CreateUserResponse.getDefaultInstance(), answer);
            }

            @Override
            public void updateUser(
                UpdateUserRequest request, StreamObserver<UpdateUserResponse> answer) {
              answer(request, UpdateUserResponse.getDefaultInstance(), answer);
            }
          });

  private Client client =
      new Client(
          ClientOptions.builder(server.endpoint())
              .credential("csgn_sk_x")
              .maxBackoff(java.time.Duration.ofMillis(5))
              .build());

  private <A> void answer(Object request, A message, StreamObserver<A> answer) {
    StatusRuntimeException error;
    synchronized (errors) {
      requests.add(request);
      error = errors.poll();
    }
    if (error != null) {
      answer.onError(error);
    } else if (!isSilent || requests.size() > 1) {
      answer.onNext(message);
      answer.onCompleted();
    }
  }

  @AfterEach
  void end() {
    client.close();
    server.close();
  }

  private static StatusRuntimeException error(Status.Code code, String reason, long retryMillis) {
    com.google.rpc.Status.Builder status =
        com.google.rpc.Status.newBuilder()
            .setCode(code.value())
            .setMessage("A message.")
            .addDetails(
                Any.pack(
                    ErrorInfo.newBuilder()
                        .setDomain("countersign")
                        .setReason(reason)
                        .putMetadata("cause", "LOGGED_OUT")
                        .build()))
            .addDetails(
                Any.pack(
                    BadRequest.newBuilder()
                        .addFieldViolations(
                            BadRequest.FieldViolation.newBuilder()
                                .setField("username")
                                .setDescription("is empty"))
                        .build()));
    if (retryMillis > 0) {
      status.addDetails(
          Any.pack(
              RetryInfo.newBuilder()
                  .setRetryDelay(Duration.newBuilder().setNanos((int) retryMillis * 1_000_000))
                  .build()));
    }
    return StatusProto.toStatusRuntimeException(status.build());
  }

  private int attempts(Runnable call, StatusRuntimeException... answers) {
    synchronized (errors) {
      errors.clear();
      errors.addAll(List.of(answers));
      requests.clear();
    }
    try {
      call.run();
    } catch (StatusRuntimeException e) {
      return -requests.size();
    }
    return requests.size();
  }

  @Test
  void aRefreshWaitsAsLongAsTheServerSays() {
    long begun = System.nanoTime();
    int count =
        attempts(
            () -> assertEquals("refresh-secret", client.refresh("r").refreshToken()),
            error(Status.Code.UNAVAILABLE, "REFRESH_IN_PROGRESS", 200));
    assertEquals(2, count);
    assertTrue(System.nanoTime() - begun >= 200_000_000);
  }

  @Test
  void whatIsTriedAgain() {
    StatusRuntimeException store = error(Status.Code.UNAVAILABLE, "STORE_UNAVAILABLE", 0);
    StatusRuntimeException plain = Status.UNAVAILABLE.asRuntimeException();
    assertEquals(3, attempts(() -> client.refresh("r"), store, plain));
    assertEquals(2, attempts(() -> client.logout("r"), store));
    assertEquals(-1, attempts(() -> client.login("ada", "x"), store), "a login is not repeated");
    for (String reason : List.of("LOGIN_OVERLOADED", "SERVER_OVERLOADED")) {
      StatusRuntimeException overloaded = error(Status.Code.RESOURCE_EXHAUSTED, reason, 1);
      assertEquals(2, attempts(() -> client.login("ada", "x"), overloaded));
    }
    for (StatusRuntimeException final_ :
        List.of(
            error(Status.Code.UNAUTHENTICATED, "INVALID_CREDENTIALS", 0),
            error(Status.Code.RESOURCE_EXHAUSTED, "RATE_LIMIT_EXCEEDED", 1),
            error(Status.Code.INTERNAL, "INTERNAL", 0),
            error(Status.Code.INVALID_ARGUMENT, "INVALID_REQUEST", 0))) {
      assertEquals(-1, attempts(() -> client.refresh("r"), final_));
    }
    UpdateUserRequest update = UpdateUserRequest.getDefaultInstance();
    assertEquals(2, attempts(() -> client.users().updateUser(update), store));
    UpdateUserRequest guarded = update.toBuilder().setEtag("1").build();
    assertEquals(-1, attempts(() -> client.users().updateUser(guarded), store));
    // No longer than there is time.
    StatusRuntimeException late = error(Status.Code.UNAVAILABLE, "STORE_UNAVAILABLE", 900);
    assertEquals(
        -1,
        attempts(
            () ->
                client
                    .auth()
                    .withDeadlineAfter(500, TimeUnit.MILLISECONDS)
                    .refresh(RefreshRequest.getDefaultInstance()),
            late));
  }

  @Test
  void anAttemptThatIsNotAnsweredIsMadeAgainUnlessItMayHaveSucceeded() {
    try (Client hasty =
        new Client(
            ClientOptions.builder(server.endpoint())
                .attemptTimeout(java.time.Duration.ofMillis(200))
                .deadline(java.time.Duration.ofSeconds(2))
                .build())) {
      isSilent = true;
      assertEquals(2, attempts(() -> hasty.refresh("r")));
      long begun = System.nanoTime();
      assertEquals(-1, attempts(() -> hasty.login("ada", "x")));
      assertTrue(
          System.nanoTime() - begun > 1_500_000_000L, "it may take as long as there is time");
    }
  }

  @Test
  void aLoginThatWasNeverSentIsMadeAgain() throws Exception {
    int port = server.port();
    server.close();
    List<Tokens> tokens = Collections.synchronizedList(new ArrayList<>());
    Thread login = new Thread(() -> tokens.add(client.login("ada", "x")));
    login.start();
    Thread.sleep(300);
    server =
        new FakeServer(
            port,
            new AuthServiceGrpc.AuthServiceImplBase() {
              @Override
              public void login(LoginRequest request, StreamObserver<LoginResponse> answer) {
                answer(request, LoginResponse.newBuilder().setTokens(TOKENS).build(), answer);
              }
            });
    login.join();
    assertEquals(1, tokens.size());
    assertEquals(1, requests.size());
  }

  @Test
  void whatIsMadeHasARequestIdThatStaysAndTheCredentialComesAlong() {
    CreateUserRequest create = CreateUserRequest.newBuilder().setUsername("ada").build();
    StatusRuntimeException store = error(Status.Code.UNAVAILABLE, "STORE_UNAVAILABLE", 0);
    assertEquals(2, attempts(() -> client.users().createUser(create), store));
    String first = ((CreateUserRequest) requests.get(0)).getRequestId();
    assertFalse(first.isEmpty());
    assertEquals(first, ((CreateUserRequest) requests.get(1)).getRequestId());
    assertEquals("Bearer csgn_sk_x", server.credential());
    assertEquals("Bearer csgn_sk_x", server.credential());
    attempts(() -> client.users().createUser(create));
    assertNotEquals(first, ((CreateUserRequest) requests.get(0)).getRequestId());
    CreateUserRequest named = create.toBuilder().setUserId("u").build();
    attempts(() -> client.users().createUser(named));
    assertEquals(named, requests.get(0));
  }

  @Test
  void theCredentialDoesNotGoWithTheUsersOwnCalls() {
    client.refresh("r");
    client.users().updateUser(UpdateUserRequest.getDefaultInstance());
    assertEquals("Bearer csgn_sk_x", server.credential());
    assertFalse(server.hasCredential());
  }

  @Test
  void aCallIsGivenUp() throws Exception {
    isSilent = true;
    AuthServiceGrpc.AuthServiceFutureStub stub = AuthServiceGrpc.newFutureStub(client.channel());
    Future<RefreshResponse> call = stub.refresh(RefreshRequest.getDefaultInstance());
    Wait.until("it is asked", () -> requests.size() == 1);
    call.cancel(true);
    assertThrows(CancellationException.class, call::get);
    // In the pause between two attempts, too.
    synchronized (errors) {
      errors.add(error(Status.Code.UNAVAILABLE, "STORE_UNAVAILABLE", 900));
    }
    Thread blocked =
        new Thread(() -> assertThrows(StatusRuntimeException.class, () -> client.refresh("r")));
    blocked.start();
    Wait.until("it is asked again", () -> requests.size() == 2);
    blocked.interrupt();
    blocked.join(500);
    assertFalse(blocked.isAlive());
    assertEquals(2, requests.size());
  }

  @Test
  void errorsSayWhatTheServerSays() {
    errors.add(error(Status.Code.UNAUTHENTICATED, "SESSION_REVOKED", 100));
    CallError error =
        CallError.of(assertThrows(StatusRuntimeException.class, () -> client.refresh("r")));
    assertEquals(Status.Code.UNAUTHENTICATED, error.code());
    assertEquals("SESSION_REVOKED", error.reason());
    assertEquals("LOGGED_OUT", error.cause());
    assertTrue(error.sessionEnded());
    assertEquals(java.time.Duration.ofMillis(100), error.retryAfter().orElseThrow());
    assertEquals(List.of(new CallError.FieldViolation("username", "is empty")), error.violations());
    errors.add(error(Status.Code.UNAUTHENTICATED, "INVALID_CREDENTIALS", 0));
    assertFalse(
        CallError.of(assertThrows(StatusRuntimeException.class, () -> client.refresh("r")))
            .sessionEnded());
    CallError other = CallError.of(new IllegalStateException());
    assertEquals(Status.Code.UNKNOWN, other.code());
    assertEquals("", other.reason());
  }

  @Test
  void tokensAreNotShown() {
    Tokens tokens = client.login("ada", "x");
    assertEquals("access-secret", tokens.accessToken());
    assertEquals(900, tokens.expiresIn().toSeconds());
    assertFalse(tokens.toString().contains("secret"));
  }

  @Test
  void optionsAreChecked() {
    assertThrows(
        IllegalArgumentException.class,
        () -> new Client(ClientOptions.builder("localhost").build()));
    assertThrows(
        IllegalArgumentException.class,
        () -> ClientOptions.builder("http://x").deadline(java.time.Duration.ofSeconds(-1)));
    client.close();
    assertThrows(StatusRuntimeException.class, () -> client.refresh("r"));
  }
}
