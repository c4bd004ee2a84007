//! `countersign dev`

use std::path::PathBuf;

use clap::Args;

use super::Failure;
use super::listen::Listen;
use super::program::{BoxError, DevData, Program};
use crate::config::{Config, process_environment};

/// Runs everything in one process.
#[derive(Debug, Args)]
pub struct Dev {
    /// Keep database and keys in this directory
    #[arg(long, value_name = "DIR", default_value = "countersign-data")]
    pub data_dir: PathBuf,
    /// Keep nothing: use a directory that is removed in the end
    #[arg(long, conflicts_with = "data_dir")]
    pub ephemeral: bool,
    /// Addresses and log level.
    #[command(flatten)]
    pub listen: Listen,
}

impl Dev {
    pub(super) async fn run(self, program: &dyn Program) -> Result<(), Failure> {
        // Removed when this function returns, whatever happened.
        let throw_away = if self.ephemeral {
            Some(tempfile::Builder::new().prefix("countersign-dev-").tempdir().map_err(BoxError::from)?)
        } else {
            None
        };
        let directory = throw_away.as_ref().map_or(self.data_dir, |directory| directory.path().to_owned());
        let config = Config::load_dev(&directory, process_environment()?, &self.listen.overrides())?;
        program.dev(config, DevData { directory, ephemeral: self.ephemeral }).await?;
        Ok(())
    }
}
