package dev.countersign.grpc;

import dev.countersign.Token;
import dev.countersign.TokenVerifier;
import io.grpc.Context;
import io.grpc.Contexts;
import io.grpc.ForwardingServerCall;
import io.grpc.Metadata;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.Status;
import java.util.concurrent.Executor;

/**
 * A stream that ends when its token is revoked. The handler and the thread that tells of
 * revocations may both close it, so what is sent is sent under a lock; and the handler hears of one
 * thing at a time.
 */
final class GuardedCall<Q, A> extends ForwardingServerCall.SimpleForwardingServerCall<Q, A> {
  private final Context.CancellableContext context;
  private final Executor executor;
  private TokenVerifier.Watch watch;
  private ServerCall.Listener<Q> handler;

  /** All are guarded by this. */
  private boolean isRevoked;

  private boolean isClosed;
  private boolean isBusy;
  private boolean isTold;

  private GuardedCall(
      ServerCall<Q, A> call, Context.CancellableContext context, Executor executor) {
    super(call);
    this.context = context;
    this.executor = executor;
  }

  static <Q, A> ServerCall.Listener<Q> start(
      Context with,
      ServerCall<Q, A> call,
      Metadata headers,
      ServerCallHandler<Q, A> next,
      TokenVerifier verifier,
      Token token,
      Executor executor) {
    GuardedCall<Q, A> guarded = new GuardedCall<>(call, with.withCancellation(), executor);
    // Until the handler is there it is told nothing.
    guarded.isBusy = true;
    guarded.watch = verifier.whenRevoked(token, guarded::revoke);
    try {
      guarded.handler = Contexts.interceptCall(guarded.context, guarded, headers, next);
    } catch (RuntimeException | Error e) {
      guarded.over();
      throw e;
    }
    guarded.leave();
    return guarded.new GuardedListener();
  }

  private void revoke() {
    boolean tells;
    synchronized (this) {
      if (isClosed || isRevoked) {
        return;
      }
      isRevoked = true;
      CountersignInterceptor.refuseRevoked(delegate());
      tells = !isBusy && !isTold;
      isTold |= tells;
    }
    executor.execute(
        () -> {
          context.cancel(Status.UNAUTHENTICATED.withDescription("SESSION_REVOKED").asException());
          if (tells) {
            handler.onCancel();
          }
        });
  }

  /** Whether the handler may be told of something now. */
  private synchronized boolean enter() {
    if (isRevoked) {
      return false;
    }
    isBusy = true;
    return true;
  }

  /** The handler has been told; now it hears that the stream has ended meanwhile. */
  private void leave() {
    boolean tells;
    synchronized (this) {
      isBusy = false;
      tells = isRevoked && !isTold;
      isTold |= tells;
    }
    if (tells) {
      handler.onCancel();
    }
  }

  private void tell(Runnable what) {
    if (enter()) {
      try {
        what.run();
      } finally {
        leave();
      }
    }
  }

  /** The call is over, whoever ended it. */
  private void over() {
    watch.close();
    context.cancel(null);
  }

  @Override
  public void sendHeaders(Metadata headers) {
    synchronized (this) {
      refuseWhenRevoked();
      super.sendHeaders(headers);
    }
  }

  @Override
  public void sendMessage(A message) {
    synchronized (this) {
      refuseWhenRevoked();
      super.sendMessage(message);
    }
  }

  private void refuseWhenRevoked() {
    if (isRevoked) {
      throw Status.CANCELLED
          .withDescription("the session of the caller was revoked")
          .asRuntimeException();
    }
  }

  @Override
  public void close(Status status, Metadata trailers) {
    synchronized (this) {
      if (isRevoked || isClosed) {
        return;
      }
      isClosed = true;
      super.close(status, trailers);
    }
    watch.close();
  }

  @Override
  public boolean isCancelled() {
    synchronized (this) {
      if (isRevoked) {
        return true;
      }
    }
    return super.isCancelled();
  }

  /** Tells the handler of one thing at a time, and of nothing any more after the end. */
  private final class GuardedListener extends ServerCall.Listener<Q> {
    @Override
    public void onMessage(Q message) {
      tell(() -> handler.onMessage(message));
    }

    @Override
    public void onHalfClose() {
      tell(handler::onHalfClose);
    }

    @Override
    public void onReady() {
      tell(handler::onReady);
    }

    @Override
    public void onCancel() {
      tell(handler::onCancel);
      over();
    }

    @Override
    public void onComplete() {
      tell(handler::onComplete);
      over();
    }
  }
}
