package dev.countersign;

import com.google.protobuf.InvalidProtocolBufferException;
import dev.countersign.v1.RevocationServiceGrpc;
import dev.countersign.v1.WatchPing;
import dev.countersign.v1.WatchRevocationsRequest;
import dev.countersign.v1.WatchRevocationsResponse;
import io.grpc.ManagedChannel;
import io.grpc.stub.ClientCallStreamObserver;
import io.grpc.stub.ClientResponseObserver;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;

/**
 * Follows a server through every loss of the connection, on one thread, until it is closed. Each
 * stream has a connection of its own: a server ends a stream so that it comes to another replica,
 * and a connection that hangs is not used again.
 */
final class Following {
  /** How often what need not be remembered any more is forgotten. */
  private static final long PURGE_EVERY_SECONDS = 30;

  private static final Logger LOGGER = System.getLogger("dev.countersign");

  private final Endpoint endpoint;
  private final BearerCredential credential;
  private final Clock clock;
  private final long pingIntervalNanos;
  private final long patienceNanos;
  private final Engine engine;
  private final Follower follower;
  private final Positions positions;
  private final Pauses pauses;
  private final Runnable ended;
  private final ScheduledThreadPoolExecutor loop;
  private volatile Thread thread;
  private volatile boolean isClosed;
  private Stream stream;

  /**
   * Makes one. It begins with {@link #start}.
   *
   * @param credential null for none
   * @param ended is called for each stream that was lost and for each that the server ended
   */
  Following(
      Endpoint endpoint,
      BearerCredential credential,
      VerifierOptions options,
      Engine engine,
      Follower follower,
      Positions positions,
      Pauses pauses,
      Runnable ended) {
    this.endpoint = endpoint;
    this.credential = credential;
    this.clock = options.clock();
    this.pingIntervalNanos = options.pingInterval().toNanos();
    this.patienceNanos = options.patience().toNanos();
    this.engine = engine;
    this.follower = follower;
    this.positions = positions;
    this.pauses = pauses;
    this.ended = ended;
    loop =
        new ScheduledThreadPoolExecutor(
            1,
            task -> {
              thread = new Thread(task, "countersign-follower");
              thread.setDaemon(true);
              return thread;
            });
    loop.setRemoveOnCancelPolicy(true);
    loop.setExecuteExistingDelayedTasksAfterShutdownPolicy(false);
  }

  void start() {
    positions.onUnasked(() -> execute(this::askPositions));
    execute(this::connect);
    loop.scheduleWithFixedDelay(
        this::purge, PURGE_EVERY_SECONDS, PURGE_EVERY_SECONDS, TimeUnit.SECONDS);
  }

