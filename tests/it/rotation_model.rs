//! The rotation rules, explored exhaustively: every state that a session, its owner's tabs, a thief and a store
//! that loses writes can get into is visited, over the very function that production decides with.
//!
//! `docs/rotation.md` says what the states are and holds every figure and every story that these tests print;
//! a test fails when a figure there is not the one that it found.

mod explore;
mod rules;
mod story;
mod world;

use std::cell::RefCell;
use std::collections::{HashSet, VecDeque};

use countersign::model::Decision;

use explore::{Count, Event, Explored, Loss, Model, Thief};
use rules::Rules;
use world::{Party, Stored, Token, World};

const DOCS: &str = include_str!("../../docs/rotation.md");

/// Windows W and D with D as long as W at the most; the last pair is the default in seconds.
const WINDOWS: [(u8, u8); 9] = [(1, 1), (2, 1), (3, 1), (5, 1), (2, 2), (3, 2), (5, 2), (3, 3), (10, 2)];

/// Three tabs and nobody else, each request decided as it is sent.
const fn tabs(rules: Rules, (grace, deadline): (u8, u8)) -> Model {
    Model {
        grace,
        deadline,
        rules,
        in_flight: 3,
        requests_wait: false,
        stores_unchanged: false,
        thief: None,
        count: Count::Apart,
        loss: None,
        most_lost: 0,
    }
}

fn logged_out(event: &Event) -> bool {
    matches!(event, Event::Decide(Party::Owner, _, Decision::Reuse, _))
}

/// A row of the tables in the documentation.
fn row(model: &Model, explored: &Explored) -> String {
    let jar = if model.stores_unchanged { "every answer" } else { "new tokens" };
    let Model { rules: Rules { name, .. }, grace, deadline, in_flight, .. } = model;
    let sent = if model.requests_wait { "late" } else { "as sent" };
    let extra = match (model.thief, model.loss) {
        (None, None) => "",
        (Some(Thief::Simple), None) => ", a thief",
        (Some(Thief::Hoarding), None) => ", a hoarding thief",
        (None, Some(Loss::Quiet)) => ", a quiet loss",
        (None, Some(Loss::Sudden)) => ", a sudden loss",
        (Some(Thief::Simple), Some(_)) => ", a thief, a quiet loss",
        (Some(Thief::Hoarding), Some(_)) => ", a hoarding thief, a quiet loss",
    };
    let outcome = match (&explored.found, model.thief) {
        (Some(_), None) => "**false logout**".to_owned(),
        (Some(_), Some(_)) => "**no end**".to_owned(),
        (None, None) => "no false logout".to_owned(),
        (None, Some(_)) => format!("at most {} changes", explored.changes),
    };
    let Explored { states, transitions, .. } = explored;
    format!(
        "| {name}{extra} | {jar} | {grace}, {deadline} | {in_flight}, {sent} | {states} | {transitions} | {outcome} |"
    )
}

/// Fails with every line that the documentation lacks.
fn assert_documented(lines: impl IntoIterator<Item = String>) {
    let missing: Vec<String> = lines.into_iter().filter(|line| !DOCS.contains(line.trim_end())).collect();
    assert!(missing.is_empty(), "docs/rotation.md lacks\n{}", missing.join("\n"));
}

/// Explores to the end and expects that the owner was never told of a reuse.
fn nobody_is_logged_out(model: &Model) -> String {
    let explored = model.explore(|event, _| logged_out(event));
    if let Some(steps) = &explored.found {
        assert_eq!(story::tell(steps), "", "{}: an honest client is logged out", row(model, &explored));
    }
    row(model, &explored)
}

/// Explores until the owner is told of a reuse, and returns the row and the shortest story.
fn somebody_is_logged_out(model: &Model) -> [String; 2] {
    let explored = model.explore(|event, _| logged_out(event));
    let story = story::tell(explored.found.as_ref().unwrap_or(&Vec::new()));
    assert!(story.contains("REUSE"), "{}: no false logout was found", row(model, &explored));
    [row(model, &explored), story]
}

/// The same tabs, each of whose requests may wait before it is decided.
const fn late(rules: Rules, windows: (u8, u8)) -> Model {
    Model { requests_wait: true, ..tabs(rules, windows) }
}

fn nobody_is_logged_out_of(tabs: impl Fn((u8, u8)) -> Model, windows: &[(u8, u8)]) -> Vec<String> {
    let browsers = windows.iter().map(|&windows| tabs(windows));
    browsers
        .flat_map(|browser| [browser, Model { stores_unchanged: true, ..browser }])
        .map(|model| nobody_is_logged_out(&model))
        .collect()
}

