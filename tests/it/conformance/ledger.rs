//! The ledger: every sentence of the trait `Ledger`.

use std::collections::HashSet;

use countersign::model::{
    Actor, Epoch, Position, Revocation, RevocationReason, RevocationScope, SessionId, UnixMillis, UserId,
    new_user_id,
};
use countersign::store::{
    AttributeChange, Cause, Ending, LedgerPoll, LedgerSnapshot, Lived, SNAPSHOT_ROWS, SessionRevocation,
    Until,
};

use super::{HOUR, MS, OPERATOR, START, World, hash, session_id};

/// A revocation of some session, which matters until then.
fn revoking(until: UnixMillis) -> SessionRevocation {
    SessionRevocation {
        session: session_id(),
        user: new_user_id(),
        cause: Cause { until: Until::At(until), ..OPERATOR },
    }
}

async fn revoke(world: &World, user: UserId, session: SessionId) {
    let revocation = SessionRevocation { session, user, cause: OPERATOR };
    world.ledger.revoke_sessions(&[revocation]).await.unwrap();
}

pub(crate) async fn an_empty_ledger_has_a_cursor(world: World) {
    let LedgerSnapshot { rows, cursor } = world.ledger.snapshot(UnixMillis(0)).await.unwrap();
    assert_eq!((rows, cursor.seq), (vec![], 0));
    assert_eq!(world.ledger.poll(cursor, 10).await.unwrap(), LedgerPoll::Rows(vec![], cursor));
    assert_eq!(world.ledger.revoke_sessions(&[]).await.unwrap(), []);
    assert_eq!(world.head().await, cursor, "no revocation, no row");
}

pub(crate) async fn a_batch_is_numbered_in_the_order_asked_for(world: World) {
    let birth = world.head().await;
    let mut written = Vec::new();
    for size in [1, 2, 100] {
        let user = new_user_id();
        let batch: Vec<_> = (0..size)
            .map(|n| SessionRevocation {
                session: session_id(),
                user,
                cause: Cause {
                    actor: if n % 2 == 0 { Actor::User(user) } else { Actor::System },
                    reason: RevocationReason::ALL[n % RevocationReason::ALL.len()],
                    until: if n % 2 == 0 {
                        Until::At(START + HOUR * (1 + u32::try_from(n).unwrap()))
                    } else {
                        Until::For(HOUR)
                    },
                },
            })
            .collect();
        let rows = world.ledger.revoke_sessions(&batch).await.unwrap();
        assert_eq!(rows.len(), size);
        for (row, asked) in rows.iter().zip(&batch) {
            assert_eq!(row.scope, RevocationScope::Session { session: asked.session, user });
            let until = asked.cause.until.resolve(START);
            assert_eq!((row.reason, row.until, row.at), (asked.cause.reason, until, START));
        }
        written.extend(rows);
    }
    assert!(written.iter().map(|row| row.seq).eq(1..=103), "the numbers have no gap");
    let marks: HashSet<u64> = written.iter().map(|row| row.mark).collect();
    assert_eq!(marks.len(), 103, "no two marks are alike");
    assert_eq!(world.rows_after(birth).await, written);
}

pub(crate) async fn a_session_may_be_revoked_twice(world: World) {
    let again = revoking(START + HOUR);
    let rows = world.ledger.revoke_sessions(&[again, again]).await.unwrap();
    let later = world.ledger.revoke_sessions(&[again]).await.unwrap();
    let numbers: Vec<u64> = rows.iter().chain(&later).map(|row| row.seq).collect();
    assert_eq!(numbers, [1, 2, 3]);
    assert!(world.ledger.standing(again.user, again.session).await.unwrap().session_revoked);
}

pub(crate) async fn a_poll_goes_on_page_by_page(world: World) {
    let birth = world.head().await;
    let batch: Vec<_> = (0..7).map(|_| revoking(START + HOUR)).collect();
    let written = world.ledger.revoke_sessions(&batch).await.unwrap();
    for limit in 1..=8 {
        let (mut cursor, mut seen) = (birth, Vec::new());
        loop {
            let LedgerPoll::Rows(rows, next) = world.ledger.poll(cursor, limit).await.unwrap() else {
                panic!("the ledger is the same")
            };
            let more = rows.len() == limit as usize;
            assert!(rows.len() <= limit as usize);
            seen.extend(rows);
            cursor = next;
            if !more {
                break;
            }
        }
        assert_eq!(seen, written, "in pages of {limit}");
        assert_eq!(cursor, world.head().await);
    }
}

