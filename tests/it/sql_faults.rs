//! What a store on a database server promises when the server is slow, down, or comes back.

use std::sync::Arc;
use std::time::Duration;

use countersign::model::{
    Clock as _, Epoch, ManualClock, RevocationScope, SystemClock, UnixMillis, new_user_id,
};
use countersign::store::mysql::MysqlDialect;
use countersign::store::postgres::PostgresDialect;
use countersign::store::sql::{Dialect as _, NetworkOptions, SchemaError, SqlStore, TimeSource};
use countersign::store::sqlite::SqliteDialect;
use countersign::store::{
    Honoured, Ledger as _, LedgerPoll, Presentation, Probe as _, Rotation, SessionRevocation, SessionStore,
    StoreError, UserStore,
};

use crate::conformance::{OPERATOR, POLICY, Stores, began, new_session, new_user, presentation, session_id};
use crate::sqlite_store::LATER;
use crate::support::database::Server;

/// Empty stores in a database of their own on the server that all tests share.
pub(crate) async fn on_shared<S: Server>(clock: Arc<ManualClock>) -> Option<Stores> {
    let server = S::shared(std::any::type_name::<S>())?;
    let database = server.create_database().await;
    // A deadline that a busy machine keeps.
    let options = NetworkOptions {
        deadline: Duration::from_secs(20),
        time: TimeSource::Clock(clock),
        ..NetworkOptions::new(server.url(&database).into())
    };
    let store: Arc<SqlStore<S::Dialect>> = Arc::new(S::open(&options));
    store.migrate().await.unwrap();
    Some(Stores {
        users: store.clone(),
        ledger: store.clone(),
        accounts: store.clone(),
        keys: store.clone(),
        audit: store.clone(),
        sessions: store.clone(),
        keep: Box::new(()),
    })
}

/// A store with its own database, on a server that the test may hurt.
struct Scene<S: Server> {
    server: S,
    database: String,
    store: Arc<SqlStore<S::Dialect>>,
}

const CONNECTIONS: u32 = 8;

impl<S: Server> Scene<S> {
    async fn set(test: &str) -> Option<Self> {
        let server = S::start(test)?;
        let database = server.create_database().await;
        let store = Arc::new(S::open(&options(&server, &database)));
        store.migrate().await.unwrap();
        Some(Self { server, database, store })
    }

    /// Uses every connection at once, so that there are as many as there can be; counts the calls that failed.
    async fn use_all(&self) -> usize {
        let calls = (0..8 * CONNECTIONS).map(|n| {
            let store = Arc::clone(&self.store);
            tokio::spawn(async move {
                if n % 4 == 0 {
                    store.revoke_sessions(&[revoking()]).await.map(drop)
                } else {
                    store.standing(new_user_id(), session_id()).await.map(drop)
                }
            })
        });
        let mut failed = 0;
        for call in calls.collect::<Vec<_>>() {
            failed += usize::from(call.await.unwrap().is_err());
        }
        failed
    }
}

/// The options that production has, but for the number of connections.
fn options<S: Server>(server: &S, database: &str) -> NetworkOptions {
    NetworkOptions { connections: CONNECTIONS, ..NetworkOptions::new(server.url(database).into()) }
}

fn revoking() -> SessionRevocation {
    SessionRevocation { session: session_id(), user: new_user_id(), cause: OPERATOR }
}

/// How long a call may take beyond the deadline on a busy machine.
const SLACK: Duration = Duration::from_millis(700);

/// Runs a call and asserts that it is answered in time.
async fn in_time<T>(call: impl Future<Output = T>) -> T {
    let clock = SystemClock::new();
    let answer = call.await;
    let took = clock.monotonic().0;
    assert!(took < NetworkOptions::new(String::new().into()).deadline + SLACK, "the answer took {took:?}");
    answer
}

pub(crate) async fn ten_that_migrate_at_once_do_it_once<S: Server>(test: &str) {
    let Some(server) = S::shared(test) else { return };
    let database = server.create_database().await;
    let stores: Vec<_> = (0..10).map(|_| S::open(&options(server, &database))).collect();
    let older = stores[0].check_schema().await.unwrap_err();
    assert!(matches!(older, SchemaError::Older { found: 0, .. }), "{older}");

    let migrations = stores.iter().cloned().map(|store| tokio::spawn(async move { store.migrate().await }));
    for migration in migrations.collect::<Vec<_>>() {
        migration.await.unwrap().unwrap();
    }
    let birth = stores[0].snapshot(UnixMillis(0)).await.unwrap().cursor;
    for store in &stores {
        store.check_schema().await.unwrap();
        store.check().await.unwrap();
        assert_eq!(store.snapshot(UnixMillis(0)).await.unwrap().cursor, birth, "the ledger was born once");
    }
}