#[test]
fn no_honest_client_is_ever_logged_out() {
    assert_documented(nobody_is_logged_out_of(|windows| tabs(rules::PRODUCTION, windows), &WINDOWS));
}

#[test]
fn no_honest_client_is_ever_logged_out_however_late_its_requests_are_decided() {
    assert_documented(nobody_is_logged_out_of(|windows| late(rules::PRODUCTION, windows), &WINDOWS));
}

#[test]
fn taking_out_a_rule_logs_somebody_out() {
    let models = [rules::WITHOUT_UNCHANGED, rules::WITHOUT_QUIET_ZONE, rules::STRICT]
        .map(|rules| tabs(rules, (5, 2)))
        .into_iter()
        .chain([tabs(rules::PRODUCTION, (0, 1))]);
    assert_documented(models.flat_map(|model| somebody_is_logged_out(&model)));
}

/// Narrower windows are enough while D is less than W and only answers are late. A request that waits at the
/// server, presented before its client had the successor, and decided after the narrow window closed, would be
/// taken for reuse.
#[test]
fn narrow_windows_log_somebody_out_when_a_request_waits_or_the_deadline_is_as_long_as_the_grace() {
    let narrow = |windows| late(rules::NARROW, windows);
    let models = [narrow((5, 2)), narrow((4, 2)), tabs(rules::NARROW, (2, 2))];
    let enough = nobody_is_logged_out(&tabs(rules::NARROW, (5, 2)));
    assert_documented(models.iter().flat_map(somebody_is_logged_out).chain([enough]));
}

/// With a deadline as long as the grace window the rules hold; with one three times as long they do not.
#[test]
fn a_deadline_much_longer_than_the_grace_window_logs_somebody_out() {
    let model = Model { stores_unchanged: true, ..late(rules::PRODUCTION, (1, 3)) };
    assert_documented(somebody_is_logged_out(&model));
}

#[test]
fn either_window_one_unit_shorter_logs_somebody_out() {
    let models = [rules::UNCHANGED_ONE_LESS, rules::QUIET_ZONE_ONE_LESS].map(|rules| late(rules, (5, 2)));
    assert_documented(models.iter().flat_map(somebody_is_logged_out));
}

/// Explores to the end and expects exactly `most` changes of hands.
fn hands_change_at_most(most: u8, model: &Model) -> String {
    let explored = model.explore(|_, _| false);
    assert_eq!(explored.changes, most, "{}", row(model, &explored));
    assert!(explored.reuse_seen, "nobody was ever caught");
    row(model, &explored)
}

#[test]
fn a_thief_and_an_owner_change_hands_at_most_twice() {
    let waiting = Model { in_flight: 2, ..late(rules::PRODUCTION, (3, 1)) };
    let models = [tabs(rules::PRODUCTION, (3, 1)), tabs(rules::PRODUCTION, (5, 2)), waiting];
    assert_documented(
        models.map(|model| hands_change_at_most(2, &Model { thief: Some(Thief::Simple), ..model })),
    );
}

#[test]
fn a_thief_who_keeps_every_token_gains_one_change_of_hands() {
    let models = [(3, 1), (5, 2)].map(|windows| tabs(rules::PRODUCTION, windows));
    assert_documented(
        models.map(|model| hands_change_at_most(3, &Model { thief: Some(Thief::Hoarding), ..model })),
    );
}

#[test]
fn without_withdrawal_a_thief_and_an_owner_share_a_session_for_ever() {
    let model = Model { thief: Some(Thief::Simple), ..tabs(rules::WITHOUT_WITHDRAWAL, (3, 1)) };
    let explored = model.explore(|_, world| world.hands.changes == 7);
    assert_documented([row(&model, &explored), story::tell(explored.found.as_ref().unwrap())]);
}

/// The price of the grace window, said aloud: whoever is always within it of the owner is not told from a tab.
#[test]
fn a_thief_who_is_always_within_the_window_is_not_seen() {
    let shadow = Model { thief: Some(Thief::Simple), count: Count::Every, ..tabs(rules::PRODUCTION, (3, 1)) };
    assert!(shadow.explore(|_, world| world.hands.changes == 7).found.is_some());
}

#[test]
fn lost_writes_log_nobody_out_when_the_store_was_away_for_longer_than_the_deadline() {
    let losing = |in_flight, windows| Model {
        loss: Some(Loss::Quiet),
        most_lost: 3,
        in_flight,
        ..tabs(rules::PRODUCTION, windows)
    };
    let alone = Model { loss: Some(Loss::Sudden), ..losing(1, (3, 1)) };
    let models = [losing(3, (3, 1)), losing(3, (5, 2)), alone];
    assert_documented(models.iter().map(nobody_is_logged_out));
}

