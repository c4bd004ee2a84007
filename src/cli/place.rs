//! Where a command does its work: on the stores of a service, or at a running one.

use clap::Args;

use super::Failure;
use super::audit::AuditReading;
use super::data::Data;
use super::key::KeyAdministration;
use super::program::Program;
use super::remote::{Remote, RemoteArgs};
use super::service_account::ServiceAccountAdministration;
use super::session::SessionAdministration;
use super::user::UserAdministration;
use crate::auth::Reach;
use crate::config::{Config, OnStale, duration};
use crate::model::Position;

/// The stores that a configuration names, which are opened; or a running service, which is asked over gRPC.
#[derive(Debug, Args)]
pub struct Place {
    /// Which stores.
    #[command(flatten)]
    pub data: Data,
    /// Which service.
    #[command(flatten)]
    pub remote: RemoteArgs,
}

/// Sessions are over, which is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// How the replicas learn of it; `None` where a service was asked, which tells them itself.
    pub reach: Option<Reach>,
    /// Where the ledger tells of it.
    pub position: Position,
}

impl Place {
    /// Reads the configuration, or whom to ask and as whom. Nothing is opened yet: what cannot be used is better known before
    /// a password is typed twice.
    pub(super) fn load(self) -> Result<Loaded, Failure> {
        match self.remote.load()? {
            Some(remote) => Ok(Loaded::Service(Box::new(remote))),
            None => Ok(Loaded::Stores(Box::new(self.data.load()?))),
        }
    }
}

/// Where a command will do its work.
pub(super) enum Loaded {
    Stores(Box<Config>),
    Service(Box<Remote>),
}

impl Loaded {
    /// Opens what is needed to administer users.
    pub(super) async fn users(&self, program: &dyn Program) -> Result<Box<dyn UserAdministration>, Failure> {
        match self {
            Self::Stores(config) => Ok(program.users(config).await?),
            Self::Service(remote) => Ok(Box::new(remote.connect().await?)),
        }
    }

    /// Opens what is needed to administer sessions.
    pub(super) async fn sessions(
        &self,
        program: &dyn Program,
    ) -> Result<Box<dyn SessionAdministration>, Failure> {
        match self {
            Self::Stores(config) => Ok(program.sessions(config).await?),
            Self::Service(remote) => Ok(Box::new(remote.connect().await?)),
        }
    }

    /// Opens what is needed to administer service accounts.
    pub(super) async fn service_accounts(
        &self,
        program: &dyn Program,
    ) -> Result<Box<dyn ServiceAccountAdministration>, Failure> {
        match self {
            Self::Stores(config) => Ok(program.service_accounts(config).await?),
            Self::Service(remote) => Ok(Box::new(remote.connect().await?)),
        }
    }

    /// Opens what is needed to administer keys.
    pub(super) async fn keys(&self, program: &dyn Program) -> Result<Box<dyn KeyAdministration>, Failure> {
        match self {
            Self::Stores(config) => Ok(program.keys(config).await?),
            Self::Service(remote) => Ok(Box::new(remote.connect().await?)),
        }
    }

    /// Opens what is needed to read the audit log.
    pub(super) async fn audit(&self, program: &dyn Program) -> Result<Box<dyn AuditReading>, Failure> {
        match self {
            Self::Stores(config) => Ok(program.audit(config).await?),
            Self::Service(remote) => Ok(Box::new(remote.connect().await?)),
        }
    }

    /// By when every replica refuses the access tokens of sessions that are over.
    pub(super) fn refused_within(&self, position: Position) -> String {
        let config = match self {
            Self::Stores(config) => config,
            Self::Service(_) => {
                return format!(
                    "whoever asks with at_least {position} hears that their access tokens are revoked"
                );
            }
        };
        let interval = duration::format(config.revocation.poll_interval);
        let bound =
            format!("every replica refuses their access tokens within {interval} (revocation.poll_interval)");
        let cut_off = match config.revocation.on_stale {
            OnStale::Fail => {
                let most = duration::format(config.revocation.max_staleness);
                format!("verifies nothing after {most} (revocation.max_staleness)")
            }
            OnStale::Serve => "goes on with what it knew (revocation.on_stale)".to_owned(),
        };
        format!("{bound}; one that cannot read the ledger {cut_off}")
    }

    /// From when on tokens say what has changed.
    pub(super) fn since_next_refresh(&self) -> String {
        let until = match self {
            Self::Stores(config) => {
                let life = duration::format(config.tokens.access_ttl);
                format!(", within {life} (tokens.access_ttl)")
            }
            Self::Service(_) => String::new(),
        };
        format!(
            "from their next refresh on; access tokens that they have say the old ones until they expire{until}"
        )
    }
}
