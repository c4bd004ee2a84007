/** Metrics of a verifier for OpenTelemetry. Needs {@code opentelemetry-api}. */
package dev.countersign.opentelemetry;
