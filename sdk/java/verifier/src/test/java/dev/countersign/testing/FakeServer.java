package dev.countersign.testing;

import com.google.protobuf.ByteString;
import com.google.protobuf.Duration;
import com.google.protobuf.Timestamp;
import dev.countersign.Verifier;
import dev.countersign.VerifierOptions;
import dev.countersign.v1.AuthServiceGrpc;
import dev.countersign.v1.RevocationServiceGrpc;
import dev.countersign.v1.RevokedSession;
import dev.countersign.v1.RevokedUser;
import dev.countersign.v1.VerifyAccessTokenRequest;
import dev.countersign.v1.VerifyAccessTokenResponse;
import dev.countersign.v1.WatchBegin;
import dev.countersign.v1.WatchHeartbeat;
import dev.countersign.v1.WatchKeySet;
import dev.countersign.v1.WatchPing;
import dev.countersign.v1.WatchRevocationsRequest;
import dev.countersign.v1.WatchRevocationsResponse;
import dev.countersign.v1.WatchRevoked;
import dev.countersign.v1.WatchStart;
import io.grpc.BindableService;
import io.grpc.InsecureServerCredentials;
import io.grpc.Metadata;
import io.grpc.Server;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerCredentials;
import io.grpc.ServerInterceptor;
import io.grpc.netty.shaded.io.grpc.netty.NettyServerBuilder;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetSocketAddress;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;

/** A server whose every word is the test's. */
public final class FakeServer implements AutoCloseable {
  private static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

  private final Server server;
  private final int boundPort;
  private final BlockingQueue<Stream> arrivals = new LinkedBlockingQueue<>();
  private final BlockingQueue<String> credentials = new LinkedBlockingQueue<>();

  /** Answers VerifyAccessToken; what it throws is the error that is answered. */
  public volatile Function<VerifyAccessTokenRequest, VerifyAccessTokenResponse> verify =
      request -> VerifyAccessTokenResponse.getDefaultInstance();

  public FakeServer(BindableService... more) {
    this(0, more);
  }

  public FakeServer(int port, BindableService... more) {
    this(port, InsecureServerCredentials.create(), more);
  }

