//! Which data a command works on.

use std::path::PathBuf;

use clap::Args;

use super::Failure;
use crate::config::{Config, ConfigError, process_environment};

/// The configuration of the service, or the data directory of `countersign dev`. With neither, the environment alone
/// configures.
#[derive(Debug, Args)]
pub struct Data {
    /// The configuration file of the service
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_CONFIG", conflicts_with = "data_dir")]
    pub config: Option<PathBuf>,
    /// The data directory of `countersign dev`, instead of a configuration file
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

impl Data {
    pub(super) fn load(&self) -> Result<Config, Failure> {
        let environment = process_environment()?;
        let Some(directory) = &self.data_dir else {
            let loaded = Config::load(self.config.as_deref(), environment, &[]);
            return loaded.map_err(|error| self.with_hint(error));
        };
        // A mistyped name must not be answered with an empty database.
        if !directory.is_dir() {
            let directory = directory.display();
            return Err(Failure::Usage(format!("there is no data directory {directory}")));
        }
        Ok(Config::load_dev(directory, environment, &[])?)
    }

    /// Whoever said nothing of where the data is may have that of `dev` in mind.
    fn with_hint(&self, error: ConfigError) -> Failure {
        match &error {
            ConfigError::Invalid { key, origin, .. }
                if self.config.is_none() && key == "database.url" && origin.is_empty() =>
            {
                Failure::Usage(format!("{error}; for the data of `countersign dev`, give --data-dir DIR"))
            }
            _ => Failure::Config(error),
        }
    }
}
