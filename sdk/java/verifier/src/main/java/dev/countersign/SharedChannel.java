package dev.countersign;

import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.ConnectivityState;
import io.grpc.ManagedChannel;
import io.grpc.MethodDescriptor;
import java.util.concurrent.TimeUnit;

/** One connection for many calls, which is made anew when the files of TLS have changed. */
final class SharedChannel extends Channel implements AutoCloseable {
  /** How often it is looked whether the files have changed. */
  private static final long FILES_EVERY_NANOS = TimeUnit.SECONDS.toNanos(1);

  private final Endpoint endpoint;
  private volatile ManagedChannel channel;
  private volatile long lookedAt;
  private String files;
  private boolean isClosed;

  SharedChannel(Endpoint endpoint) {
    this.endpoint = endpoint;
    files = endpoint.files();
    channel = endpoint.open();
    lookedAt = System.nanoTime();
  }

  private ManagedChannel current() {
    if (System.nanoTime() - lookedAt >= FILES_EVERY_NANOS) {
      renew();
    }
    return channel;
  }

  private synchronized void renew() {
    if (isClosed || System.nanoTime() - lookedAt < FILES_EVERY_NANOS) {
      return;
    }
    lookedAt = System.nanoTime();
    try {
      String now = endpoint.files();
      if (!now.equals(files)) {
        ManagedChannel before = channel;
        channel = endpoint.open();
        files = now;
        // Calls that are under way end on the old one.
        before.shutdown();
      }
    } catch (RuntimeException e) {
      // Somebody is about to replace them: a certificate without its key yet. The connection that
      // there is goes on.
    }
  }

  /** Connects at once where that has failed before: gRPC's own pauses grow to two minutes. */
  void reconnect() {
    ManagedChannel now = current();
    if (now.getState(false) == ConnectivityState.TRANSIENT_FAILURE) {
      now.resetConnectBackoff();
    }
  }

  @Override
  public <Q, A> ClientCall<Q, A> newCall(MethodDescriptor<Q, A> method, CallOptions options) {
    return current().newCall(method, options);
  }

  @Override
  public String authority() {
    return channel.authority();
  }

  @Override
  public synchronized void close() {
    isClosed = true;
    channel.shutdownNow();
  }
}
