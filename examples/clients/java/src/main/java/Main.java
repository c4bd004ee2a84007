// Logs in, verifies the access token, refreshes once and logs out. PASSWORD is the user's; ADDRESS and ACCOUNT may be set.

import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.ErrorInfo;
import dev.countersign.v1.AuthServiceGrpc;
import dev.countersign.v1.AuthServiceGrpc.AuthServiceBlockingStub;
import dev.countersign.v1.LoginRequest;
import dev.countersign.v1.LogoutRequest;
import dev.countersign.v1.RefreshRequest;
import dev.countersign.v1.Tokens;
import dev.countersign.v1.VerifyAccessTokenRequest;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.TimeUnit;

public final class Main {
    /** The only reasons to forget tokens. On every other error keep them. */
    private static final Set<String> ENDED =
            Set.of("REFRESH_TOKEN_INVALID", "REFRESH_TOKEN_EXPIRED", "REFRESH_TOKEN_REUSED", "SESSION_REVOKED");

    public static void main(String[] arguments) throws InterruptedException {
        // Where the service speaks TLS: TlsChannelCredentials.create().
        ManagedChannel channel =
                Grpc.newChannelBuilder(setting("ADDRESS", "127.0.0.1:50051"), InsecureChannelCredentials.create())
                        .build();
        try {
            session(AuthServiceGrpc.newBlockingStub(channel));
        } catch (StatusRuntimeException error) {
            System.out.println(explain(error));
            System.exit(1);
        } finally {
            channel.shutdownNow().awaitTermination(5, TimeUnit.SECONDS);
        }
    }

    private static void session(AuthServiceBlockingStub auth) {
        var login = within(auth).login(LoginRequest.newBuilder()
                .setUsername(setting("ACCOUNT", "admin"))
                .setPassword(System.getenv("PASSWORD"))
                .build());
        Tokens tokens = login.getTokens();
        System.out.println("logged in: " + login.getSession().getUsername());

        // A token that is not good is an answer and not an error.
        var answer = within(auth).verifyAccessToken(VerifyAccessTokenRequest.newBuilder()
                .setAccessToken(tokens.getAccessToken())
                .build());
        if (answer.hasVerified()) {
            System.out.println("verified: " + answer.getVerified().getUsername());
        } else {
            System.out.println("not verified: " + answer.getInvalid().getReason());
        }

        tokens = within(auth)
                .refresh(RefreshRequest.newBuilder().setRefreshToken(tokens.getRefreshToken()).build())
                .getTokens();
        System.out.println("refreshed: the access token is good for " + tokens.getExpiresIn() + " s");

        within(auth).logout(LogoutRequest.newBuilder().setRefreshToken(tokens.getRefreshToken()).build());
        System.out.println("logged out");

        try {
            within(auth).refresh(RefreshRequest.newBuilder().setRefreshToken(tokens.getRefreshToken()).build());
        } catch (StatusRuntimeException error) {
            System.out.println(explain(error));
        }
    }

    /** Every call has a deadline. */
    private static AuthServiceBlockingStub within(AuthServiceBlockingStub auth) {
        return auth.withDeadlineAfter(5, TimeUnit.SECONDS);
    }

    private static String explain(StatusRuntimeException error) {
        // Without a reason the error did not come from the service: the connection failed, for example.
        String reason = reason(error).orElse(error.getStatus().getCode().name());
        String rest = ENDED.contains(reason) ? "the session is over: forget the tokens" : "keep any tokens";
        return "refused: " + reason + " (" + rest + ")";
    }

    /** The reason in google.rpc.ErrorInfo, among the details of the status. */
    private static Optional<String> reason(StatusRuntimeException error) {
        for (var detail : StatusProto.fromThrowable(error).getDetailsList()) {
            try {
                if (detail.is(ErrorInfo.class)) {
                    return Optional.of(detail.unpack(ErrorInfo.class).getReason());
                }
            } catch (InvalidProtocolBufferException malformed) {
                return Optional.empty();
            }
        }
        return Optional.empty();
    }

    private static String setting(String name, String otherwise) {
        return Optional.ofNullable(System.getenv(name)).orElse(otherwise);
    }
}
