//! Sessions: every sentence of the trait `SessionStore`, but for the rotation table.

use std::collections::HashSet;
use std::num::NonZeroU32;
use std::time::Duration;

use countersign::model::{
    Clock as _, Epoch, Generation, Line, NewSession, RotationPolicy, Session, SessionId, SessionLimit,
    UserId, new_user_id,
};
use countersign::store::{Created, Honoured, Rotation, SessionPolicy};

use super::{
    ABSOLUTE, GRACE, HOUR, IDLE, MAC_KEY, MS, POLICY, START, World, began, just_before, new_session,
    presentation, session_id,
};

fn ids(sessions: &[Session]) -> Vec<SessionId> {
    sessions.iter().map(|session| session.id).collect()
}

const fn limited(limit: SessionLimit) -> SessionPolicy {
    SessionPolicy { limit, ..POLICY }
}

const THREE: NonZeroU32 = NonZeroU32::new(3).unwrap();

pub(crate) async fn a_new_session_stands_at_the_first_generation(world: World) {
    let new = new_session(new_user_id(), Epoch(7));
    let (session, evicted) = began(world.sessions.create(new.clone(), &POLICY).await.unwrap());
    assert_eq!(evicted, []);
    assert_eq!(
        session,
        Session {
            id: new.id,
            user: new.user,
            epoch: Epoch(7),
            line: Line { current: Generation(0), predecessor: None, rotated_at: START },
            audiences: new.audiences.clone(),
            mac_key: MAC_KEY,
            created_at: START,
            idle_expires_at: START + IDLE,
            expires_at: START + ABSOLUTE,
            client: new.client,
        }
    );
    assert_eq!(world.sessions.find(new.user, new.id).await.unwrap(), Some(session));

    let brief = SessionPolicy { absolute: IDLE / 2, ..POLICY };
    let (session, _) = began(world.sessions.create(new_session(new.user, Epoch(7)), &brief).await.unwrap());
    assert_eq!(session.idle_expires_at, START + IDLE / 2, "no idle life is longer than the absolute one");
}

pub(crate) async fn the_same_login_again_finds_its_session(world: World) {
    let one = limited(SessionLimit::Deny(NonZeroU32::MIN));
    let new = new_session(new_user_id(), Epoch(0));
    let first = began(world.sessions.create(new.clone(), &one).await.unwrap());
    world.clock.advance(HOUR);
    assert_eq!(began(world.sessions.create(new, &one).await.unwrap()), first);
}

pub(crate) async fn a_session_is_found_by_its_user_alone(world: World) {
    let session = world.login(new_user_id(), Epoch(0)).await;
    let stranger = new_user_id();
    assert_eq!(world.sessions.find(stranger, session.id).await.unwrap(), None);
    assert_eq!(world.sessions.find(session.user, session_id()).await.unwrap(), None);
    assert_eq!(world.sessions.list(stranger).await.unwrap(), []);
    world.sessions.delete(stranger, &[session.id]).await.unwrap();
    let with_another_user = Session { user: stranger, ..session.clone() };
    assert_eq!(world.present(&with_another_user, session.current()).await, Rotation::Unknown);
    assert_eq!(world.sessions.find(session.user, session.id).await.unwrap(), Some(session));
}

pub(crate) async fn sessions_are_listed_by_last_refresh(world: World) {
    let user = new_user_id();
    let mut sessions = Vec::new();
    for _ in 0..3 {
        sessions.push(world.login(user, Epoch(0)).await);
        world.clock.advance(HOUR);
    }
    world.login(new_user_id(), Epoch(0)).await;
    sessions[0] = world.refresh(&sessions[0]).await;
    let listed = world.sessions.list(user).await.unwrap();
    assert_eq!(listed, [sessions[0].clone(), sessions[2].clone(), sessions[1].clone()]);
}

