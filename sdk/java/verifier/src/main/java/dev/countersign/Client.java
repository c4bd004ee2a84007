package dev.countersign;

import dev.countersign.v1.AuthServiceGrpc;
import dev.countersign.v1.ChangePasswordRequest;
import dev.countersign.v1.ChangePasswordResponse;
import dev.countersign.v1.KeyServiceGrpc;
import dev.countersign.v1.LoginRequest;
import dev.countersign.v1.LoginResponse;
import dev.countersign.v1.LogoutRequest;
import dev.countersign.v1.RefreshRequest;
import dev.countersign.v1.RefreshResponse;
import dev.countersign.v1.ServiceAccountServiceGrpc;
import dev.countersign.v1.SessionServiceGrpc;
import dev.countersign.v1.UserServiceGrpc;
import io.grpc.CallCredentials;
import io.grpc.Channel;
import io.grpc.ClientInterceptors;
import io.grpc.Status;
import java.util.List;

/**
 * Logs in, refreshes, logs out, and manages users and sessions. Each call has a deadline, and is
 * made again where that is safe and helps:
 *
 * <ul>
 *   <li>UNAVAILABLE ({@code REFRESH_IN_PROGRESS} and {@code STORE_UNAVAILABLE} are among it) and an
 *       attempt that was not answered in time. Whatever became of the first attempt, the second
 *       gets the answer that the first would have had.
 *   <li>{@code LOGIN_OVERLOADED} and {@code SERVER_OVERLOADED}: the server has not begun.
 * </ul>
 *
 * <p>Login, ChangePassword, ResetPassword, the deletion of a user or of a service account, and an
 * update with an etag are made again only where the server was not reached at all, or says that it
 * has not begun: the second answer would be another one, and a second Login would begin a second
 * session. What is created gets a request id where it has none, so that it can be asked for again.
 * Streams are not made again.
 *
 * <p>Pauses double, are drawn at random, and are as long as the server asks for where it does
 * ({@code google.rpc.RetryInfo}). No other answer is tried again. Calls throw {@link
 * io.grpc.StatusRuntimeException}; {@link CallError#of} says what it means. Any number of threads
 * may use a client.
 */
public final class Client implements AutoCloseable {
  private final SharedChannel connection;
  private final Channel channel;
  private final CallCredentials credential;

  /**
   * Makes a client. It connects when it is used.
   *
   * @param options how the client behaves
   * @throws IllegalArgumentException that says what is wrong with the options
   * @throws java.io.UncheckedIOException where a file of {@link Tls} cannot be read
   */
  public Client(ClientOptions options) {
    connection =
        new SharedChannel(
            new Endpoint(options.endpoint(), options.tls(), options.attemptTimeout()));
    channel = ClientInterceptors.intercept(connection, new Retry(options, connection::reconnect));
    credential = options.credential() == null ? null : new BearerCredential(options.credential());
  }

  /** Closes the connection. Calls that are under way fail. */
  @Override
  public void close() {
    connection.close();
  }

  /**
   * What the stubs are made with that this class has no method for: futures, callbacks, services.
   *
   * @return makes calls again as the stubs here do, without the credential
   */
  public Channel channel() {
    return channel;
  }

  /**
   * The calls of AuthService that have no method of their own here.
   *
   * @return the stub
   */
  public AuthServiceGrpc.AuthServiceBlockingStub auth() {
    return AuthServiceGrpc.newBlockingStub(channel);
  }

  /**
   * The calls of UserService, with the credential.
   *
   * @return the stub
   */
  public UserServiceGrpc.UserServiceBlockingStub users() {
    return UserServiceGrpc.newBlockingStub(channel).withCallCredentials(credential);
  }

  /**
   * The calls of SessionService, with the credential.
   *
   * @return the stub
   */
  public SessionServiceGrpc.SessionServiceBlockingStub sessions() {
    return SessionServiceGrpc.newBlockingStub(channel).withCallCredentials(credential);
  }

