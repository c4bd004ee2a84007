import assert from "node:assert/strict";
import { test } from "node:test";
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import { observe } from "../src/opentelemetry.js";
import { following } from "../testing/following.js";
import { testId } from "../testing/forge.js";

test("metrics say what was verified, and how old the view is", async (t) => {
  const { verifier, clock, signer } = await following(t, { pingInterval: 3_600_000 });
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 });
  const provider = new MeterProvider({ readers: [reader] });
  t.after(() => provider.shutdown());
  const stop = observe(verifier, provider.getMeter("test"));
  const token = signer.token(testId(1), clock.wall());
  await verifier.verify(token);
  await verifier.verify(token);
  verifier.verifyHere("a.b.c");
  clock.advance(11_000);
  await verifier.verify(token);
  await reader.forceFlush();
  assert.deepEqual(toldBy(exporter), {
    verifications: { verified: 2, invalid: 1, unknown: 1 },
    staleness: { "": 11 },
    revocations: { "": 0 },
    cached_tokens: { "": 1 },
    streams_ended: { "": 0 },
  });
  stop();
  exporter.reset();
  await verifier.verify(token);
  await reader.forceFlush();
  assert.equal(toldBy(exporter)["verifications"]?.["unknown"] ?? 1, 1, "it reports nothing any more");
});

/** Each metric's values, by the outcome where it has one. */
function toldBy(exporter: InMemoryMetricExporter): Record<string, Record<string, unknown>> {
  return Object.fromEntries(
    (exporter.getMetrics()[0]?.scopeMetrics[0]?.metrics ?? []).map(({ descriptor, dataPoints }) => [
      descriptor.name.replace("countersign.verifier.", ""),
      Object.fromEntries(
        dataPoints.map(({ attributes, value }) => [String(attributes["countersign.outcome"] ?? ""), value]),
      ),
    ]),
  );
}
