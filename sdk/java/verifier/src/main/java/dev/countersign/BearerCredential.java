package dev.countersign;

import io.grpc.CallCredentials;
import io.grpc.Metadata;
import io.grpc.Status;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.function.Supplier;
import java.util.regex.Pattern;

/**
 * Puts a service key or an access token into each call. What gives one is asked on a thread of its
 * own, so that one that hangs holds nothing but the call, whose deadline ends that; and it is not
 * asked again before it has answered.
 */
final class BearerCredential extends CallCredentials {
  private static final Pattern SENDABLE = Pattern.compile("[\\x21-\\x7e]+");
  private static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);
  private static final ExecutorService THREADS =
      Executors.newCachedThreadPool(
          task -> {
            Thread thread = new Thread(task, "countersign-credential");
            thread.setDaemon(true);
            return thread;
          });

  private final Supplier<String> supplier;
  private CompletableFuture<String> asked;

  BearerCredential(Supplier<String> supplier) {
    this.supplier = supplier;
  }

  /** What gives always the same. */
  static Supplier<String> fixed(String credential) {
    String checked = check(credential);
    return () -> checked;
  }

  /** The error does not show it. */
  private static String check(String credential) {
    if (credential == null || !SENDABLE.matcher(credential).matches()) {
      throw new IllegalArgumentException(
          "countersign: the credential is empty, or has a space, a line end or another such"
              + " character");
    }
    return credential;
  }

  @Override
  public void applyRequestMetadata(RequestInfo request, Executor executor, MetadataApplier call) {
    ask()
        .whenComplete(
            (text, error) -> {
              if (error != null) {
                call.fail(
                    Status.UNAUTHENTICATED
                        .withDescription("countersign: there is no credential")
                        .withCause(error));
                return;
              }
              Metadata metadata = new Metadata();
              metadata.put(AUTHORIZATION, "Bearer " + text);
              call.apply(metadata);
            });
  }

  private synchronized CompletableFuture<String> ask() {
    if (asked == null || asked.isDone()) {
      asked = CompletableFuture.supplyAsync(() -> check(supplier.get()), THREADS);
    }
    return asked;
  }
}
