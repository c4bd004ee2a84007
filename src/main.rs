//! The `countersign` binary: a runtime in, an exit code out.

use std::process::ExitCode;

use async_trait::async_trait;
use clap::Parser as _;
use countersign::cli::key::KeyAdministration;
use countersign::cli::user::UserAdministration;
use countersign::cli::{self, BoxError, Cli, DevData, Failure, Program};
use countersign::config::Config;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::from(BoxError::from(error)))
        .and_then(|runtime| runtime.block_on(cli::run(cli, &Unfinished, &mut std::io::stdout())));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprint!("{}", failure.report());
            ExitCode::from(failure.exit_code())
        }
    }
}

/// Stands where the service will be.
struct Unfinished;

impl Unfinished {
    fn say<T>() -> Result<T, BoxError> {
        Err("this command is not finished".into())
    }
}

#[async_trait]
impl Program for Unfinished {
    async fn dev(&self, _config: Config, _data: DevData) -> Result<(), BoxError> {
        Self::say()
    }

    async fn serve(&self, _config: Config, _migrate: bool) -> Result<(), BoxError> {
        Self::say()
    }

    async fn migrate(&self, _config: &Config) -> Result<(), BoxError> {
        Self::say()
    }

    async fn users(&self, _config: &Config) -> Result<Box<dyn UserAdministration>, BoxError> {
        Self::say()
    }

    async fn keys(&self, _config: &Config) -> Result<Box<dyn KeyAdministration>, BoxError> {
        Self::say()
    }
}