pub(crate) async fn a_session_dies_of_idleness_unless_it_is_refreshed(world: World) {
    let user = new_user_id();
    let idle = world.login(user, Epoch(0)).await;
    let kept = world.login(user, Epoch(0)).await;
    world.clock.advance(just_before(IDLE));
    assert_eq!(world.sessions.list(user).await.unwrap().len(), 2);
    assert!(world.sessions.find(user, idle.id).await.unwrap().is_some());
    let kept = world.refresh(&kept).await;
    assert_eq!(kept.idle_expires_at, START + (just_before(2 * IDLE)));

    world.clock.advance(MS);
    assert_eq!(world.present(&idle, idle.current()).await, Rotation::Idle);
    assert_eq!(world.sessions.find(user, idle.id).await.unwrap(), None);
    assert_eq!(world.sessions.list(user).await.unwrap(), [kept]);
}

/// A client that refreshes more often than a line may move, with an idle life that is hardly longer than that.
pub(crate) async fn the_idle_life_counts_from_the_last_refresh_of_any_kind(world: World) {
    const SHORT: Duration = Duration::from_secs(15);
    const EVERY: Duration = Duration::from_millis(4300);
    let policy = SessionPolicy { idle: SHORT, ..POLICY };
    let new = new_session(new_user_id(), Epoch(0));
    let mut session = began(world.sessions.create(new, &policy).await.unwrap()).0;
    let (mut unchanged, mut replayed, mut predecessor) = (0, 0, None);
    for _ in 0..40 {
        world.clock.advance(EVERY);
        let now = world.clock.now();
        // The other tab still has the predecessor, as long as that is honoured.
        let presented = match predecessor {
            Some(predecessor) if session.line.rotated_at + GRACE > now => predecessor,
            _ => session.current(),
        };
        let before = session.current();
        let answer = world.sessions.rotate(presentation(&session, presented), &policy).await.unwrap();
        let Rotation::Honoured(how, answered) = answer else { panic!("logged out: {answer:?}") };
        match how {
            Honoured::Rotated => predecessor = Some(before),
            Honoured::Unchanged => unchanged += 1,
            Honoured::Replayed => replayed += 1,
            other => panic!("{other:?}"),
        }
        session = *answered;
        assert_eq!(session.idle_expires_at, now + SHORT, "{how:?}");
        let found = world.sessions.find(session.user, session.id).await.unwrap();
        assert_eq!(found.as_ref(), Some(&session), "what is answered is what is stored");
    }
    assert!(unchanged > 5 && replayed > 5, "{unchanged} unchanged, {replayed} replayed");
    world.clock.advance(SHORT);
    let late = world.sessions.rotate(presentation(&session, session.current()), &policy).await.unwrap();
    assert_eq!(late, Rotation::Idle);
}

/// The clock is wrong for one Refresh, and right before and after.
pub(crate) async fn a_refresh_by_a_clock_that_is_far_behind_costs_nobody_the_session(world: World) {
    const BEHIND: Duration = Duration::from_hours(400 * 24);
    let without_grace = RotationPolicy { grace: Duration::ZERO, ..POLICY.rotation };
    for policy in [POLICY, SessionPolicy { rotation: without_grace, ..POLICY }] {
        for refreshed_before in [false, true] {
            let mut session = world.login(new_user_id(), Epoch(0)).await;
            world.clock.advance(HOUR);
            if refreshed_before {
                session = world.refresh(&session).await;
                world.clock.advance(HOUR);
            }
            let (right, before) = (world.clock.now(), session.clone());
            world.clock.set_wall(right - BEHIND);
            let answer =
                world.sessions.rotate(presentation(&session, session.current()), &policy).await.unwrap();
            let Rotation::Honoured(_, answered) = answer else { panic!("logged out: {answer:?}") };
            session = *answered;
            assert!(session.idle_expires_at >= before.idle_expires_at, "{session:?}");
            assert!(session.line.rotated_at >= before.line.rotated_at, "{session:?}");

            world.clock.set_wall(right + HOUR);
            let answer =
                world.sessions.rotate(presentation(&session, session.current()), &policy).await.unwrap();
            let Rotation::Honoured(how, session) = answer else { panic!("logged out: {answer:?}") };
            assert_eq!((how, session.idle_expires_at), (Honoured::Rotated, right + HOUR + IDLE));
        }
    }
}