pub(crate) async fn a_snapshot_begins_at_its_time_and_is_continued_by_a_poll(world: World) {
    let mut written = Vec::new();
    for _ in 0..3 {
        written.extend(world.ledger.revoke_sessions(&[revoking(START + HOUR)]).await.unwrap());
        assert_eq!(written.last().map(|row| row.at), Some(world.ledger.time().await.unwrap()));
        world.clock.advance(HOUR);
    }
    let second = written[1].at;
    for (since, wanted) in [
        (START, &written[..]),
        (second - MS, &written[1..]),
        (second, &written[1..]),
        (second + MS, &written[2..]),
        (START + 9 * HOUR, &[]),
    ] {
        let LedgerSnapshot { rows, cursor } = world.ledger.snapshot(since).await.unwrap();
        assert_eq!(rows, wanted, "since {since:?}");
        assert_eq!((cursor.seq, cursor.mark), (3, written[2].mark), "since {since:?}");
    }
    let cursor = world.head().await;
    let next = world.ledger.revoke_sessions(&[revoking(START + HOUR)]).await.unwrap();
    assert_eq!(world.rows_after(cursor).await, next);
}

pub(crate) async fn a_long_ledger_is_loaded_in_pieces(world: World) {
    let mut written = Vec::new();
    for _ in 0..5 {
        let batch: Vec<_> = (0..=SNAPSHOT_ROWS / 5).map(|_| revoking(START + HOUR)).collect();
        written.extend(world.ledger.revoke_sessions(&batch).await.unwrap());
    }
    let LedgerSnapshot { rows, cursor } = world.ledger.snapshot(START).await.unwrap();
    let first = SNAPSHOT_ROWS as usize;
    assert_eq!((rows.len(), cursor.seq), (first, u64::from(SNAPSHOT_ROWS)));
    assert_eq!(rows, written[..first]);
    assert_eq!(world.rows_after(cursor).await, written[first..]);
}

pub(crate) async fn a_cursor_of_another_incarnation_is_found_out(world: World) {
    let birth = world.head().await;
    let another_birth = Position { seq: 0, mark: birth.mark ^ 1 };
    assert_eq!(world.ledger.poll(another_birth, 9).await.unwrap(), LedgerPoll::AnotherIncarnation);

    let batch = [revoking(START + HOUR), revoking(START + HOUR), revoking(START + HOUR)];
    let rows = world.ledger.revoke_sessions(&batch).await.unwrap();
    assert_eq!(world.head().await, rows[2].position());
    assert_eq!(world.ledger.snapshot(UnixMillis(i64::MAX)).await.unwrap().cursor, rows[2].position());
    assert_eq!(world.rows_after(birth).await, rows, "the ledger's birth stays known");
    assert_eq!(world.ledger.poll(another_birth, 9).await.unwrap(), LedgerPoll::AnotherIncarnation);
    for row in &rows {
        let cursor = row.position();
        let after = &rows[usize::try_from(row.seq).unwrap()..];
        assert_eq!(world.rows_after(cursor).await, after);
        for wrong in [row.mark ^ 1, row.mark ^ (1 << 63), birth.mark] {
            let cursor = Position { seq: row.seq, mark: wrong };
            assert_eq!(world.ledger.poll(cursor, 9).await.unwrap(), LedgerPoll::AnotherIncarnation);
        }
    }
    for seq in [4, 5, u64::MAX] {
        let ahead = Position { seq, mark: rows[2].mark };
        assert_eq!(world.ledger.poll(ahead, 9).await.unwrap(), LedgerPoll::AnotherIncarnation);
    }
}