#[test]
fn lost_writes_log_somebody_out_without_following_or_between_two_requests_under_way() {
    let losing =
        Model { loss: Some(Loss::Quiet), most_lost: 3, in_flight: 1, ..tabs(rules::PRODUCTION, (3, 1)) };
    let models = [
        Model { rules: rules::WITHOUT_ADOPTION, ..losing },
        Model { loss: Some(Loss::Sudden), in_flight: 2, ..losing },
    ];
    assert_documented(models.iter().flat_map(somebody_is_logged_out));
}

#[test]
fn after_lost_writes_too_a_conflicting_token_ends_the_session() {
    let model = Model {
        thief: Some(Thief::Simple),
        loss: Some(Loss::Quiet),
        most_lost: 3,
        in_flight: 2,
        ..tabs(rules::PRODUCTION, (2, 1))
    };
    assert_documented([hands_change_at_most(3, &model)]);
}

/// Whether two tokens of one history could both go on from a line: more than one is current, or one can move
/// the line after another has.
fn forks(model: &Model, stored: Stored) -> bool {
    let minted = || {
        (0..=stored.current).map(|generation| {
            let age = if generation == stored.current { stored.age } else { stored.age.saturating_add(1) };
            Token { generation, age }
        })
    };
    let is_current =
        |token: &Token| matches!(model.decide(stored, *token), Decision::Rotate(_) | Decision::Unchanged);
    let moved = |token: Token| model.decide(stored, token).next_line().map(Stored::from_line);
    let stands_still = |next: Stored| next.current <= stored.current;
    minted().filter(is_current).count() != 1
        || minted().any(|first| {
            let Some(next) = moved(first) else { return false };
            let second = minted().filter(|&second| second != first && moved(second).is_some());
            stands_still(next)
                || second.into_iter().any(|second| {
                    (0..=model.settled()).any(|age| {
                        let later = Token { age: second.age.saturating_add(age), ..second };
                        model.decide(Stored { age, ..next }, later) != Decision::Reuse
                    })
                })
        })
}

#[test]
fn a_session_is_one_line_and_never_a_fork() {
    let first_fork = |model: Model| {
        let looked_at = RefCell::new(HashSet::new());
        let is_new = |stored| looked_at.borrow_mut().insert(stored);
        let explored = model.explore(|_, world| is_new(world.stored) && forks(&model, world.stored));
        explored.found.map(|steps| story::tell(&steps))
    };
    let thief = Model { thief: Some(Thief::Hoarding), ..tabs(rules::PRODUCTION, (5, 2)) };
    let waiting = late(rules::PRODUCTION, (5, 2));
    for model in [thief, waiting, Model { rules: rules::STRICT, ..thief }, tabs(rules::PRODUCTION, (0, 1))] {
        assert_eq!(first_fork(model), None);
    }
    let in_place = Model { rules: rules::SAME_GENERATION, ..thief };
    assert!(first_fork(in_place).is_some(), "a withdrawal that keeps the generation was not seen");
}

/// What makes a fixpoint over canonical states speak for all histories: from each of them the same can happen as
/// from a state with true generations and times that it stands for.
#[test]
fn a_canonical_state_behaves_as_the_states_that_it_stands_for() {
    let losing =
        Model { loss: Some(Loss::Sudden), most_lost: 2, in_flight: 2, ..tabs(rules::PRODUCTION, (2, 1)) };
    let simple = Model { thief: Some(Thief::Simple), ..losing };
    let hoarding = Model { thief: Some(Thief::Hoarding), loss: None, requests_wait: true, ..losing };
    for model in [simple, hoarding, Model { thief: None, requests_wait: true, ..losing }] {
        let possible = |world| {
            let mut next = Vec::new();
            model.next(&world, &mut next);
            let same = |(event, world): &(Event, World)| {
                (
                    matches!(event, Event::Decide(_, _, Decision::Reuse, _)),
                    world.canonical(model.settled()).packed(),
                )
            };
            let mut possible: Vec<_> = next.iter().map(same).collect();
            possible.sort_unstable();
            (possible, next)
        };
        let mut seen = HashSet::new();
        let mut waiting = VecDeque::from([model.begin()]);
        while let Some(world) = waiting.pop_front() {
            let canonical = world.canonical(model.settled());
            if seen.insert(canonical.packed()) {
                let (from_true, next) = possible(world);
                assert_eq!(from_true, possible(canonical).0, "{world:?} is not {canonical:?}");
                let alive =
                    |(event, _): &(Event, World)| !matches!(event, Event::Decide(_, _, Decision::Reuse, _));
                waiting.extend(next.into_iter().filter(alive).map(|(_, world)| world));
            }
        }
    }
}