  /** Ends the stream and the thread. Waits for that, unless it is called on the thread itself. */
  void close() {
    isClosed = true;
    execute(
        () -> {
          if (stream != null) {
            stream.leave();
          }
          // Here, because what is still to be done would be dropped by it.
          loop.shutdown();
        });
    if (Thread.currentThread() != thread) {
      try {
        loop.awaitTermination(patienceNanos, TimeUnit.NANOSECONDS);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }
  }

  private void execute(Runnable task) {
    try {
      loop.execute(task);
    } catch (RejectedExecutionException e) {
      // It was closed, and nothing is done any more.
    }
  }

  private void connect() {
    if (isClosed) {
      return;
    }
    ManagedChannel channel = null;
    try {
      channel = endpoint.open();
      stream = new Stream(channel);
      stream.open();
    } catch (RuntimeException e) {
      if (stream != null) {
        stream.end(new StreamEnd(StreamEnd.Why.LOST, "no connection could be made", e));
        return;
      }
      if (channel != null) {
        channel.shutdownNow();
      }
      again(new StreamEnd(StreamEnd.Why.LOST, "no connection could be made", e));
    }
  }

  /** Connects again after a pause. */
  private void again(StreamEnd end) {
    stream = null;
    if (isClosed) {
      return;
    }
    ended.run();
    follower.end(end);
    long pause = pauses.draw();
    if (end.why() == StreamEnd.Why.LOST && end.getCause() == null) {
      LOGGER.log(Level.DEBUG, "the server ended the stream of revocations; connecting again");
    } else {
      String cause = end.getCause() == null ? "" : ": " + end.getCause();
      LOGGER.log(
          Level.WARNING,
          () ->
              "the stream of revocations was lost; connecting again in "
                  + TimeUnit.NANOSECONDS.toMillis(pause)
                  + " ms: "
                  + end.getMessage()
                  + cause);
    }
    schedule(this::connect, pause);
  }

  private ScheduledFuture<?> schedule(Runnable task, long nanos) {
    try {
      return loop.schedule(task, nanos, TimeUnit.NANOSECONDS);
    } catch (RejectedExecutionException e) {
      return null;
    }
  }

  private void askPositions() {
    if (stream != null) {
      stream.askPositions();
    }
  }

  /** Nothing is forgotten by a clock that was set. */
  private void purge() {
    try {
      long wall = clock.wallMillis();
      long drift = engine.freshness().drift(wall, clock.monotonicNanos());
      if (drift <= Freshness.CLOCK_STEP_MILLIS / 2) {
        engine.revocations().purge(wall);
      }
    } catch (RuntimeException e) {
      LOGGER.log(Level.WARNING, "failed to purge revocations", e);
    }
  }

  /** One stream. All of it runs on the one thread. */
  private final class Stream
      implements ClientResponseObserver<WatchRevocationsRequest, WatchRevocationsResponse> {
    private final ManagedChannel channel;
    private final Conversation conversation = follower.converse();
    private ClientCallStreamObserver<WatchRevocationsRequest> requests;
    private ScheduledFuture<?> opening;
    private ScheduledFuture<?> ticking;
    private long lastTick;
    private boolean isOver;

    Stream(ManagedChannel channel) {
      this.channel = channel;
    }

    void open() {
      RevocationServiceGrpc.newStub(channel)
          .withExecutor(Following.this::execute)
          .withCallCredentials(credential)
          .watchRevocations(this);
      opening =
          schedule(
              () -> end(new StreamEnd(StreamEnd.Why.SILENT, "the server says nothing")),
              patienceNanos);
      say(WatchRevocationsRequest.newBuilder().setStart(follower.start()).build());
      ask(true);
      tickLater();
    }

    @Override
    public void beforeStart(ClientCallStreamObserver<WatchRevocationsRequest> requestStream) {
      requests = requestStream;
      requestStream.setOnReadyHandler(this::askPositions);
    }

    @Override
    public void onNext(WatchRevocationsResponse message) {
      if (isOver) {
        return;
      }
      if (opening != null) {
        opening.cancel(false);
      }
      try {
        follower.takeIn(message, conversation);
      } catch (StreamEnd e) {
        end(e);
      } catch (RuntimeException e) {
        end(new StreamEnd(StreamEnd.Why.LOST, "a message could not be taken in", e));
      }
    }

    @Override
    public void onError(Throwable error) {
      for (Throwable cause = error; cause != null; cause = cause.getCause()) {
        if (cause instanceof InvalidProtocolBufferException) {
          end(new StreamEnd(StreamEnd.Why.NONSENSE, "a message that cannot be read", error));
        }
      }
      end(new StreamEnd(StreamEnd.Why.LOST, "the connection was lost", error));
    }

    @Override
    public void onCompleted() {
      end(new StreamEnd(StreamEnd.Why.LOST, "the server ended the stream"));
    }

    private void tickLater() {
      lastTick = System.nanoTime();
      ticking = schedule(this::tick, pingIntervalNanos);
    }

    private void tick() {
      if (isOver) {
        return;
      }
      // A process that was busy or stopped has to read what has arrived before it says that the
      // server is silent.
      long late = System.nanoTime() - lastTick - pingIntervalNanos;
      if (late < patienceNanos / 2) {
        ask(false);
      }
      if (!isOver) {
        tickLater();
      }
    }

    /** With no room to send it in, the earlier pings stand for it. */
    private void ask(boolean isFirst) {
      try {
        if (isFirst || requests.isReady()) {
          say(follower.ping(conversation));
        } else {
          follower.look(conversation);
        }
      } catch (StreamEnd e) {
        end(e);
      } catch (RuntimeException e) {
        end(new StreamEnd(StreamEnd.Why.LOST, "a ping could not be sent", e));
      }
    }

    void askPositions() {
      while (!isOver && requests.isReady()) {
        Positions.Question question = positions.next();
        if (question == null) {
          return;
        }
        say(conversation.ask(question));
      }
    }

    private void say(WatchPing ping) {
      say(WatchRevocationsRequest.newBuilder().setPing(ping).build());
    }

    private void say(WatchRevocationsRequest message) {
      requests.onNext(message);
    }

    void end(StreamEnd end) {
      if (!isOver) {
        leave();
        again(end);
      }
    }

    void leave() {
      isOver = true;
      for (ScheduledFuture<?> timer : new ScheduledFuture<?>[] {opening, ticking}) {
        if (timer != null) {
          timer.cancel(false);
        }
      }
      conversation.giveUp();
      if (requests != null) {
        requests.cancel("the stream is left", null);
      }
      channel.shutdownNow();
    }
  }
}