/// Whoever forgets it has a migration that no older binary goes on with, which is safe, and probably not meant.
#[test]
fn every_migration_says_which_older_binaries_go_on_with_it() {
    let all = [SqliteDialect::migrations(), PostgresDialect::migrations(), MysqlDialect::migrations()];
    for migration in all.iter().flat_map(|migrations| migrations.iter()).filter(|one| one.version > 1) {
        let declared = format!("INTO schema_compatibility (version, oldest) VALUES ({}, ", migration.version);
        assert!(migration.sql.as_str().contains(&declared), "{}: {declared}", migration.description);
    }
    let versions = all.map(|migrations| migrations.iter().map(|one| one.version).collect::<Vec<_>>());
    assert!(versions.windows(2).all(|pair| pair[0] == pair[1]), "{versions:?}");
}

/// The same migrations as in SQLite's test.
pub(crate) async fn a_newer_schema_is_used_as_far_as_its_migrations_allow<S: Server>(test: &str) {
    let Some(server) = S::shared(test) else { return };
    let database = server.create_database().await;
    let store = S::open(&options(server, &database));
    store.migrate().await.unwrap();
    for (statement, taken) in LATER {
        server.run(&database, &[*statement]).await;
        assert_eq!(store.check_schema().await.is_ok(), *taken, "{statement}");
        assert_eq!(store.migrate().await.is_ok(), *taken, "{statement}");
    }
}

pub(crate) async fn a_newer_schema_is_refused<S: Server>(test: &str) {
    let Some(server) = S::shared(test) else { return };
    let database = server.create_database().await;
    let store = S::open(&options(server, &database));
    store.migrate().await.unwrap();
    let later = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                 VALUES (9999, 'later', TRUE, '', 1)";
    server.run(&database, &[later]).await;
    for newer in [store.check_schema().await.unwrap_err(), store.migrate().await.unwrap_err()] {
        assert!(matches!(newer, SchemaError::Newer { found: 9999, .. }), "{newer}");
        assert!(newer.to_string().contains("newer than this binary"), "{newer}");
    }
}

/// Whoever asks first waits for the whole deadline. Once the server has been silent for that long nobody else does, and
/// it is heard again as soon as it speaks.
pub(crate) async fn nobody_waits_for_a_server_that_is_known_to_be_silent<S: Server>(test: &str) {
    let Some(Scene { server, store, .. }) = Scene::<S>::set(test).await else { return };
    let refused = async || store.standing(new_user_id(), session_id()).await.unwrap_err().to_string();
    server.process().freeze();
    in_time(refused()).await;
    let clock = SystemClock::new();
    while !refused().await.contains("silent") {
        assert!(clock.monotonic().0 < Duration::from_secs(5), "it is never known");
    }
    let known = clock.monotonic();
    for _ in 0..100 {
        assert!(refused().await.contains("silent"));
    }
    let took = clock.monotonic().since(known) / 100;
    println!("refused within {took:?} each");
    assert!(took < Duration::from_millis(50), "{took:?}");

    server.process().thaw();
    let thawed = clock.monotonic();
    while store.standing(new_user_id(), session_id()).await.is_err() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let took = clock.monotonic().since(thawed);
    println!("heard again after {took:?}");
    assert!(took < Duration::from_secs(2), "{took:?}");
}

