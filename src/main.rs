//! The `countersign` binary: a runtime in, an exit code out.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use countersign::cli::{self, BoxError, Cli, Failure, Service};
use countersign::telemetry;

/// Gives memory back when what callers held of it is over; glibc keeps most of it. Its settings are in .cargo/config.toml.
#[cfg(all(feature = "jemalloc", not(target_env = "msvc")))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    // Before anything speaks TLS: where two are compiled in, rustls panics rather than choose one.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let cli = Cli::parse();
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::from(BoxError::from(error)))
        .and_then(|runtime| {
            let outcome = runtime.block_on(cli::run(cli, &Service, &mut std::io::stdout()));
            // However it went; and while there is still a runtime to send with.
            telemetry::flush();
            outcome
        });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // The exit code says it, too, where nobody reads this.
            let _ = std::io::stderr().write_all(failure.report().as_bytes());
            ExitCode::from(failure.exit_code())
        }
    }
}
