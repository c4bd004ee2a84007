//! `countersign serve`

use std::path::PathBuf;

use clap::Args;

use super::Failure;
use super::listen::Listen;
use super::program::Program;
use crate::config::{Config, process_environment};

/// Runs the service.
#[derive(Debug, Args)]
pub struct Serve {
    /// The configuration file; without one, the environment alone configures
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_CONFIG")]
    pub config: Option<PathBuf>,
    /// Bring the database to the schema of this release first
    #[arg(long)]
    pub migrate: bool,
    /// Addresses and log level.
    #[command(flatten)]
    pub listen: Listen,
}

impl Serve {
    pub(super) async fn run(self, program: &dyn Program) -> Result<(), Failure> {
        let overrides = self.listen.overrides();
        let config = Config::load(self.config.as_deref(), process_environment()?, &overrides)?;
        program.serve(config, self.migrate).await?;
        Ok(())
    }
}
