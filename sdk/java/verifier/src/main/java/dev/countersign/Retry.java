package dev.countersign;

import dev.countersign.v1.ChangePasswordRequest;
import dev.countersign.v1.CreateKeyRequest;
import dev.countersign.v1.CreateServiceAccountRequest;
import dev.countersign.v1.CreateUserRequest;
import dev.countersign.v1.DeleteServiceAccountRequest;
import dev.countersign.v1.DeleteUserRequest;
import dev.countersign.v1.LoginRequest;
import dev.countersign.v1.ResetPasswordRequest;
import dev.countersign.v1.RotateKeyRequest;
import dev.countersign.v1.UpdateServiceAccountRequest;
import dev.countersign.v1.UpdateUserRequest;
import io.grpc.Attributes;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.ClientStreamTracer;
import io.grpc.Context;
import io.grpc.Deadline;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import java.time.Duration;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.Executor;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * Bounds each call, and makes it again where that is safe and helps. Streams are not made again.
 */
final class Retry implements ClientInterceptor {
  private static final ScheduledExecutorService TIMER =
      Executors.newSingleThreadScheduledExecutor(
          task -> {
            Thread thread = new Thread(task, "countersign-retry");
            thread.setDaemon(true);
            return thread;
          });

  /** The server says that it has not begun. */
  private static final Set<String> NOT_BEGUN = Set.of("LOGIN_OVERLOADED", "SERVER_OVERLOADED");

  private final ClientOptions options;
  private final Runnable reconnect;

  /**
   * Makes one.
   *
   * @param reconnect is called before each attempt
   */
  Retry(ClientOptions options, Runnable reconnect) {
    this.options = options;
    this.reconnect = reconnect;
  }

  @Override
  public <Q, A> ClientCall<Q, A> interceptCall(
      MethodDescriptor<Q, A> method, CallOptions callOptions, Channel next) {
    return method.getType() == MethodDescriptor.MethodType.UNARY
        ? new RetriedCall<>(method, callOptions, next)
        : next.newCall(method, callOptions);
  }

  /** Whether the same request is answered alike when it comes a second time. */
  private static boolean hasOneAnswer(Object request) {
    if (request instanceof UpdateUserRequest update) {
      return update.getEtag().isEmpty();
    }
    if (request instanceof UpdateServiceAccountRequest update) {
      return update.getEtag().isEmpty();
    }
    return !(request instanceof LoginRequest
        || request instanceof ChangePasswordRequest
        || request instanceof ResetPasswordRequest
        || request instanceof DeleteUserRequest
        || request instanceof DeleteServiceAccountRequest);
  }

  /** Gives what is made a request id where it has none, so that it can be asked for again. */
  private static Object repeatable(Object request) {
    String id = UUID.randomUUID().toString();
    if (request instanceof CreateUserRequest create
        && create.getRequestId().isEmpty()
        && create.getUserId().isEmpty()) {
      return create.toBuilder().setRequestId(id).build();
    }
    if (request instanceof CreateServiceAccountRequest create && create.getRequestId().isEmpty()) {
      return create.toBuilder().setRequestId(id).build();
    }
    if (request instanceof CreateKeyRequest create && create.getRequestId().isEmpty()) {
      return create.toBuilder().setRequestId(id).build();
    }
    if (request instanceof RotateKeyRequest rotate && rotate.getRequestId().isEmpty()) {
      return rotate.toBuilder().setRequestId(id).build();
    }
    return request;
  }

  /** One call, and all of its attempts. */
  private final class RetriedCall<Q, A> extends ClientCall<Q, A> {
    private final MethodDescriptor<Q, A> method;
    private final CallOptions callOptions;
    private final Channel next;
    private final Context context = Context.current();
    private final Pauses pauses = new Pauses(options.maxBackoff());
    private final Deadline deadline;
    private Listener<A> listener;
    private Metadata headers;
    private Q request;

    /** The attempt that is under way, or the last one. Guarded by this. */
    private ClientCall<Q, A> attempt;

    private Status cancelled;

    /** The caller has been told the end. */
    private final AtomicBoolean isOver = new AtomicBoolean();

    RetriedCall(MethodDescriptor<Q, A> method, CallOptions callOptions, Channel next) {
      this.method = method;
      this.callOptions = callOptions;
      this.next = next;
      Deadline own = Deadline.after(options.deadline().toNanos(), TimeUnit.NANOSECONDS);
      Deadline given = callOptions.getDeadline();
      deadline = given == null ? own : own.minimum(given);
    }

    @Override
    public void start(Listener<A> responseListener, Metadata requestHeaders) {
      listener = responseListener;
      headers = requestHeaders;
    }

    @Override
    public void request(int messages) {
      // There is one, and each attempt asks for it.
    }

    @Override
    @SuppressWarnings("unchecked")
    public void sendMessage(Q message) {
      request = (Q) repeatable(message);
    }