/// A reader that polls between two commits can pass over neither, because a number is taken from the head only
/// when the one before it is committed.
pub(crate) async fn no_commit_becomes_visible_behind_a_later_one<S: Server>(test: &str) {
    let Some(server) = S::shared(test) else { return };
    let database = server.create_database().await;
    let store = Arc::new(S::open(&options(server, &database)));
    store.migrate().await.unwrap();
    let birth = store.snapshot(UnixMillis(0)).await.unwrap().cursor;

    let commit = server.late_commit(&database).await;
    let second = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.revoke_sessions(&[revoking()]).await }
    });
    for _ in 0..20 {
        let seen = store.poll(birth, 10).await.unwrap();
        assert_eq!(seen, LedgerPoll::Rows(vec![], birth), "neither is committed");
        assert!(!second.is_finished(), "the second waits for the first");
    }
    commit.send(()).unwrap();
    let second = second.await.unwrap().unwrap()[0];
    let LedgerPoll::Rows(rows, _) = store.poll(birth, 10).await.unwrap() else { panic!("the same ledger") };
    assert_eq!(rows.iter().map(|row| row.seq).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(rows[1], second);
}

/// The first transaction never commits: the second gives up in time, and nothing of it is left.
pub(crate) async fn a_head_that_is_held_up_is_waited_for_within_the_deadline<S: Server>(test: &str) {
    let Some(server) = S::shared(test) else { return };
    let database = server.create_database().await;
    let store = S::open(&options(server, &database));
    store.migrate().await.unwrap();
    let user = UserStore::create(&store, new_user("ada")).await.unwrap();
    let commit = server.late_commit(&database).await;
    let refused = in_time(store.revoke_all(user.id, OPERATOR)).await;
    assert!(matches!(refused, Err(StoreError::Unavailable { .. })), "{refused:?}");
    commit.send(()).unwrap();
    let row = store.revoke_all(user.id, OPERATOR).await.unwrap().unwrap();
    assert_eq!((row.seq, row.scope), (2, RevocationScope::User { user: user.id, epoch: Epoch(1) }));
}

/// The password was checked, then all sessions were ended, then the session begins: it is over at its first
/// refresh, because it bears the epoch that was read with the hash.
pub(crate) async fn a_login_that_is_overtaken_by_a_revocation_does_not_outlive_it<S: Server>(test: &str) {
    let Some(server) = S::shared(test) else { return };
    let store = S::open(&options(server, &server.create_database().await));
    store.migrate().await.unwrap();
    let user = UserStore::create(&store, new_user("ada")).await.unwrap();
    let read = store.credential(&user.username).await.unwrap().unwrap();
    store.revoke_all(user.id, OPERATOR).await.unwrap().unwrap();
    let new = new_session(user.id, read.user.epoch);
    let (session, _) = began(SessionStore::create(&store, new, &POLICY).await.unwrap());

    let now = store.standing(user.id, session.id).await.unwrap().user.unwrap();
    let ask = Presentation { user_epoch: now.epoch, ..presentation(&session, session.current()) };
    assert_eq!(store.rotate(ask, &POLICY).await.unwrap(), Rotation::Superseded);
}

/// Without a clock of its own, a store goes by its database's, and all of it by the same.
pub(crate) async fn the_database_says_what_time_it_is<S: Server>(test: &str) {
    let Some(server) = S::shared(test) else { return };
    let store = S::open(&options(server, &server.create_database().await));
    store.migrate().await.unwrap();
    let clock = SystemClock::new();
    let before = clock.now();
    let user = UserStore::create(&store, new_user("ada")).await.unwrap();
    let (session, _) =
        began(SessionStore::create(&store, new_session(user.id, Epoch(0)), &POLICY).await.unwrap());
    let Rotation::Honoured(_, rotated) =
        store.rotate(presentation(&session, session.current()), &POLICY).await.unwrap()
    else {
        panic!("a login's token rotates")
    };
    let row = store.revoke_all(user.id, OPERATOR).await.unwrap().unwrap();
    let times = [before, user.created_at, session.created_at, rotated.line.rotated_at, row.at];
    // The database rounds down to milliseconds, and so does this process.
    let steps = times.windows(2).map(|pair| pair[1].0 - pair[0].0);
    assert!(steps.clone().all(|step| (-1..20_000).contains(&step)), "{times:?}");
    assert_eq!(user.updated_at, user.created_at);
    assert_eq!(SessionStore::list(&store, user.id).await.unwrap(), [*rotated]);
    assert_eq!(SessionStore::purge(&store, 10).await.unwrap(), 0);
}

