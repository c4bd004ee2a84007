//! `countersign config`

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Failure;
use super::program::BoxError;
use crate::config::{Config as Configuration, process_environment};

/// Checks or prints the configuration.
#[derive(Debug, Subcommand)]
pub enum Config {
    /// Say whether the configuration can be used: exit code 0 when it can, 2 when not
    Check(Source),
    /// Print what is in force, as TOML, with secrets redacted
    Print(Source),
}

/// Where the configuration is.
#[derive(Debug, Args)]
pub struct Source {
    /// The configuration file; without one, the environment alone configures
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_CONFIG")]
    pub config: Option<PathBuf>,
}

impl Source {
    fn load(&self) -> Result<Configuration, Failure> {
        Ok(Configuration::load(self.config.as_deref(), process_environment()?, &[])?)
    }
}

impl Config {
    pub(super) fn run(self, out: &mut dyn Write) -> Result<(), Failure> {
        match self {
            Self::Check(source) => {
                source.load()?;
                writeln!(out, "the configuration is valid")?;
            }
            Self::Print(source) => {
                let text = source.load()?.to_toml().map_err(BoxError::from)?;
                out.write_all(text.as_bytes())?;
            }
        }
        Ok(())
    }
}
