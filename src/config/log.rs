//! `[log]`

use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

use super::error::Problem;

/// What is written to standard error.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// How a line looks. `COUNTERSIGN__LOG__FORMAT`
    pub format: LogFormat,
    /// What is logged: `error`, `warn`, `info`, `debug`, `trace`, or directives for single modules such as
    /// `info,countersign::grpc=debug`. `COUNTERSIGN__LOG__LEVEL`
    pub level: String,
}

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// An object on each line, for machines.
    Json,
    /// For people.
    Text,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Json, level: "info".to_owned() }
    }
}

impl Log {
    pub(super) fn check(&self) -> Result<(), Problem> {
        let key = "log.level";
        if self.level.trim().is_empty() {
            return Err(Problem::new(key, "must not be empty"));
        }
        EnvFilter::try_new(&self.level)
            .map(|_| ())
            .map_err(|error| Problem::new(key, format!("{:?} cannot be used: {error}", self.level)))
    }
}
