//! PostgreSQL behind PgBouncer: the conformance suite in each mode that can work, and a refusal in the one that cannot.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use countersign::model::{Epoch, ManualClock, UnixMillis, new_user_id};
use countersign::store::postgres::PostgresStore;
use countersign::store::sql::{NetworkOptions, TimeSource};
use countersign::store::{Ledger as _, Probe as _, SessionRevocation, SessionStore, UserStore};
use sqlx::{AssertSqlSafe, Row as _};

use crate::conformance::{Backend, OPERATOR, POLICY, Stores, new_session, new_user, session_id};
use crate::support::database::Server as _;
use crate::support::pgbouncer::PgBouncer;
use crate::support::postgres::Postgres;

fn shared(mode: &'static str) -> Option<(&'static Postgres, &'static PgBouncer)> {
    static SESSION: OnceLock<Option<PgBouncer>> = OnceLock::new();
    static TRANSACTION: OnceLock<Option<PgBouncer>> = OnceLock::new();
    let postgres = Postgres::shared("postgres_store::pooler")?;
    let pooler = if mode == "session" { &SESSION } else { &TRANSACTION };
    let start = || PgBouncer::start("postgres_store::pooler", postgres, mode, "");
    Some((postgres, pooler.get_or_init(start).as_ref()?))
}

async fn fresh(mode: &'static str, clock: Arc<ManualClock>) -> Option<Stores> {
    let (postgres, pooler) = shared(mode)?;
    let database = postgres.create_database().await;
    let options = NetworkOptions {
        deadline: Duration::from_secs(20),
        time: TimeSource::Clock(clock),
        ..NetworkOptions::new(pooler.url(&database).await.into())
    };
    let store = Arc::new(PostgresStore::open(&options).unwrap());
    store.migrate().await.unwrap();
    Some(Stores {
        users: store.clone(),
        ledger: store.clone(),
        accounts: store.clone(),
        keys: store.clone(),
        audit: store.clone(),
        sessions: store,
        keep: Box::new(()),
    })
}

/// A server connection for each client, for as long as it is connected.
pub(crate) struct SessionPooling;

impl Backend for SessionPooling {
    async fn fresh(clock: Arc<ManualClock>) -> Option<Stores> {
        fresh("session", clock).await
    }
}

mod session {
    crate::conformance::every_case!(crate::postgres_store::pooler::SessionPooling);
}

/// A server connection for each transaction.
pub(crate) struct TransactionPooling;

impl Backend for TransactionPooling {
    async fn fresh(clock: Arc<ManualClock>) -> Option<Stores> {
        fresh("transaction", clock).await
    }
}

mod transaction {
    crate::conformance::every_case!(crate::postgres_store::pooler::TransactionPooling);
}

/// Two replicas and a command share four connections: nobody gets the answer to another's statement, and nothing that
/// is set for one is found by the next.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_that_share_connections_get_their_own_answers() {
    let Some((postgres, pooler)) = shared("transaction") else { return };
    let database = postgres.create_database().await;
    let url = pooler.url(&database).await;
    // A deadline that a busy machine keeps.
    let deadline = Duration::from_mins(1);
    let options = NetworkOptions { deadline, ..NetworkOptions::new(url.into()) };
    let open = || PostgresStore::open(&options).unwrap();
    let stores = [open(), open()];
    let (one, other) = tokio::join!(stores[0].migrate(), stores[1].migrate());
    one.unwrap();
    other.unwrap();
    stores[1].check_schema().await.unwrap();
    let calls = (0..200_usize).map(|number| {
        let store = stores[number % 2].clone();
        tokio::spawn(async move {
            let user = UserStore::create(&store, new_user(&format!("user{number}"))).await.unwrap();
            SessionStore::create(&store, new_session(user.id, Epoch(0)), &POLICY).await.unwrap();
            let revoked = SessionRevocation { session: session_id(), user: user.id, cause: OPERATOR };
            store.revoke_sessions(&[revoked]).await.unwrap();
            store.check().await.unwrap();
            assert_eq!(UserStore::find(&store, user.id).await.unwrap(), Some(user.clone()));
            assert_eq!(SessionStore::list(&store, user.id).await.unwrap().len(), 1);
            assert_eq!(store.standing(new_user_id(), session_id()).await.unwrap().user, None);
        })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap();
    }
    let rows = stores[0].snapshot(UnixMillis(0)).await.unwrap().rows;
    assert!(rows.iter().map(|row| row.seq).eq(1..=200));
    for _ in 0..8 {
        let mut other = pooler.connect(&database).await.unwrap();
        for (setting, left) in [("statement_timeout", "0"), ("lock_timeout", "0")] {
            let show = AssertSqlSafe(format!("SHOW {setting}"));
            let found: String = sqlx::raw_sql(show).fetch_one(&mut other).await.unwrap().get(0);
            assert_eq!(found, left, "{setting} has leaked");
        }
        let named = "SELECT count(*)::text FROM pg_prepared_statements";
        let named: String = sqlx::raw_sql(named).fetch_one(&mut other).await.unwrap().get(0);
        assert_eq!(named, "0", "statements have leaked");
    }
}