  /**
   * The calls of ServiceAccountService, with the credential.
   *
   * @return the stub
   */
  public ServiceAccountServiceGrpc.ServiceAccountServiceBlockingStub serviceAccounts() {
    return ServiceAccountServiceGrpc.newBlockingStub(channel).withCallCredentials(credential);
  }

  /**
   * The calls of KeyService, with the credential.
   *
   * @return the stub
   */
  public KeyServiceGrpc.KeyServiceBlockingStub keys() {
    return KeyServiceGrpc.newBlockingStub(channel).withCallCredentials(credential);
  }

  /**
   * Begins a session.
   *
   * @param username the user's name
   * @param password the password
   * @param audiences the services that the access token is meant for; the server's default where
   *     none is named
   * @return the tokens of the session
   */
  public Tokens login(String username, String password, String... audiences) {
    return login(
        LoginRequest.newBuilder()
            .setUsername(username)
            .setPassword(password)
            .addAllAudiences(List.of(audiences))
            .build());
  }

  /**
   * Begins a session, and says of what client it is.
   *
   * @param request the request
   * @return the tokens of the session
   */
  public Tokens login(LoginRequest request) {
    LoginResponse answer = auth().login(request);
    return tokens(answer.hasTokens(), answer.getTokens());
  }

  /**
   * Exchanges a refresh token for the next tokens. Where {@link CallError#sessionEnded} is true of
   * what is thrown the session is over; on every other error keep the tokens.
   *
   * @param refreshToken the refresh token
   * @return the next tokens
   */
  public Tokens refresh(String refreshToken) {
    RefreshResponse answer =
        auth().refresh(RefreshRequest.newBuilder().setRefreshToken(refreshToken).build());
    return tokens(answer.hasTokens(), answer.getTokens());
  }

  /**
   * Ends the session of a refresh token. When it returns, the end is durable.
   *
   * @param refreshToken the refresh token
   * @return the position for {@link Verifier#verifyAtLeast}; empty where the server tells none
   */
  public String logout(String refreshToken) {
    return logout(refreshToken, false);
  }

  /**
   * Ends every session of the user whose refresh token it is.
   *
   * @param refreshToken the refresh token
   * @return the position for {@link Verifier#verifyAtLeast}; empty where the server tells none
   */
  public String logoutEverywhere(String refreshToken) {
    return logout(refreshToken, true);
  }

  private String logout(String refreshToken, boolean everywhere) {
    return auth()
        .logout(
            LogoutRequest.newBuilder()
                .setRefreshToken(refreshToken)
                .setEverywhere(everywhere)
                .build())
        .getPosition();
  }

  /**
   * The answer to a change of a password.
   *
   * @param tokens those of the caller's new session
   * @param position the position for {@link Verifier#verifyAtLeast}; empty where the server tells
   *     none
   */
  public record PasswordChange(Tokens tokens, String position) {}

  /**
   * Changes the password of the user whose refresh token it is. Every other session of the user
   * ends; the caller gets a new one.
   *
   * @param refreshToken the refresh token
   * @param currentPassword the password that the user has
   * @param newPassword the password that the user wants
   * @return the tokens of the new session, and the position
   */
  public PasswordChange changePassword(
      String refreshToken, String currentPassword, String newPassword) {
    ChangePasswordResponse answer =
        auth()
            .changePassword(
                ChangePasswordRequest.newBuilder()
                    .setRefreshToken(refreshToken)
                    .setCurrentPassword(currentPassword)
                    .setNewPassword(newPassword)
                    .build());
    return new PasswordChange(tokens(answer.hasTokens(), answer.getTokens()), answer.getPosition());
  }

  private static Tokens tokens(boolean hasTokens, dev.countersign.v1.Tokens tokens) {
    if (!hasTokens) {
      throw Status.UNKNOWN
          .withDescription("countersign: an answer without tokens")
          .asRuntimeException();
    }
    return Tokens.of(tokens);
  }
}