pub(crate) async fn no_refresh_outlives_the_absolute_end(world: World) {
    let mut session = world.login(new_user_id(), Epoch(0)).await;
    for _ in 0..7 {
        world.clock.advance(just_before(IDLE / 2));
        if session.created_at + ABSOLUTE <= session.line.rotated_at + IDLE / 2 {
            break;
        }
        session = world.refresh(&session).await;
        assert_eq!(session.expires_at, START + ABSOLUTE, "the absolute end does not move");
        assert_eq!(session.idle_expires_at, session.expires_at.min(session.line.rotated_at + IDLE));
    }
    assert_eq!(session.idle_expires_at, START + ABSOLUTE);
    world.clock.set_wall(START + just_before(ABSOLUTE));
    assert!(world.sessions.find(session.user, session.id).await.unwrap().is_some());
    world.clock.set_wall(START + ABSOLUTE);
    assert_eq!(world.present(&session, session.current()).await, Rotation::Idle);
    assert_eq!(world.sessions.find(session.user, session.id).await.unwrap(), None);
}

fn of_class(user: UserId, class: &str) -> NewSession {
    let mut new = new_session(user, Epoch(0));
    class.clone_into(&mut new.client.class);
    new
}

/// A new session of a class; and which others make room for it.
async fn log_in(
    world: &World,
    user: UserId,
    class: &str,
    policy: &SessionPolicy,
) -> (Session, Vec<SessionId>) {
    let created = world.sessions.create(of_class(user, class), policy).await.unwrap();
    let (session, evicted) = began(created);
    assert_eq!(session.client.class, class);
    world.clock.advance(HOUR);
    let evicted = ids(&evicted);
    world.sessions.delete(user, &evicted).await.unwrap();
    (session, evicted)
}

pub(crate) async fn a_class_has_a_limit_of_its_own(world: World) {
    let user = new_user_id();
    let evict = SessionLimit::EvictOldest;
    let two = NonZeroU32::new(2).unwrap();
    let class_limit = evict(two);
    let policy = SessionPolicy { class_limit, ..POLICY };
    let (phone, gone) = log_in(&world, user, "mobile", &policy).await;
    assert_eq!(gone, []);
    // Of another class, of none, of a class whose name ends like it, and called like it.
    let mut others = Vec::new();
    for class in ["web", "", "automobile"] {
        others.push(log_in(&world, user, class, &POLICY).await.0.id);
    }
    let mut named = of_class(user, "");
    "mobile".clone_into(&mut named.client.name);
    others.push(began(world.sessions.create(named, &POLICY).await.unwrap()).0.id);
    world.clock.advance(HOUR);
    let (tablet, gone) = log_in(&world, user, "mobile", &policy).await;
    assert_eq!(gone, []);
    let phone = world.refresh(&phone).await;
    assert_eq!(phone.client.class, "mobile");
    world.clock.advance(HOUR);
    let (_, gone) = log_in(&world, user, "mobile", &policy).await;
    assert_eq!(gone, [tablet.id], "the one of the class refreshed longest ago");
    let (_, gone) = log_in(&world, user, "", &policy).await;
    assert_eq!(gone, [], "a class limit is none of those that have no class");

    let deny = SessionPolicy { class_limit: SessionLimit::Deny(two), ..POLICY };
    let denied = world.sessions.create(of_class(user, "mobile"), &deny).await.unwrap();
    assert_eq!(denied, Created::LimitReached);
    log_in(&world, user, "desktop", &deny).await;
    let left: HashSet<SessionId> = ids(&world.sessions.list(user).await.unwrap()).into_iter().collect();
    assert!(others.iter().all(|id| left.contains(id)), "none of them made room");
    assert_eq!(left.len(), 8);
}

