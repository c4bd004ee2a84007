//! Traces: W3C Trace Context in and out (<https://www.w3.org/TR/trace-context/>), OTLP over gRPC to a collector.
//!
//! A trace has a span for each call and one for each operation of a store beneath it, and nothing else: spans of the
//! log, and its lines, stay in the log. Where no collector is named, all of this is switched off where the spans are
//! made, which costs a look at a flag.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::context::{FutureExt as _, WithContext};
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator as _};
use opentelemetry::trace::{TraceContextExt as _, TracerProvider as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::tonic_types::transport::ClientTlsConfig;
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithTonicConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider,
};
use tracing::Span;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::config::{ConfiguredUrl, Problem, Telemetry};

/// The target of every span that is part of a trace, and of nothing else.
pub const TARGET: &str = "countersign::trace";

/// How many spans may wait to be sent; more are dropped, and the log says so.
const QUEUE: usize = 2048;
/// How many are sent at once, and how often at the latest.
const BATCH: usize = 512;
const EVERY: Duration = Duration::from_secs(1);
/// How long the collector may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the last spans may take when the process stops.
const LAST_PATIENCE: Duration = Duration::from_secs(3);

/// Where spans go; for the whole process, as the subscriber is that makes them.
static PROVIDER: OnceLock<SdkTracerProvider> = OnceLock::new();
static ENABLED: AtomicBool = AtomicBool::new(false);

/// Traces cannot be sent where the configuration says.
#[derive(Debug, thiserror::Error)]
pub enum InvalidCollector {
    /// What names the collector is no address of one.
    #[error(transparent)]
    Endpoint(#[from] Problem),
    /// The exporter cannot be made. The text shows no secret of the collector's URL.
    #[error("telemetry.otlp_endpoint: {0}")]
    Exporter(String),
}

/// The variables of the OpenTelemetry specification that name the collector, the more specific one first.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
/// The others that are honoured: by the exporter, and by what describes this process.
const HONOURED: [&str; 7] = [
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
    "OTEL_EXPORTER_OTLP_INSECURE",
    "OTEL_EXPORTER_OTLP_TRACES_INSECURE",
    "OTEL_RESOURCE_ATTRIBUTES",
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_SPAN_EVENT_COUNT_LIMIT",
];

/// The collector that is configured, or that the variables of the OpenTelemetry specification name.
fn endpoint(config: &Telemetry) -> Result<Option<ConfiguredUrl>, Problem> {
    if !config.otlp_endpoint.is_empty() {
        return Ok(Some(config.otlp_endpoint.clone()));
    }
    // One that is empty counts as unset.
    let variable = |name| Some((name, std::env::var(name).ok().filter(|value| !value.is_empty())?));
    let Some((name, value)) = ENDPOINTS.into_iter().find_map(variable) else { return Ok(None) };
    let url = ConfiguredUrl::from(value.as_str());
    url.check_collector(name)?;
    Ok(Some(url))
}

/// The variables of OpenTelemetry that are set and decide nothing here, as one line for the log.
pub fn ignored_variables() -> Option<String> {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let ignored = names.filter(|name| {
        name.starts_with("OTEL_") && !ENDPOINTS.contains(&name.as_str()) && !HONOURED.contains(&name.as_str())
    });
    let mut ignored: Vec<_> = ignored.collect();
    ignored.sort_unstable();
    let verb = if ignored.len() == 1 { "is" } else { "are" };
    (!ignored.is_empty()).then(|| format!("{} {verb} ignored: [telemetry] decides", ignored.join(", ")))
}

/// Begins to send traces, if there is a collector to send them to. Must be called within a runtime, which must still
/// be there at [`flush`].
pub(super) fn begin(config: &Telemetry) -> Result<Option<SdkTracer>, InvalidCollector> {
    let Some(endpoint) = endpoint(config)? else { return Ok(None) };
    let address = endpoint.parse("telemetry.otlp_endpoint")?.to_string();
    let is_tls = address.starts_with("https://");
    let exporter = SpanExporter::builder().with_tonic().with_endpoint(&address).with_timeout(PATIENCE);
    let exporter =
        if is_tls { exporter.with_tls_config(ClientTlsConfig::new().with_enabled_roots()) } else { exporter };
    let exporter = exporter.build().map_err(|error| {
        InvalidCollector::Exporter(error.to_string().replace(&address, &endpoint.to_string()))
    })?;
    let queue = BatchConfigBuilder::default()
        .with_max_queue_size(QUEUE)
        .with_max_export_batch_size(BATCH)
        .with_scheduled_delay(EVERY)
        .build();
    let resource = Resource::builder()
        .with_service_name(config.service_name.clone())
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build();
    let by_ratio = Sampler::TraceIdRatioBased(config.sampling_ratio());
    let provider = SdkTracerProvider::builder()
        .with_span_processor(BatchSpanProcessor::builder(exporter).with_batch_config(queue).build())
        .with_sampler(Sampler::ParentBased(Box::new(by_ratio)))
        .with_resource(resource)
        .build();
    let tracer = provider.tracer("countersign");
    if PROVIDER.set(provider).is_ok() {
        ENABLED.store(true, Ordering::Release);
    }
    Ok(Some(tracer))
}

/// Sends what still waits, and sends nothing more. Blocks, for a few seconds at the most: for the very end, outside
/// of the runtime and before that is dropped.
pub fn flush() {
    if let Some(provider) = PROVIDER.get() {
        ENABLED.store(false, Ordering::Release);
        if let Err(error) = provider.shutdown_with_timeout(LAST_PATIENCE) {
            tracing::warn!(%error, "the last traces were not sent");
        }
    }
}

/// Whether traces are sent anywhere.
pub fn enabled() -> bool {
    ENABLED.load(Ordering::Relaxed)
}

/// The span that a request comes from, as its `traceparent` says. `None` when there is none, and when traces are off.
pub fn parent(headers: &HeaderMap) -> Option<Context> {
    if !enabled() || !headers.contains_key(TRACEPARENT) {
        return None;
    }
    let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &Incoming(headers));
    context.span().span_context().is_valid().then_some(context)
}

