//! The rotation table, row by row at its boundaries, as a store answers it.

use std::time::Duration;

use countersign::model::{Epoch, Generation, MacKeyId, Presented, RotationPolicy, Session, new_user_id};
use countersign::store::{Honoured, Presentation, Rotation, SessionPolicy};

use super::{
    DEADLINE, GRACE, HOUR, IDLE, MS, POLICY, SETTLED, START, World, just_before, presentation, session_id,
};

/// An answer without the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Honoured(Honoured),
    InProgress,
    Reused,
    Idle,
    Superseded,
    Unknown,
}

use Answer::{InProgress, Reused};

const ROTATED: Answer = Answer::Honoured(Honoured::Rotated);
const UNCHANGED: Answer = Answer::Honoured(Honoured::Unchanged);
const REPLAYED: Answer = Answer::Honoured(Honoured::Replayed);
const WITHDRAWN: Answer = Answer::Honoured(Honoured::Withdrawn);
const ADOPTED: Answer = Answer::Honoured(Honoured::Adopted);

fn answer(rotation: &Rotation) -> Answer {
    match rotation {
        Rotation::Honoured(honoured, _) => Answer::Honoured(*honoured),
        Rotation::InProgress => InProgress,
        Rotation::Reused => Reused,
        Rotation::Idle => Answer::Idle,
        Rotation::Superseded => Answer::Superseded,
        Rotation::Unknown => Answer::Unknown,
    }
}

const fn rotating(grace: Duration, deadline: Duration, strict: bool) -> SessionPolicy {
    SessionPolicy { rotation: RotationPolicy { grace, deadline, strict }, ..POLICY }
}

/// Which token of a session that was refreshed once, an hour after its login.
#[derive(Debug, Clone, Copy)]
enum Token {
    Current,
    Predecessor,
}

/// A session that was refreshed once, and so long ago.
async fn refreshed(world: &World, ago: Duration) -> (Session, Session) {
    let login = world.login(new_user_id(), Epoch(0)).await;
    world.clock.advance(HOUR);
    let session = world.refresh(&login).await;
    world.clock.advance(ago);
    (login, session)
}

async fn holds(world: &World, policy: &SessionPolicy, table: &[(Token, Duration, Answer)]) {
    for &(token, ago, wanted) in table {
        let (login, session) = refreshed(world, ago).await;
        let presented = match token {
            Token::Current => session.current(),
            Token::Predecessor => login.current(),
        };
        let given = world.sessions.rotate(presentation(&session, presented), policy).await.unwrap();
        assert_eq!(answer(&given), wanted, "{token:?} after {ago:?}");
        if let Rotation::Honoured(honoured @ (Honoured::Unchanged | Honoured::Replayed), same) = given {
            assert_eq!(*same, session, "{honoured:?} is the identical successor");
        }
    }
}

pub(crate) async fn every_row_of_the_table_holds_at_its_boundaries(world: World) {
    let login = world.login(new_user_id(), Epoch(0)).await;
    let second = world.refresh(&login).await;
    assert_eq!(second.line.current, Generation(1), "nobody waits for a login's token: it rotates at once");
    assert_eq!(second.line.predecessor, Some(Generation(0)));

    let table = [
        (Token::Current, Duration::ZERO, UNCHANGED),
        (Token::Current, GRACE, UNCHANGED),
        (Token::Current, GRACE + DEADLINE + MS, UNCHANGED),
        (Token::Current, just_before(SETTLED), UNCHANGED),
        (Token::Current, SETTLED, UNCHANGED),
        (Token::Current, SETTLED + MS, ROTATED),
        (Token::Current, just_before(IDLE), ROTATED),
        (Token::Predecessor, Duration::ZERO, REPLAYED),
        (Token::Predecessor, just_before(GRACE), REPLAYED),
        (Token::Predecessor, GRACE, REPLAYED),
        (Token::Predecessor, GRACE + MS, InProgress),
        (Token::Predecessor, GRACE + DEADLINE + MS, InProgress),
        (Token::Predecessor, just_before(SETTLED), InProgress),
        (Token::Predecessor, SETTLED, InProgress),
        (Token::Predecessor, SETTLED + MS, WITHDRAWN),
        (Token::Predecessor, just_before(IDLE), WITHDRAWN),
    ];
    holds(&world, &POLICY, &table).await;
}