pub(crate) async fn a_class_makes_room_for_its_own_before_others_do(world: World) {
    let user = new_user_id();
    let both = |limit, class_limit| SessionPolicy { limit, class_limit, ..POLICY };
    let (web, _) = log_in(&world, user, "web", &POLICY).await;
    let (older, _) = log_in(&world, user, "", &POLICY).await;
    let (phone, _) = log_in(&world, user, "mobile", &POLICY).await;
    let one = NonZeroU32::MIN;
    let policy = both(SessionLimit::EvictOldest(THREE), SessionLimit::EvictOldest(one));
    let (phone, gone) = (log_in(&world, user, "mobile", &policy).await, vec![phone.id]);
    assert_eq!(phone.1, gone, "which is enough for the limit of all, too");
    let (_, gone) = log_in(&world, user, "desktop", &policy).await;
    assert_eq!(gone, [web.id], "the oldest of all, where the class has room");

    // One of the class and two others.
    let policy = both(SessionLimit::EvictOldest(one), SessionLimit::EvictOldest(one));
    let (new, gone) = log_in(&world, user, "mobile", &policy).await;
    assert_eq!(gone.len(), 3);
    assert_eq!(gone[..2], [phone.0.id, older.id], "and then the oldest");
    let left = world.sessions.list(user).await.unwrap();
    assert_eq!(ids(&left), [new.id]);

    let policy = both(SessionLimit::Deny(one), SessionLimit::Unlimited);
    let denied = world.sessions.create(of_class(user, "web"), &policy).await.unwrap();
    assert_eq!(denied, Created::LimitReached);
    // Another epoch, or a session that is dead, takes no room in a class either.
    let policy = both(SessionLimit::Unlimited, SessionLimit::Deny(one));
    let mut later = of_class(user, "mobile");
    later.epoch = Epoch(1);
    began(world.sessions.create(later, &policy).await.unwrap());
    world.clock.advance(IDLE);
    began(world.sessions.create(of_class(user, "mobile"), &policy).await.unwrap());
}

pub(crate) async fn a_full_house_denies_one_more(world: World) {
    let (user, policy) = (new_user_id(), limited(SessionLimit::Deny(THREE)));
    for _ in 0..3 {
        began(world.sessions.create(new_session(user, Epoch(0)), &policy).await.unwrap());
    }
    let before = world.sessions.list(user).await.unwrap();
    let denied = world.sessions.create(new_session(user, Epoch(0)), &policy).await.unwrap();
    assert_eq!(denied, Created::LimitReached);
    assert_eq!(world.sessions.list(user).await.unwrap(), before);

    began(world.sessions.create(new_session(new_user_id(), Epoch(0)), &policy).await.unwrap());
    world.sessions.delete(user, &[before[0].id]).await.unwrap();
    began(world.sessions.create(new_session(user, Epoch(0)), &policy).await.unwrap());
}

pub(crate) async fn a_full_house_ends_the_session_refreshed_longest_ago(world: World) {
    let user = new_user_id();
    let mut sessions = Vec::new();
    for _ in 0..5 {
        sessions.push(world.login(user, Epoch(0)).await);
        world.clock.advance(GRACE + HOUR);
    }
    sessions[0] = world.refresh(&sessions[0]).await;
    world.clock.advance(MS);

    let policy = limited(SessionLimit::EvictOldest(THREE));
    let (new, evicted) = began(world.sessions.create(new_session(user, Epoch(0)), &policy).await.unwrap());
    let evicted: Vec<SessionId> = ids(&evicted);
    let wanted: HashSet<SessionId> = ids(&sessions[1..4]).into_iter().collect();
    assert_eq!(evicted.iter().copied().collect::<HashSet<_>>(), wanted, "so many that the limit holds again");
    world.sessions.delete(user, &evicted).await.unwrap();
    let left = world.sessions.list(user).await.unwrap();
    assert_eq!(left, [new, sessions[0].clone(), sessions[4].clone()]);
    assert_eq!(world.present(&sessions[1], sessions[1].current()).await, Rotation::Unknown);
}

