//! What the command line asks of the rest of the service.

use std::path::PathBuf;

use async_trait::async_trait;

use super::audit::AuditReading;
use super::key::KeyKeeping;
use super::service_account::ServiceAccountAdministration;
use super::session::SessionAdministration;
use super::user::{UserAdministration, UserTransfer};
use crate::config::Config;

/// Any error; its text is for the operator.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Some of a list.
#[derive(Debug)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// What to ask for the next page with; `None` where there is none.
    pub next: Option<String>,
}

/// Where `dev` keeps its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DevData {
    /// The directory; it need not be there yet.
    pub directory: PathBuf,
    /// Whether it is thrown away in the end.
    pub ephemeral: bool,
}

/// How the test server is run.
#[cfg(feature = "test-server")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TestRun {
    /// The most worlds at once.
    pub most_worlds: usize,
    /// For how long a world is kept that nobody calls.
    pub idle: std::time::Duration,
    /// Whether to end when standard input is closed.
    pub until_stdin_closes: bool,
}

/// The service behind the command line. Configurations that it is given have been checked.
#[async_trait]
pub trait Program: Send + Sync {
    /// Runs everything in this process, with a first user, until it is told to stop.
    async fn dev(&self, config: Config, data: DevData) -> Result<(), BoxError>;

    /// Runs the service for tests of other services, until it is told to stop.
    #[cfg(feature = "test-server")]
    async fn test_server(&self, config: Config, run: TestRun) -> Result<(), BoxError> {
        let _ = (config, run);
        Err("there is no test server here".into())
    }

    /// Runs the service until it is told to stop; brings the database to this release's schema before, if asked to.
    async fn serve(&self, config: Config, migrate: bool) -> Result<(), BoxError>;

    /// Finds what would stop a start, in the files that the configuration names too.
    fn check(&self, config: &Config) -> Result<(), BoxError>;

    /// Brings the database to this release's schema. Returns what there is to say where it has a newer one already, which
    /// this release works with.
    async fn migrate(&self, config: &Config) -> Result<Option<String>, BoxError>;

    /// Opens what is needed to administer users.
    async fn users(&self, config: &Config) -> Result<Box<dyn UserAdministration>, BoxError>;

    /// Opens what is needed to bring users in and to write them all out.
    async fn transfer(&self, config: &Config) -> Result<Box<dyn UserTransfer>, BoxError>;

    /// Opens what is needed to administer sessions.
    async fn sessions(&self, config: &Config) -> Result<Box<dyn SessionAdministration>, BoxError>;

    /// Opens what is needed to administer service accounts.
    async fn service_accounts(
        &self,
        config: &Config,
    ) -> Result<Box<dyn ServiceAccountAdministration>, BoxError>;

    /// Opens what is needed to read the audit log.
    async fn audit(&self, config: &Config) -> Result<Box<dyn AuditReading>, BoxError>;

    /// Opens what is needed to administer keys.
    async fn keys(&self, config: &Config) -> Result<Box<dyn KeyKeeping>, BoxError>;
}
