//! How long a page of the audit log takes when there are a million events.

#![allow(clippy::disallowed_methods, reason = "what is measured is real time")]
#![allow(clippy::cast_precision_loss, clippy::cast_possible_wrap, reason = "a million fits")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use countersign::model::{Event, EventFilter, EventKind, NewEvent, Origin, SessionId, UnixMillis, UserId};
use countersign::secret;
use countersign::store::sql::NetworkOptions;
use countersign::store::{AuditStore as _, EventBatch, EventsAfter, UserStore};
use sqlx::Row as _;

use crate::support::database::Server as _;
use crate::support::postgres::Postgres;

const EVENTS: usize = 1_000_000;
const AT_ONCE: usize = 5_000;
const USERS: usize = 10_000;
const ROUNDS: usize = 20;
/// The goal for each page, in a build that is optimized.
const GOAL: Duration = Duration::from_millis(20);

fn user(n: usize) -> UserId {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&(n as u64).to_be_bytes());
    UserId::from_bytes(id)
}

/// Mostly logins; of a thousand events one is the end of a session, of a hundred thousand one the end of a user.
fn event(n: usize) -> NewEvent {
    let about = user(n * 7919 % USERS);
    let kind = match n {
        _ if n % 100_000 == 99_999 => EventKind::UserDeleted,
        _ if n % 1_000 == 999 => EventKind::SessionRevoked,
        _ if n.is_multiple_of(10) => EventKind::LoginFailed,
        _ => EventKind::LoginSucceeded,
    };
    let origin = Origin {
        peer: Some([192, 0, 2, n.to_le_bytes()[0]].into()),
        request_id: format!("{n:016x}"),
        ..Origin::default()
    };
    let by_operator = matches!(kind, EventKind::UserDeleted | EventKind::SessionRevoked);
    let actor = if by_operator { "operator:ada".to_owned() } else { format!("user:{about}") };
    let mut event =
        NewEvent::new(kind, actor, &origin).about(about).session(SessionId::from_bytes(secret::random()));
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
        .clone_into(&mut event.facts.client_user_agent);
    event
}

/// Prints the figures. Needs some minutes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: cargo test --test it -- audit_pages --ignored --nocapture"]
async fn pages_of_a_million_events() {
    let Some(server) = Postgres::shared("pages_of_a_million_events") else { return };
    let database = server.create_database().await;
    let deadline = Duration::from_mins(1);
    let store =
        Postgres::open(&NetworkOptions { deadline, ..NetworkOptions::new(server.url(&database).into()) });
    store.migrate().await.unwrap();
    let (begun, before) = (Instant::now(), processor_time());
    let mut middle = None;
    for batch in 0..EVENTS / AT_ONCE {
        let events = (batch * AT_ONCE..(batch + 1) * AT_ONCE).map(event).collect();
        let end = store.write(EventBatch::new(events)).await.unwrap();
        if end.seq == EVENTS as u64 / 2 {
            middle = Some(end);
        }
    }
    let spent = processor_time().saturating_sub(before).as_secs_f64() * 1e6 / EVENTS as f64;
    println!("{spent:.1} µs of this process's processor time for each event, in this build");
    println!("{EVENTS} events written in {:.1} s, {AT_ONCE} at once", begun.elapsed().as_secs_f64());
    let mut connection = server.connect(&database).await;
    sqlx::raw_sql("ANALYZE audit_events").execute(&mut connection).await.unwrap();
    let size = sqlx::query("SELECT pg_total_relation_size('audit_events')")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    println!("{} bytes for each event, indices and all", size.get::<i64, _>(0) / EVENTS as i64);

    let EventsAfter::Events(some, _) = store.after(middle, 1).await.unwrap() else { panic!("it is there") };
    let some: &Event = &some[0];
    let all = EventFilter::default;
    let filters = [
        ("everything", all()),
        ("one user", EventFilter { user: Some(user(17)), ..all() }),
        ("one session", EventFilter { session: some.session, ..all() }),
        ("one actor", EventFilter { actor: Some("operator:ada".to_owned()), ..all() }),
        ("a frequent type", EventFilter { kinds: vec![EventKind::LoginSucceeded], ..all() }),
        ("a rare type", EventFilter { kinds: vec![EventKind::UserDeleted], ..all() }),
        ("a type that there is not", EventFilter { kinds: vec![EventKind::KeyWithdrawn], ..all() }),
        (
            "two rare types",
            EventFilter { kinds: vec![EventKind::UserDeleted, EventKind::KeyWithdrawn], ..all() },
        ),
        (
            "one user, a rare type",
            EventFilter { user: Some(user(17)), kinds: vec![EventKind::UserDeleted], ..all() },
        ),
        ("a user that there is not", EventFilter { user: Some(user(USERS + 1)), ..all() }),
        ("before a time in the middle", EventFilter { until: Some(some.at), ..all() }),
        ("since a time in the middle", EventFilter { since: Some(some.at), ..all() }),
        ("since a time to come", EventFilter { since: Some(UnixMillis(i64::MAX / 2)), ..all() }),
    ];
    println!("{:<30} {:>7} {:>9} {:>9}", "page of 1000", "events", "p50 ms", "max ms");
    let mut slow = Vec::new();
    for (name, filter) in filters {
        let (mut took, mut found, mut before) = (Vec::new(), 0, None);
        for _ in 0..ROUNDS {
            let begun = Instant::now();
            let page = store.page(filter.clone(), before, 1000).await.unwrap();
            took.push(begun.elapsed());
            found = found.max(page.events.len());
            before = page.next;
        }
        note(name, found, took, &mut slow);
    }
    let (mut took, mut found) = (Vec::new(), 0);
    let mut position = None;
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let EventsAfter::Events(events, next) = store.after(position, 1000).await.unwrap() else {
            panic!("nothing is purged")
        };
        took.push(begun.elapsed());
        (position, found) = (Some(next), events.len());
    }
    note("followed from the oldest on", found, took, &mut slow);
    let begun = Instant::now();
    assert_eq!(store.purge(UnixMillis(i64::MAX / 2), 500).await.unwrap(), 500);
    println!("500 purged in {:.1} ms", begun.elapsed().as_secs_f64() * 1e3);
    println!("over {GOAL:?}: {slow:?}");
    assert!(cfg!(debug_assertions) || slow.is_empty());
}

