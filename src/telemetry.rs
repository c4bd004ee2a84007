//! Logging, metrics and traces. `docs/logging.md` says what is logged where, `docs/operations.md` what is measured.

use std::io::IsTerminal as _;

use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, filter};

pub mod buckets;
pub mod calls;
mod cells;
pub mod exposition;
mod metrics;
mod process;
pub mod tables;
pub mod traces;

pub use metrics::Metrics;
pub use traces::{InvalidCollector, flush};

use crate::config::{Config, LogFormat};

/// Nothing can be logged, or traced, as the configuration says.
#[derive(Debug, thiserror::Error)]
pub enum InvalidTelemetry {
    /// The level.
    #[error(transparent)]
    Level(#[from] InvalidLogLevel),
    /// The collector.
    #[error(transparent)]
    Collector(#[from] InvalidCollector),
}

/// The log level is not one that `tracing` understands.
#[derive(Debug, thiserror::Error)]
#[error("log.level {directive:?}: {source}")]
pub struct InvalidLogLevel {
    directive: String,
    source: tracing_subscriber::filter::ParseError,
}

/// Checks a filter such as `info` or `info,countersign::grpc=debug`.
pub fn parse_level(directive: &str) -> Result<EnvFilter, InvalidLogLevel> {
    EnvFilter::try_new(directive)
        .map_err(|source| InvalidLogLevel { directive: directive.to_owned(), source })
}

/// Sends log lines to standard error from here on. Once per process; a second call changes nothing.
pub fn init_log(format: LogFormat, level: &str) -> Result<(), InvalidLogLevel> {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(log_filter(level)?)
        .with_writer(std::io::stderr)
        .with_span_events(FmtSpan::NONE);
    // A second subscriber in one process can only come from a test that starts the app twice.
    let _ = match format {
        LogFormat::Json => {
            builder.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init()
        }
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).with_target(false).try_init(),
    };
    Ok(())
}

/// The same, and sends traces to the collector where one is named. Must be called within the runtime.
pub fn init(config: &Config) -> Result<(), InvalidTelemetry> {
    let (format, level) = (config.log.format, &config.log.level);
    let filter = log_filter(level)?;
    let Some(tracer) = traces::begin(&config.telemetry)? else { return Ok(init_log(format, level)?) };
    let spans = tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_filter(filter::filter_fn(|metadata| metadata.is_span() && metadata.target() == traces::TARGET));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_span_events(FmtSpan::NONE);
    let lines = match format {
        LogFormat::Json => {
            lines.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed()
        }
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).with_target(false).boxed(),
    };
    let _ = tracing_subscriber::registry().with(spans).with(lines.with_filter(filter)).try_init();
    Ok(())
}

/// What of the log is wanted. Spans of traces are no part of it, and where nothing else wants them they are never
/// made.
fn log_filter(level: &str) -> Result<EnvFilter, InvalidLogLevel> {
    let off = format!("{}=off", traces::TARGET);
    let off = off.parse().map_err(|source| InvalidLogLevel { directive: off, source })?;
    Ok(parse_level(level)?.add_directive(off))
}