pub(crate) async fn every_connection_may_be_ended_and_nobody_hears_of_it<S: Server>(test: &str) {
    let Some(scene) = Scene::<S>::set(test).await else { return };
    for _ in 0..3 {
        assert_eq!(scene.use_all().await, 0);
        assert!(scene.server.kick(&scene.database).await >= 2, "there were connections to end");
        assert_eq!(scene.use_all().await, 0, "dead connections are replaced before anybody is told");
    }
}

pub(crate) async fn a_server_that_crashes_is_used_again_as_soon_as_it_is_back<S: Server>(test: &str) {
    let Some(mut scene) = Scene::<S>::set(test).await else { return };
    let user = UserStore::create(&*scene.store, new_user("ada")).await.unwrap();
    scene.use_all().await;
    scene.server.process_mut().kill();
    let down = in_time(scene.store.standing(user.id, session_id())).await;
    assert!(matches!(down, Err(StoreError::Unavailable { .. })), "{down:?}");
    scene.server.process_mut().spawn();
    scene.server.ready().await;

    let clock = SystemClock::new();
    assert_eq!(scene.use_all().await, 0, "the first call after it is back is answered");
    println!("{test}: {} calls after a restart took {:?}", 8 * CONNECTIONS, clock.monotonic().0);
    assert!(clock.monotonic().0 < Duration::from_secs(2));
    assert_eq!(UserStore::find(&*scene.store, user.id).await.unwrap(), Some(user));
}

