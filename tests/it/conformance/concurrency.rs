//! Many callers at once: each verb happens wholly, one after the other.

use std::collections::BTreeSet;
use std::future::Future;
use std::num::NonZeroU32;
use std::sync::Arc;

use countersign::model::{
    Epoch, ExternalId, NewUser, Position, RevocationScope, SessionId, SessionLimit, new_user_id,
};
use countersign::store::{
    AttributeChange, CreateUserError, Created, Honoured, ImportAnswer, LedgerPoll, Rotation, SessionPolicy,
    SessionRevocation, SetAttributesError,
};
use tokio::task::JoinSet;

use super::{MS, OPERATOR, POLICY, SETTLED, World, new_session, new_user, presentation, session_id};

/// What so many calls answer that are made at the same time.
pub(super) async fn at_once<F>(calls: usize, mut call: impl FnMut(usize) -> F) -> Vec<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    let start = Arc::new(tokio::sync::Barrier::new(calls));
    let mut tasks = JoinSet::new();
    for n in 0..calls {
        let (call, start) = (call(n), Arc::clone(&start));
        tasks.spawn(async move {
            start.wait().await;
            call.await
        });
    }
    tasks.join_all().await
}

pub(crate) async fn one_of_many_gets_the_username(world: World) {
    let answers = at_once(32, |_| {
        let users = Arc::clone(&world.users);
        async move { users.create(new_user("ada")).await }
    })
    .await;
    let (made, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!(made.len(), 1);
    assert!(refused.iter().all(|answer| matches!(answer, Err(CreateUserError::UsernameTaken))));
    assert_eq!(world.users.list(None, 9).await.unwrap().len(), 1);
}

/// By creation and by change, and nobody hears that the store is down.
pub(crate) async fn imports_at_once_create_each_user_once(world: World) {
    for round in 0..5 {
        let users: Vec<_> =
            (0..40).map(|number| super::users::imported(&format!("row{round}x{number:02}"))).collect();
        let answers = at_once(6, |number| {
            let (store, mut users) = (Arc::clone(&world.users), users.clone());
            // Each in another order, so that they are in each other's way.
            users.rotate_left(number * 7);
            async move { store.import(users).await.unwrap() }
        })
        .await;
        let created = answers.iter().flatten().filter(|answer| **answer == ImportAnswer::Created).count();
        assert_eq!(created, users.len(), "round {round}");
        let known = answers.iter().flatten().filter(|answer| matches!(answer, ImportAnswer::Known(_)));
        assert_eq!(known.count(), users.len() * 5, "round {round}");
    }
}

pub(crate) async fn one_of_many_gets_the_external_id(world: World) {
    for round in 0..20 {
        let id = ExternalId::parse(&format!("external {round}")).unwrap();
        let mut there = Vec::new();
        for number in 0..4 {
            there.push(world.add_user(&format!("there{round}x{number}")).await.id);
        }
        let answers = at_once(8, |number| {
            let (users, id, there) = (Arc::clone(&world.users), id.clone(), there.clone());
            async move {
                if let Some(&user) = there.get(number) {
                    let change =
                        AttributeChange { external_id: Some(Some(&id)), ..AttributeChange::default() };
                    return match users.set_attributes(user, change, None, OPERATOR).await {
                        Ok(row) => row.is_some(),
                        Err(SetAttributesError::ExternalIdTaken) => false,
                        Err(error) => panic!("{error}"),
                    };
                }
                let name = format!("new{round}x{number}");
                match users.create(NewUser { external_id: Some(id), ..new_user(&name) }).await {
                    Ok(_) => true,
                    Err(CreateUserError::ExternalIdTaken) => false,
                    Err(error) => panic!("{error}"),
                }
            }
        })
        .await;
        assert_eq!(answers.iter().filter(|got| **got).count(), 1, "{answers:?}");
        assert!(world.users.find_external(&id).await.unwrap().is_some());
    }
}

pub(crate) async fn no_raise_of_an_epoch_is_lost(world: World) {
    let (birth, user) = (world.head().await, world.add_user("ada").await);
    let answers = at_once(32, |_| {
        let users = Arc::clone(&world.users);
        async move { users.revoke_all(user.id, OPERATOR).await.unwrap().unwrap() }
    })
    .await;
    let rows = world.rows_after(birth).await;
    let wanted = (1..=32).map(|epoch| RevocationScope::User { user: user.id, epoch: Epoch(epoch) });
    assert!(rows.iter().map(|row| row.scope).eq(wanted), "the ledger is in the order of the raises");
    assert!(answers.iter().all(|answer| rows.contains(answer)));
    assert_eq!(world.users.find(user.id).await.unwrap().unwrap().epoch, Epoch(32));
}

/// A reader that follows while many write sees every row, in the order of the numbers, and none late.
pub(crate) async fn the_order_of_numbers_is_the_order_of_commits(world: World) {
    const WRITERS: usize = 16;
    const ROUNDS: usize = 5;
    let (mut cursor, ledger) = (world.head().await, Arc::clone(&world.ledger));
    let reader = tokio::spawn(async move {
        let mut seen = Vec::new();
        while seen.len() < WRITERS * ROUNDS * 2 {
            let LedgerPoll::Rows(rows, next) = ledger.poll(cursor, 7).await.unwrap() else {
                panic!("the ledger is the same")
            };
            seen.extend(rows);
            cursor = next;
            tokio::task::yield_now().await;
        }
        seen
    });
    let acknowledged = at_once(WRITERS, |_| {
        let ledger = Arc::clone(&world.ledger);
        async move {
            let mut written = Vec::new();
            for _ in 0..ROUNDS {
                let revocation =
                    || SessionRevocation { session: session_id(), user: new_user_id(), cause: OPERATOR };
                let rows = ledger.revoke_sessions(&[revocation(), revocation()]).await.unwrap();
                assert_eq!(rows[0].seq + 1, rows[1].seq, "a batch is not torn apart");
                let end = ledger.snapshot(countersign::model::UnixMillis(i64::MAX)).await.unwrap().cursor;
                assert!(end.seq >= rows[1].seq, "what is acknowledged can be read");
                written.extend(rows);
            }
            written
        }
    })
    .await;
    let seen = reader.await.unwrap();
    let numbers = 1..=(WRITERS * ROUNDS * 2) as u64;
    assert!(seen.iter().map(|row| row.seq).eq(numbers), "no gap and no row late");
    for row in acknowledged.iter().flatten() {
        assert_eq!(seen[usize::try_from(row.seq).unwrap() - 1], *row);
    }
    let last = seen[seen.len() - 1];
    assert_eq!(world.head().await, Position { seq: last.seq, mark: last.mark });
}

pub(crate) async fn one_of_many_presentations_rotates(world: World) {
    let mut session = world.login(new_user_id(), Epoch(0)).await;
    for round in 1..=5 {
        world.clock.advance(SETTLED + MS);
        let ask = presentation(&session, session.current());
        let answers = at_once(64, |_| {
            let sessions = Arc::clone(&world.sessions);
            async move { sessions.rotate(ask, &POLICY).await.unwrap() }
        })
        .await;
        let found = world.sessions.find(session.user, session.id).await.unwrap().unwrap();
        let mut rotated = 0;
        for answer in answers {
            let Rotation::Honoured(honoured, given) = answer else { panic!("round {round}: {answer:?}") };
            assert_eq!(*given, found, "round {round}: all go on with the one successor");
            rotated += usize::from(honoured == Honoured::Rotated);
        }
        assert_eq!((rotated, found.line.current.0), (1, round), "one line, one step");
        session = found;
    }
}

pub(crate) async fn a_limit_holds_when_many_log_in_at_once(world: World) {
    const MOST: NonZeroU32 = NonZeroU32::new(3).unwrap();
    for limit in [SessionLimit::Deny(MOST), SessionLimit::EvictOldest(MOST)] {
        let (user, policy) = (new_user_id(), SessionPolicy { limit, ..POLICY });
        let answers = at_once(24, |_| {
            let sessions = Arc::clone(&world.sessions);
            async move { sessions.create(new_session(user, Epoch(0)), &policy).await.unwrap() }
        })
        .await;
        let (mut begun, mut evicted) = (BTreeSet::new(), BTreeSet::new());
        for answer in answers {
            if let Created::Session(session, gone) = answer {
                begun.insert(session.id);
                evicted.extend(gone.into_iter().map(|session| session.id));
            }
        }
        let gone: Vec<SessionId> = evicted.iter().copied().collect();
        world.sessions.delete(user, &gone).await.unwrap();
        let left = world.sessions.list(user).await.unwrap();
        let left: BTreeSet<SessionId> = left.iter().map(|session| session.id).collect();
        assert_eq!(left.len(), 3, "{limit:?}");
        assert_eq!(begun.difference(&evicted).copied().collect::<BTreeSet<_>>(), left, "{limit:?}");
        let wanted = if matches!(limit, SessionLimit::Deny(_)) { 3 } else { 24 };
        assert_eq!(begun.len(), wanted, "{limit:?}");
    }
}

/// Two classes and none, each within its own limit, and all within the one of all.
pub(crate) async fn the_limit_of_a_class_holds_when_many_log_in_at_once(world: World) {
    const MOST: NonZeroU32 = NonZeroU32::new(2).unwrap();
    const ALL: NonZeroU32 = NonZeroU32::new(5).unwrap();
    type Limit = fn(NonZeroU32) -> SessionLimit;
    for limit in [SessionLimit::Deny as Limit, SessionLimit::EvictOldest as Limit] {
        for total in [SessionLimit::Unlimited, limit(ALL)] {
            let user = new_user_id();
            let answers = at_once(24, |number| {
                let sessions = Arc::clone(&world.sessions);
                let mut new = new_session(user, Epoch(0));
                ["mobile", "web", "mobile", ""][number % 4].clone_into(&mut new.client.class);
                let policy = SessionPolicy { limit: total, class_limit: limit(MOST), ..POLICY };
                async move { sessions.create(new, &policy).await.unwrap() }
            })
            .await;
            let mut evicted = Vec::new();
            for answer in answers {
                if let Created::Session(_, gone) = answer {
                    evicted.extend(gone.into_iter().map(|session| session.id));
                }
            }
            world.sessions.delete(user, &evicted).await.unwrap();
            let left = world.sessions.list(user).await.unwrap();
            let of = |class: &str| left.iter().filter(|session| session.client.class == class).count();
            let (mobile, web, none) = (of("mobile"), of("web"), of(""));
            assert!(mobile <= 2 && web <= 2, "{total:?}: {mobile} mobile, {web} web");
            match total {
                SessionLimit::Unlimited => assert_eq!((mobile, web, none), (2, 2, 6)),
                _ => assert!((1..=5).contains(&left.len()), "{total:?}: {}", left.len()),
            }
        }
    }
}