pub(crate) async fn without_grace_there_is_none(world: World) {
    for (strict, late) in [(false, WITHDRAWN), (true, Reused)] {
        let table = [
            (Token::Current, Duration::ZERO, ROTATED),
            (Token::Current, MS, ROTATED),
            (Token::Predecessor, Duration::ZERO, late),
            (Token::Predecessor, MS, late),
            (Token::Predecessor, DEADLINE, late),
        ];
        holds(&world, &rotating(Duration::ZERO, DEADLINE, strict), &table).await;
    }
}

pub(crate) async fn strictness_takes_a_late_predecessor_for_theft(world: World) {
    let table = [
        (Token::Current, SETTLED, UNCHANGED),
        (Token::Current, SETTLED + MS, ROTATED),
        (Token::Predecessor, GRACE, REPLAYED),
        (Token::Predecessor, GRACE + MS, InProgress),
        (Token::Predecessor, SETTLED, InProgress),
        (Token::Predecessor, SETTLED + MS, Reused),
        (Token::Predecessor, just_before(IDLE), Reused),
    ];
    holds(&world, &rotating(GRACE, DEADLINE, true), &table).await;
}

pub(crate) async fn a_line_that_moves_takes_the_new_key_and_lives_on(world: World) {
    let another_key = MacKeyId::from_bytes([0xFF, 0, 0x0A, 0x27]);
    for honoured in [Honoured::Rotated, Honoured::Withdrawn, Honoured::Adopted] {
        let (login, before) = refreshed(&world, SETTLED + MS).await;
        let now = before.line.rotated_at + SETTLED + MS;
        let (presented, current, predecessor) = match honoured {
            Honoured::Withdrawn => (login.current(), 2, 0),
            Honoured::Adopted => (Presented { generation: Generation(5), issued_at: now - MS }, 6, 5),
            _ => (before.current(), 2, 1),
        };
        let ask = Presentation { mac_key: another_key, ..presentation(&before, presented) };
        let given = world.sessions.rotate(ask, &POLICY).await.unwrap();
        let wanted = Session {
            line: countersign::model::Line {
                current: Generation(current),
                predecessor: Some(Generation(predecessor)),
                rotated_at: now,
            },
            mac_key: another_key,
            idle_expires_at: now + IDLE,
            ..before
        };
        assert_eq!(given, Rotation::Honoured(honoured, Box::new(wanted.clone())));
        assert_eq!(world.sessions.find(wanted.user, wanted.id).await.unwrap(), Some(wanted));
    }
}

pub(crate) async fn an_answer_without_a_move_changes_nothing(world: World) {
    let another_key = MacKeyId::from_bytes([9; 4]);
    let old = |login: &Session| Presented { generation: Generation(0), issued_at: login.created_at - MS };
    for (ago, wanted) in [(SETTLED, UNCHANGED), (GRACE, REPLAYED), (SETTLED, InProgress), (SETTLED, Reused)] {
        let (login, before) = refreshed(&world, ago).await;
        let presented = match wanted {
            UNCHANGED => before.current(),
            Reused => Presented { generation: Generation(2), ..old(&login) },
            _ => login.current(),
        };
        let ask = Presentation { mac_key: another_key, ..presentation(&before, presented) };
        let given = world.sessions.rotate(ask, &POLICY).await.unwrap();
        assert_eq!(answer(&given), wanted);
        if let Rotation::Honoured(_, session) = given {
            assert_eq!(*session, before, "{wanted:?}");
        }
        let found = world.sessions.find(before.user, before.id).await.unwrap();
        assert_eq!(found, Some(before), "{wanted:?}: neither the line, nor the key, nor the idle life");
    }
}

pub(crate) async fn an_old_generation_is_reuse_at_any_time(world: World) {
    for ago in [Duration::ZERO, GRACE, GRACE + MS, SETTLED, SETTLED + MS, just_before(IDLE)] {
        let (login, second) = refreshed(&world, SETTLED + MS).await;
        let third = world.refresh(&second).await;
        world.clock.advance(ago);
        for _ in 0..2 {
            assert_eq!(world.present(&third, login.current()).await, Rotation::Reused, "after {ago:?}");
        }
        let found = world.sessions.find(third.user, third.id).await.unwrap();
        assert_eq!(found, Some(third), "whoever asked must revoke: the store does not");
    }
}

pub(crate) async fn a_withdrawn_token_is_reuse(world: World) {
    let (login, withdrawn) = refreshed(&world, SETTLED + MS).await;
    let Rotation::Honoured(Honoured::Withdrawn, next) = world.present(&login, login.current()).await else {
        panic!("the successor that nobody used is withdrawn")
    };
    assert_eq!(world.present(&login, withdrawn.current()).await, Rotation::Reused);
    assert_eq!(answer(&world.present(&login, login.current()).await), REPLAYED);
    world.clock.advance(SETTLED + MS);
    assert_eq!(answer(&world.present(&login, next.current()).await), ROTATED);
    assert_eq!(world.present(&login, login.current()).await, Rotation::Reused, "the client has gone on");
}

