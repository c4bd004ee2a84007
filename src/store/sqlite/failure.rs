//! What can go wrong inside this store, and what the callers hear of it.

use std::time::Duration;

use super::NAME;
use crate::store::StoreError;

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// SQLite or its driver said so.
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
    /// A migration failed or does not fit what is there.
    #[error(transparent)]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// A row holds what no version of this program wrote; says which column, never what is in it.
    #[error("{0}")]
    Corrupt(&'static str),
    /// The deadline passed.
    #[error("no answer within {0:?}")]
    Late(Duration),
    /// The task was cut off: the runtime is shutting down, or a defect of ours.
    #[error("the transaction was cut off: {0}")]
    CutOff(tokio::task::JoinError),
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        let what = match &failure {
            Failure::Corrupt(what) => (*what).to_owned(),
            // The driver's own text may quote the value.
            Failure::Sql(sqlx::Error::ColumnDecode { index, .. }) => format!("column {index}"),
            Failure::Sql(sqlx::Error::Decode(_)) => "a value of another type".to_owned(),
            Failure::Sql(sqlx::Error::RowNotFound) => "a row that is always there is missing".to_owned(),
            Failure::Sql(sqlx::Error::Database(error)) if is_damage(error.code().as_deref()) => {
                error.message().to_owned()
            }
            _ => return Self::Unavailable { store: NAME, source: Box::new(failure) },
        };
        Self::Corrupt { store: NAME, what }
    }
}

/// Whether a result code says that the file is damaged: `SQLITE_CORRUPT` or `SQLITE_NOTADB`, in the low byte of
/// what may be an extended code.
fn is_damage(code: Option<&str>) -> bool {
    let primary = code.and_then(|code| code.parse::<u32>().ok()).map(|code| code & 0xff);
    matches!(primary, Some(11 | 26))
}
