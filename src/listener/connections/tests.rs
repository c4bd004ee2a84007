use std::time::Duration;

use super::super::exchange::Exchange;
use super::*;

const LIMITS: Limits = Limits {
    connections: 2,
    connections_per_peer: 2,
    streams: 128,
    request_head: Duration::from_secs(10),
    message: Duration::from_secs(10),
    stream_idle: Duration::from_mins(5),
    unread_answer: Duration::from_secs(20),
    keep_alive: Duration::from_secs(75),
    connection_age: None,
    leaving: Duration::from_mins(12),
    always_answered: &[],
};

fn budget() -> Budget {
    Budget::new(1024 * 1024, |_| false)
}

fn admit(connections: &Arc<Connections>, budget: &Budget, peer: [u8; 4]) -> Option<Slot> {
    let admitted = connections.admit("test", &LIMITS, budget, IpAddr::from(peer));
    if admitted.is_none() {
        connections.refuse("test", &LIMITS, IpAddr::from(peer));
    }
    admitted
}

/// A call on this connection that waits for its answer.
fn call(slot: &Slot) -> Arc<Exchange> {
    Exchange::begin(slot.activity(), &http::Request::new(())).unwrap()
}

#[test]
fn one_more_than_the_limit_is_refused_while_all_get_on() {
    let (connections, budget) = (Arc::new(Connections::default()), budget());
    let first = admit(&connections, &budget, [192, 0, 2, 1]).unwrap();
    let second = admit(&connections, &budget, [192, 0, 2, 2]).unwrap();
    let calls = [call(&first), call(&second)];
    assert!(admit(&connections, &budget, [192, 0, 2, 3]).is_none());
    assert_eq!((connections.open(), connections.refused()), (2, 1));
    drop((calls, first));
    let third = admit(&connections, &budget, [192, 0, 2, 3]).unwrap();
    assert_eq!((connections.open(), connections.refused()), (2, 1));
    drop((second, third));
    assert_eq!((connections.open(), budget.used()), (0, 0));
}

#[test]
fn one_that_does_nothing_gives_way_to_a_new_one() {
    let (connections, budget) = (Arc::new(Connections::default()), budget());
    let _still = admit(&connections, &budget, [192, 0, 2, 1]).unwrap();
    let busy = admit(&connections, &budget, [192, 0, 2, 2]).unwrap();
    for _ in 0..3 {
        connections.sweep("test", &LIMITS, &budget);
    }
    let _call = call(&busy);
    let new = admit(&connections, &budget, [192, 0, 2, 3]).expect("the still one gives way");
    assert_eq!((connections.ended(Ended::GaveWay), connections.refused()), (1, 0));
    assert!(!busy.activity().is_closing());
    let _another = call(&new);
    assert!(admit(&connections, &budget, [192, 0, 2, 4]).is_none(), "a place is given up once");
}

#[test]
fn who_has_most_connections_gives_way_first() {
    let limits = Limits { connections: 3, ..LIMITS };
    let (connections, budget) = (Arc::new(Connections::default()), budget());
    let admit = |peer| connections.admit("test", &limits, &budget, IpAddr::from(peer));
    let lonely = admit([192, 0, 2, 1]).unwrap();
    connections.sweep("test", &limits, &budget);
    let _many = [admit([192, 0, 2, 2]).unwrap(), admit([192, 0, 2, 2]).unwrap()];
    for _ in 0..3 {
        connections.sweep("test", &limits, &budget);
    }
    let _new = admit([192, 0, 2, 3]).unwrap();
    assert!(!lonely.activity().is_closing(), "although it has been still for longest");
}

#[test]
fn whoever_sends_no_request_is_ended_in_time() {
    let (connections, budget) = (Arc::new(Connections::default()), budget());
    let _silent = admit(&connections, &budget, [192, 0, 2, 1]).unwrap();
    for _ in 0..20 {
        connections.sweep("test", &LIMITS, &budget);
    }
    assert_eq!(connections.ended(Ended::NoRequest), 0);
    connections.sweep("test", &LIMITS, &budget);
    assert_eq!(connections.ended(Ended::NoRequest), 1);
}

#[test]
fn when_memory_is_short_the_largest_goes_first() {
    let (connections, budget) = (Arc::new(Connections::default()), Budget::new(1024 * 1024, |_| true));
    let admit =
        |peer| connections.admit("test", &Limits { connections: 9, ..LIMITS }, &budget, IpAddr::from(peer));
    let (small, large) = (admit([192, 0, 2, 1]).unwrap(), admit([192, 0, 2, 2]).unwrap());
    assert!(small.activity().charge(2 * 1024));
    assert!(large.activity().charge(700 * 1024));
    connections.sweep("test", &LIMITS, &budget);
    assert_eq!(connections.ended(Ended::NoRoom), 0, "there is room");
    let third = admit([192, 0, 2, 3]).unwrap();
    assert!(third.activity().charge(40 * 1024), "within its peer's share");
    assert!(large.activity().charge(16 * 1024));
    let fourth = admit([192, 0, 2, 4]).unwrap();
    fourth.activity().charge(120 * 1024);
    connections.sweep("test", &LIMITS, &budget);
    assert!(large.activity().is_closing());
    assert!(!small.activity().is_closing() && !third.activity().is_closing());
    for slot in [small, large, third, fourth] {
        drop(slot);
    }
    assert_eq!(budget.used(), 0, "all of it comes back");
}
