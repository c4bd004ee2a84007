//! The store on PostgreSQL: the conformance suite, the faults, and what is PostgreSQL's alone.

use countersign::store::postgres::PostgresDialect;
use countersign::store::sql::{Dialect as _, NetworkOptions};
use countersign::store::{Probe as _, StoreError};
use sqlx::{AssertSqlSafe, Row as _};

use crate::conformance::{Backend, Stores};
use crate::sql_faults::on_shared;
use crate::support::database::Server as _;
use crate::support::postgres::Postgres;

/// Users, service accounts, ledger and sessions in one database.
pub(crate) struct OnPostgres;

impl Backend for OnPostgres {
    async fn fresh(clock: std::sync::Arc<countersign::model::ManualClock>) -> Option<Stores> {
        on_shared::<Postgres>(clock).await
    }
}

mod audit_pages;
mod pooler;

mod conformance {
    crate::conformance::every_case!(crate::postgres_store::OnPostgres);
}

mod faults {
    crate::sql_faults::every_fault!(super::Postgres);
}

/// What a login, a refresh, a poll and a service key read is found by index, however small the planner takes the tables for.
#[tokio::test]
async fn the_hot_path_is_read_by_index() {
    let Some(server) = Postgres::shared("the_hot_path_is_read_by_index") else { return };
    let database = server.create_database().await;
    let store = Postgres::open(&NetworkOptions::new(server.url(&database).into()));
    store.migrate().await.unwrap();
    let mut connection = server.connect(&database).await;
    sqlx::raw_sql("SET enable_seqscan = off").execute(&mut connection).await.unwrap();
    let statements = PostgresDialect::STATEMENTS;
    for (statement, arguments, indexes) in [
        (statements.credential, vec!["'ada'"], vec!["users_username_key"]),
        (statements.standing, vec!["''", "''"], vec!["ledger_by_session", "users_pkey"]),
        (
            statements.ending,
            vec!["''", "''", "''", "1", "1"],
            vec!["ledger_by_session", "ledger_by_user_epoch"],
        ),
        (statements.session, vec!["1", "''", "''"], vec!["sessions_pkey"]),
        (statements.poll, vec!["1", "1", "1", "1"], vec!["ledger_pkey"]),
        (statements.snapshot, vec!["1", "1"], vec!["ledger_by_written_at"]),
        (statements.events_after, vec!["1", "1", "1", "1"], vec!["audit_events_pkey"]),
        (statements.events_before, vec!["1", "1", "1"], vec!["audit_events_pkey"]),
        (statements.events_about_user, vec!["''", "1", "1", "1"], vec!["audit_events_about_user"]),
        (statements.events_of_session, vec!["''", "1", "1", "1"], vec!["audit_events_of_session"]),
        (statements.events_by_actor, vec!["'ada'", "1", "1", "1"], vec!["audit_events_by_actor"]),
        (statements.events_of_kind, vec!["'ada'", "1", "1", "1"], vec!["audit_events_of_kind"]),
        (statements.event_since, vec!["1"], vec!["audit_events_written"]),
        (
            statements.service_key_to_check,
            vec!["''", "1"],
            vec!["service_keys_pkey", "service_accounts_pkey"],
        ),
    ] {
        // Generic, as for a statement that is prepared once.
        let types: Vec<_> = arguments
            .iter()
            .map(|argument| match *argument {
                "''" => "bytea",
                "'ada'" => "text",
                _ => "bigint",
            })
            .collect();
        let prepare = format!("PREPARE asked ({}) AS {statement}", types.join(", "));
        sqlx::raw_sql(AssertSqlSafe(prepare)).execute(&mut connection).await.unwrap();
        let explain = format!("EXPLAIN EXECUTE asked ({})", arguments.join(", "));
        let steps = sqlx::raw_sql(AssertSqlSafe(explain)).fetch_all(&mut connection).await.unwrap();
        let plan: String = steps.iter().map(|step| step.get::<String, _>(0) + "\n").collect();
        for index in indexes {
            assert!(plan.contains(index), "no {index} in\n{plan}");
        }
        assert!(!plan.contains("Seq Scan on ledger ") && !plan.contains("Seq Scan on users"), "{plan}");
        sqlx::raw_sql("DEALLOCATE asked").execute(&mut connection).await.unwrap();
    }
}

#[tokio::test]
async fn settings_that_forget_what_was_acknowledged_are_named() {
    let test = "settings_that_forget_what_was_acknowledged_are_named";
    let Some(server) = Postgres::start_with(test, &["fsync=off", "synchronous_commit=off"]) else { return };
    let database = server.create_database().await;
    let warnings = Postgres::open(&NetworkOptions::new(server.url(&database).into())).warnings().await;
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].contains("synchronous_commit is off") && warnings[1].contains("fsync is off"));
}

#[tokio::test]
async fn tls_is_spoken_with_the_server_that_was_meant_and_no_other() {
    let Some(server) = Postgres::start_with_tls("tls_is_spoken") else { return };
    let database = server.create_database().await;
    let url = server.url(&database);
    let store = Postgres::open(&NetworkOptions::new(url.as_str().into()));
    store.migrate().await.unwrap();
    store.check().await.unwrap();
    for wrong in [
        url.replace("localhost", "127.0.0.1"),
        without(&url, "sslrootcert"),
        without(&without(&url, "sslcert"), "sslkey"),
        url.replace("verify-full", "disable"),
    ] {
        let refused = Postgres::open(&NetworkOptions::new(wrong.into())).check().await;
        assert!(matches!(refused, Err(StoreError::Unavailable { .. })), "{refused:?}");
    }
}

/// The URL without this parameter.
fn without(url: &str, parameter: &str) -> String {
    let (address, parameters) = url.split_once('?').unwrap();
    let left = parameters.split('&').filter(|part| part.split('=').next() != Some(parameter));
    format!("{address}?{}", left.collect::<Vec<_>>().join("&"))
}
