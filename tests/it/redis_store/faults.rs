//! What is answered while Redis is slow, down, failing over, full or empty: never anything but the truth, always
//! within the deadline, and again as soon as it can be.

use std::time::Duration;

use countersign::model::{Clock as _, Epoch, RotationPolicy, Session, SystemClock, new_user_id};
use countersign::store::redis::{RedisOptions, RedisStore, TimeSource};
use countersign::store::{
    Created, Presentation, Probe as _, Rotation, SessionPolicy, SessionStore as _, StoreError,
};
use tokio::task::JoinSet;

use super::load::{EAGER, Load, recovers};
use super::options;
use crate::conformance::{POLICY, began, new_session, presentation, session_id};
use crate::support::redis::{Cluster, Sentinels, Server, is_installed, until};

/// What production has.
const DEADLINE: Duration = Duration::from_millis(150);
/// Within what time of the server's recovery ours must be.
const RECOVERY: Duration = Duration::from_secs(2);

fn open(url: &str) -> RedisStore {
    RedisStore::open(&RedisOptions { deadline: DEADLINE, ..options(url) }, TimeSource::Server)
}

/// A login, as soon as there is a connection.
async fn login(store: &RedisStore) -> Session {
    let new = new_session(new_user_id(), Epoch(0));
    for _ in 0..100 {
        match store.create(new.clone(), &EAGER).await {
            Ok(created) => return began(created).0,
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
    panic!("Redis cannot be reached");
}

fn is_unavailable<T: std::fmt::Debug>(answer: &Result<T, StoreError>) {
    assert!(matches!(answer, Err(StoreError::Unavailable { .. })), "{answer:?}");
}

/// Every verb says that the store is unavailable, within the deadline.
async fn nothing_is_answered(store: &RedisStore, session: &Session) {
    let clock = SystemClock::new();
    let began = clock.monotonic();
    is_unavailable(&store.rotate(presentation(session, session.current()), &EAGER).await);
    is_unavailable(&store.create(new_session(session.user, Epoch(0)), &POLICY).await);
    is_unavailable(&store.find(session.user, session_id()).await);
    is_unavailable(&store.list(new_user_id()).await);
    is_unavailable(&store.delete(session.user, &[session.id]).await);
    let took = clock.monotonic().since(began);
    assert!(took < 5 * (DEADLINE + Duration::from_millis(50)), "{took:?}");
}

async fn pause(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_server_is_unavailable_and_then_goes_on() {
    if !is_installed("a_frozen_server_is_unavailable_and_then_goes_on") {
        return;
    }
    let server = Server::start();
    let store = open(&server.url());
    let session = login(&store).await;
    let load = Load::begin(&store, 32).await;
    pause(300).await;
    server.signal("STOP");
    pause(1500).await;
    nothing_is_answered(&store, &session).await;
    is_unavailable(&store.check().await);
    server.signal("CONT");
    let (took, _) = recovers(&store, &session, session.current()).await;
    pause(300).await;
    load.end("SIGSTOP for 1.5 s", DEADLINE).await;
    println!("recovered {took:?} after SIGCONT");
    assert!(took < RECOVERY);
}

/// As soon as the check of the connection has failed, and not only once another one was dialled in vain.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_to_a_silent_server_are_refused_at_once() {
    const CHECK: Duration = Duration::from_secs(1);
    if !is_installed("calls_to_a_silent_server_are_refused_at_once") {
        return;
    }
    let server = Server::start();
    let options =
        RedisOptions { connections: 1, deadline: DEADLINE, connect_timeout: CHECK, ..options(&server.url()) };
    let store = RedisStore::open(&options, TimeSource::Server);
    let session = login(&store).await;
    let clock = SystemClock::new();
    server.signal("STOP");
    let began = clock.monotonic();
    loop {
        let asked = clock.monotonic();
        is_unavailable(&store.find(session.user, session.id).await);
        let (took, since) = (clock.monotonic().since(asked), clock.monotonic().since(began));
        if took < DEADLINE / 2 {
            println!("refused within {took:?} after {since:?}");
            assert!(since >= CHECK, "nobody has checked the connection yet");
            break;
        }
        assert!(since < 2 * CHECK + DEADLINE, "calls still wait {took:?}");
    }
    server.signal("CONT");
    recovers(&store, &session, session.current()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_that_keeps_its_log_loses_nothing() {
    if !is_installed("a_killed_server_that_keeps_its_log_loses_nothing") {
        return;
    }
    let mut server = Server::start_with(&["--appendonly", "yes", "--appendfsync", "always"]);
    let store = open(&server.url());
    let session = login(&store).await;
    let load = Load::begin(&store, 32).await;
    pause(300).await;
    server.kill();
    pause(300).await;
    nothing_is_answered(&store, &session).await;
    server.restart();
    let (took, _) = recovers(&store, &session, session.current()).await;
    pause(300).await;
    load.end("SIGKILL and restart", DEADLINE).await;
    println!("recovered {took:?} after the restart");
    assert!(took < RECOVERY);
}

/// The metrics show what the pools have open: nothing while the server is gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pools_count_the_connections_that_are_open() {
    if !is_installed("the_pools_count_the_connections_that_are_open") {
        return;
    }
    let counted = async |store: &RedisStore, connections: u64, opened: u64| {
        let mut last = (u64::MAX, u64::MAX);
        for _ in 0..400 {
            let _ = store.check().await;
            let stats = store.pools()[0];
            last = (stats.connections, stats.opened);
            if last == (connections, opened) {
                return;
            }
            pause(5).await;
        }
        panic!("{last:?} instead of {:?}", (connections, opened));
    };
    let mut server = Server::start();
    let store = open(&server.url());
    counted(&store, 2, 2).await;
    server.kill();
    counted(&store, 0, 2).await;
    server.restart();
    counted(&store, 2, 4).await;
    let cluster = Cluster::start();
    counted(&open(&cluster.url()), 6, 6).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_server_has_forgotten_is_unknown_and_a_login_works() {
    if !is_installed("what_a_server_has_forgotten_is_unknown_and_a_login_works") {
        return;
    }
    let mut server = Server::start();
    let store = open(&server.url());
    for fault in ["FLUSHALL", "restart"] {
        let session = login(&store).await;
        if fault == "restart" {
            server.kill();
            server.restart();
            let again = login(&store).await;
            assert!(store.find(again.user, again.id).await.unwrap().is_some());
        } else {
            server.cli(&[fault]);
        }
        let answer = store.rotate(presentation(&session, session.current()), &EAGER).await.unwrap();
        assert_eq!(answer, Rotation::Unknown, "{fault}");
        login(&store).await;
    }
}

#[tokio::test]
async fn forgotten_scripts_are_told_again() {
    if !is_installed("forgotten_scripts_are_told_again") {
        return;
    }
    let server = Server::start();
    let store = open(&server.url());
    let session = login(&store).await;
    let (_, session) = recovers(&store, &session, session.current()).await;
    for _ in 0..3 {
        server.cli(&["SCRIPT", "FLUSH"]);
        let answer = store.rotate(presentation(&session, session.current()), &POLICY).await.unwrap();
        assert!(matches!(answer, Rotation::Honoured(..)), "{answer:?}");
        assert!(store.find(session.user, session.id).await.unwrap().is_some());
    }
}

/// Demoted under a living connection, and to a server that has nothing: what is missing then is no news.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_is_not_believed() {
    if !is_installed("a_replica_is_not_believed") {
        return;
    }
    let (server, empty) = (Server::start(), Server::start());
    let store = open(&server.url());
    let session = login(&store).await;
    for with_our_data in [true, false] {
        if with_our_data {
            // A master that does not answer: the replica keeps what it has.
            server.cli(&["REPLICAOF", "127.0.0.1", "1"]);
        } else {
            server.cli(&["REPLICAOF", "127.0.0.1", &empty.port.to_string()]);
            until("it follows", || server.cli(&["INFO", "replication"]).contains("master_link_status:up"));
        }
        nothing_is_answered(&store, &session).await;
        is_unavailable(&store.check().await);
        server.cli(&["REPLICAOF", "NO", "ONE"]);
        if with_our_data {
            let (took, _) = recovers(&store, &session, session.current()).await;
            println!("recovered {took:?} after the promotion");
            assert!(took < RECOVERY);
        } else {
            login(&store).await;
        }
    }
}

#[tokio::test]
async fn a_full_server_is_unavailable_and_loses_nothing() {
    if !is_installed("a_full_server_is_unavailable_and_loses_nothing") {
        return;
    }
    let server = Server::start();
    let store = open(&server.url());
    let session = login(&store).await;
    let (_, session) = recovers(&store, &session, session.current()).await;
    let (other, third) = (new_session(session.user, Epoch(0)), new_session(session.user, Epoch(0)));
    let other = began(store.create(other, &POLICY).await.unwrap()).0;
    server.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    is_unavailable(&store.rotate(presentation(&session, session.current()), &EAGER).await);
    is_unavailable(&store.create(third.clone(), &POLICY).await);
    let error = store.check().await.unwrap_err().to_string();
    assert!(error.contains("OOM"), "the probe says what is wrong: {error}");
    assert_eq!(store.find(session.user, session.id).await.unwrap().as_ref(), Some(&session));
    store.delete(other.user, &[other.id]).await.unwrap();
    assert_eq!(store.list(session.user).await.unwrap(), std::slice::from_ref(&session), "logging out works");
    server.cli(&["CONFIG", "SET", "maxmemory", "0"]);
    recovers(&store, &session, session.current()).await;
    assert!(matches!(store.create(third, &POLICY).await, Ok(Created::Session(..))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_by_sentinels_is_followed() {
    if !is_installed("a_failover_by_sentinels_is_followed") {
        return;
    }
    for signal in ["KILL", "STOP"] {
        let servers = Sentinels::start();
        let store = open(&servers.url());
        let session = login(&store).await;
        let load = Load::begin(&store, 16).await;
        pause(500).await;
        let clock = SystemClock::new();
        servers.master.signal(signal);
        until("the replica is promoted", || servers.replica.cli(&["ROLE"]).starts_with("master"));
        let promoted = clock.monotonic();
        let (took, session) = recovers(&store, &session, session.current()).await;
        println!("{signal}: recovered {took:?} after the promotion");
        assert!(took < RECOVERY);
        if signal == "STOP" {
            // The old master wakes up and takes itself for the master, until the Sentinels tell it.
            servers.master.signal("CONT");
            until("it is demoted", || servers.master.cli(&["ROLE"]).starts_with("slave"));
        }
        pause(500).await;
        load.end(&format!("Sentinel failover after SIG{signal}"), DEADLINE).await;
        assert!(clock.monotonic().since(promoted) > Duration::ZERO);
        assert!(store.find(session.user, session.id).await.unwrap().is_some());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slots_of_a_cluster_move_unnoticed() {
    if !is_installed("slots_of_a_cluster_move_unnoticed") {
        return;
    }
    let cluster = Cluster::start();
    let store = open(&cluster.url());
    login(&store).await;
    let load = Load::begin(&store, 64).await;
    let id = |node: &Server| node.cli(&["CLUSTER", "MYID"]);
    for (from, to) in [(0, 1), (1, 2), (2, 0)] {
        let (from, to) = (id(&cluster.nodes[from]), id(&cluster.nodes[to]));
        let entry = format!("127.0.0.1:{}", cluster.nodes[0].port);
        let moved = tokio::process::Command::new("redis-cli")
            .args(["--cluster", "reshard", &entry, "--cluster-from", &from, "--cluster-to", &to])
            .args(["--cluster-slots", "2000", "--cluster-yes"])
            .output()
            .await
            .unwrap();
        assert!(moved.status.success(), "{}", String::from_utf8_lossy(&moved.stdout));
    }
    let account = load.end("6,000 slots moved", DEADLINE).await;
    assert!(account.unavailable * 100 <= account.refreshed, "{} unavailable", account.unavailable);
    store.check().await.unwrap();
}

/// While a slot moves, a node writes no key of it that is not there, within a script too: one that deleted a user's sessions
/// to write those that are left lost them all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_others_stay_where_a_session_ends_while_its_slot_moves() {
    if !is_installed("the_others_stay_where_a_session_ends_while_its_slot_moves") {
        return;
    }
    let cluster = Cluster::start();
    let store = open(&cluster.url());
    let first = login(&store).await;
    let more = async || began(store.create(new_session(first.user, Epoch(0)), &POLICY).await.unwrap()).0;
    let mut kept = vec![more().await];
    let holder = cluster.nodes.iter().find(|node| node.cli(&["DBSIZE"]) != "0").unwrap();
    let other = cluster.nodes.iter().find(|node| node.port != holder.port).unwrap();
    let key = holder.cli(&["RANDOMKEY"]);
    let slot = holder.cli(&["CLUSTER", "KEYSLOT", &key]);
    let [from, to] = [holder, other].map(|node| node.cli(&["CLUSTER", "MYID"]));
    assert_eq!(other.cli(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from]), "OK");
    assert_eq!(holder.cli(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to]), "OK");

    store.delete(first.user, &[first.id]).await.unwrap();
    assert_eq!(store.find(first.user, kept[0].id).await.unwrap().as_ref(), Some(&kept[0]), "it did not end");
    // More than are kept in a string.
    while kept.len() < 500 {
        kept.push(more().await);
    }
    assert_eq!(store.list(first.user).await.unwrap().len(), kept.len());

    assert_eq!(holder.cli(&["CLUSTER", "SETSLOT", &slot, "STABLE"]), "OK");
    kept.push(more().await);
    assert_eq!(holder.cli(&["TYPE", &key]), "hash");
    assert_eq!(holder.cli(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to]), "OK");
    let mut ids: Vec<_> = kept.iter().map(|session| session.id).collect();
    ids.push(session_id());
    store.delete(first.user, &ids[1..]).await.unwrap();
    assert_eq!(store.list(first.user).await.unwrap(), kept[..1]);
    store.delete(first.user, &ids).await.unwrap();
    assert_eq!(store.list(first.user).await.unwrap(), []);
}

/// Sessions are spread over the nodes, and so is what the probe writes: one node that is full is not overlooked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_full_node_of_a_cluster_is_noticed() {
    if !is_installed("one_full_node_of_a_cluster_is_noticed") {
        return;
    }
    let cluster = Cluster::start();
    let store = open(&cluster.url());
    login(&store).await;
    for node in &cluster.nodes {
        store.check().await.unwrap();
        node.cli(&["CONFIG", "SET", "maxmemory", "1"]);
        is_unavailable(&store.check().await);
        node.cli(&["CONFIG", "SET", "maxmemory", "0"]);
    }
    store.check().await.unwrap();
    store.close().await;
    is_unavailable(&store.check().await);
    is_unavailable(&store.find(new_user_id(), session_id()).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_frozen_node_of_a_cluster_holds_up_its_own_slots_alone() {
    if !is_installed("one_frozen_node_of_a_cluster_holds_up_its_own_slots_alone") {
        return;
    }
    let cluster = Cluster::start();
    // It goes on to serve what it can.
    for node in &cluster.nodes {
        node.cli(&["CONFIG", "SET", "cluster-require-full-coverage", "no"]);
    }
    let store = open(&cluster.url());
    login(&store).await;
    let load = Load::begin(&store, 32).await;
    pause(300).await;
    cluster.nodes[1].signal("STOP");
    let clock = SystemClock::new();
    let (mut answered, mut held_up) = (0, 0);
    for _ in 0..60 {
        let asked = clock.monotonic();
        match store.create(new_session(new_user_id(), Epoch(0)), &POLICY).await {
            Ok(_) => {
                answered += 1;
                assert!(clock.monotonic().since(asked) < DEADLINE);
            }
            Err(_) => held_up += 1,
        }
    }
    println!("{answered} of 60 logins answered while one of three nodes was frozen");
    assert!(answered >= 20 && held_up > 0);
    cluster.nodes[1].signal("CONT");
    let began = clock.monotonic();
    while store.check().await.is_err() {
        pause(10).await;
    }
    println!("whole {:?} after SIGCONT", clock.monotonic().since(began));
    assert!(clock.monotonic().since(began) < Duration::from_secs(5));
    load.end("one node of three frozen", DEADLINE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_cancelled_calls_leave_nothing_behind() {
    if !is_installed("two_thousand_cancelled_calls_leave_nothing_behind") {
        return;
    }
    let server = Server::start();
    // A deadline that a busy machine keeps: what would be left behind is a place among those under way.
    let options = RedisOptions { in_flight: 1000, ..options(&server.url()) };
    let store = RedisStore::open(&options, TimeSource::Server);
    let session = login(&store).await;
    for round in 0..2000_u64 {
        let call = store.rotate(presentation(&session, session.current()), &POLICY);
        let _ = tokio::time::timeout(Duration::from_micros(round % 300), call).await;
    }
    let mut calls = JoinSet::new();
    for _ in 0..2000 {
        let store = store.clone();
        calls.spawn(async move { store.find(new_user_id(), session_id()).await.is_ok() });
    }
    let answers = calls.join_all().await;
    let answered = answers.iter().filter(|answered| **answered).count();
    assert_eq!(answered, 2000, "every place is free");
    let connections = server.cli(&["CLIENT", "LIST", "TYPE", "NORMAL"]);
    assert!(connections.lines().filter(|line| line.contains("countersign")).count() <= 2, "{connections}");
    let found = store.find(session.user, session.id).await.unwrap().unwrap();
    assert!(found.line.current.0 <= 1, "the token was spent once at most");
}

/// Redis gets to a script after its caller has given up. Soon enough, it is executed, and the retry finds what it
/// did; later than the rules count on, it does nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_that_comes_late_does_no_harm() {
    if !is_installed("a_script_that_comes_late_does_no_harm") {
        return;
    }
    let server = Server::start();
    let store = open(&server.url());
    let session = login(&store).await;
    // From here on the server knows the script.
    recovers(&store, &session, session.current()).await;
    for (frozen, moved) in [(200, true), (2500, false)] {
        let held = store.find(session.user, session.id).await.unwrap().unwrap();
        let policy =
            SessionPolicy { rotation: RotationPolicy { grace: Duration::ZERO, ..POLICY.rotation }, ..POLICY };
        server.cli(&["CONFIG", "RESETSTAT"]);
        server.signal("STOP");
        let ask = Presentation { within: POLICY.rotation.deadline, ..presentation(&held, held.current()) };
        is_unavailable(&store.rotate(ask, &policy).await);
        is_unavailable(&store.create(new_session(session.user, Epoch(0)), &policy).await);
        pause(frozen).await;
        server.signal("CONT");
        until("the scripts have run", || server.calls("evalsha") >= 2);
        let sessions = store.list(session.user).await.unwrap();
        let now = sessions.iter().find(|other| other.id == session.id).unwrap();
        assert_eq!(now.line != held.line, moved, "after {frozen} ms");
        assert_eq!(sessions.len(), 2, "the first login was in time and the second was not");
        let (_, next) = recovers(&store, &held, held.current()).await;
        assert!(next.line.current > held.line.current);
    }
}
