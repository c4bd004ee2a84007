package dev.countersign.grpc;

import com.google.protobuf.Any;
import com.google.protobuf.Duration;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import dev.countersign.BearerToken;
import dev.countersign.InvalidReason;
import dev.countersign.Refusal;
import dev.countersign.Token;
import dev.countersign.TokenVerifier;
import dev.countersign.Verification;
import io.grpc.Context;
import io.grpc.Contexts;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.Status;
import io.grpc.StatusException;
import io.grpc.protobuf.StatusProto;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.Executor;
import java.util.concurrent.ForkJoinPool;
import java.util.function.Predicate;

/**
 * Lets calls with a good token in {@code authorization: Bearer} through; {@link #currentToken} says
 * who is calling. Others are answered UNAUTHENTICATED, or UNAVAILABLE where nothing can be known
 * about their token, with the reason in {@code google.rpc.ErrorInfo}.
 *
 * <p>A stream whose session is revoked while it is open is ended: the caller is answered
 * UNAUTHENTICATED {@code SESSION_REVOKED}; the handler is told as of a call that is cancelled, and
 * its {@link Context} is cancelled. A stream that is longer than its token lives is not ended for
 * that.
 *
 * <pre>{@code
 * ServerBuilder.forPort(8443).intercept(new CountersignInterceptor(verifier))
 * }</pre>
 */
public final class CountersignInterceptor implements ServerInterceptor {
  private static final Context.Key<Token> TOKEN = Context.key("countersign-token");
  private static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

  private final TokenVerifier verifier;
  private final List<String> audiences;
  private final Predicate<MethodDescriptor<?, ?>> open;
  private final Executor executor;

  /**
   * Lets nobody in without a token, for the verifier's own audiences.
   *
   * @param verifier what decides
   */
  public CountersignInterceptor(TokenVerifier verifier) {
    this(verifier, List.of(), method -> false, ForkJoinPool.commonPool());
  }

  private CountersignInterceptor(
      TokenVerifier verifier,
      List<String> audiences,
      Predicate<MethodDescriptor<?, ?>> open,
      Executor executor) {
    this.verifier = Objects.requireNonNull(verifier, "verifier");
    this.audiences = List.copyOf(audiences);
    this.open = Objects.requireNonNull(open, "open");
    this.executor = Objects.requireNonNull(executor, "executor");
  }

  /**
   * Expects one of these instead of the verifier's own audiences.
   *
   * @param audiences the audiences
   * @return an interceptor that does
   */
  public CountersignInterceptor withAudiences(String... audiences) {
    return new CountersignInterceptor(verifier, List.of(audiences), open, executor);
  }

  /**
   * Lets everybody call some methods: health checks, for example.
   *
   * @param open whether a method is for everybody
   * @return an interceptor that does
   */
  public CountersignInterceptor withOpen(Predicate<MethodDescriptor<?, ?>> open) {
    return new CountersignInterceptor(verifier, audiences, open, executor);
  }

  /**
   * Tells handlers on another executor that their stream has ended; the default is the common pool.
   *
   * @param executor the executor
   * @return an interceptor that does
   */
  public CountersignInterceptor withExecutor(Executor executor) {
    return new CountersignInterceptor(verifier, audiences, open, executor);
  }

  /**
   * Who is calling, in a handler behind the interceptor.
   *
   * @return empty where no interceptor was there, and for open methods
   */
  public static Optional<Token> currentToken() {
    return Optional.ofNullable(TOKEN.get());
  }

  /**
   * A context that says who is calling, for tests of handlers.
   *
   * @param context the context to begin with
   * @param token who is calling
   * @return the context
   */
  public static Context withToken(Context context, Token token) {
    return context.withValue(TOKEN, token);
  }

  @Override
  public <Q, A> ServerCall.Listener<Q> interceptCall(
      ServerCall<Q, A> call, Metadata headers, ServerCallHandler<Q, A> next) {
    MethodDescriptor<Q, A> method = call.getMethodDescriptor();
    if (open.test(method)) {
      return next.startCall(call, headers);
    }
    Refusal refusal = Refusal.missing();
    Optional<String> presented =
        BearerToken.of(
            Objects.requireNonNullElse(headers.getAll(AUTHORIZATION), List.<String>of()));
    if (presented.isPresent()) {
      Verification verification = verifier.verify(presented.get(), audiences);
      if (verification instanceof Verification.Verified verified) {
        Context context = Context.current().withValue(TOKEN, verified.token());
        return method.getType() == MethodDescriptor.MethodType.UNARY
            ? Contexts.interceptCall(context, call, headers, next)
            : GuardedCall.start(context, call, headers, next, verifier, verified.token(), executor);
      }
      refusal = Refusal.of(verification);
    }
    refuse(call, refusal);
    return new ServerCall.Listener<>() {};
  }

  /** Closes a call whose token was revoked. */
  static void refuseRevoked(ServerCall<?, ?> call) {
    refuse(call, Refusal.of(new Verification.Invalid(InvalidReason.REVOKED)));
  }

  private static void refuse(ServerCall<?, ?> call, Refusal refusal) {
    StatusException status = statusOf(refusal);
    Metadata trailers = status.getTrailers();
    call.close(status.getStatus(), trailers == null ? new Metadata() : trailers);
  }

  /**
   * How a refusal is told over gRPC, for handlers that refuse callers by themselves.
   *
   * @param refusal why
   * @return the status with its details
   */
  public static StatusException statusOf(Refusal refusal) {
    Status.Code code =
        switch (refusal.status()) {
          case 401 -> Status.Code.UNAUTHENTICATED;
          case 403 -> Status.Code.PERMISSION_DENIED;
          default -> Status.Code.UNAVAILABLE;
        };
    com.google.rpc.Status.Builder status =
        com.google.rpc.Status.newBuilder()
            .setCode(code.value())
            .setMessage(refusal.message())
            .addDetails(
                Any.pack(
                    ErrorInfo.newBuilder()
                        .setDomain("countersign")
                        .setReason(refusal.reason())
                        .build()));
    if (code == Status.Code.UNAVAILABLE) {
      status.addDetails(
          Any.pack(
              RetryInfo.newBuilder().setRetryDelay(Duration.newBuilder().setSeconds(1)).build()));
    }
    return StatusProto.toStatusException(status.build());
  }
}