pub(crate) async fn tokens_of_lost_writes_are_adopted(world: World) {
    for (generation, issued, wanted) in [
        (1, MS, ADOPTED),
        (2, MS, ADOPTED),
        (7, HOUR, ADOPTED),
        (2, Duration::ZERO, ADOPTED),
        (7, Duration::ZERO, ADOPTED),
    ] {
        let (_, session) = refreshed(&world, HOUR).await;
        let issued_at = session.line.rotated_at + issued;
        let presented = Presented { generation: Generation(generation), issued_at };
        let given = world.present(&session, presented).await;
        assert_eq!(answer(&given), wanted, "{generation} issued {issued:?} later");
        if let Rotation::Honoured(_, adopted) = given {
            assert_eq!(adopted.line.predecessor, Some(presented.generation));
            assert_eq!(adopted.line.current, presented.generation.next());
            assert_eq!(answer(&world.present(&session, presented).await), REPLAYED);
            let continued = world.present(&session, session.current()).await;
            let same_number = generation == session.line.current.0;
            assert_eq!(answer(&continued), if same_number { REPLAYED } else { Reused });
        }
    }
    let (_, session) = refreshed(&world, HOUR).await;
    for generation in [1, 2] {
        let earlier = session.line.rotated_at - MS;
        let presented = Presented { generation: Generation(generation), issued_at: earlier };
        assert_eq!(world.present(&session, presented).await, Rotation::Reused, "continued by another");
    }
}

pub(crate) async fn the_largest_generation_is_held(world: World) {
    let (_, session) = refreshed(&world, HOUR).await;
    let last = Presented { generation: Generation(u32::MAX), issued_at: session.line.rotated_at + MS };
    let given = world.present(&session, last).await;
    assert_eq!(answer(&given), ADOPTED);
    let found = world.sessions.find(session.user, session.id).await.unwrap().unwrap();
    assert_eq!((found.line.current, found.line.predecessor), (last.generation, Some(last.generation)));
}

pub(crate) async fn a_clock_that_went_back_makes_no_time_negative(world: World) {
    let (login, session) = refreshed(&world, Duration::ZERO).await;
    world.clock.set_wall(START - HOUR);
    assert_eq!(answer(&world.present(&session, login.current()).await), REPLAYED);
    assert_eq!(answer(&world.present(&session, session.current()).await), UNCHANGED);
}

pub(crate) async fn what_is_wrong_with_the_session_is_told_in_order(world: World) {
    let (_, session) = refreshed(&world, GRACE).await;
    let good = presentation(&session, session.current());
    let old_token = Presented { generation: Generation(9), issued_at: START };
    let ask = |ask: Presentation| {
        let sessions = world.sessions.clone();
        async move { answer(&sessions.rotate(ask, &POLICY).await.unwrap()) }
    };
    let raised = Presentation { user_epoch: Epoch(1), presented: old_token, ..good };
    assert_eq!(ask(raised).await, Answer::Superseded, "before the rules");
    assert_eq!(ask(Presentation { presented: old_token, ..good }).await, Reused);
    world.clock.advance(IDLE);
    assert_eq!(ask(raised).await, Answer::Idle, "before the epoch");
    assert_eq!(ask(good).await, Answer::Idle, "before the rules");
    assert_eq!(ask(Presentation { session: session_id(), ..raised }).await, Answer::Unknown);
    assert_eq!(ask(Presentation { user: new_user_id(), ..raised }).await, Answer::Unknown);
}

/// Two whole numbers that are one when held as a double.
pub(crate) async fn epochs_are_compared_exactly(world: World) {
    let (smaller, larger) = (Epoch(1 << 53), Epoch((1 << 53) + 1));
    let session = world.login(new_user_id(), larger).await;
    let ask = presentation(&session, session.current());
    for user_epoch in [smaller, Epoch(0), larger.next()] {
        let ask = Presentation { user_epoch, ..ask };
        let given = world.sessions.rotate(ask, &POLICY).await.unwrap();
        assert_eq!(given, Rotation::Superseded, "{user_epoch:?}");
    }
    assert_eq!(answer(&world.sessions.rotate(ask, &POLICY).await.unwrap()), ROTATED);
}
