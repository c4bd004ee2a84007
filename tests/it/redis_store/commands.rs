//! What a call costs Redis: commands, round trips, bytes.

use std::num::NonZeroU32;
use std::time::Duration;

use countersign::model::{
    ClientFacts, Clock as _, Epoch, NewSession, SessionId, SessionLimit, SystemClock, new_user_id,
};
use countersign::store::redis::{RedisOptions, RedisStore, TimeSource};
use countersign::store::{Honoured, Rotation, SessionPolicy, SessionStore as _};
use tokio::task::JoinSet;

use super::{clock, open, options};
use crate::conformance::{MS, POLICY, SETTLED, began, new_session, presentation};
use crate::support::redis::{Server, is_installed};

#[tokio::test]
async fn a_refresh_is_one_command() {
    if !is_installed("a_refresh_is_one_command") {
        return;
    }
    let (server, clock) = (Server::start(), clock());
    let store = open(&options(&server.url()), clock.clone());
    let new = new_session(new_user_id(), Epoch(0));
    let (mut session, _) = began(store.create(new, &POLICY).await.unwrap());
    // The first one teaches the server the script.
    for round in 0..=100 {
        clock.advance(SETTLED + MS);
        let answer = store.rotate(presentation(&session, session.current()), &POLICY).await.unwrap();
        let Rotation::Honoured(Honoured::Rotated, next) = answer else { panic!("{answer:?}") };
        session = *next;
        if round == 0 {
            server.cli(&["CONFIG", "RESETSTAT"]);
        }
    }
    let commands = server.cli(&["INFO", "commandstats"]);
    assert_eq!(server.calls("evalsha"), 100);
    // What the script itself calls is counted too; beside that there is the asking.
    let by_script = ["get", "setrange", "pttl", "pexpire"];
    for line in commands.lines().filter_map(|line| line.strip_prefix("cmdstat_")) {
        let command = line.split([':', '|']).next().unwrap();
        let known = by_script.contains(&command) || ["evalsha", "config", "info", "ping"].contains(&command);
        assert!(known, "{line}");
    }
    println!("100 refreshes:\n{commands}");
}

#[tokio::test]
async fn the_servers_own_time_is_used_unless_a_test_passes_one() {
    if !is_installed("the_servers_own_time_is_used") {
        return;
    }
    let server = Server::start();
    let store = RedisStore::open(&options(&server.url()), TimeSource::Server);
    let (session, _) = began(store.create(new_session(new_user_id(), Epoch(0)), &POLICY).await.unwrap());
    let seconds: i64 = server.cli(&["TIME"]).lines().next().unwrap().parse().unwrap();
    assert!((seconds - session.created_at.as_secs()).abs() <= 2);
    let found = store.find(session.user, session.id).await.unwrap();
    assert_eq!(found, Some(session));
}

fn client(user_agent: &str) -> ClientFacts {
    let address = if user_agent.is_empty() { "" } else { "203.0.113.195" };
    ClientFacts { address: address.to_owned(), user_agent: user_agent.to_owned(), ..ClientFacts::default() }
}

#[tokio::test]
async fn a_session_with_its_index_takes_at_most_300_bytes() {
    if !is_installed("a_session_with_its_index_takes_at_most_300_bytes") {
        return;
    }
    let (server, clock) = (Server::start(), clock());
    let options = RedisOptions { prefix: "countersign:".to_owned(), ..options(&server.url()) };
    let store = open(&options, clock);
    let chrome = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
                  Chrome/126.0.0.0 Safari/537.36";
    let safari = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5_1 like Mac OS X) AppleWebKit/605.1.15 \
                  (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1";
    let unheard_of =
        "Inventory of the warehouse at the harbour/7.3.1 (build 20260131; +https://warehouse.example)";
    for per_user in [1, 3, 10] {
        for user_agent in ["", chrome, safari, unheard_of] {
            let user = new_user_id();
            for _ in 0..per_user {
                let client = client(user_agent);
                let new = NewSession { client, audiences: Vec::new(), ..new_session(user, Epoch(0)) };
                began(store.create(new, &POLICY).await.unwrap());
            }
            assert_eq!(server.cli(&["DBSIZE"]), "1");
            let key = server.cli(&["RANDOMKEY"]);
            let bytes: u64 = server.cli(&["MEMORY", "USAGE", &key]).parse().unwrap();
            println!("{per_user} of {user_agent:.30?}: {} bytes each (MEMORY USAGE)", bytes / per_user);
            assert!(bytes <= 300 * per_user, "{per_user} of {user_agent:?}: {bytes}");
            server.cli(&["FLUSHALL"]);
        }
    }
}

