//! The database's schema: which version it has, and bringing it up to this program's.

use sqlx::Connection as _;
use sqlx::migrate::MigrateError;

use super::dialect::{Dialect, Raw};
use super::driver::{Driver as _, values};
use super::failure::Failure;
use super::{Mode, SqlStore, ledger, rows};
use crate::store::StoreError;

/// The database's schema is not the one that this program works with.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// It was made by an older version, or is empty.
    #[error(
        "the database's schema is version {found}, this binary needs version {needed}: run `countersign migrate`"
    )]
    Older {
        /// The version in the database; 0 when it is empty.
        found: i64,
        /// The version that this program works with.
        needed: i64,
    },
    /// It was made by a newer version.
    #[error(
        "the database's schema is newer than this binary: it is version {found}, this binary knows up to version {known}"
    )]
    Newer {
        /// The version in the database.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// A migration failed, or one that was applied differs from this program's of the same number.
    #[error("the database's schema could not be migrated: {0}")]
    Migration(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The database did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl SchemaError {
    pub(in crate::store) fn of<D: Dialect>(failure: Failure) -> Self {
        match failure {
            Failure::Migration(error) => Self::Migration(Box::new(error)),
            failure => Self::Store(failure.of::<D>()),
        }
    }
}

impl<D: Dialect> SqlStore<D> {
    /// Whether the schema is the one that this program works with.
    pub async fn check_schema(&self) -> Result<(), SchemaError> {
        let found = self.run(Mode::Read, (), |(), connection| {
            Box::pin(async move {
                let migrated = connection.fetch(D::STATEMENTS.is_migrated, values![]).await?;
                if number(&migrated)? == 0 {
                    return Ok(0);
                }
                number(&connection.fetch(VERSION, values![]).await?)
            })
        });
        let (found, newest) = (found.await?, newest::<D>());
        match found.cmp(&newest) {
            std::cmp::Ordering::Less => Err(SchemaError::Older { found, needed: newest }),
            std::cmp::Ordering::Equal => Ok(()),
            std::cmp::Ordering::Greater => Err(SchemaError::Newer { found, known: newest }),
        }
    }

    /// Brings the schema up to this program's version; does nothing when it is there already. Others that do the
    /// same at the same time are waited for. Takes as long as it takes, and finishes even if the caller does not
    /// wait for it.
    pub async fn migrate(&self) -> Result<(), SchemaError> {
        let pool = self.writers.clone();
        let migration = tokio::spawn(async move {
            let mut raw = D::connect_to_migrate(pool.connect_options())
                .await
                .map_err(|error| SchemaError::of::<D>(error.into()))?;
            D::migrate(&mut raw).await?;
            // Whether the server hears the farewell makes no difference.
            raw.close().await.ok();
            Ok(())
        });
        migration.await.unwrap_or_else(|cut_off| Err(SchemaError::of::<D>(Failure::CutOff(cut_off))))
    }
}

const VERSION: &str = "SELECT coalesce(max(version), 0) AS version FROM _sqlx_migrations WHERE success";

/// Runs the migrations that are missing, behind the driver's lock where the database has one.
pub(in crate::store) async fn migrate<D: Dialect>(connection: &mut Raw<D>) -> Result<(), SchemaError> {
    let known = newest::<D>();
    let found = version::<D>(connection).await.map_err(SchemaError::of::<D>)?;
    if found > known {
        return Err(SchemaError::Newer { found, known });
    }
    // `run` asks more of the connection's lifetime than a generic function can promise.
    match D::migrations().run_direct(None, connection, false).await {
        // A newer program came first, a moment ago.
        Err(MigrateError::VersionMissing(found)) if found > known => {
            return Err(SchemaError::Newer { found, known });
        }
        outcome => outcome.map_err(|error| SchemaError::of::<D>(error.into()))?,
    }
    let mark = ledger::new_mark().cast_signed();
    D::Database::execute(connection, D::STATEMENTS.give_birth, values![mark, mark])
        .await
        .map_err(|error| SchemaError::of::<D>(error.into()))?;
    Ok(())
}

fn newest<D: Dialect>() -> i64 {
    D::migrations().iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// The number of the last migration that was applied; 0 in an empty database.
async fn version<D: Dialect>(connection: &mut Raw<D>) -> Result<i64, Failure> {
    let migrated = D::Database::fetch(connection, D::STATEMENTS.is_migrated, values![]).await?;
    if number(&migrated)? == 0 {
        return Ok(0);
    }
    number(&D::Database::fetch(connection, VERSION, values![]).await?)
}

/// The number in the column `version` of the one row.
fn number(rows: &[impl super::driver::Record]) -> Result<i64, Failure> {
    rows::int(rows.first().ok_or(sqlx::Error::RowNotFound)?, "version")
}
