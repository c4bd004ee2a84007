package dev.countersign;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusException;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * What a server says of a call that has failed. Read it of the {@link StatusRuntimeException} that
 * the methods of {@link Client} and its stubs throw.
 *
 * @param code gRPC's code
 * @param reason the name in the catalogue of reasons (docs/errors.md), such as {@code
 *     REFRESH_TOKEN_REUSED}; empty when no server answered
 * @param metadata what else the reason says
 * @param retryAfter how long the server asks to wait, where it does
 * @param violations which fields were refused
 * @param message for people
 */
public record CallError(
    Status.Code code,
    String reason,
    Map<String, String> metadata,
    Optional<Duration> retryAfter,
    List<FieldViolation> violations,
    String message) {
  /** The domain of every reason, in {@code google.rpc.ErrorInfo}. */
  static final String DOMAIN = "countersign";

  private static final Set<String> SESSION_ENDED =
      Set.of(
          "REFRESH_TOKEN_INVALID",
          "REFRESH_TOKEN_EXPIRED",
          "REFRESH_TOKEN_REUSED",
          "SESSION_REVOKED");

  /**
   * One field that the server refused, and why.
   *
   * @param field the field as the contract names it; empty for the request as a whole
   * @param description for people
   */
  public record FieldViolation(String field, String description) {}

  /**
   * Reads what a call has thrown.
   *
   * @param error what was thrown
   * @return the code is UNKNOWN for what is no error of gRPC
   */
  public static CallError of(Throwable error) {
    Metadata trailers = Status.trailersFromThrowable(error);
    boolean isStatus = error instanceof StatusRuntimeException || error instanceof StatusException;
    Status status = isStatus ? Status.fromThrowable(error) : Status.UNKNOWN;
    return of(status, trailers);
  }

  static CallError of(Status status, Metadata trailers) {
    String reason = "";
    Map<String, String> metadata = Map.of();
    Optional<Duration> retryAfter = Optional.empty();
    List<FieldViolation> violations = List.of();
    for (Any any : detailsOf(status, trailers)) {
      try {
        if (any.is(ErrorInfo.class)) {
          ErrorInfo info = any.unpack(ErrorInfo.class);
          if (info.getDomain().equals(DOMAIN)) {
            reason = info.getReason();
            metadata = Map.copyOf(info.getMetadataMap());
          }
        } else if (any.is(RetryInfo.class)) {
          com.google.protobuf.Duration delay = any.unpack(RetryInfo.class).getRetryDelay();
          retryAfter =
              Optional.of(
                  Duration.ofSeconds(
                      Math.max(0, delay.getSeconds()), Math.max(0, delay.getNanos())));
        } else if (any.is(BadRequest.class)) {
          violations =
              any.unpack(BadRequest.class).getFieldViolationsList().stream()
                  .map(each -> new FieldViolation(each.getField(), each.getDescription()))
                  .toList();
        }
      } catch (InvalidProtocolBufferException e) {
        // Something between the server and here has made it up.
      }
    }
    String message = status.getDescription() == null ? "" : status.getDescription();
    return new CallError(status.getCode(), reason, metadata, retryAfter, violations, message);
  }

  private static List<Any> detailsOf(Status status, Metadata trailers) {
    if (trailers == null) {
      return List.of();
    }
    try {
      com.google.rpc.Status told = StatusProto.fromStatusAndTrailers(status, trailers);
      return told == null ? List.of() : told.getDetailsList();
    } catch (RuntimeException e) {
      // Of another code than the status, or no message at all.
      return List.of();
    }
  }

  /**
   * What ended a session, where a Refresh is refused with {@code SESSION_REVOKED}: {@code
   * LOGGED_OUT}, {@code PASSWORD_CHANGED} and so on (docs/errors.md).
   *
   * @return empty otherwise
   */
  public String cause() {
    return metadata.getOrDefault("cause", "");
  }

  /**
   * Whether an error of a Refresh means that the session is over: forget its tokens and let the
   * user log in. On every other error keep them.
   *
   * @return whether it is over
   */
  public boolean sessionEnded() {
    return SESSION_ENDED.contains(reason);
  }
}
