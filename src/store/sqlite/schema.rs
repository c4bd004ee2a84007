//! The database's schema: which version it has, and bringing it up to this program's.

use sqlx::SqliteConnection;
use sqlx::migrate::Migrator;

use super::failure::Failure;
use super::{SqliteStore, ledger, transact};
use crate::store::StoreError;

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

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

impl SqliteStore {
    /// Whether the schema is the one that this program works with.
    pub async fn check_schema(&self) -> Result<(), SchemaError> {
        let found = self
            .read(async {
                let mut connection = self.readers.acquire().await?;
                version(&mut connection).await
            })
            .await?;
        compare(found, newest())
    }

    /// Brings the schema up to this program's version, in one transaction; does nothing when it is there
    /// already. Takes as long as it takes, and finishes even if the caller does not wait for it.
    pub async fn migrate(&self) -> Result<(), SchemaError> {
        let work = transact(self.writer.clone(), self.clock.clone(), |connection, _| {
            Box::pin(async move {
                let found = version(connection).await?;
                if found > newest() {
                    return Ok(Err(SchemaError::Newer { found, known: newest() }));
                }
                // `run` asks more of the connection's lifetime than a closure can promise.
                MIGRATIONS.run_direct(None, &mut *connection, false).await?;
                ledger::give_birth(connection).await?;
                Ok(Ok(()))
            })
        });
        match tokio::spawn(work).await.unwrap_or_else(|error| Err(Failure::CutOff(error))) {
            Ok(outcome) => outcome,
            Err(Failure::Migration(error)) => Err(SchemaError::Migration(Box::new(error))),
            Err(failure) => Err(SchemaError::Store(failure.into())),
        }
    }
}

fn newest() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0)
}

const fn compare(found: i64, newest: i64) -> Result<(), SchemaError> {
    if found < newest {
        Err(SchemaError::Older { found, needed: newest })
    } else if found > newest {
        Err(SchemaError::Newer { found, known: newest })
    } else {
        Ok(())
    }
}

/// The number of the last migration that was applied; 0 in an empty database.
async fn version(connection: &mut SqliteConnection) -> Result<i64, Failure> {
    let tables: i64 =
        sqlx::query_scalar("SELECT count(*) FROM sqlite_schema WHERE name = '_sqlx_migrations'")
            .fetch_one(&mut *connection)
            .await?;
    if tables == 0 {
        return Ok(0);
    }
    let version = sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM _sqlx_migrations WHERE success")
        .fetch_one(connection)
        .await?;
    Ok(version)
}
