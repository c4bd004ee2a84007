use std::net::IpAddr;

use http::{Request, Version};

use super::super::Budget;
use super::*;

fn activity() -> (Arc<Activity>, Budget) {
    let budget = Budget::new(64 * 1024 * 1024, |_| false);
    let account = budget.open(IpAddr::from([192, 0, 2, 1]), 10).unwrap();
    (Arc::new(Activity::new(account, Ticks::default(), false)), budget)
}

fn request(version: Version) -> Request<()> {
    Request::builder().version(version).uri("/").body(()).unwrap()
}

fn pass(activity: &Activity, seconds: u32) {
    (0..seconds * 2).for_each(|_| activity.ticks.advance());
}

#[test]
fn keep_alive_outlasts_the_time_for_a_head() {
    let (activity, _budget) = activity();
    drop(Exchange::begin(&activity, &request(Version::HTTP_11)).unwrap());
    pass(&activity, 75);
    assert_eq!(activity.overdue(&Limits::default()), None);
    pass(&activity, 1);
    assert_eq!(activity.overdue(&Limits::default()), Some(Ended::Idle));
}

#[test]
fn a_head_that_has_begun_has_a_time_of_its_own() {
    let (activity, _budget) = activity();
    drop(Exchange::begin(&activity, &request(Version::HTTP_11)).unwrap());
    pass(&activity, 60);
    assert!(activity.read(1));
    pass(&activity, 10);
    assert_eq!(activity.overdue(&Limits::default()), None);
    assert!(activity.read(1), "one byte now and then changes nothing");
    pass(&activity, 1);
    assert_eq!(activity.overdue(&Limits::default()), Some(Ended::NoRequest));
}

#[test]
fn a_connection_of_http_2_may_be_silent_between_calls() {
    let (activity, _budget) = activity();
    drop(Exchange::begin(&activity, &request(Version::HTTP_2)).unwrap());
    pass(&activity, 500);
    assert_eq!(activity.overdue(&Limits::default()), None, "its age ends it");
}

#[test]
fn a_socket_that_takes_nothing_is_overdue() {
    let (activity, _budget) = activity();
    let _exchange = Exchange::begin(&activity, &request(Version::HTTP_2)).unwrap();
    activity.blocked.set(activity.ticks.now());
    pass(&activity, 20);
    assert_eq!(activity.overdue(&Limits::default()), None);
    pass(&activity, 1);
    assert_eq!(activity.overdue(&Limits::default()), Some(Ended::UnreadAnswer));
}

#[test]
fn a_usual_call_reserves_nothing_and_a_large_one_what_it_holds() {
    let (activity, budget) = activity();
    let idle = budget.used();
    let exchange = Exchange::begin(&activity, &request(Version::HTTP_2)).unwrap();
    assert_eq!(budget.used(), idle);
    assert!(activity.charge(100_000));
    let held = budget.used() - idle;
    assert!((100_000 - FREE..100_000 + 2 * STEP).contains(&held), "{held}");
    activity.discharge(100_000);
    activity.trim();
    assert_eq!(budget.used(), idle);
    drop(exchange);
    assert!(!activity.charge(super::super::MOST_HELD + 1), "no connection holds more");
}

#[test]
fn what_is_read_and_not_understood_is_charged_up_to_what_can_wait() {
    let (activity, budget) = activity();
    let idle = budget.used();
    for _ in 0..100 {
        assert!(activity.read(16 * 1024));
    }
    let held = budget.used() - idle;
    assert!((MOST_UNREAD - FREE - STEP..=MOST_UNREAD + STEP).contains(&held), "{held}");
    drop(Exchange::begin(&activity, &request(Version::HTTP_11)).unwrap());
    activity.trim();
    assert_eq!(budget.used(), idle);
}

#[test]
fn who_has_asked_nothing_or_does_not_read_gives_way_soon_and_a_channel_in_use_never() {
    let (activity, _budget) = activity();
    let patience = |activity: &Activity| activity.dispensable().map(|(patience, ..)| patience);
    assert_eq!(patience(&activity), Some(Patience::Fresh), "it has asked nothing");
    let exchange = Exchange::begin(&activity, &request(Version::HTTP_2)).unwrap();
    pass(&activity, 10);
    assert_eq!(patience(&activity), None, "it waits for us");
    exchange.unread_answer.set(activity.ticks.now());
    activity.progress();
    assert_eq!(patience(&activity), None, "it may be about to read");
    activity.blocked.set(activity.ticks.now());
    assert_eq!(patience(&activity), Some(Patience::Unread), "its socket takes no more");
    activity.blocked.clear();
    activity.ticks.advance();
    assert_eq!(patience(&activity), Some(Patience::Unread), "it does not read");
    activity.ticks.advance();
    assert_eq!(patience(&activity), Some(Patience::Over));
    drop(exchange);
    assert_eq!(patience(&activity), None, "its call has just ended");
    pass(&activity, 1);
    assert_eq!(patience(&activity), Some(Patience::Over), "nothing has happened for a while");
}

/// Whoever looks at a request may be the last to let go of it: its end is noted in the list that is looked through.
#[test]
fn a_request_may_end_while_the_sweeper_looks_at_it() {
    const ENOUGH: usize = 200_000;
    let (activity, _budget) = activity();
    let (done, ended) = std::sync::mpsc::channel();
    let looked_at = Arc::clone(&activity);
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    std::thread::spawn(move || {
        while !stopped.load(Ordering::Relaxed) {
            looked_at.overdue(&Limits::default());
            looked_at.dispensable();
        }
        done.send(()).unwrap();
    });
    let (served, over) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for _ in 0..ENOUGH {
            drop(Exchange::begin(&activity, &request(Version::HTTP_2)));
        }
        served.send(()).unwrap();
    });
    let patience = Duration::from_mins(1);
    over.recv_timeout(patience).expect("requests begin and end");
    stop.store(true, Ordering::Relaxed);
    ended.recv_timeout(patience).expect("and the sweeper gets through");
}
