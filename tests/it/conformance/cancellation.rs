//! Callers that go away in the middle: what they asked for happened wholly or not at all, and the store goes on.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;

use countersign::model::{Epoch, RevocationScope, UnixMillis, new_user_id};
use countersign::store::{Honoured, Rotation, SessionRevocation};

use super::{OPERATOR, POLICY, World, hash, new_session, presentation, session_id, username};

const CALLS: usize = 200;

/// Begins a call and drops it: the first ones at once, later ones after some turns of the scheduler.
async fn cut_off(call: impl Future, n: usize) {
    let mut call = pin!(call);
    tokio::select! {
        biased;
        _ = &mut call => {}
        () = turns(n % 8) => {}
    }
}

async fn turns(count: usize) {
    for _ in 0..count {
        tokio::task::yield_now().await;
    }
}

pub(crate) async fn a_cut_off_login_is_there_or_not(world: World) {
    let user = new_user_id();
    let mut asked = Vec::new();
    for n in 0..CALLS {
        let new = new_session(user, Epoch(0));
        asked.push(new.clone());
        cut_off(world.sessions.create(new, &POLICY), n).await;
    }
    let last = world.login(user, Epoch(0)).await;
    assert_eq!(world.sessions.find(user, last.id).await.unwrap(), Some(last));
    for new in asked {
        if let Some(session) = world.sessions.find(user, new.id).await.unwrap() {
            assert_eq!((session.user, session.client), (user, new.client));
            assert_eq!(session.line.current.0, 0);
        }
    }
}

pub(crate) async fn a_cut_off_rotation_moved_the_line_once_or_not_at_all(world: World) {
    // A session for each call, and a clock that stands: what was cut off may still be decided after the next call.
    for n in 0..CALLS {
        let session = world.login(new_user_id(), Epoch(0)).await;
        let ask = presentation(&session, session.current());
        cut_off(world.sessions.rotate(ask, &POLICY), n).await;
        // The same token again, as a client does that never heard the answer.
        let answer = world.sessions.rotate(ask, &POLICY).await.unwrap();
        let Rotation::Honoured(Honoured::Rotated | Honoured::Replayed, next) = answer else {
            panic!("{answer:?}")
        };
        assert_eq!(next.line.current, session.line.current.next());
    }
}

pub(crate) async fn a_cut_off_revocation_is_whole_or_not_at_all(world: World) {
    let (birth, user) = (world.head().await, world.add_user("ada").await);
    for n in 0..CALLS {
        match n % 3 {
            0 => cut_off(world.users.revoke_all(user.id, OPERATOR), n).await,
            1 => cut_off(world.users.set_password(user.id, &hash("new"), None, OPERATOR), n).await,
            _ => {
                let revocation =
                    || SessionRevocation { session: session_id(), user: user.id, cause: OPERATOR };
                cut_off(world.ledger.revoke_sessions(&[revocation(), revocation()]), n).await;
            }
        }
    }
    // Some may still be under way: what is looked at is the store between two commits.
    let (epoch, rows) = loop {
        let end = world.head().await;
        let epoch = world.users.find(user.id).await.unwrap().unwrap().epoch.0;
        let rows = world.rows_after(birth).await;
        if world.head().await == end {
            break (epoch, rows);
        }
    };
    assert!(rows.iter().map(|row| row.seq).eq(1..=rows.len() as u64), "no number without its row");
    let epochs = rows.iter().filter_map(|row| match row.scope {
        RevocationScope::User { epoch, .. } => Some(epoch.0),
        _ => None,
    });
    assert!(epochs.eq(1..=epoch), "no raise without its row, and no row without its raise");
    let sessions = rows.iter().filter(|row| matches!(row.scope, RevocationScope::Session { .. })).count();
    assert_eq!(sessions % 2, 0, "no half of a batch");
    world.users.disable(user.id, OPERATOR).await.unwrap().unwrap();
}

pub(crate) async fn cut_off_reads_leave_the_store_working(world: World) {
    let user = world.add_user("ada").await;
    let session = world.login(user.id, Epoch(0)).await;
    for n in 0..CALLS {
        cut_off(world.users.list(None, 10), n).await;
        cut_off(world.users.credential(&username("ada")), n).await;
        cut_off(world.ledger.standing(user.id, session.id), n).await;
        cut_off(world.ledger.snapshot(UnixMillis(0)), n).await;
        cut_off(world.sessions.list(user.id), n).await;
    }
    let readers = (0..32).map(|_| {
        let (ledger, user, session) = (Arc::clone(&world.ledger), user.id, session.id);
        tokio::spawn(async move { ledger.standing(user, session).await.unwrap() })
    });
    for reader in readers.collect::<Vec<_>>() {
        assert_eq!(reader.await.unwrap().user.as_ref(), Some(&user), "no connection was lost");
    }
    assert_eq!(world.sessions.find(user.id, session.id).await.unwrap(), Some(session));
}