/// Whether the caller records its trace.
pub fn is_sampled(parent: &Context) -> bool {
    parent.span().span_context().is_sampled()
}

/// Puts a span into its caller's trace, before it is entered for the first time.
pub fn adopt(span: &Span, parent: Option<Context>) {
    // A call is nobody's child within this process, whatever span happens to be open on the thread.
    // Only a span that is disabled, or was begun already, cannot be adopted; that is no reason to fail a call.
    let _ = span.set_parent(parent.unwrap_or_default());
}

/// The trace of a span, where it is recorded: 32 hexadecimal digits.
pub fn recorded(span: &Span) -> Option<String> {
    if span.is_disabled() {
        return None;
    }
    let context = span.context();
    let span = context.span();
    let context = span.span_context();
    context.is_sampled().then(|| context.trace_id().to_string())
}

/// The span of something that is asked of another, such as a store, within a call; none outside of one, so that what
/// the service does by itself begins no traces.
pub fn step(system: &'static str, operation: &'static str) -> Span {
    if !enabled() || !is_sampled(&Context::current()) {
        return Span::none();
    }
    tracing::info_span!(
        target: TARGET,
        "step",
        otel.name = operation,
        otel.kind = "client",
        db.system.name = system,
        db.operation.name = operation,
        otel.status_code = Empty,
    )
}

/// Notes that a step has failed. Why is for the log.
pub fn failed(span: &Span) {
    span.record("otel.status_code", "ERROR");
}

/// Takes the trace along into another task: the span of the log that goes with it knows nothing of it.
pub fn continued<F: Future>(work: F) -> WithContext<F> {
    work.with_context(Context::current())
}

/// Writes the current span into the headers of a request that goes out.
pub fn inject(headers: &mut HeaderMap) {
    if enabled() {
        TraceContextPropagator::new().inject_context(&Context::current(), &mut Outgoing(headers));
    }
}

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

struct Incoming<'a>(&'a HeaderMap);

impl Extractor for Incoming<'_> {
    /// Of two `traceparent` neither is the caller's (W3C Trace Context §3.2).
    fn get(&self, key: &str) -> Option<&str> {
        let mut values = self.0.get_all(key).iter();
        let value = values.next()?;
        if key == TRACEPARENT && values.next().is_some() {
            return None;
        }
        value.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

struct Outgoing<'a>(&'a mut HeaderMap);

impl Injector for Outgoing<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(key), Ok(value)) = (HeaderName::try_from(key), HeaderValue::try_from(value)) {
            self.0.insert(key, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_callers_neither_is_believed() {
        let mut headers = HeaderMap::new();
        headers.append(TRACEPARENT, HeaderValue::from_static("00-a-b-01"));
        assert_eq!(Incoming(&headers).get("traceparent"), Some("00-a-b-01"));
        headers.append(TRACEPARENT, HeaderValue::from_static("00-c-d-01"));
        assert_eq!(Incoming(&headers).get("traceparent"), None);
    }
}
