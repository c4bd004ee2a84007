/**
 * Metrics of a verifier for OpenTelemetry.
 *
 * @module
 */
import { metrics, type Meter } from "@opentelemetry/api";
import type { Verifier } from "./verifier.js";

/**
 * Reports what a verifier counts, each time that metrics are collected:
 *
 * - `countersign.verifier.verifications`, by `countersign.outcome`;
 * - `countersign.verifier.staleness`, in seconds: how old the view of revocations is, and nothing while there is none;
 * - `countersign.verifier.revocations`, `countersign.verifier.cached_tokens`, `countersign.verifier.streams_ended`.
 *
 * It adds nothing to a verification. The function that is returned stops it. Calls of a `Client` are those of grpc-js,
 * for which `@opentelemetry/instrumentation-grpc` has spans.
 */
export function observe(verifier: Verifier, meter: Meter = metrics.getMeter("@countersign/node")): () => void {
  const verifications = meter.createObservableCounter("countersign.verifier.verifications", {
    description: "Access tokens that were verified in this process",
  });
  const staleness = meter.createObservableGauge("countersign.verifier.staleness", {
    description: "How old the view of revocations is at most",
    unit: "s",
  });
  const revocations = meter.createObservableGauge("countersign.verifier.revocations", {
    description: "Revoked sessions and raised epochs that are remembered",
  });
  const cached = meter.createObservableGauge("countersign.verifier.cached_tokens", {
    description: "Verified tokens that are remembered",
  });
  const streams = meter.createObservableCounter("countersign.verifier.streams_ended", {
    description: "Streams of revocations that were lost, or that the server ended",
  });
  const all = [verifications, staleness, revocations, cached, streams];
  const report: Parameters<Meter["addBatchObservableCallback"]>[0] = (result) => {
    const counted = verifier.statistics();
    for (const outcome of ["verified", "invalid", "unknown"] as const) {
      result.observe(verifications, counted[outcome], { "countersign.outcome": outcome });
    }
    const age = verifier.staleness();
    if (age !== undefined) {
      result.observe(staleness, age / 1000);
    }
    result.observe(revocations, counted.revocations);
    result.observe(cached, counted.cachedTokens);
    result.observe(streams, counted.streamsEnded);
  };
  meter.addBatchObservableCallback(report, all);
  return () => meter.removeBatchObservableCallback(report, all);
}
