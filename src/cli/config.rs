//! `countersign config`

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Failure;
use super::program::{BoxError, Program};
use crate::config::{Config as Configuration, ignored_variables, process_environment};

/// Checks or prints the configuration.
#[derive(Debug, Subcommand)]
pub enum Config {
    /// Say whether the configuration can be used, with the files that it names: exit code 0 when it can, 2 when not
    Check(Check),
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

/// Checks the configuration.
#[derive(Debug, Args)]
pub struct Check {
    /// Where it is.
    #[command(flatten)]
    pub source: Source,
    /// Look at the values alone, and not at keys and certificates: where those are not, as in a pipeline
    #[arg(long)]
    pub skip_files: bool,
}

impl Source {
    fn load(&self) -> Result<Configuration, Failure> {
        Ok(Configuration::load(self.config.as_deref(), process_environment()?, &[])?)
    }
}

impl Config {
    pub(super) fn run(self, program: &dyn Program, out: &mut dyn Write) -> Result<(), Failure> {
        match self {
            Self::Check(Check { source, skip_files }) => {
                let config = source.load()?;
                if !skip_files {
                    program.check(&config).map_err(|error| Failure::Usage(error.to_string()))?;
                }
                for ignored in ignored_variables(&process_environment()?) {
                    // A warning that cannot be written is no reason to fail.
                    let _ = writeln!(std::io::stderr(), "warning: {ignored}");
                }
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