/// What changes wait for batches of logins, which take the head of the log, too. Prints it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: cargo test --test it -- audit_pages --ignored --nocapture"]
async fn changes_beside_batches_of_logins() {
    const CHANGES: usize = 400;
    let Some(server) = Postgres::shared("changes_beside_batches_of_logins") else { return };
    let database = server.create_database().await;
    let store = Arc::new(Postgres::open(&NetworkOptions::new(server.url(&database).into())));
    store.migrate().await.unwrap();
    let ada = UserStore::create(store.as_ref(), crate::conformance::new_user("ada")).await.unwrap();
    for (name, pause) in [
        ("no batches", None),
        ("256 every 100 ms", Some(Duration::from_millis(100))),
        ("256 without a pause", Some(Duration::ZERO)),
        ("no batches, again", None),
    ] {
        let writer = pause.map(|pause| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                loop {
                    store.write(EventBatch::new((0..256).map(event).collect())).await.unwrap();
                    tokio::time::sleep(pause).await;
                }
            })
        });
        let mut took = Vec::new();
        for _ in 0..CHANGES {
            let begun = Instant::now();
            store.revoke_all(ada.id, crate::conformance::OPERATOR).await.unwrap().unwrap();
            took.push(begun.elapsed());
        }
        if let Some(writer) = writer {
            writer.abort();
        }
        took.sort_unstable();
        let [p50, p99] = [took[CHANGES / 2], took[CHANGES * 99 / 100]].map(|time| time.as_secs_f64() * 1e3);
        println!("a change beside {name:<22} p50 {p50:.2} ms, p99 {p99:.2} ms");
    }
}

/// What this process has taken of the processor.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    // After the name, which may have blanks in it: user and system time are the 12th and 13th, in hundredths.
    let fields: Vec<_> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    let ticks = |place: usize| fields[place].parse::<u64>().unwrap();
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
}

fn note(name: &'static str, found: usize, mut took: Vec<Duration>, slow: &mut Vec<&'static str>) {
    took.sort_unstable();
    let [p50, max] = [took[took.len() / 2], took[took.len() - 1]].map(|time| time.as_secs_f64() * 1e3);
    println!("{name:<30} {found:>7} {p50:>9.2} {max:>9.2}");
    // Others may be at work on this machine: what most pages take is what counts.
    if took[took.len() / 2] > GOAL {
        slow.push(name);
    }
}
