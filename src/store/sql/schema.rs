//! The database's schema: which version it has, and bringing it up to this program's.

use sqlx::Connection as _;
use sqlx::migrate::MigrateError;

use super::dialect::{Dialect, Raw};
use super::driver::{Driver as _, Record, values};
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
    /// It was made by a newer version, and does not say that this one goes on working.
    #[error(
        "the database's schema is newer than this binary: it is version {found}, this binary knows up to version {known}, \
         and not every migration since then lets it go on: use the newer release"
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

/// The database's schema is one that this program works with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schema {
    /// Its own.
    Current,
    /// A newer one, whose migrations say that this program goes on working.
    Newer {
        /// The version in the database.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
}

impl Schema {
    /// What an operator should know of it.
    pub fn warning(self) -> Option<String> {
        let Self::Newer { found, known } = self else { return None };
        Some(format!(
            "the database's schema is newer than this binary: it is version {found}, this binary knows up to version \
             {known} and goes on, because the migrations allow it; finish the upgrade"
        ))
    }
}

/// The versions in a database, as far as they decide what this program may do.
struct Versions {
    /// The last one that was applied whole; 0 in an empty database.
    found: i64,
    /// The last one that was begun: what it declares holds while it runs, and after it failed halfway.
    newest: i64,
    /// Of the migrations that this program does not know, the strictest: the lowest version whose binaries go on. `None`
    /// where one of them does not say.
    oldest: Option<i64>,
}

impl Versions {
    /// Those of an empty database.
    const NONE: Self = Self { found: 0, newest: 0, oldest: Some(0) };

    /// Reads the rows that [`versions`] asks for.
    fn read(found: &[impl Record], known: i64) -> Result<Self, Failure> {
        let mut versions = Self::NONE;
        for row in found {
            let version = rows::int(row, "version")?;
            versions.newest = version;
            versions.found = versions.found.max(rows::int(row, "applied")?);
            if version > known {
                let oldest = row.int("oldest")?;
                versions.oldest =
                    versions.oldest.zip(oldest).map(|(strictest, oldest)| strictest.max(oldest));
            }
        }
        Ok(versions)
    }

    fn judge(&self, known: i64) -> Result<Schema, SchemaError> {
        if self.newest > known {
            let (found, goes_on) = (self.newest, self.oldest.is_some_and(|oldest| oldest <= known));
            return if goes_on {
                Ok(Schema::Newer { found, known })
            } else {
                Err(SchemaError::Newer { found, known })
            };
        }
        if self.found < known {
            return Err(SchemaError::Older { found: self.found, needed: known });
        }
        Ok(Schema::Current)
    }
}

impl<D: Dialect> SqlStore<D> {
    /// Whether the schema is one that this program works with: its own, or a newer one that allows it.
    pub async fn check_schema(&self) -> Result<Schema, SchemaError> {
        let versions = self.run(Mode::Read, (), |(), connection| {
            Box::pin(async move {
                let migrated = connection.fetch(D::STATEMENTS.is_migrated, values![]).await?;
                if number(&migrated)? == 0 {
                    return Ok(Versions::NONE);
                }
                let newest = number(&connection.fetch(NEWEST, values![]).await?)?;
                Versions::read(&connection.fetch(versions::<D>(newest), values![]).await?, known::<D>())
            })
        });
        versions.await?.judge(known::<D>())
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
            D::migrate(&mut raw, pool.connect_options()).await?;
            // Whether the server hears the farewell makes no difference.
            raw.close().await.ok();
            Ok(())
        });
        migration.await.unwrap_or_else(|cut_off| Err(SchemaError::of::<D>(Failure::CutOff(cut_off))))
    }
}

const NEWEST: &str = "SELECT coalesce(max(version), 0) AS version FROM _sqlx_migrations";

/// What reads the versions in a database whose newest one is this. Only later ones than this program's own are looked up
/// where they declare what goes on with them.
fn versions<D: Dialect>(newest: i64) -> &'static str {
    if newest > known::<D>() {
        "SELECT m.version, CASE WHEN m.success THEN m.version ELSE 0 END AS applied, c.oldest
         FROM _sqlx_migrations AS m LEFT JOIN schema_compatibility AS c ON c.version = m.version
         ORDER BY m.version"
    } else {
        "SELECT version, CASE WHEN success THEN version ELSE 0 END AS applied FROM _sqlx_migrations ORDER BY version"
    }
}

/// Runs the migrations that are missing, behind the driver's lock where the database has one. Leaves a newer schema that
/// allows it as it is.
pub(in crate::store) async fn migrate<D: Dialect>(connection: &mut Raw<D>) -> Result<(), SchemaError> {
    let known = known::<D>();
    let versions = found::<D>(connection).await.map_err(SchemaError::of::<D>)?;
    if versions.newest > known {
        return versions.judge(known).map(drop);
    }
    // `run` asks more of the connection's lifetime than a generic function can promise.
    match D::migrations().run_direct(None, connection, false).await {
        // A newer program came first, a moment ago.
        Err(MigrateError::VersionMissing(version)) if version > known => {
            let versions = found::<D>(connection).await.map_err(SchemaError::of::<D>)?;
            return versions.judge(known).map(drop);
        }
        outcome => outcome.map_err(|error| SchemaError::of::<D>(error.into()))?,
    }
    let mark = ledger::new_mark().cast_signed();
    D::Database::execute(connection, D::STATEMENTS.give_birth, values![mark, mark], true)
        .await
        .map_err(|error| SchemaError::of::<D>(error.into()))?;
    Ok(())
}

/// The newest version that this program knows.
fn known<D: Dialect>() -> i64 {
    D::migrations().iter().map(|migration| migration.version).max().unwrap_or(0)
}

async fn found<D: Dialect>(connection: &mut Raw<D>) -> Result<Versions, Failure> {
    let migrated = D::Database::fetch(connection, D::STATEMENTS.is_migrated, values![], true).await?;
    if number(&migrated)? == 0 {
        return Ok(Versions::NONE);
    }
    let newest = number(&D::Database::fetch(connection, NEWEST, values![], true).await?)?;
    let rows = D::Database::fetch(connection, versions::<D>(newest), values![], true).await?;
    Versions::read(&rows, known::<D>())
}

/// The number in the column `version` of the one row.
fn number(rows: &[impl Record]) -> Result<i64, Failure> {
    rows::int(rows.first().ok_or(sqlx::Error::RowNotFound)?, "version")
}
