//! The store on MariaDB: the conformance suite, the faults, and what is MariaDB's alone.

use countersign::model::{
    NewServiceAccount, Note, ServiceAccountName, ServiceKeyDigest, new_service_account_id, new_service_key_id,
};
use countersign::store::mysql::MysqlDialect;
use countersign::store::sql::{Dialect as _, NetworkOptions};
use countersign::store::{
    NewServiceKey, Probe as _, ServiceAccountStore, SessionStore, StoreError, UserStore,
};
use sqlx::{AssertSqlSafe, Row as _};

use crate::conformance::{Backend, OPERATOR, POLICY, Stores, new_session, new_user, session_id, username};
use crate::sql_faults::on_shared;
use crate::support::database::Server as _;
use crate::support::mariadb::MariaDb;

/// Users, service accounts, ledger and sessions in one database.
pub(crate) struct OnMariaDb;

impl Backend for OnMariaDb {
    async fn fresh(clock: std::sync::Arc<countersign::model::ManualClock>) -> Option<Stores> {
        on_shared::<MariaDb>(clock).await
    }
}

mod conformance {
    crate::conformance::every_case!(crate::mysql_store::OnMariaDb);
}

mod faults {
    crate::sql_faults::every_fault!(super::MariaDb);
}

/// What a login, a refresh, a poll and a service key read is found by index.
#[tokio::test]
async fn the_hot_path_is_read_by_index() {
    let Some(server) = MariaDb::shared("the_hot_path_is_read_by_index") else { return };
    let database = server.create_database().await;
    let store = MariaDb::open(&NetworkOptions::new(server.url(&database).into()));
    store.migrate().await.unwrap();
    for name in ["ada", "bob", "eve"] {
        let user = UserStore::create(&store, new_user(name)).await.unwrap();
        for _ in 0..20 {
            store.revoke_all(user.id, OPERATOR).await.unwrap();
            SessionStore::create(&store, new_session(user.id, user.epoch), &POLICY).await.unwrap();
        }
    }
    let name = ServiceAccountName::parse("shop").unwrap();
    let account = NewServiceAccount {
        id: new_service_account_id(),
        name,
        description: Note::default(),
        roles: Vec::new(),
    };
    let account = ServiceAccountStore::create(&store, account).await.unwrap();
    let key = NewServiceKey {
        id: new_service_key_id(),
        account: account.id,
        digest: ServiceKeyDigest::from_bytes([1; 32]),
        session: session_id(),
        label: Note::default(),
        created_by: String::new(),
        ttl: std::time::Duration::from_hours(1),
        unchanged_since: account.updated_at,
        most: 1,
        cause: OPERATOR,
    };
    let service_key = format!("x'{}'", hex::encode(key.id.as_bytes()));
    store.create_key(key).await.unwrap();
    let mut connection = server.connect(&database).await;
    sqlx::raw_sql("ANALYZE TABLE users, ledger, sessions").execute(&mut connection).await.unwrap();
    let ada = UserStore::credential(&store, &username("ada")).await.unwrap().unwrap().user;
    let id = format!("x'{}'", hex::encode(ada.id.as_bytes()));
    let statements = MysqlDialect::STATEMENTS;
    for (statement, arguments, indexes) in [
        (statements.credential, vec!["'ada'"], vec!["username"]),
        (statements.standing, vec![id.as_str(), id.as_str()], vec!["ledger_by_session", "PRIMARY"]),
        (
            statements.ending,
            vec![id.as_str(), id.as_str(), id.as_str(), "3", "0"],
            vec!["ledger_by_session", "ledger_by_user_epoch"],
        ),
        (statements.session, vec!["1", id.as_str(), id.as_str()], vec!["PRIMARY"]),
        (statements.poll, vec!["58", "58", "58", "1"], vec!["PRIMARY"]),
        (statements.snapshot, vec!["9000000000000", "2000"], vec!["ledger_by_written_at"]),
        (statements.service_key_to_check, vec![service_key.as_str(), "0"], vec!["PRIMARY"]),
    ] {
        let mut explain = format!("EXPLAIN {statement}");
        for argument in arguments {
            explain = explain.replacen('?', argument, 1);
        }
        let steps = sqlx::raw_sql(AssertSqlSafe(explain)).fetch_all(&mut connection).await.unwrap();
        let keys: Vec<Option<String>> = steps.iter().map(|step| step.get("key")).collect();
        for index in indexes {
            assert!(keys.iter().flatten().any(|key| key == index), "no {index} in {keys:?} for {statement}");
        }
    }
}

/// These databases do not undo half a migration: it is run again from its beginning.
#[tokio::test]
async fn every_migration_may_be_run_again() {
    let Some(server) = MariaDb::shared("every_migration_may_be_run_again") else { return };
    let database = server.create_database().await;
    let store = MariaDb::open(&NetworkOptions::new(server.url(&database).into()));
    store.migrate().await.unwrap();
    server.run(&database, &["DELETE FROM _sqlx_migrations"]).await;
    store.migrate().await.unwrap();
    store.check_schema().await.unwrap();
}

#[tokio::test]
async fn settings_that_forget_what_was_acknowledged_are_named() {
    let test = "settings_that_forget_what_was_acknowledged_are_named";
    let Some(server) = MariaDb::start_with(test, &["--innodb-flush-log-at-trx-commit=2"]) else { return };
    let database = server.create_database().await;
    let warnings = MariaDb::open(&NetworkOptions::new(server.url(&database).into())).warnings().await;
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("innodb_flush_log_at_trx_commit is not 1"), "{warnings:?}");
}

#[tokio::test]
async fn tls_is_spoken_with_the_server_that_was_meant_and_no_other() {
    let Some(server) = MariaDb::start_with_tls("tls_is_spoken") else { return };
    let database = server.create_database().await;
    let url = server.url(&database);
    let store = MariaDb::open(&NetworkOptions::new(url.as_str().into()));
    store.migrate().await.unwrap();
    store.check().await.unwrap();
    for wrong in [
        url.replace("localhost", "127.0.0.1"),
        without(&url, "ssl-ca"),
        without(&without(&url, "ssl-cert"), "ssl-key"),
        url.replace("VERIFY_IDENTITY", "DISABLED"),
    ] {
        let refused = MariaDb::open(&NetworkOptions::new(wrong.into())).check().await;
        assert!(matches!(refused, Err(StoreError::Unavailable { .. })), "{refused:?}");
    }
}

/// The URL without this parameter.
fn without(url: &str, parameter: &str) -> String {
    let (address, parameters) = url.split_once('?').unwrap();
    let left = parameters.split('&').filter(|part| part.split('=').next() != Some(parameter));
    format!("{address}?{}", left.collect::<Vec<_>>().join("&"))
}
