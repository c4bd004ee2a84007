//! What can go wrong between here and Redis, and what the callers hear of it.

use std::sync::Arc;
use std::time::Duration;

use deadpool_redis::redis::{ErrorKind, RedisError, ServerErrorKind};

use super::NAME;
use crate::store::StoreError;

/// Why an operation failed.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum Failure {
    /// The server or its driver said so.
    #[error(transparent)]
    Redis(#[from] RedisError),
    /// There is no connection, and why.
    #[error("not connected: {0}")]
    NotConnected(Arc<str>),
    /// The deadline passed.
    #[error("no answer within {0:?}")]
    Late(Duration),
    /// The Cluster has nobody for this slot.
    #[error("no node of the cluster serves slot {0}")]
    Uncovered(u16),
    /// The server can be reached but is no master, so that nothing it says can be relied on.
    #[error("the server is a replica")]
    Replica,
    /// No Sentinel knows a master that can be reached.
    #[error("no Sentinel names a master that answers: {0}")]
    NoMaster(Arc<str>),
    /// It holds what no version of this program wrote; says what is wrong, never what is in it.
    #[error("{0}")]
    Corrupt(&'static str),
    /// What is to be kept is larger than any limit of the service lets through.
    #[error("a session's client facts are too large")]
    TooLarge,
}

impl Failure {
    /// The server has forgotten the script (it restarted, or somebody flushed its scripts).
    pub(super) fn is_forgotten_script(&self) -> bool {
        self.server_error() == Some(ServerErrorKind::NoScript)
    }

    /// Which of the server's errors it is.
    pub(super) fn server_error(&self) -> Option<ServerErrorKind> {
        match self {
            Self::Redis(error) => match error.kind() {
                ErrorKind::Server(kind) => Some(kind),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether the connection that it came over must not be used again: it is broken, or it leads to a server that
    /// is not, or no longer, the one to ask.
    pub(super) fn ends_connection(&self) -> bool {
        let Self::Redis(error) = self else { return false };
        match error.kind() {
            ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown) => true,
            ErrorKind::Server(_) => self.says("-READONLY"),
            ErrorKind::Extension => matches!(error.code(), Some("NOAUTH" | "WRONGPASS")),
            _ => true,
        }
    }

    /// Whether the server's words hold these. What a script runs into is, before Redis 7, told in words alone.
    pub(super) fn says(&self, words: &str) -> bool {
        matches!(self, Self::Redis(error) if error.detail().is_some_and(|detail| detail.contains(words)))
    }

    fn is_corruption(&self) -> Option<&'static str> {
        match self {
            Self::Corrupt(what) => Some(what),
            Self::Redis(error) if error.code() == Some("WRONGTYPE") || self.says("-WRONGTYPE") => {
                Some("a value of another type")
            }
            Self::Redis(_) if self.says("CORRUPT:") => Some("records do not fill the value"),
            Self::Redis(error) if error.kind() == ErrorKind::UnexpectedReturnType => {
                Some("a script answered with something else")
            }
            _ => None,
        }
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure.is_corruption() {
            Some(what) => Self::Corrupt { store: NAME, what: what.to_owned() },
            None => Self::Unavailable { store: NAME, source: Box::new(failure) },
        }
    }
}
