//! `countersign migrate`

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::Failure;
use super::program::Program;
use crate::config::{Config, process_environment};

/// Brings the database to the schema of this release.
#[derive(Debug, Args)]
pub struct Migrate {
    /// The configuration file; without one, the environment alone configures
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_CONFIG")]
    pub config: Option<PathBuf>,
}

impl Migrate {
    pub(super) async fn run(self, program: &dyn Program, out: &mut dyn Write) -> Result<(), Failure> {
        let config = Config::load(self.config.as_deref(), process_environment()?, &[])?;
        match program.migrate(&config).await? {
            None => writeln!(out, "the database has the schema of this release")?,
            Some(newer) => writeln!(out, "nothing to do: {newer}")?,
        }
        Ok(())
    }
}