pub(crate) async fn standing_is_the_user_now_and_this_session_alone(world: World) {
    let user = world.add_user("ada").await;
    let (revoked, other) = (session_id(), session_id());
    let standing = world.ledger.standing(user.id, revoked).await.unwrap();
    assert_eq!((standing.user.as_ref(), standing.session_revoked), (Some(&user), false));

    revoke(&world, user.id, revoked).await;
    assert!(world.ledger.standing(user.id, revoked).await.unwrap().session_revoked);
    assert!(!world.ledger.standing(user.id, other).await.unwrap().session_revoked);

    world
        .users
        .set_attributes(
            user.id,
            AttributeChange { roles: Some(&[]), ..AttributeChange::default() },
            None,
            OPERATOR,
        )
        .await
        .unwrap();
    world.users.disable(user.id, OPERATOR).await.unwrap();
    let standing = world.ledger.standing(user.id, other).await.unwrap();
    let now = standing.user.unwrap();
    assert_eq!((now.roles.len(), now.disabled, now.epoch), (0, true, Epoch(1)));
    assert!(!standing.session_revoked, "an epoch that was raised is told by the user, not by the session");

    world.users.delete(user.id, OPERATOR).await.unwrap();
    let standing = world.ledger.standing(user.id, revoked).await.unwrap();
    assert_eq!((standing.user, standing.session_revoked), (None, true));
    let standing = world.ledger.standing(user.id, other).await.unwrap();
    assert_eq!((standing.user, standing.session_revoked), (None, false));
}

pub(crate) async fn rows_are_purged_after_they_matter_but_never_the_last(world: World) {
    let until = START + HOUR;
    let batch: Vec<_> = [until, until + HOUR, until, until - MS, until].map(revoking).to_vec();
    let rows = world.ledger.revoke_sessions(&batch).await.unwrap();
    let birth = world.head().await;

    assert_eq!(world.ledger.purge(START, 10).await.unwrap(), 0);
    assert_eq!(world.ledger.purge(until, 10).await.unwrap(), 1, "only the fourth lies before");
    assert_eq!(world.ledger.purge(until + MS, 1).await.unwrap(), 1, "one at a time when asked so");
    assert_eq!(world.ledger.purge(until + MS, 10).await.unwrap(), 1);
    assert_eq!(world.ledger.purge(until + MS, 10).await.unwrap(), 0, "the last one stays");

    let left = world.ledger.snapshot(UnixMillis(0)).await.unwrap();
    assert_eq!(left.rows, [rows[1], rows[4]]);
    assert_eq!(left.cursor, birth, "the ledger's end did not move");
    assert!(world.ledger.standing(batch[1].user, batch[1].session).await.unwrap().session_revoked);
    let next = world.ledger.revoke_sessions(&[revoking(until)]).await.unwrap();
    assert_eq!(next[0].seq, 6, "no number is used twice");
}

pub(crate) async fn a_reader_behind_a_purge_is_told_or_misses_nothing_that_is_left(world: World) {
    let birth = world.head().await;
    let batch: Vec<_> = (0..4).map(|_| revoking(START + HOUR)).collect();
    let rows = world.ledger.revoke_sessions(&batch).await.unwrap();
    assert_eq!(world.ledger.purge(START + 2 * HOUR, 10).await.unwrap(), 3);
    let behind = rows[..3].iter().map(Revocation::position);
    for cursor in behind.chain([birth]) {
        match world.ledger.poll(cursor, 10).await.unwrap() {
            LedgerPoll::Rows(left, _) => assert_eq!(left, rows[3..]),
            LedgerPoll::AnotherIncarnation => {}
        }
    }
    assert_eq!(world.rows_after(rows[3].position()).await, []);
}

const ANY_LIFE: [Lived; 3] = [Lived::InEpoch(Epoch(0)), Lived::At(UnixMillis(0)), Lived::Unknown];

/// A cause of this kind, by the user.
fn by(user: UserId, reason: RevocationReason) -> Cause {
    Cause { actor: Actor::User(user), reason, ..OPERATOR }
}

pub(crate) async fn a_session_ended_with_the_first_row_about_it(world: World) {
    let (user, session, other) = (new_user_id(), session_id(), session_id());
    for lived in ANY_LIFE {
        assert_eq!(world.ledger.ending(user, session, lived).await.unwrap(), None);
    }
    let cause = by(user, RevocationReason::Logout);
    let revoked = [
        SessionRevocation { session: other, user, cause: OPERATOR },
        SessionRevocation { session, user, cause },
    ];
    let rows = world.ledger.revoke_sessions(&revoked).await.unwrap();
    world.clock.advance(HOUR);
    revoke(&world, user, session).await;
    for lived in ANY_LIFE {
        let ending = world.ledger.ending(user, session, lived).await.unwrap();
        assert_eq!(ending, Some(Ending { revocation: rows[1], actor: format!("user:{user}") }), "{lived:?}");
        let others = world.ledger.ending(user, other, lived).await.unwrap().unwrap();
        assert_eq!((others.revocation, others.actor.as_str()), (rows[0], "operator"));
        let of_another_user = world.ledger.ending(new_user_id(), session, lived).await.unwrap();
        assert_eq!(of_another_user, None, "{lived:?}");
    }
}

