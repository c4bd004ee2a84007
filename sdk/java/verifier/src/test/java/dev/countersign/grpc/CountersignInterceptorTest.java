package dev.countersign.grpc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.countersign.CallError;
import dev.countersign.InvalidReason;
import dev.countersign.Refusal;
import dev.countersign.Token;
import dev.countersign.TokenVerifier;
import dev.countersign.Verification;
import dev.countersign.testing.Wait;
import dev.countersign.v1.AuthServiceGrpc;
import dev.countersign.v1.LogoutRequest;
import dev.countersign.v1.LogoutResponse;
import dev.countersign.v1.VerifyStreamRequest;
import dev.countersign.v1.VerifyStreamResponse;
import io.grpc.CallOptions;
import io.grpc.Context;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.Server;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.netty.shaded.io.grpc.netty.NettyServerBuilder;
import io.grpc.stub.MetadataUtils;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class CountersignInterceptorTest {
  private static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

  /** Decides by the text of the token. */
  private static final class Decider implements TokenVerifier {
    private final List<Runnable> listeners = new CopyOnWriteArrayList<>();
    private final BlockingQueue<List<String>> audiences = new LinkedBlockingQueue<>();
    private volatile boolean isRevoked;

    @Override
    public Verification verify(String token, List<String> asked) {
      audiences.add(asked);
      return switch (token) {
        case "good" ->
            new Verification.Verified(Token.builder("user", "session").username("ada").build());
        case "unknown" -> new Verification.Unknown(Optional.empty(), Optional.empty());
        default -> new Verification.Invalid(InvalidReason.valueOf(token));
      };
    }

    @Override
    public Watch whenRevoked(Token token, Runnable listener) {
      listeners.add(listener);
      if (isRevoked) {
        listener.run();
      }
      return () -> listeners.remove(listener);
    }
  }

  private final Decider verifier = new Decider();
  private final BlockingQueue<String> heard = new LinkedBlockingQueue<>();
  private final BlockingQueue<ServerCallStreamObserver<VerifyStreamResponse>> open =
      new LinkedBlockingQueue<>();
  private final BlockingQueue<Context> contexts = new LinkedBlockingQueue<>();
  private Server server;
  private ManagedChannel channel;

  private final class Handler extends AuthServiceGrpc.AuthServiceImplBase {
    @Override
    public void logout(LogoutRequest request, StreamObserver<LogoutResponse> answer) {
      String caller = CountersignInterceptor.currentToken().map(Token::username).orElse("nobody");
      answer.onNext(LogoutResponse.newBuilder().setPosition(caller).build());
      answer.onCompleted();
    }

    @Override
    public StreamObserver<VerifyStreamRequest> verifyStream(
        StreamObserver<VerifyStreamResponse> answer) {
      ServerCallStreamObserver<VerifyStreamResponse> call =
          (ServerCallStreamObserver<VerifyStreamResponse>) answer;
      call.setOnCancelHandler(() -> heard.add("cancelled"));
      open.add(call);
      contexts.add(Context.current());
      heard.add(CountersignInterceptor.currentToken().orElseThrow().username());
      return new StreamObserver<>() {
        @Override
        public void onNext(VerifyStreamRequest request) {
          heard.add("message");
        }

        @Override
        public void onError(Throwable error) {
          heard.add("error");
        }

        @Override
        public void onCompleted() {
          heard.add("completed");
          answer.onCompleted();
        }
      };
    }
  }

  @BeforeEach
  void begin() throws Exception {
    CountersignInterceptor interceptor =
        new CountersignInterceptor(verifier)
            .withOpen(method -> method.getFullMethodName().endsWith("/Refresh"));
    server =
        NettyServerBuilder.forAddress(new InetSocketAddress("127.0.0.1", 0))
            .intercept(interceptor)
            .addService(new Handler())
            .build()
            .start();
    channel =
        Grpc.newChannelBuilder("127.0.0.1:" + server.getPort(), InsecureChannelCredentials.create())
            .build();
  }

  @AfterEach
  void end() throws Exception {
    channel.shutdownNow().awaitTermination(10, TimeUnit.SECONDS);
    server.shutdownNow().awaitTermination(10, TimeUnit.SECONDS);
  }

  private AuthServiceGrpc.AuthServiceBlockingStub as(String... authorization) {
    return AuthServiceGrpc.newBlockingStub(channel)
        .withInterceptors(MetadataUtils.newAttachHeadersInterceptor(headers(authorization)));
  }

  private static Metadata headers(String... authorization) {
    Metadata headers = new Metadata();
    for (String value : authorization) {
      headers.put(AUTHORIZATION, value);
    }
    return headers;
  }

  private CallError refused(String... authorization) {
    return CallError.of(
        assertThrows(
            StatusRuntimeException.class,
            () -> as(authorization).logout(LogoutRequest.getDefaultInstance())));
  }

  @Test
  void oneMessage() {
    assertEquals("ada", as("Bearer good").logout(LogoutRequest.getDefaultInstance()).getPosition());
    assertEquals(List.of(), verifier.audiences.poll());
    assertTrue(verifier.listeners.isEmpty(), "a call with one answer is not watched");
    for (String[] none :
        new String[][] {{}, {"good"}, {"Basic good"}, {"Bearer good", "Bearer good"}}) {
      assertEquals("TOKEN_MISSING", refused(none).reason());
    }
    CallError expired = refused("Bearer EXPIRED");
    assertEquals(Status.Code.UNAUTHENTICATED, expired.code());
    assertEquals("ACCESS_TOKEN_EXPIRED", expired.reason());
    assertEquals("SESSION_REVOKED", refused("Bearer REVOKED").reason());
    assertEquals("ACCESS_TOKEN_INVALID", refused("Bearer WRONG_ISSUER").reason());
    CallError unknown = refused("Bearer unknown");
    assertEquals(Status.Code.UNAVAILABLE, unknown.code());
    assertEquals("REVOCATIONS_STALE", unknown.reason());
    assertEquals(Duration.ofSeconds(1), unknown.retryAfter().orElseThrow());
    assertEquals(
        "ROLE_REQUIRED", CallError.of(CountersignInterceptor.statusOf(Refusal.role())).reason());
  }

  @Test
  void openMethodsAreForEverybody() {
    StatusRuntimeException error =
        assertThrows(
            StatusRuntimeException.class,
            () -> as().refresh(dev.countersign.v1.RefreshRequest.getDefaultInstance()));
    assertEquals(Status.Code.UNIMPLEMENTED, error.getStatus().getCode(), "the handler's answer");
  }

  /** What a caller hears of its stream. */
  private final class Caller implements StreamObserver<VerifyStreamResponse> {
    private final BlockingQueue<CallError> end = new LinkedBlockingQueue<>();
    private final StreamObserver<VerifyStreamRequest> requests =
        AuthServiceGrpc.newStub(channel)
            .withInterceptors(MetadataUtils.newAttachHeadersInterceptor(headers("Bearer good")))
            .verifyStream(this);

    @Override
    public void onNext(VerifyStreamResponse message) {}

    @Override
    public void onError(Throwable error) {
      end.add(CallError.of(error));
    }

    @Override
    public void onCompleted() {
      end.add(CallError.of(Status.OK.asRuntimeException()));
    }
  }

  private String hears() {
    return Wait.take("the handler hears", heard);
  }

  private void revoke() {
    verifier.listeners.forEach(Runnable::run);
  }

  @Test
  void anOpenStreamEndsWhenItsSessionIsRevoked() throws Exception {
    Caller caller = new Caller();
    caller.requests.onNext(VerifyStreamRequest.getDefaultInstance());
    assertEquals("ada", hears());
    assertEquals("message", hears());
    revoke();
    CallError end = Wait.take("the end", caller.end);
    assertEquals(Status.Code.UNAUTHENTICATED, end.code());
    assertEquals("SESSION_REVOKED", end.reason());
    assertEquals("cancelled", hears());
    ServerCallStreamObserver<VerifyStreamResponse> handler = open.take();
    assertTrue(handler.isCancelled());
    Context context = contexts.take();
    Wait.until("its context is over", context::isCancelled);
    // What the handler still says goes nowhere, and harms nothing.
    try {
      handler.onNext(VerifyStreamResponse.getDefaultInstance());
    } catch (StatusRuntimeException e) {
      assertEquals(Status.Code.CANCELLED, e.getStatus().getCode());
    }
    try {
      handler.onCompleted();
    } catch (StatusRuntimeException e) {
      assertEquals(Status.Code.CANCELLED, e.getStatus().getCode());
    }
    Wait.until("it is forgotten", verifier.listeners::isEmpty);
    assertEquals("error", hears(), "as of every call that is cancelled");
    assertTrue(heard.isEmpty(), heard.toString());
  }

  @Test
  void alsoWhereTheCallerReadsNothing() {
    io.grpc.ClientCall<VerifyStreamRequest, VerifyStreamResponse> call =
        channel.newCall(AuthServiceGrpc.getVerifyStreamMethod(), CallOptions.DEFAULT);
    call.start(new io.grpc.ClientCall.Listener<>() {}, headers("Bearer good"));
    // It asks for no message, so that the trailers stand behind what it does not read.
    assertEquals("ada", hears());
    ServerCallStreamObserver<VerifyStreamResponse> handler = Wait.take("the handler", open);
    VerifyStreamResponse large =
        VerifyStreamResponse.newBuilder()
            .setVerified(
                dev.countersign.v1.VerifiedToken.newBuilder().setUsername("x".repeat(1 << 20)))
            .build();
    while (handler.isReady()) {
      handler.onNext(large);
    }
    revoke();
    assertEquals("cancelled", hears());
    call.cancel("the test is over", null);
  }

  @Test
  void aStreamIsEndedBeforeAnythingWasSaidOnIt() {
    verifier.isRevoked = true;
    Caller caller = new Caller();
    assertEquals("SESSION_REVOKED", Wait.take("the end", caller.end).reason());
    List<String> all = new ArrayList<>(List.of(hears(), hears()));
    assertEquals(List.of("ada", "cancelled"), all);
  }

  @Test
  void aHandlerThatIsBusyIsToldWhenItIsNot() throws Exception {
    Caller caller = new Caller();
    assertEquals("ada", hears());
    Context context = contexts.take();
    ServerCallStreamObserver<VerifyStreamResponse> handler = open.take();
    revoke();
    Wait.until("its context is over", context::isCancelled);
    Wait.until("the call says so", handler::isCancelled);
    assertEquals("cancelled", hears());
    assertEquals("SESSION_REVOKED", Wait.take("the end", caller.end).reason());
  }

  @Test
  void aStreamEndsAsItsHandlerAndItsCallerEndItAndIsForgotten() {
    Caller caller = new Caller();
    assertEquals("ada", hears());
    assertFalse(verifier.listeners.isEmpty());
    caller.requests.onCompleted();
    assertEquals("completed", hears());
    assertEquals(Status.Code.OK, Wait.take("the end", caller.end).code());
    Wait.until("it is forgotten", verifier.listeners::isEmpty);
    Caller second = new Caller();
    assertEquals("ada", hears());
    second.requests.onError(new IllegalStateException("gone"));
    assertEquals("cancelled", hears());
    Wait.until("it is forgotten", verifier.listeners::isEmpty);
  }
}