/// What the pooler drops without a word is missed.
#[tokio::test]
async fn a_pooler_that_ignores_what_it_does_not_know_is_found_out() {
    let Some(postgres) = Postgres::shared("a_pooler_that_ignores") else { return };
    let more = "ignore_startup_parameters = extra_float_digits,options";
    let Some(pooler) = PgBouncer::start("a_pooler_that_ignores", postgres, "transaction", more) else {
        return;
    };
    let database = postgres.create_database().await;
    let url = pooler.url(&database).await;
    let store = PostgresStore::open(&NetworkOptions::new(url.as_str().into())).unwrap();
    store.migrate().await.unwrap();
    for number in 0..20 {
        let user = UserStore::create(&store, new_user(&format!("user{number}"))).await.unwrap();
        store.revoke_all(user.id, OPERATOR).await.unwrap().unwrap();
    }
    // It would be dropped, too, and with it the schema that the tables are in.
    let elsewhere = format!("{url}?options=-csearch_path%3Delsewhere");
    let store = PostgresStore::open(&NetworkOptions::new(elsewhere.into())).unwrap();
    let error = store.check_schema().await.unwrap_err().to_string();
    assert!(error.contains("options") && error.contains("pooler"), "{error}");
}

/// A pooler that gives each statement another connection cannot keep a transaction together.
#[tokio::test]
async fn a_pooler_of_statements_is_refused_at_the_start() {
    let Some(postgres) = Postgres::shared("a_pooler_of_statements") else { return };
    let Some(pooler) = PgBouncer::start("a_pooler_of_statements", postgres, "statement", "") else { return };
    let database = postgres.create_database().await;
    let store = PostgresStore::open(&NetworkOptions::new(pooler.url(&database).await.into())).unwrap();
    for error in [store.check_schema().await.unwrap_err(), store.migrate().await.unwrap_err()] {
        assert!(error.to_string().contains("statement pooling mode"), "{error}");
    }
}

/// Without a pooler a statement is prepared once, and each call is as few round trips as it was.
#[tokio::test]
async fn a_direct_connection_keeps_its_statements_prepared_and_its_limits() {
    let Some(postgres) = Postgres::shared("a_direct_connection") else { return };
    let database = postgres.create_database().await;
    let options = NetworkOptions { connections: 1, ..NetworkOptions::new(postgres.url(&database).into()) };
    let store = PostgresStore::open(&options).unwrap();
    store.migrate().await.unwrap();
    for _ in 0..3 {
        store.standing(new_user_id(), session_id()).await.unwrap();
    }
    let last = "SELECT query, application_name FROM pg_stat_activity
                WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let mut connection = postgres.connect(&database).await;
    let rows = sqlx::raw_sql(last).fetch_all(&mut connection).await.unwrap();
    assert_eq!(rows.len(), 1, "one connection, which is used again");
    let query: String = rows[0].get(0);
    assert!(query.contains("session_revoked"), "the call is not wrapped in a transaction: {query}");
}