pub(crate) async fn a_session_ended_with_the_first_row_about_its_user_that_came_after_its_epoch(
    world: World,
) {
    let (ada, bob) = (world.add_user("ada").await.id, world.add_user("bob").await.id);
    let ending = async |lived| {
        let found = world.ledger.ending(ada, session_id(), lived).await.unwrap();
        found.map(|ending| (ending.revocation.reason, ending.revocation.at))
    };
    let cause = |reason| by(ada, reason);
    world.users.disable(bob, by(bob, RevocationReason::UserDisabled)).await.unwrap();
    world
        .users
        .set_attributes(ada, AttributeChange::default(), None, cause(RevocationReason::UserChanged))
        .await
        .unwrap();
    revoke(&world, ada, session_id()).await;
    assert_eq!(ending(Lived::InEpoch(Epoch(0))).await, None, "none of these ended it");
    assert_eq!(ending(Lived::At(START)).await, None);

    world.clock.advance(HOUR);
    world.users.set_password(ada, &hash("x"), None, cause(RevocationReason::PasswordChanged)).await.unwrap();
    world.clock.advance(HOUR);
    world.users.revoke_all(ada, cause(RevocationReason::LogoutEverywhere)).await.unwrap();
    world.clock.advance(HOUR);
    world.users.disable(ada, cause(RevocationReason::UserDisabled)).await.unwrap();
    world.clock.advance(HOUR);
    world.users.delete(ada, cause(RevocationReason::UserDeleted)).await.unwrap();

    let reasons = [
        RevocationReason::PasswordChanged,
        RevocationReason::LogoutEverywhere,
        RevocationReason::UserDisabled,
        RevocationReason::UserDeleted,
    ];
    for (epoch, reason) in (0_u32..).zip(reasons) {
        let at = START + HOUR * (epoch + 1);
        assert_eq!(
            ending(Lived::InEpoch(Epoch(u64::from(epoch)))).await,
            Some((reason, at)),
            "epoch {epoch}"
        );
        for alive in [at - HOUR + MS, at] {
            assert_eq!(ending(Lived::At(alive)).await, Some((reason, at)), "alive at {alive:?}");
        }
    }
    assert_eq!(ending(Lived::InEpoch(Epoch(4))).await, None);
    assert_eq!(ending(Lived::InEpoch(Epoch(u64::MAX))).await, None);
    assert_eq!(ending(Lived::At(START + HOUR * 4 + MS)).await, None);
    assert_eq!(ending(Lived::Unknown).await, None, "any of them may have ended it, or none");
}

pub(crate) async fn of_a_row_about_a_session_and_one_about_its_user_the_earlier_ended_it(world: World) {
    let ada = world.add_user("ada").await.id;
    let (first, second) = (session_id(), session_id());
    revoke(&world, ada, first).await;
    world.users.revoke_all(ada, by(ada, RevocationReason::LogoutEverywhere)).await.unwrap();
    revoke(&world, ada, second).await;
    for lived in [Lived::InEpoch(Epoch(0)), Lived::At(START)] {
        for (session, reason) in
            [(first, RevocationReason::Operator), (second, RevocationReason::LogoutEverywhere)]
        {
            let ending = world.ledger.ending(ada, session, lived).await.unwrap().unwrap();
            assert_eq!(ending.revocation.reason, reason, "{lived:?}");
        }
    }
    let ending = world.ledger.ending(ada, second, Lived::InEpoch(Epoch(1))).await.unwrap().unwrap();
    assert_eq!(ending.revocation.reason, RevocationReason::Operator, "the row about the user came before it");
}

pub(crate) async fn an_ending_is_forgotten_with_its_row(world: World) {
    let revocation = revoking(START + HOUR);
    world.ledger.revoke_sessions(&[revocation, revoking(START + HOUR)]).await.unwrap();
    let SessionRevocation { user, session, .. } = revocation;
    assert!(world.ledger.ending(user, session, Lived::Unknown).await.unwrap().is_some());
    assert_eq!(world.ledger.purge(START + HOUR + MS, 10).await.unwrap(), 1);
    assert_eq!(world.ledger.ending(user, session, Lived::Unknown).await.unwrap(), None);
}
