//! The command line: its grammar, and what each subcommand does with what it was given. One file per subcommand.
//!
//! What a subcommand needs of the rest of the service it asks of a [`Program`], so that the command line can be
//! tested without one.

use std::io::Write;

use clap::{Parser, Subcommand};

pub mod audit;
pub mod completions;
pub mod config;
mod connect;
pub mod data;
pub mod dev;
mod dev_banner;
mod failure;
pub mod healthcheck;
pub mod key;
pub mod listen;
pub mod login_check;
pub mod migrate;
mod output;
pub mod password_input;
pub mod passwords;
pub mod place;
mod program;
pub mod remote;
pub mod serve;
mod service;
pub mod service_account;
pub mod session;
#[cfg(feature = "test-server")]
pub mod test_server;
pub mod tls;
pub mod user;

pub use failure::Failure;
pub use program::{BoxError, DevData, Program};
pub use service::Service;

/// An auth microservice behind gRPC: rotating refresh tokens that never log anyone out by accident, access tokens
/// that end with the session.
#[derive(Debug, Parser)]
#[command(name = "countersign", version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run everything in one process, for development: embedded database, loopback only
    Dev(dev::Dev),
    /// Run the service
    Serve(serve::Serve),
    /// Run the service in memory, for tests of services that call it: loopback only, open to every caller
    #[cfg(feature = "test-server")]
    TestServer(test_server::TestServer),
    /// Bring the database to the schema of this release
    Migrate(migrate::Migrate),
    /// Create, show and change users
    #[command(subcommand)]
    User(user::User),
    /// List and end the sessions of a user
    #[command(subcommand)]
    Session(session::Session),
    /// Create and change service accounts, and make and revoke their keys
    #[command(subcommand)]
    ServiceAccount(service_account::ServiceAccount),
    /// Prepare what passwords are checked against
    #[command(subcommand)]
    Passwords(passwords::Passwords),
    /// Show who did what to whom
    #[command(subcommand)]
    Audit(audit::Audit),
    /// List and make keys
    #[command(subcommand)]
    Key(key::Key),
    /// Check or print the configuration
    #[command(subcommand)]
    Config(config::Config),
    /// Ask a running service whether it is ready: exit code 0 when it is, 1 when not
    Healthcheck(healthcheck::Healthcheck),
    /// Log in at a running service for real, as a user that is deleted afterwards: exit code 0 when all went well
    LoginCheck(login_check::LoginCheck),
    /// Print a script that completes this command line in a shell
    Completions(completions::Completions),
}

/// Does what the command line says, and writes what it has to say to `out`.
pub async fn run(cli: Cli, program: &dyn Program, out: &mut dyn Write) -> Result<(), Failure> {
    match cli.command {
        Command::Dev(command) => command.run(program).await,
        Command::Serve(command) => command.run(program).await,
        #[cfg(feature = "test-server")]
        Command::TestServer(command) => command.run(program).await,
        Command::Migrate(command) => command.run(program, out).await,
        // It holds the whole configuration while it works.
        Command::User(command) => Box::pin(command.run(program, out)).await,
        Command::Session(command) => Box::pin(command.run(program, out)).await,
        Command::ServiceAccount(command) => Box::pin(command.run(program, out)).await,
        Command::Passwords(command) => command.run(out),
        Command::Audit(command) => Box::pin(command.run(program, out)).await,
        Command::Key(command) => Box::pin(command.run(program, out)).await,
        Command::Config(command) => command.run(program, out),
        Command::Healthcheck(command) => command.run().await,
        Command::LoginCheck(command) => Box::pin(command.run(program, out)).await,
        Command::Completions(command) => command.run(out),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_grammar_contradicts_itself_nowhere() {
        Cli::command().debug_assert();
    }
}