/// A session ends with a row in the ledger, and there is none when the answer is lost that named the session.
pub(crate) async fn a_login_that_nobody_heard_of_ends_no_session(world: World) {
    let user = new_user_id();
    let held = world.login(user, Epoch(0)).await;
    world.clock.advance(GRACE + HOUR);
    let policy = limited(SessionLimit::EvictOldest(NonZeroU32::MIN));
    let lost = began(world.sessions.create(new_session(user, Epoch(0)), &policy).await.unwrap()).0;
    world.clock.advance(MS);
    let held = world.refresh(&held).await;

    world.clock.advance(MS);
    let (new, evicted) = began(world.sessions.create(new_session(user, Epoch(0)), &policy).await.unwrap());
    let evicted: HashSet<SessionId> = ids(&evicted).into_iter().collect();
    assert_eq!(evicted, HashSet::from([held.id, lost.id]), "the next login is told of all");
    world.sessions.delete(user, &[held.id, lost.id]).await.unwrap();
    assert_eq!(world.sessions.list(user).await.unwrap(), [new]);
}

pub(crate) async fn the_dead_and_the_revoked_take_no_room(world: World) {
    let user = new_user_id();
    for _ in 0..3 {
        world.login(user, Epoch(0)).await;
    }
    let deny = limited(SessionLimit::Deny(THREE));
    assert_eq!(
        world.sessions.create(new_session(user, Epoch(0)), &deny).await.unwrap(),
        Created::LimitReached
    );
    began(world.sessions.create(new_session(user, Epoch(1)), &deny).await.unwrap());

    world.clock.advance(IDLE);
    let evict = limited(SessionLimit::EvictOldest(NonZeroU32::MIN));
    let (new, evicted) = began(world.sessions.create(new_session(user, Epoch(1)), &evict).await.unwrap());
    assert_eq!(evicted, [], "a session that is dead already is not ended again");
    assert_eq!(world.sessions.list(user).await.unwrap(), [new]);
}

pub(crate) async fn deleting_forgets_those_named_and_no_others(world: World) {
    let user = new_user_id();
    let mut sessions = Vec::new();
    for _ in 0..4 {
        sessions.push(world.login(user, Epoch(0)).await);
    }
    world.sessions.delete(user, &[]).await.unwrap();
    for _ in 0..2 {
        world.sessions.delete(user, &[sessions[0].id, session_id(), sessions[2].id]).await.unwrap();
        let left: HashSet<_> = ids(&world.sessions.list(user).await.unwrap()).into_iter().collect();
        assert_eq!(left, HashSet::from([sessions[1].id, sessions[3].id]));
    }
    assert_eq!(world.present(&sessions[0], sessions[0].current()).await, Rotation::Unknown);
}

/// A store that forgets by itself returns 0.
pub(crate) async fn purging_forgets_the_dead_alone(world: World) {
    let user = new_user_id();
    for _ in 0..3 {
        world.login(user, Epoch(0)).await;
    }
    world.clock.advance(Duration::from_secs(1));
    let alive = world.login(user, Epoch(0)).await;
    assert_eq!(world.sessions.purge(10).await.unwrap(), 0);

    world.clock.advance(just_before(IDLE.saturating_sub(Duration::from_secs(1))));
    assert_eq!(world.sessions.purge(10).await.unwrap(), 0);
    world.clock.advance(MS);
    assert!(world.sessions.purge(2).await.unwrap() <= 2);
    assert!(world.sessions.purge(10).await.unwrap() <= 1);
    assert_eq!(world.sessions.purge(10).await.unwrap(), 0);
    assert_eq!(world.sessions.list(user).await.unwrap(), std::slice::from_ref(&alive));
    let answer = world.present(&alive, alive.current()).await;
    assert!(matches!(answer, Rotation::Honoured(Honoured::Rotated, _)), "{answer:?}");
}
