package dev.countersign.opentelemetry;

import dev.countersign.Statistics;
import dev.countersign.Verifier;
import io.opentelemetry.api.common.AttributeKey;
import io.opentelemetry.api.common.Attributes;
import io.opentelemetry.api.metrics.BatchCallback;
import io.opentelemetry.api.metrics.Meter;
import io.opentelemetry.api.metrics.ObservableDoubleMeasurement;
import io.opentelemetry.api.metrics.ObservableLongMeasurement;

/**
 * Reports what a verifier counts, each time that metrics are collected:
 *
 * <ul>
 *   <li>{@code countersign.verifier.verifications}, by {@code countersign.outcome};
 *   <li>{@code countersign.verifier.staleness}, in seconds: how old the view of revocations is, and
 *       nothing while there is none;
 *   <li>{@code countersign.verifier.revocations}, {@code countersign.verifier.cached_tokens},
 *       {@code countersign.verifier.streams_ended}.
 * </ul>
 *
 * <p>It adds nothing to a verification. Calls of a {@link dev.countersign.Client} are those of
 * grpc-java, for which OpenTelemetry's instrumentation of gRPC has spans.
 */
public final class VerifierMetrics implements AutoCloseable {
  private static final AttributeKey<String> OUTCOME = AttributeKey.stringKey("countersign.outcome");
  private static final Attributes VERIFIED = Attributes.of(OUTCOME, "verified");
  private static final Attributes INVALID = Attributes.of(OUTCOME, "invalid");
  private static final Attributes UNKNOWN = Attributes.of(OUTCOME, "unknown");

  private final BatchCallback callback;

  private VerifierMetrics(BatchCallback callback) {
    this.callback = callback;
  }

  /**
   * Begins to report.
   *
   * @param verifier what is reported of
   * @param meter what it is reported to
   * @return close it to end that
   */
  public static VerifierMetrics observe(Verifier verifier, Meter meter) {
    ObservableLongMeasurement verifications =
        meter
            .counterBuilder("countersign.verifier.verifications")
            .setDescription("Access tokens that were verified in this process")
            .buildObserver();
    ObservableDoubleMeasurement staleness =
        meter
            .gaugeBuilder("countersign.verifier.staleness")
            .setDescription("How old the view of revocations is at most")
            .setUnit("s")
            .buildObserver();
    ObservableLongMeasurement revocations =
        meter
            .gaugeBuilder("countersign.verifier.revocations")
            .setDescription("Revoked sessions and raised epochs that are remembered")
            .ofLongs()
            .buildObserver();
    ObservableLongMeasurement cached =
        meter
            .gaugeBuilder("countersign.verifier.cached_tokens")
            .setDescription("Verified tokens that are remembered")
            .ofLongs()
            .buildObserver();
    ObservableLongMeasurement streams =
        meter
            .counterBuilder("countersign.verifier.streams_ended")
            .setDescription("Streams of revocations that were lost, or that the server ended")
            .buildObserver();
    return new VerifierMetrics(
        meter.batchCallback(
            () -> {
              Statistics counted = verifier.statistics();
              verifications.record(counted.verified(), VERIFIED);
              verifications.record(counted.invalid(), INVALID);
              verifications.record(counted.unknown(), UNKNOWN);
              verifier.staleness().ifPresent(age -> staleness.record(age.toNanos() / 1e9));
              revocations.record(counted.revocations());
              cached.record(counted.cachedTokens());
              streams.record(counted.streamsEnded());
            },
            verifications,
            staleness,
            revocations,
            cached,
            streams));
  }

  /** Ends the reports. */
  @Override
  public void close() {
    callback.close();
  }
}