/// SIGSTOP: what is connected stays connected and gets no answer, and new connections get none either.
pub(crate) async fn a_server_that_falls_silent_costs_each_call_no_more_than_the_deadline<S: Server>(
    test: &str,
) {
    let Some(scene) = Scene::<S>::set(test).await else { return };
    let user = UserStore::create(&*scene.store, new_user("ada")).await.unwrap();
    let (session, _) =
        began(SessionStore::create(&*scene.store, new_session(user.id, Epoch(0)), &POLICY).await.unwrap());
    scene.use_all().await;
    scene.server.process().freeze();
    for _ in 0..2 {
        let clock = SystemClock::new();
        assert_eq!(scene.use_all().await, 8 * CONNECTIONS as usize, "nobody is told anything");
        let took = clock.monotonic().0;
        assert!(took < Duration::from_millis(1500) + SLACK, "the last answer took {took:?}");
    }
    let ask = presentation(&session, session.current());
    let rotated = in_time(scene.store.rotate(ask, &POLICY)).await;
    assert!(matches!(rotated, Err(StoreError::Unavailable { .. })), "{rotated:?}");
    assert!(in_time(scene.store.check()).await.is_err());

    scene.server.process().thaw();
    let clock = SystemClock::new();
    // Until it has greeted again, calls are refused at once.
    while scene.store.check().await.is_err() {
        assert!(clock.monotonic().0 < Duration::from_secs(2), "it is not found to be back");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(scene.use_all().await, 0, "no place in the pool was lost");
    println!("{test}: {} calls after the silence took {:?}", 8 * CONNECTIONS, clock.monotonic().0);
    assert!(clock.monotonic().0 < Duration::from_secs(2));
    // Whether the first attempt happened is open; the token still leads on.
    let answer = scene.store.rotate(ask, &POLICY).await.unwrap();
    assert!(matches!(answer, Rotation::Honoured(Honoured::Rotated | Honoured::Replayed, _)), "{answer:?}");
}

pub(crate) async fn callers_that_go_away_cost_no_connection<S: Server>(test: &str) {
    let Some(scene) = Scene::<S>::set(test).await else { return };
    let user = UserStore::create(&*scene.store, new_user("ada")).await.unwrap();
    let calls = (0..2000_u32).map(|n| {
        let store = Arc::clone(&scene.store);
        tokio::spawn(async move {
            let patience = Duration::from_micros(u64::from(n * 7919 % 3000));
            let call = async {
                match n % 4 {
                    0 => drop(SessionStore::create(&*store, new_session(user.id, Epoch(0)), &POLICY).await),
                    1 => drop(store.standing(user.id, session_id()).await),
                    2 => drop(store.revoke_sessions(&[revoking()]).await),
                    _ => drop(store.revoke_all(user.id, OPERATOR).await),
                }
            };
            tokio::time::timeout(patience, call).await.is_err()
        })
    });
    let mut cut_off = 0;
    for call in calls.collect::<Vec<_>>() {
        cut_off += u32::from(call.await.unwrap());
    }
    assert!(cut_off > 1000, "only {cut_off} were cut off");
    // What they began ends by itself, at the deadline at the latest.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(scene.use_all().await, 0, "every connection is there");

    let rows = scene.store.snapshot(UnixMillis(0)).await.unwrap().rows;
    assert!(rows.iter().map(|row| row.seq).eq(1..=rows.len() as u64), "no number without its row");
}

/// Every connection waits for a lock, so that there is none for another call.
pub(crate) async fn a_call_that_finds_no_connection_is_answered_in_time<S: Server>(test: &str) {
    let Some(scene) = Scene::<S>::set(test).await else { return };
    let commit = scene.server.late_commit(&scene.database).await;
    let waiting: Vec<_> = (0..4 * CONNECTIONS)
        .map(|_| {
            let store = Arc::clone(&scene.store);
            tokio::spawn(async move { in_time(store.revoke_sessions(&[revoking()])).await.is_err() })
        })
        .collect();
    for call in waiting {
        assert!(call.await.unwrap(), "the head is held");
    }
    commit.send(()).unwrap();
    assert_eq!(scene.use_all().await, 0);
}

/// As after a failover: whoever is connected to what has become a standby looks for another server, and need not
/// be restarted.
pub(crate) async fn a_read_only_server_is_left_for_one_that_writes<S: Server>(test: &str) {
    let Some(scene) = Scene::<S>::set(test).await else { return };
    scene.use_all().await;
    scene.server.read_only(&scene.database, true).await;
    for _ in 0..3 {
        let refused = scene.store.revoke_sessions(&[revoking()]).await;
        assert!(matches!(refused, Err(StoreError::Unavailable { .. })), "{refused:?}");
        scene.store.standing(new_user_id(), session_id()).await.unwrap();
        let said = scene.store.check().await.unwrap_err().to_string();
        assert!(said.contains("read") && said.contains("only"), "the probe writes: {said}");
    }
    scene.server.read_only(&scene.database, false).await;
    scene.store.check().await.unwrap();
    assert_eq!(scene.use_all().await, 0);
}

/// As with a full disk, a missing grant, a table that cannot grow: reading works.
pub(crate) async fn the_probe_says_that_nothing_can_be_written<S: Server>(test: &str) {
    let Some(server) = S::shared(test) else { return };
    let database = server.create_database().await;
    S::open(&options(server, &database)).migrate().await.unwrap();
    let account = server.create_account(&database).await;
    let store = S::open(&NetworkOptions { connections: CONNECTIONS, ..NetworkOptions::new(account.into()) });
    server.set_writable(&database, false).await;
    for _ in 0..3 {
        store.check().await.unwrap_err();
        store.standing(new_user_id(), session_id()).await.unwrap();
    }
    server.set_writable(&database, true).await;
    store.check().await.unwrap();
    // Those who find out first are the callers.
    server.set_writable(&database, false).await;
    store.revoke_sessions(&[revoking()]).await.unwrap_err();
    store.check().await.unwrap_err();
}

/// Makes a test of every fault, for one kind of server.
macro_rules! every_fault {
    ($server:ty) => {
        $crate::sql_faults::every_fault!($server: ten_that_migrate_at_once_do_it_once, a_newer_schema_is_refused,
            a_newer_schema_is_used_as_far_as_its_migrations_allow,
            the_probe_says_that_nothing_can_be_written,
            no_commit_becomes_visible_behind_a_later_one,
            a_head_that_is_held_up_is_waited_for_within_the_deadline,
            a_login_that_is_overtaken_by_a_revocation_does_not_outlive_it,
            the_database_says_what_time_it_is,
            every_connection_may_be_ended_and_nobody_hears_of_it,
            a_server_that_crashes_is_used_again_as_soon_as_it_is_back,
            a_server_that_falls_silent_costs_each_call_no_more_than_the_deadline,
            nobody_waits_for_a_server_that_is_known_to_be_silent,
            callers_that_go_away_cost_no_connection,
            a_call_that_finds_no_connection_is_answered_in_time,
            a_read_only_server_is_left_for_one_that_writes);
    };
    ($server:ty: $($fault:ident),+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $fault() {
                $crate::sql_faults::$fault::<$server>(concat!(module_path!(), "::", stringify!($fault))).await;
            }
        )+
    };
}

pub(crate) use every_fault;