  public FakeServer(int port, ServerCredentials credentials, BindableService... more) {
    NettyServerBuilder builder =
        NettyServerBuilder.forAddress(new InetSocketAddress("127.0.0.1", port), credentials)
            .intercept(new Credentials())
            .addService(new Revocations());
    if (more.length == 0) {
      builder.addService(new Auth());
    }
    for (BindableService each : more) {
      builder.addService(each);
    }
    try {
      server = builder.build().start();
      boundPort = server.getPort();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  public int port() {
    return boundPort;
  }

  public String endpoint() {
    return "http://127.0.0.1:" + port();
  }

  /** The credential of the next call that brings one. */
  public String credential() {
    return Wait.take("a credential", credentials);
  }

  public boolean hasCredential() {
    return !credentials.isEmpty();
  }

  @Override
  public void close() {
    server.shutdownNow();
    try {
      server.awaitTermination(10, TimeUnit.SECONDS);
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  /** The next client that comes. */
  public Stream next() {
    return Wait.take("a client", arrivals);
  }

  public boolean hasArrival() {
    return !arrivals.isEmpty();
  }

  /** A verifier that has loaded one key, and nothing that is revoked, up to position 5. */
  public Verifier verifier(VerifierOptions.Builder options, Signer signer) {
    Verifier verifier = Verifier.connect(options.build());
    Stream stream = next();
    stream.started();
    stream.load(signer);
    Wait.until("the verifier is ready", verifier::isReady);
    stream.keepBeating(5);
    return verifier;
  }

  private final class Credentials implements ServerInterceptor {
    @Override
    public <Q, A> ServerCall.Listener<Q> interceptCall(
        ServerCall<Q, A> call, Metadata headers, ServerCallHandler<Q, A> next) {
      String credential = headers.get(AUTHORIZATION);
      if (credential != null) {
        credentials.add(credential);
      }
      return next.startCall(call, headers);
    }
  }

  private final class Auth extends AuthServiceGrpc.AuthServiceImplBase {
    @Override
    public void verifyAccessToken(
        VerifyAccessTokenRequest request, StreamObserver<VerifyAccessTokenResponse> answer) {
      try {
        answer.onNext(verify.apply(request));
        answer.onCompleted();
      } catch (RuntimeException e) {
        answer.onError(e);
      }
    }
  }

  private final class Revocations extends RevocationServiceGrpc.RevocationServiceImplBase {
    @Override
    public StreamObserver<WatchRevocationsRequest> watchRevocations(
        StreamObserver<WatchRevocationsResponse> responses) {
      Stream stream = new Stream(responses);
      arrivals.add(stream);
      return stream;
    }
  }

  /** One client's stream. */
  public static final class Stream implements StreamObserver<WatchRevocationsRequest> {
    private final StreamObserver<WatchRevocationsResponse> responses;
    private final BlockingQueue<WatchRevocationsRequest> said = new LinkedBlockingQueue<>();
    private volatile long beatsAt = -1;
    private volatile boolean isOver;

    Stream(StreamObserver<WatchRevocationsResponse> responses) {
      this.responses = responses;
    }

    @Override
    public void onNext(WatchRevocationsRequest message) {
      WatchPing ping = message.getPing();
      if (beatsAt >= 0 && message.hasPing() && ping.getAtLeast().isEmpty()) {
        beat(ping.getNonce(), beatsAt);
      } else {
        said.add(message);
      }
    }

    @Override
    public void onError(Throwable error) {
      isOver = true;
    }

    @Override
    public void onCompleted() {
      isOver = true;
    }

    /** The client has gone. */
    public boolean isOver() {
      return isOver;
    }

    private WatchRevocationsRequest hear() {
      return Wait.take("a word of the client", said);
    }

    public WatchStart started() {
      WatchRevocationsRequest message = hear();
      if (!message.hasStart()) {
        throw new AssertionError("the first message is no start: " + message);
      }
      return message.getStart();
    }

    public long pinged() {
      WatchRevocationsRequest message = hear();
      if (!message.hasPing()) {
        throw new AssertionError("a start again: " + message);
      }
      return message.getPing().getNonce();
    }

    /** The nonce of the ping that asks for a position. */
    public long askedFor(String position) {
      while (true) {
        WatchPing ping = hear().getPing();
        if (ping.getAtLeast().equals(position)) {
          return ping.getNonce();
        }
        if (!ping.getAtLeast().isEmpty()) {
          throw new AssertionError(ping);
        }
      }
    }

    public synchronized void tell(WatchRevocationsResponse.Builder message) {
      responses.onNext(message.build());
    }

    /** Ends the stream with OK. */
    public synchronized void end() {
      responses.onCompleted();
    }

    public void load(Signer... signers) {
      begin(1, false);
      keys(signers);
      revoked(5);
      beat(pinged(), 5);
    }

    /** Answers every ping from now on. */
    public void keepBeating(long sequence) {
      beatsAt = sequence;
      while (true) {
        WatchRevocationsRequest message = said.poll();
        if (message == null) {
          return;
        }
        beat(message.getPing().getNonce(), sequence);
      }
    }

    /** Answers no ping any more. */
    public void stall() {
      beatsAt = -1;
    }

    public void begin(long incarnation, boolean resumed) {
      tell(
          WatchRevocationsResponse.newBuilder()
              .setBegin(WatchBegin.newBuilder().setIncarnation(incarnation).setResumed(resumed)));
    }

    public void keys(Signer... signers) {
      WatchKeySet.Builder set = WatchKeySet.newBuilder();
      for (Signer signer : signers) {
        set.addKeys(signer.key());
      }
      tell(WatchRevocationsResponse.newBuilder().setKeySet(set));
    }

    private static Timestamp inAnHour() {
      return Timestamp.newBuilder().setSeconds(System.currentTimeMillis() / 1000 + 3600).build();
    }

    /** A part of a snapshot without its end. */
    public void part(int... sessions) {
      WatchRevoked.Builder revoked = WatchRevoked.newBuilder();
      for (int session : sessions) {
        revoked.addSessions(
            RevokedSession.newBuilder()
                .setSessionId(Signer.session(session))
                .setForgetAt(inAnHour()));
      }
      tell(WatchRevocationsResponse.newBuilder().setRevoked(revoked));
    }

    public void revoked(long sequence, int... sessions) {
      WatchRevoked.Builder revoked = WatchRevoked.newBuilder().setSequence(sequence);
      for (int session : sessions) {
        revoked.addSessions(
            RevokedSession.newBuilder()
                .setSessionId(Signer.session(session))
                .setForgetAt(inAnHour()));
      }
      tell(WatchRevocationsResponse.newBuilder().setRevoked(revoked));
    }

    public void raised(long sequence, ByteString subject, long epoch) {
      tell(
          WatchRevocationsResponse.newBuilder()
              .setRevoked(
                  WatchRevoked.newBuilder()
                      .setSequence(sequence)
                      .addUsers(
                          RevokedUser.newBuilder()
                              .setSubject(subject)
                              .setEpoch(epoch)
                              .setForgetAt(inAnHour()))));
    }

    public void beat(long nonce, long sequence) {
      tell(
          WatchRevocationsResponse.newBuilder()
              .setHeartbeat(
                  WatchHeartbeat.newBuilder()
                      .setNonce(nonce)
                      .setSequence(sequence)
                      .setStaleness(Duration.getDefaultInstance())));
    }

    public void reached(long nonce, long sequence, boolean reached) {
      tell(
          WatchRevocationsResponse.newBuilder()
              .setHeartbeat(
                  WatchHeartbeat.newBuilder()
                      .setNonce(nonce)
                      .setSequence(sequence)
                      .setReached(reached)));
    }
  }
}
