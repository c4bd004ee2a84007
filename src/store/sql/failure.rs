//! What can go wrong inside an SQL store, and what the callers hear of it.

use std::sync::Arc;
use std::time::Duration;

use super::dialect::{Dialect, Fault};
use crate::store::StoreError;

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The database or its driver said so.
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
    /// A migration failed or does not fit what is there.
    #[error(transparent)]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// A row holds what no version of this program wrote; says which column, never what is in it.
    #[error("{0}")]
    Corrupt(&'static str),
    /// Another call changed the same row at the same moment.
    #[error("another call changed the same row")]
    Contended,
    /// The deadline passed.
    #[error("no answer within {0:?}")]
    Late(Duration),
    /// A file of the database is no longer where it was opened; says which, and what to do.
    #[error("{0}")]
    Misplaced(String),
    /// The server does not even greet a new connection.
    #[error("the server is silent")]
    Silent,
    /// The store has been closed.
    #[error("the store is closed")]
    Closed,
    /// Whoever did the work has gone away: the runtime is shutting down, or a defect of ours.
    #[error("the call was cut off")]
    Lost,
    /// The transaction failed that it was a part of.
    #[error("{0}")]
    OfGroup(Arc<Self>),
    /// The task was cut off: the runtime is shutting down, or a defect of ours.
    #[error("the call was cut off: {0}")]
    CutOff(tokio::task::JoinError),
}

impl Failure {
    /// What the failure says of the connection and of the work.
    pub(super) fn fault<D: Dialect>(&self) -> Fault {
        match self {
            Self::Sql(sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_)) => Fault::Broken,
            Self::Sql(sqlx::Error::Database(error)) if error.is_unique_violation() => Fault::Conflict,
            Self::Sql(sqlx::Error::Database(error)) => D::fault(error.as_ref()),
            Self::Contended => Fault::Conflict,
            Self::OfGroup(failure) => failure.fault::<D>(),
            _ => Fault::Other,
        }
    }

    /// What went wrong, by itself.
    fn cause(&self) -> &Self {
        match self {
            Self::OfGroup(failure) => failure.cause(),
            failure => failure,
        }
    }

    /// What the callers of a store hear.
    pub(super) fn of<D: Dialect>(self) -> StoreError {
        let what = match self.cause() {
            Self::Corrupt(what) => (*what).to_owned(),
            // The driver's own text may quote the value.
            Self::Sql(sqlx::Error::ColumnDecode { index, .. }) => format!("column {index}"),
            Self::Sql(sqlx::Error::Decode(_)) => "a value of another type".to_owned(),
            Self::Sql(sqlx::Error::Database(error)) if D::fault(error.as_ref()) == Fault::Damage => {
                error.message().to_owned()
            }
            _ => return StoreError::Unavailable { store: D::NAME, source: Box::new(self) },
        };
        StoreError::Corrupt { store: D::NAME, what }
    }
}
