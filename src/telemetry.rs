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
pub use traces::{InvalidCollector, flush, ignored_variables};

use crate::config::{Config, LogFormat, Problem, log_filter as parse_level};

/// A line that cannot be written is lost: the subscriber's own report of that goes to standard error as well, and panics
/// where nobody reads it any more, in the middle of a call.
const REPORT_UNWRITTEN: bool = false;

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

/// The log level is not one that there is.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct InvalidLogLevel(#[from] Problem);

/// Sends log lines to standard error from here on. Once per process; a second call changes nothing.
pub fn init_log(format: LogFormat, level: &str) -> Result<(), InvalidLogLevel> {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(log_filter(level)?)
        .with_writer(std::io::stderr)
        .log_internal_errors(REPORT_UNWRITTEN)
        .with_span_events(FmtSpan::NONE);
    // A second subscriber in one process can only come from a test that starts the app twice.
    let _ = match format {
        LogFormat::Json => {
            builder.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init()
        }
        LogFormat::Text => builder.with_ansi(coloured()).with_target(false).try_init(),
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
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .log_internal_errors(REPORT_UNWRITTEN)
        .with_span_events(FmtSpan::NONE);
    let lines = match format {
        LogFormat::Json => {
            lines.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed()
        }
        LogFormat::Text => lines.with_ansi(coloured()).with_target(false).boxed(),
    };
    let _ = tracing_subscriber::registry().with(spans).with(lines.with_filter(filter)).try_init();
    Ok(())
}

/// What of the log is wanted. Spans of traces are no part of it, and where nothing else wants them they are never
/// made.
fn log_filter(level: &str) -> Result<EnvFilter, InvalidLogLevel> {
    const OFF: &str = "the target of traces is a target";
    let off = format!("{}=off", traces::TARGET).parse().expect(OFF);
    Ok(parse_level(level)?.add_directive(off))
}

/// Whether lines for people are coloured: on a terminal, unless somebody asked for none
/// (<https://no-color.org>, <https://bixense.com/clicolors/>).
fn coloured() -> bool {
    let given = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    if given("NO_COLOR").is_some() {
        return false;
    }
    if given("CLICOLOR_FORCE").is_some_and(|value| value != "0") {
        return true;
    }
    let unwanted = given("CLICOLOR").is_some_and(|value| value == "0")
        || given("TERM").is_some_and(|terminal| terminal == "dumb");
    !unwanted && std::io::stderr().is_terminal()
}
