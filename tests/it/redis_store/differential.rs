//! The script is held to the function: whatever is presented whenever, `rotate.lua` answers as `decide` does.

use std::sync::Arc;
use std::time::Duration;

use countersign::model::{
    Clock as _, Decision, Epoch, Generation, MacKeyId, ManualClock, Presented, RotationPolicy, Session,
    decide, new_user_id,
};
use countersign::store::{Honoured, Presentation, Rotation, SessionPolicy, SessionStore as _};
use proptest::prelude::*;

use super::{SERVER, open, options};
use crate::conformance::{POLICY, START, began, new_session, presentation};
use crate::support::redis::is_installed;

/// A presentation relative to the state that it will meet, so that the boundaries are met often.
#[derive(Debug, Clone)]
struct Step {
    pause: Pause,
    generation: Which,
    /// In ms, from when the line was last moved.
    issued_at: i64,
    strict: bool,
}

#[derive(Debug, Clone)]
enum Pause {
    Of(Duration),
    /// To so many ms after the line was last moved, which may be back in time.
    ToAge(i64),
}

#[derive(Debug, Clone)]
enum Which {
    Current(i64),
    Predecessor,
    Any(u32),
}

/// Grace and deadline with fractions of a ms, as a policy may have.
fn policies() -> impl Strategy<Value = (Duration, Duration)> {
    prop_oneof![
        4 => Just((Duration::from_secs(10), Duration::from_secs(2))),
        1 => Just((Duration::ZERO, Duration::from_secs(2))),
        1 => Just((Duration::from_micros(9_999_500), Duration::from_micros(1_500))),
        1 => (0..50_000_000_u64, 0..20_000_000_u64)
            .prop_map(|(grace, deadline)| (Duration::from_micros(grace), Duration::from_micros(deadline))),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let edges = vec![-5_i64, 0, 1, 9_999, 10_000, 10_001, 13_999, 14_000, 14_001, 60_000];
    let pause = prop_oneof![
        3 => proptest::sample::select(edges).prop_map(Pause::ToAge),
        1 => (0..30_000_u64).prop_map(|millis| Pause::Of(Duration::from_millis(millis))),
        1 => Just(Pause::Of(Duration::ZERO)),
    ];
    let generation = prop_oneof![
        4 => Just(Which::Current(0)),
        2 => (-3..4_i64).prop_map(Which::Current),
        4 => Just(Which::Predecessor),
        1 => prop_oneof![Just(u32::MAX), Just(u32::MAX - 1), Just(0), any::<u32>()].prop_map(Which::Any),
    ];
    let issued_at = prop_oneof![4 => Just(0_i64), 2 => -2..3_i64, 1 => -100_000..100_000_i64];
    (pause, generation, issued_at, any::<bool>()).prop_map(|(pause, generation, issued_at, strict)| Step {
        pause,
        generation,
        issued_at,
        strict,
    })
}

/// The contract of `rotate` in a few lines, over `decide`.
fn wanted(session: &Session, ask: &Presentation, clock: &ManualClock, policy: &SessionPolicy) -> Rotation {
    let now = clock.now();
    if session.idle_expires_at <= now {
        return Rotation::Idle;
    }
    let decision = decide(&session.line, ask.presented, now, &policy.rotation);
    let honoured = match decision {
        Decision::Rotate(_) => Honoured::Rotated,
        Decision::Unchanged => Honoured::Unchanged,
        Decision::Replay => Honoured::Replayed,
        Decision::Withdraw(_) => Honoured::Withdrawn,
        Decision::Adopt(_) => Honoured::Adopted,
        Decision::InProgress => return Rotation::InProgress,
        Decision::Reuse => return Rotation::Reused,
    };
    let mut session = session.clone();
    if let Some(line) = decision.next_line() {
        session.line = line;
        session.mac_key = ask.mac_key;
        session.idle_expires_at = session.idle_end_moved(&line, now, policy.idle);
    } else {
        session.idle_expires_at = session.idle_end_unmoved(now, policy.idle);
    }
    Rotation::Honoured(honoured, Box::new(session))
}

async fn compare(steps: Vec<Step>, (grace, deadline): (Duration, Duration)) -> [u32; 8] {
    let clock = Arc::new(ManualClock::new(START));
    let store = open(&options(&SERVER.url()), clock.clone());
    let user = new_user_id();
    // Neighbours in the same value, before and behind.
    let mut neighbours = vec![began(store.create(new_session(user, Epoch(0)), &POLICY).await.unwrap()).0];
    let mut session = began(store.create(new_session(user, Epoch(0)), &POLICY).await.unwrap()).0;
    neighbours.push(began(store.create(new_session(user, Epoch(0)), &POLICY).await.unwrap()).0);

    let mut seen = [0; 8];
    for (turn, step) in (0_u32..).zip(steps) {
        match step.pause {
            Pause::Of(pause) => clock.advance(pause),
            Pause::ToAge(age) => {
                clock.set_wall(countersign::model::UnixMillis(session.line.rotated_at.0 + age));
            }
        }
        let relative = |by: i64| {
            let number = (i64::from(session.line.current.0) + by).clamp(0, i64::from(u32::MAX));
            Generation(u32::try_from(number).unwrap())
        };
        let generation = match step.generation {
            Which::Current(by) => relative(by),
            Which::Predecessor => session.line.predecessor.unwrap_or(Generation(0)),
            Which::Any(number) => Generation(number),
        };
        let issued_at = countersign::model::UnixMillis(session.line.rotated_at.0 + step.issued_at);
        let rotation = RotationPolicy { grace, deadline, strict: step.strict };
        let policy = SessionPolicy { rotation, ..POLICY };
        let ask = Presentation {
            mac_key: MacKeyId::from_bytes(turn.to_be_bytes()),
            ..presentation(&session, Presented { generation, issued_at })
        };
        let wanted = wanted(&session, &ask, &clock, &policy);
        let answer = store.rotate(ask, &policy).await.unwrap();
        assert_eq!(answer, wanted, "{:?} at {:?}: {step:?}", session.line, clock.now());
        seen[kind(&answer)] += 1;
        if let Rotation::Honoured(_, moved) = answer {
            session = *moved;
        }
        for neighbour in &neighbours {
            let found = store.find(user, neighbour.id).await.unwrap();
            assert_eq!(found.as_ref(), Some(neighbour), "nobody else's line moves");
        }
    }
    seen
}

const fn kind(answer: &Rotation) -> usize {
    match answer {
        Rotation::Honoured(Honoured::Rotated, _) => 0,
        Rotation::Honoured(Honoured::Unchanged, _) => 1,
        Rotation::Honoured(Honoured::Replayed, _) => 2,
        Rotation::Honoured(Honoured::Withdrawn, _) => 3,
        Rotation::Honoured(Honoured::Adopted, _) => 4,
        Rotation::InProgress => 5,
        Rotation::Reused => 6,
        _ => 7,
    }
}

#[test]
fn the_script_answers_as_the_function_decides() {
    if !is_installed("the_script_answers_as_the_function_decides") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let seen = std::cell::RefCell::new([0; 8]);
    let config = ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() };
    let inputs = (proptest::collection::vec(step(), 60), policies());
    proptest::test_runner::TestRunner::new(config)
        .run(&inputs, |(steps, policy)| {
            let counts = runtime.block_on(compare(steps, policy));
            for (sum, count) in seen.borrow_mut().iter_mut().zip(counts) {
                *sum += count;
            }
            Ok(())
        })
        .unwrap();
    let seen = seen.into_inner();
    println!("rotated, unchanged, replayed, withdrawn, adopted, in progress, reused, else: {seen:?}");
    assert!(seen[..7].iter().all(|count| *count > 20), "every row was met: {seen:?}");
}