    @Override
    public void halfClose() {
      attempt();
    }

    @Override
    public void cancel(String message, Throwable cause) {
      ClientCall<Q, A> running;
      synchronized (this) {
        if (cancelled != null) {
          return;
        }
        cancelled = Status.CANCELLED.withDescription(message).withCause(cause);
        running = attempt;
      }
      if (running != null) {
        running.cancel(message, cause);
      } else {
        close(cancelled, new Metadata());
      }
    }

    private void attempt() {
      boolean once = !hasOneAnswer(request);
      // One that must not be sent twice may take as long as there is time.
      Deadline until =
          once
              ? deadline
              : deadline.minimum(
                  Deadline.after(options.attemptTimeout().toNanos(), TimeUnit.NANOSECONDS));
      Sent sent = new Sent();
      reconnect.run();
      ClientCall<Q, A> made =
          next.newCall(method, callOptions.withDeadline(until).withStreamTracerFactory(sent));
      Attempt heard = new Attempt(sent);
      Metadata copy = new Metadata();
      copy.merge(headers);
      context.run(
          () -> {
            made.start(heard, copy);
            made.request(2);
            made.sendMessage(request);
            made.halfClose();
          });
      Status before;
      synchronized (this) {
        before = cancelled;
        attempt = heard.isDone ? null : made;
      }
      if (before != null) {
        made.cancel(before.getDescription(), before.getCause());
        close(before, new Metadata());
      }
    }

    /** Hears of one attempt, and passes on the last one. */
    private final class Attempt extends Listener<A> {
      private final Sent sent;
      private Metadata answerHeaders;
      private A answer;

      /** Guarded by the call. */
      private boolean isDone;

      Attempt(Sent sent) {
        this.sent = sent;
      }

      @Override
      public void onHeaders(Metadata headers) {
        answerHeaders = headers;
      }

      @Override
      public void onMessage(A message) {
        answer = message;
      }

      @Override
      public void onClose(Status status, Metadata trailers) {
        if (status.isOk() || !again(status, trailers)) {
          if (!isOver.getAndSet(true)) {
            if (answerHeaders != null) {
              listener.onHeaders(answerHeaders);
            }
            if (answer != null) {
              listener.onMessage(answer);
            }
            listener.onClose(status, trailers);
          }
        }
      }

      private boolean again(Status status, Metadata trailers) {
        CallError error = CallError.of(status, trailers);
        if (!mayRepeat(error)) {
          return false;
        }
        // Never earlier than the server asks for, and not all clients at once.
        long asked = nanosOf(error.retryAfter().orElse(Duration.ZERO));
        asked = (long) (asked * ThreadLocalRandom.current().nextDouble(1, 1.2));
        long pause = Math.max(asked, pauses.draw());
        if (deadline.timeRemaining(TimeUnit.NANOSECONDS) <= pause) {
          return false;
        }
        synchronized (RetriedCall.this) {
          if (cancelled != null) {
            return false;
          }
          isDone = true;
          attempt = null;
        }
        TIMER.schedule(RetriedCall.this::attemptSafely, pause, TimeUnit.NANOSECONDS);
        return true;
      }

      /** Whether a call that failed may be made again, and whether that can help. */
      private boolean mayRepeat(CallError error) {
        if (NOT_BEGUN.contains(error.reason())) {
          return true;
        }
        return switch (error.code()) {
          case UNAVAILABLE, DEADLINE_EXCEEDED -> !sent.isSent || hasOneAnswer(request);
          default -> false;
        };
      }
    }

    private void attemptSafely() {
      try {
        attempt();
      } catch (RuntimeException e) {
        close(
            Status.INTERNAL.withDescription("an attempt could not be made").withCause(e),
            new Metadata());
      }
    }

    /** Ends the call by itself, unless an attempt has ended it. */
    private void close(Status status, Metadata trailers) {
      if (isOver.getAndSet(true)) {
        return;
      }
      Executor executor = callOptions.getExecutor();
      if (executor == null) {
        listener.onClose(status, trailers);
      } else {
        executor.execute(() -> listener.onClose(status, trailers));
      }
    }
  }

  private static long nanosOf(Duration duration) {
    Duration bound = Duration.ofDays(1);
    return (duration.compareTo(bound) > 0 ? bound : duration).toNanos();
  }

  /** Whether an attempt was given a connection to be sent on. */
  private static final class Sent extends ClientStreamTracer.Factory {
    private volatile boolean isSent;

    @Override
    public ClientStreamTracer newClientStreamTracer(
        ClientStreamTracer.StreamInfo info, Metadata headers) {
      return new ClientStreamTracer() {
        @Override
        public void streamCreated(Attributes transport, Metadata sentHeaders) {
          isSent = true;
        }
      };
    }
  }
}
