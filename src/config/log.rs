//! `[log]`

use serde::{Deserialize, Serialize};

use super::error::Problem;
use super::log_level;

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
        log_level::filter(&self.level).map(drop)
    }
}
