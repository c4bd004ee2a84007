//! What can only be seen from inside: the connections' settings, the query plans, and transactions that fail.

use std::sync::Arc;

use sqlx::Row as _;

use super::{SqliteDialect, SqliteOptions, SqliteStore};
use crate::model::{ManualClock, UnixMillis};
use crate::store::StoreError;
use crate::store::sql::driver::{Record as _, values};
use crate::store::sql::{Dialect as _, Mode, Pool, TimeSource};

/// A migrated database in a directory that goes away with the second value.
async fn scratch() -> (SqliteStore, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(UnixMillis::from_secs(1_700_000_000)));
    let options = SqliteOptions::new(directory.path().join("countersign.db"));
    let store = SqliteStore::open(options, clock).await.unwrap();
    store.migrate().await.unwrap();
    (store, directory)
}

async fn texts(pool: &Pool<SqliteDialect>, statement: &'static str, column: &'static str) -> Vec<String> {
    let mut connection = pool.acquire(TimeSource::Database).await.unwrap();
    let rows = connection.fetch(statement, values![]).await.unwrap();
    connection.release();
    rows.iter().map(|row| row.text(column).unwrap().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn what_is_committed_is_on_the_disk() {
    let (store, _directory) = scratch().await;
    for (pragma, wanted) in [
        ("SELECT CAST(journal_mode AS TEXT) AS value FROM pragma_journal_mode", "wal"),
        ("SELECT CAST(synchronous AS TEXT) AS value FROM pragma_synchronous", "2"),
        ("SELECT CAST(foreign_keys AS TEXT) AS value FROM pragma_foreign_keys", "1"),
    ] {
        assert_eq!(texts(&store.writers, pragma, "value").await, [wanted], "{pragma}");
    }
}

#[tokio::test]
async fn whoever_waits_for_a_connection_is_counted_until_there_is_one() {
    let (store, _directory) = scratch().await;
    let seen = || {
        let stats = store.writers.stats("writers");
        (stats.in_flight, stats.waiting, stats.waits)
    };
    let first = store.writers.acquire(TimeSource::Database).await.unwrap();
    assert_eq!(seen(), (1, 0, 0), "it found one free");
    let mut second = Box::pin(store.writers.acquire(TimeSource::Database));
    assert!(futures_util::poll!(&mut second).is_pending());
    assert_eq!(seen(), (1, 1, 1));
    first.release();
    second.await.unwrap().release();
    assert_eq!(seen(), (0, 0, 1));
    assert!(store.writers.stats("writers").waited > std::time::Duration::ZERO);

    let held = store.writers.acquire(TimeSource::Database).await.unwrap();
    let mut gone = Box::pin(store.writers.acquire(TimeSource::Database));
    assert!(futures_util::poll!(&mut gone).is_pending());
    drop(gone);
    assert_eq!(seen(), (1, 0, 2), "who gives up waits no more");
    held.release();
}

#[tokio::test]
async fn readers_cannot_write() {
    let (store, _directory) = scratch().await;
    let mut reader = store.readers.acquire(TimeSource::Database).await.unwrap();
    let written = reader.execute("DELETE FROM users", values![]).await;
    assert!(written.unwrap_err().to_string().contains("readonly"));
}

#[tokio::test]
async fn a_transaction_that_fails_leaves_nothing_behind_and_the_next_one_works() {
    let (store, _directory) = scratch().await;
    let outcome: Result<(), _> = store
        .run(Mode::Transaction, (), |(), connection| {
            Box::pin(async move {
                connection.execute("UPDATE ledger_head SET seq = 7", values![]).await?;
                // What SQLite does by itself when the disk is full.
                connection.command("ROLLBACK").await?;
                connection.execute("SELECT no_such_column FROM users", values![]).await?;
                Ok(())
            })
        })
        .await;
    assert!(matches!(outcome, Err(StoreError::Unavailable { .. })), "{outcome:?}");
    let heads = texts(&store.writers, "SELECT CAST(seq AS TEXT) AS seq FROM ledger_head", "seq").await;
    assert_eq!(heads, ["0"]);
    store.run(Mode::Transaction, (), |(), _| Box::pin(async { Ok(()) })).await.unwrap();
}

#[tokio::test]
async fn a_panic_in_a_transaction_is_an_error_and_the_next_one_works() {
    let (store, _directory) = scratch().await;
    let outcome: Result<(), _> = store
        .run(Mode::Transaction, (), |(), _| Box::pin(async { panic!("a defect, made on purpose") }))
        .await;
    assert!(matches!(outcome, Err(StoreError::Unavailable { .. })), "{outcome:?}");
    store.run(Mode::Transaction, (), |(), _| Box::pin(async { Ok(()) })).await.unwrap();
}

/// How SQLite would answer a query, a step a line.
async fn plan(store: &SqliteStore, query: &str) -> String {
    let mut connection = store.readers.acquire(TimeSource::Database).await.unwrap();
    let explained = sqlx::query(sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {query}")));
    let steps = explained.fetch_all(connection.raw().unwrap()).await.unwrap();
    steps.iter().map(|step| step.get::<String, _>("detail") + "\n").collect()
}

#[tokio::test]
async fn what_a_refresh_and_a_poll_read_is_found_by_index() {
    let (store, _directory) = scratch().await;
    let statements = SqliteDialect::STATEMENTS;
    for (query, indexes) in [
        (statements.standing, ["USING COVERING INDEX ledger_by_session", "sqlite_autoindex_users_1 (id=?)"]),
        (
            statements.ending,
            [
                "l USING INDEX ledger_by_session (session_id=?)",
                "l USING INDEX ledger_by_user_epoch (user_id=? AND epoch>?)",
            ],
        ),
        (
            statements.poll,
            ["ledger USING INTEGER PRIMARY KEY (rowid=?)", "l USING INTEGER PRIMARY KEY (rowid>?)"],
        ),
        (
            statements.snapshot,
            [
                "l USING INDEX ledger_by_written_at (written_at>?)",
                "SEARCH h USING INTEGER PRIMARY KEY (rowid=?)",
            ],
        ),
        (statements.session, ["s USING PRIMARY KEY (user_id=? AND id=?)", "LEFT-JOIN"]),
    ] {
        let plan = plan(&store, query).await;
        for index in indexes {
            assert!(plan.contains(index), "no {index:?} in\n{plan}");
        }
    }
    assert!(
        !plan(&store, statements.poll).await.contains("TEMP B-TREE"),
        "rows come in order without sorting"
    );
}
