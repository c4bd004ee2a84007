package dev.countersign.opentelemetry;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.countersign.Verifier;
import dev.countersign.VerifierOptions;
import dev.countersign.testing.FakeServer;
import dev.countersign.testing.Signer;
import io.opentelemetry.api.common.AttributeKey;
import io.opentelemetry.sdk.metrics.SdkMeterProvider;
import io.opentelemetry.sdk.metrics.data.MetricData;
import io.opentelemetry.sdk.testing.exporter.InMemoryMetricReader;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

class VerifierMetricsTest {
  @Test
  void metricsSayWhatWasVerifiedAndHowOldTheViewIs() {
    Signer signer = Signer.ed25519("k1");
    InMemoryMetricReader reader = InMemoryMetricReader.create();
    try (FakeServer server = new FakeServer();
        SdkMeterProvider provider =
            SdkMeterProvider.builder().registerMetricReader(reader).build();
        Verifier verifier =
            server.verifier(
                VerifierOptions.builder(server.endpoint(), Signer.ISSUER, Signer.AUDIENCE),
                signer)) {
      VerifierMetrics metrics = VerifierMetrics.observe(verifier, provider.get("test"));
      verifier.verify(signer.token(1, System.currentTimeMillis()));
      verifier.verify("garbage");
      verifier.verify("garbage");
      Map<String, MetricData> all =
          reader.collectAllMetrics().stream()
              .collect(Collectors.toMap(MetricData::getName, it -> it));
      assertEquals(5, all.size());
      Map<String, Long> outcomes = new TreeMap<>();
      all.get("countersign.verifier.verifications")
          .getLongSumData()
          .getPoints()
          .forEach(
              point ->
                  outcomes.put(
                      point.getAttributes().get(AttributeKey.stringKey("countersign.outcome")),
                      point.getValue()));
      assertEquals(Map.of("verified", 1L, "invalid", 2L, "unknown", 0L), outcomes);
      double staleness =
          all.get("countersign.verifier.staleness")
              .getDoubleGaugeData()
              .getPoints()
              .iterator()
              .next()
              .getValue();
      assertTrue(staleness >= 0 && staleness < 10, "" + staleness);
      metrics.close();
      assertEquals(0, reader.collectAllMetrics().size());
    }
  }
}