#[tokio::test]
async fn a_key_dies_with_the_last_session_in_it() {
    if !is_installed("a_key_dies_with_the_last_session_in_it") {
        return;
    }
    let (server, clock) = (Server::start(), clock());
    let store = open(&options(&server.url()), clock.clone());
    let user = new_user_id();
    let lives = || -> i64 { server.cli(&["PTTL", &server.cli(&["RANDOMKEY"])]).parse().unwrap() };
    let millis = |duration: Duration| i64::try_from(duration.as_millis()).unwrap();
    let (session, _) = began(store.create(new_session(user, Epoch(0)), &POLICY).await.unwrap());
    assert!(lives() > millis(POLICY.idle) && lives() <= millis(POLICY.idle) + 60_000);

    let brief = SessionPolicy { idle: Duration::from_mins(1), ..POLICY };
    let (other, _) = began(store.create(new_session(user, Epoch(0)), &brief).await.unwrap());
    assert!(lives() > millis(POLICY.idle), "the one that lives longest counts");
    store.delete(user, &[session.id, other.id]).await.unwrap();
    assert_eq!(server.cli(&["DBSIZE"]), "0");

    let (other, _) = began(store.create(new_session(user, Epoch(0)), &brief).await.unwrap());
    assert!(lives() <= millis(brief.idle) + 60_000);
    store.rotate(presentation(&other, other.current()), &POLICY).await.unwrap();
    assert!(lives() > millis(POLICY.idle), "a refresh lets it live on");
}

#[tokio::test]
async fn a_user_may_have_thousands_of_sessions() {
    if !is_installed("a_user_may_have_thousands_of_sessions") {
        return;
    }
    let (server, clock) = (Server::start(), clock());
    let store = open(&options(&server.url()), clock.clone());
    let user = new_user_id();
    let mut sessions = Vec::new();
    for _ in 0..1000 {
        sessions.push(began(store.create(new_session(user, Epoch(0)), &POLICY).await.unwrap()).0);
    }
    let key = server.cli(&["RANDOMKEY"]);
    assert_eq!(server.cli(&["TYPE", &key]), "hash");
    assert!(server.cli(&["PTTL", &key]).parse::<i64>().unwrap() > 0);
    assert_eq!(store.list(user).await.unwrap().len(), 1000);
    clock.advance(SETTLED + MS);
    for session in [&sessions[0], &sessions[500], &sessions[999]] {
        assert_eq!(store.find(user, session.id).await.unwrap().as_ref(), Some(session));
        let answer = store.rotate(presentation(session, session.current()), &POLICY).await.unwrap();
        let Rotation::Honoured(Honoured::Rotated, next) = answer else { panic!("{answer:?}") };
        assert_eq!(store.find(user, session.id).await.unwrap(), Some(*next));
        store.delete(user, &[session.id]).await.unwrap();
        assert_eq!(store.find(user, session.id).await.unwrap(), None);
    }
    let limit = SessionLimit::EvictOldest(NonZeroU32::new(2).unwrap());
    let policy = SessionPolicy { limit, ..POLICY };
    let (new, evicted) = began(store.create(new_session(user, Epoch(0)), &policy).await.unwrap());
    assert_eq!(evicted.len(), 996);
    let evicted: Vec<SessionId> = evicted.iter().map(|session| session.id).collect();
    store.delete(user, &evicted).await.unwrap();
    let left = store.list(user).await.unwrap();
    assert_eq!((left.len(), left.contains(&new)), (2, true));
    clock.advance(POLICY.idle);
    let other = began(store.create(new_session(user, Epoch(1)), &POLICY).await.unwrap()).0;
    assert_eq!(store.list(user).await.unwrap(), [other], "the dead and the revoked leave a hash too");
    assert_eq!(server.cli(&["HLEN", &key]), "1");
}

/// How many bytes a million sessions take, and how much slower a refresh is among them. Takes minutes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: cargo test --release --test it a_million_sessions -- --ignored --nocapture"]
async fn a_million_sessions() {
    const ABOUT_A_BROWSER: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 \
                                   (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36";
    const ROUNDS: u32 = 200;
    let (server, clock) = (Server::start(), clock());
    let options = RedisOptions { prefix: "countersign:".to_owned(), ..options(&server.url()) };
    let store = open(&options, clock.clone());
    let memory = || -> u64 {
        let info = server.cli(&["INFO", "memory"]);
        let used = info.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap();
        used.trim().parse().unwrap()
    };
    let empty = memory();
    let (mut sessions, real) = (Vec::new(), SystemClock::new());
    for count in [1_000_usize, 1_000_000] {
        while sessions.len() < count {
            let mut logins = JoinSet::new();
            for _ in 0..500 {
                let store = store.clone();
                let client = client(ABOUT_A_BROWSER);
                let new =
                    NewSession { client, audiences: Vec::new(), ..new_session(new_user_id(), Epoch(0)) };
                logins.spawn(async move { began(store.create(new, &POLICY).await.unwrap()).0 });
            }
            sessions.extend(logins.join_all().await);
        }
        println!("{count} sessions: {} bytes each", (memory() - empty) / count as u64);
        clock.advance(SETTLED + MS);
        let asked = real.monotonic();
        for round in 0..ROUNDS {
            let mut refreshes = JoinSet::new();
            for number in 0..250 {
                let session = &mut sessions[(round as usize * 7919 + number * 4) % count];
                let (store, ask) = (store.clone(), presentation(session, session.current()));
                refreshes.spawn(async move { store.rotate(ask, &POLICY).await.unwrap() });
            }
            for answer in refreshes.join_all().await {
                assert!(matches!(answer, Rotation::Honoured(..)), "{answer:?}");
            }
        }
        let took = real.monotonic().since(asked);
        println!("{count} sessions: {:.0} refreshes a second", f64::from(ROUNDS * 250) / took.as_secs_f64());
        let user = sessions[0].user;
        assert_eq!(store.list(user).await.unwrap().len(), 1);
    }
}
