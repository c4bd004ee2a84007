//! `log.level`: which levels and targets there are, so that a misspelt one is not taken for a target that nothing
//! logs as, which would switch everything else off.

use tracing_subscriber::EnvFilter;

use super::error::Problem;
use crate::spelling::nearest;

const KEY: &str = "log.level";
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// What other programs call a level.
const SYNONYMS: [(&str, &str); 16] = [
    ("warning", "warn"),
    ("information", "info"),
    ("informational", "info"),
    ("notice", "info"),
    ("verbose", "debug"),
    ("fine", "debug"),
    ("err", "error"),
    ("fatal", "error"),
    ("critical", "error"),
    ("severe", "error"),
    ("panic", "error"),
    ("alert", "error"),
    ("none", "off"),
    ("quiet", "off"),
    ("silent", "off"),
    ("all", "trace"),
];

/// The crates of this program that log, and the first parts of the targets that they log as.
const CRATES: [&str; 31] = [
    "axum",
    "countersign",
    "countersign_verifier",
    "h2",
    "hyper",
    "hyper_rustls",
    "hyper_timeout",
    "hyper_util",
    "log",
    "mio",
    "opentelemetry",
    "opentelemetry_otlp",
    "opentelemetry_sdk",
    "redis",
    "rustls",
    "sqlx",
    "sqlx_core",
    "sqlx_mysql",
    "sqlx_postgres",
    "sqlx_sqlite",
    "tokio",
    "tokio_rustls",
    "tokio_util",
    "tonic",
    "tonic_health",
    "tower",
    "tracing",
    "tracing_log",
    "tracing_opentelemetry",
    "tracing_serde",
    "tracing_subscriber",
];

/// What this crate logs as: its modules, and `audit` and `trace`.
const MODULES: [&str; 26] = [
    "app",
    "audit",
    "auth",
    "cli",
    "config",
    "connection_url",
    "cores",
    "grpc",
    "http",
    "lifecycle",
    "listener",
    "model",
    "operations",
    "password",
    "readiness",
    "reason",
    "revocation",
    "secret",
    "spelling",
    "store",
    "telemetry",
    "testing",
    "text",
    "token",
    "trace",
    "transport",
];

/// Reads a filter such as `info` or `info,countersign::grpc=debug`: a level, and levels for single targets.
pub fn filter(text: &str) -> Result<EnvFilter, Problem> {
    let directives: Vec<_> = text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
    if directives.is_empty() {
        return Err(Problem::new(KEY, "must not be empty"));
    }
    directives.iter().try_for_each(|directive| check(directive))?;
    EnvFilter::try_new(directives.join(","))
        .map_err(|error| Problem::new(KEY, format!("{:?} cannot be used: {error}", cut(text))))
}

/// One directive: `level`, `target=level` or `target[span{field=value}]=level`.
fn check(directive: &str) -> Result<(), Problem> {
    let (rest, level) = match directive.rsplit_once('=') {
        // What stands in brackets may hold a = of its own.
        Some((rest, level)) if !level.contains(['}', ']']) => (rest, level),
        _ if is_level(directive) => return Ok(()),
        _ => return Err(bare(directive)),
    };
    let target = rest.split('[').next().unwrap_or_default();
    if target.contains('=') {
        return Err(Problem::new(KEY, format!("{:?} has more than one =", cut(directive))));
    }
    if target.is_empty() && !rest.starts_with('[') {
        return Err(Problem::new(KEY, format!("{:?} names no target before the =", cut(directive))));
    }
    if !target.is_empty() {
        check_target(target)?;
    }
    if is_level(level) { Ok(()) } else { Err(unknown_level(level)) }
}

/// `EnvFilter` knows them in either case, and by number.
fn is_level(text: &str) -> bool {
    LEVELS.iter().any(|level| level.eq_ignore_ascii_case(text))
        || matches!(text.as_bytes(), [digit] if (b'0'..=b'5').contains(digit))
}

/// A word that is no level. Taken for a target, as `EnvFilter` does, it would silence every other one.
fn bare(word: &str) -> Problem {
    let target = word.split('[').next().unwrap_or_default();
    if meant(word).is_none() && check_target(target).is_ok() {
        let what = format!("{:?} has no level: write \"info,{}=trace\", say", cut(word), cut(word));
        return Problem::new(KEY, what);
    }
    unknown_level(word)
}

fn unknown_level(word: &str) -> Problem {
    let meant = meant(word).map(|level| format!(": did you mean {level:?}?")).unwrap_or_default();
    Problem::new(KEY, format!("{:?} is none of {}{meant}", cut(word), LEVELS.join(", ")))
}

fn meant(word: &str) -> Option<&'static str> {
    let synonym = SYNONYMS.iter().find(|(other, _)| other.eq_ignore_ascii_case(word));
    synonym.map(|(_, level)| *level).or_else(|| nearest(word, LEVELS))
}

/// Refuses a target that nothing logs as. Of other crates only the name is known.
fn check_target(target: &str) -> Result<(), Problem> {
    // Some log as what Cargo calls them, with hyphens.
    let name = target.split("::").next().unwrap_or_default();
    let plain = name.replace('-', "_");
    let refuse = |meant: Option<String>| {
        let meant = meant.map(|meant| format!(": did you mean {meant:?}?")).unwrap_or_default();
        Err(Problem::new(KEY, format!("no part of this program logs as {:?}{meant}", cut(target))))
    };
    if !CRATES.contains(&plain.as_str()) {
        return refuse(nearest(&plain, CRATES).map(str::to_owned));
    }
    match target.split("::").nth(1) {
        Some(module) if plain == "countersign" && !MODULES.contains(&module) => {
            refuse(nearest(module, MODULES).map(|module| format!("countersign::{module}")))
        }
        _ => Ok(()),
    }
}

/// No more of what somebody wrote than an error has room for.
fn cut(text: &str) -> String {
    text.chars().take(60).collect()
}
