//! Logging. `docs/logging.md` says what is logged where.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::config::LogFormat;

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
pub fn init(format: LogFormat, level: &str) -> Result<(), InvalidLogLevel> {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(parse_level(level)?)
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
