//! The audit log: every sentence of the trait `AuditStore`, and that each change of the other stores is in it once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use countersign::model::{
    Actor, Event, EventFilter, EventKind, ImportedUser, KeyEnd, KeyKind, NewEvent, NewServiceAccount, Note,
    Origin, Position, RevocationReason, Role, SealedKey, ServiceAccountChange, ServiceAccountName,
    ServiceKeyDigest, UnixMillis, UserId, new_service_account_id, new_service_key_id, new_user_id,
};
use countersign::store::{
    AttributeChange, Cause, EVENTS_READ, EventBatch, EventsAfter, KeyChange, NewKeyActivation, NewServiceKey,
    NewTokenKey, SessionRevocation,
};

use super::concurrency::at_once;
use super::{HOUR, MS, OPERATOR, START, World, hash, new_user, session_id};

fn origin() -> Arc<Origin> {
    Arc::new(Origin {
        actor: Some("certificate:spiffe://td/\"käse\"".to_owned()),
        peer: Some("2001:db8::7".parse().unwrap()),
        request_id: "4f9d-A_z.0".to_owned(),
        kind: None,
    })
}

async fn events_after(world: &World, position: Option<Position>) -> Vec<Event> {
    match world.audit.after(position, 10_000).await.unwrap() {
        EventsAfter::Events(events, _) => events,
        EventsAfter::Expired => panic!("the log has the position"),
    }
}

/// The events since the last call, which must all come from [`origin`].
struct Tail<'a> {
    world: &'a World,
    position: Position,
}

impl<'a> Tail<'a> {
    async fn new(world: &'a World) -> Self {
        Self { world, position: world.audit.end().await.unwrap() }
    }

    async fn kinds(&mut self) -> Vec<EventKind> {
        self.events().await.iter().map(|event| event.kind.unwrap()).collect()
    }

    async fn events(&mut self) -> Vec<Event> {
        let events = events_after(self.world, Some(self.position)).await;
        for event in &events {
            let origin = origin();
            assert_eq!(Some(&event.actor), origin.actor.as_ref(), "{event:?}");
            assert_eq!(
                (event.facts.peer.as_str(), &event.facts.request_id),
                ("2001:db8::7", &origin.request_id)
            );
            assert_eq!(event.at, self.world.clock_now());
        }
        self.position = events.last().map_or(self.position, |event| event.position);
        events
    }
}

impl World {
    fn clock_now(&self) -> UnixMillis {
        use countersign::model::Clock as _;
        self.clock.now()
    }
}

fn because(reason: RevocationReason) -> Cause {
    Cause { reason, ..OPERATOR }
}

pub(crate) async fn each_change_of_a_user_is_one_event(world: World) {
    use EventKind as Kind;
    let (mut tail, users) = (Tail::new(&world).await, world.users.attributed_to(origin()));
    let new = new_user("ada");
    let user = users.create(new.clone()).await.unwrap();
    users.create(new).await.unwrap();
    let created = tail.events().await;
    assert_eq!(created.len(), 1, "the same call again finds the user that it made");
    assert_eq!((created[0].kind, created[0].user), (Some(Kind::UserCreated), Some(user.id)));
    assert_eq!(created[0].facts.name, "ada");

    let import = |name| ImportedUser { new: new_user(name), disabled: false, created_at: None };
    users.import(vec![import("eve"), import("ada"), import("bob")]).await.unwrap();
    let imported = tail.events().await;
    let names: Vec<_> = imported.iter().map(|event| event.facts.name.as_str()).collect();
    assert_eq!((names.as_slice(), imported[0].kind), (&["eve", "bob"][..], Some(Kind::UserImported)));

    let set = AttributeChange { roles: Some(&[]), ..AttributeChange::default() };
    users.set_attributes(user.id, set, None, because(RevocationReason::UserChanged)).await.unwrap().unwrap();
    users.set_password(user.id, &hash("x"), None, because(RevocationReason::PasswordChanged)).await.unwrap();
    users.disable(user.id, because(RevocationReason::UserDisabled)).await.unwrap();
    assert!(users.enable(user.id).await.unwrap());
    users.revoke_all(user.id, because(RevocationReason::LogoutEverywhere)).await.unwrap();
    users.revoke_all(user.id, OPERATOR).await.unwrap();
    users.delete(user.id, because(RevocationReason::UserDeleted)).await.unwrap();
    let changed = tail.events().await;
    let told: Vec<_> =
        changed.iter().map(|event| (event.kind.unwrap(), event.user, event.facts.cause.as_str())).collect();
    let id = Some(user.id);
    assert_eq!(
        told,
        [
            (Kind::UserUpdated, id, ""),
            (Kind::PasswordChanged, id, "PASSWORD_CHANGED"),
            (Kind::UserDisabled, id, "USER_DISABLED"),
            (Kind::UserEnabled, id, ""),
            (Kind::Logout, id, "LOGGED_OUT_EVERYWHERE"),
            (Kind::SessionRevoked, id, "REVOKED_BY_ADMINISTRATOR"),
            (Kind::UserDeleted, id, "USER_DELETED"),
        ]
    );
}

pub(crate) async fn what_is_not_changed_is_no_event(world: World) {
    let user = world.add_user("ada").await;
    let mut tail = Tail::new(&world).await;
    let users = world.users.attributed_to(origin());
    users.create(new_user("ada")).await.unwrap_err();
    let stale = Some(user.updated_at - MS);
    let set = AttributeChange { roles: Some(&[]), ..AttributeChange::default() };
    assert!(users.set_attributes(user.id, set, stale, OPERATOR).await.unwrap().is_none());
    assert!(
        users.set_password(user.id, &hash("x"), Some(user.epoch.next()), OPERATOR).await.unwrap().is_none()
    );
    assert!(users.rehash(user.id, &new_user("x").password_hash, &hash("y")).await.unwrap());
    let nobody = new_user_id();
    assert!(!users.enable(nobody).await.unwrap());
    assert!(users.disable(nobody, OPERATOR).await.unwrap().is_none());
    assert!(users.delete(nobody, OPERATOR).await.unwrap().is_none());
    assert!(users.revoke_all(nobody, OPERATOR).await.unwrap().is_none());
    let accounts = world.accounts.attributed_to(origin());
    let nobody = new_service_account_id();
    assert!(accounts.delete(nobody, OPERATOR).await.unwrap().is_none());
    assert!(accounts.revoke_key(nobody, new_service_key_id(), OPERATOR).await.unwrap().is_none());
    let keys = world.keys.attributed_to(origin());
    assert!(
        keys.change(7, vec![KeyChange::End("x".to_owned(), KeyEnd::Withdrawn)], Actor::System)
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(tail.kinds().await, []);
}

pub(crate) async fn each_end_of_a_session_is_one_event(world: World) {
    use EventKind as Kind;
    let (mut tail, user) = (Tail::new(&world).await, new_user_id());
    let reasons = [
        (RevocationReason::Logout, Kind::Logout),
        (RevocationReason::RefreshTokenReused, Kind::RefreshReused),
        (RevocationReason::SessionLimit, Kind::SessionRevoked),
        (RevocationReason::Operator, Kind::SessionRevoked),
    ];
    let sessions: Vec<_> = reasons
        .iter()
        .map(|(reason, _)| {
            (SessionRevocation { session: session_id(), user, cause: because(*reason) }, origin())
        })
        .collect();
    world.ledger.revoke_from(&sessions).await.unwrap();
    let events = tail.events().await;
    assert_eq!(events.len(), sessions.len());
    for ((event, (revocation, _)), (reason, kind)) in events.iter().zip(&sessions).zip(reasons) {
        assert_eq!((event.kind, event.user), (Some(kind), Some(user)));
        assert_eq!(event.session, Some(revocation.session));
        assert_eq!(event.facts.cause, reason.end_cause().unwrap().as_str());
    }
    let by_verb = Origin { kind: Some(Kind::SessionRevoked), ..Origin::default() };
    world.ledger.revoke_from(&[(sessions[0].0, Arc::new(by_verb))]).await.unwrap();
    let last = events_after(&world, Some(tail.position)).await;
    assert_eq!((last[0].kind, last[0].actor.as_str()), (Some(Kind::SessionRevoked), "operator"));
}

fn new_key(id: &str) -> NewTokenKey {
    NewTokenKey {
        id: id.to_owned(),
        kind: KeyKind::Signing,
        algorithm: "EdDSA".to_owned(),
        verify_only: false,
        sealed: SealedKey { under: vec![1], bytes: vec![2] },
        life: HOUR,
        activation: NewKeyActivation::Later,
        request: String::new(),
    }
}

pub(crate) async fn each_change_of_a_key_or_a_service_account_is_one_event(world: World) {
    use EventKind as Kind;
    let mut tail = Tail::new(&world).await;
    let keys = world.keys.attributed_to(origin());
    let (a, b) = ("a".to_owned(), "b".to_owned());
    let changes = [
        vec![KeyChange::Add(new_key("a")), KeyChange::Add(new_key("b"))],
        vec![KeyChange::Activate(a.clone())],
        vec![KeyChange::Reseal(a.clone(), SealedKey { under: vec![3], bytes: vec![4] }), KeyChange::Tell],
        vec![KeyChange::Settle(a.clone())],
        vec![KeyChange::End(a.clone(), KeyEnd::Withdrawn), KeyChange::End(b, KeyEnd::Retired)],
        vec![KeyChange::Forget(a)],
    ];
    for (revision, changes) in (0..).zip(changes) {
        keys.change(revision, changes, Actor::Operator).await.unwrap().unwrap();
    }
    let told: Vec<_> =
        tail.events().await.into_iter().map(|event| (event.kind.unwrap(), event.facts.key)).collect();
    let told: Vec<_> = told.iter().map(|(kind, key)| (*kind, key.as_str())).collect();
    assert_eq!(
        told,
        [
            (Kind::KeyCreated, "a"),
            (Kind::KeyCreated, "b"),
            (Kind::KeyActivated, "a"),
            (Kind::KeyReencrypted, "a"),
            (Kind::KeyWithdrawn, "a"),
            (Kind::KeyRetired, "b"),
        ]
    );

    let accounts = world.accounts.attributed_to(origin());
    let new = NewServiceAccount {
        id: new_service_account_id(),
        name: ServiceAccountName::parse("shop").unwrap(),
        description: Note::parse("").unwrap(),
        roles: Vec::new(),
    };
    let account = accounts.create(new.clone()).await.unwrap();
    accounts.create(new).await.unwrap();
    let roles = Some(Role::parse_all(["ops"]).unwrap());
    let change = |change| accounts.change(account.id, change, None, OPERATOR);
    change(ServiceAccountChange { roles, ..ServiceAccountChange::default() }).await.unwrap();
    change(ServiceAccountChange { disabled: Some(true), ..ServiceAccountChange::default() }).await.unwrap();
    let now = change(ServiceAccountChange { disabled: Some(false), ..ServiceAccountChange::default() });
    let (now, _) = now.await.unwrap().unwrap();
    let key = NewServiceKey {
        id: new_service_key_id(),
        account: account.id,
        digest: ServiceKeyDigest::from_bytes([7; 32]),
        session: session_id(),
        label: Note::parse("till").unwrap(),
        created_by: "operator".to_owned(),
        ttl: HOUR,
        unchanged_since: now.updated_at,
        most: 3,
        cause: OPERATOR,
    };
    accounts.create_key(key.clone()).await.unwrap();
    accounts.create_key(key.clone()).await.unwrap();
    accounts.end_tokens(account.id, key.session, OPERATOR).await.unwrap();
    assert!(accounts.revoke_key(account.id, key.id, OPERATOR).await.unwrap().is_some());
    assert!(accounts.delete(account.id, OPERATOR).await.unwrap().is_some());
    let events = tail.events().await;
    let told: Vec<_> = events
        .iter()
        .map(|event| (event.kind.unwrap(), event.facts.name.as_str(), event.facts.key.as_str()))
        .collect();
    let id = key.id.to_string();
    assert_eq!(
        told,
        [
            (Kind::ServiceAccountCreated, "shop", ""),
            (Kind::ServiceAccountUpdated, "shop", ""),
            (Kind::ServiceAccountDisabled, "shop", ""),
            (Kind::ServiceAccountEnabled, "shop", ""),
            (Kind::ServiceKeyCreated, "till", id.as_str()),
            (Kind::ServiceKeyReplaced, "till", id.as_str()),
            (Kind::Logout, "", ""),
            (Kind::ServiceKeyRevoked, "", id.as_str()),
            (Kind::ServiceAccountDeleted, "", ""),
        ]
    );
    assert!(events.iter().all(|event| event.facts.service_account == account.id.to_string()));
}

fn batch(kinds: &[EventKind], user: Option<UserId>) -> EventBatch {
    let event = |kind: &EventKind| NewEvent { user, ..NewEvent::new(*kind, "system", &Origin::default()) };
    let events = kinds.iter().map(event).collect();
    EventBatch::new(events)
}

pub(crate) async fn a_batch_is_written_once_however_often_it_is_sent(world: World) {
    let before = world.audit.end().await.unwrap();
    let first = batch(&[EventKind::LoginFailed; 3], None);
    let written = world.audit.write(first.clone()).await.unwrap();
    let again = EventBatch { tried_since: Some(before.seq), ..first };
    assert_eq!(world.audit.write(again.clone()).await.unwrap(), written);
    world.audit.write(batch(&[EventKind::LoginSucceeded], None)).await.unwrap();
    world.audit.write(again).await.unwrap();
    assert_eq!(events_after(&world, Some(before)).await.len(), 4);
    // One that was tried and did not arrive is written when it is sent again.
    let late = EventBatch { tried_since: Some(before.seq), ..batch(&[EventKind::Logout], None) };
    world.audit.write(late).await.unwrap();
    assert_eq!(events_after(&world, Some(before)).await.len(), 5);
}

pub(crate) async fn events_are_found_by_what_they_say_page_by_page(world: World) {
    let (ada, bob) = (new_user_id(), new_user_id());
    let session = session_id();
    for n in 0..60_u64 {
        let user = if n % 3 == 0 { bob } else { ada };
        let kind = if n % 2 == 0 { EventKind::LoginSucceeded } else { EventKind::LoginFailed };
        let mut batch = batch(&[kind], Some(user));
        batch.events[0].actor = if n % 5 == 0 { "operator".to_owned() } else { "system".to_owned() };
        batch.events[0].session = (n % 10 == 0).then_some(session);
        world.audit.write(batch).await.unwrap();
        world.clock.advance(MS);
    }
    let everything = events_after(&world, None).await;
    let all: Vec<_> = everything.into_iter().rev().collect();
    let login = EventKind::LoginSucceeded;
    let filters = [
        EventFilter::default(),
        EventFilter { user: Some(ada), ..EventFilter::default() },
        EventFilter { session: Some(session), ..EventFilter::default() },
        EventFilter { actor: Some("operator".to_owned()), ..EventFilter::default() },
        EventFilter { kinds: vec![login], ..EventFilter::default() },
        EventFilter { kinds: vec![login, EventKind::Logout], ..EventFilter::default() },
        EventFilter { user: Some(bob), kinds: vec![login], ..EventFilter::default() },
        EventFilter { user: Some(new_user_id()), ..EventFilter::default() },
        EventFilter { since: Some(START + 10 * MS), until: Some(START + 40 * MS), ..EventFilter::default() },
        EventFilter { since: Some(START + HOUR), ..EventFilter::default() },
        EventFilter { until: Some(START), ..EventFilter::default() },
    ];
    for filter in filters {
        let wanted: Vec<_> = all.iter().filter(|event| filter.admits(event)).cloned().collect();
        for size in [1, 7, 1000] {
            let (mut found, mut before) = (Vec::new(), None);
            loop {
                let page = world.audit.page(filter.clone(), before, size).await.unwrap();
                assert!(page.events.len() <= size as usize);
                found.extend(page.events);
                before = page.next;
                if before.is_none() {
                    break;
                }
            }
            assert_eq!(found, wanted, "{filter:?} by {size}");
        }
    }
}

/// A filter that nothing matches reads a bounded number of events, and goes on from there.
pub(crate) async fn a_page_reads_a_bounded_number_of_events(world: World) {
    let rare =
        world.audit.write(batch(&[EventKind::KeyWithdrawn, EventKind::UserDeleted], None)).await.unwrap();
    for _ in 0..3 {
        world
            .audit
            .write(batch(&vec![EventKind::LoginFailed; EVENTS_READ as usize / 2], None))
            .await
            .unwrap();
    }
    let kinds = vec![EventKind::KeyWithdrawn, EventKind::UserDeleted];
    let filter = EventFilter { kinds, ..EventFilter::default() };
    let first = world.audit.page(filter.clone(), None, 10).await.unwrap();
    assert_eq!(first.events, []);
    let next = first.next.expect("there is more to look at");
    let second = world.audit.page(filter, Some(next), 10).await.unwrap();
    assert_eq!((second.events.len(), second.next), (2, None));
    assert_eq!(second.events[0].position, rare);
}

pub(crate) async fn old_events_are_purged_oldest_first_and_their_readers_are_told(world: World) {
    let born = world.audit.end().await.unwrap();
    let mut positions = Vec::new();
    for _ in 0..10 {
        positions.push(world.audit.write(batch(&[EventKind::LoginFailed], None)).await.unwrap());
        world.clock.advance(HOUR);
    }
    // The first six are older than this; the last of those stays, and by it its reader is known.
    let kept_since = START + 6 * HOUR;
    assert_eq!(world.audit.purge(kept_since, 3).await.unwrap(), 3);
    assert_eq!(world.audit.purge(kept_since, 3).await.unwrap(), 2);
    assert_eq!(world.audit.purge(kept_since, 3).await.unwrap(), 0);
    let left = events_after(&world, None).await;
    assert_eq!(left.iter().map(|event| event.position).collect::<Vec<_>>(), positions[5..]);
    for gone in positions[..5].iter().chain([&born]) {
        assert_eq!(world.audit.after(Some(*gone), 10).await.unwrap(), EventsAfter::Expired, "{gone}");
    }
    assert_eq!(
        events_after(&world, Some(positions[5])).await.len(),
        4,
        "nothing of what it asks for is gone"
    );
    assert_eq!(world.audit.purge(START + 1000 * HOUR, 100).await.unwrap(), 4);
    let end = *positions.last().unwrap();
    assert_eq!(world.audit.after(Some(end), 10).await.unwrap(), EventsAfter::Events(Vec::new(), end));
    let foreign = Position { mark: !end.mark, ..end };
    assert_eq!(world.audit.after(Some(foreign), 10).await.unwrap(), EventsAfter::Expired, "another log's");
}

/// A clock that steps back does not put an event before an earlier one.
pub(crate) async fn no_event_is_written_before_an_earlier_one(world: World) {
    world.audit.write(batch(&[EventKind::Logout], None)).await.unwrap();
    world.clock.set_wall(START - HOUR);
    world.audit.write(batch(&[EventKind::Logout], None)).await.unwrap();
    let times: Vec<_> = events_after(&world, None).await.iter().map(|event| event.at).collect();
    assert_eq!(times, [START, START]);
}

/// A reader that follows while many write sees every event, in the order of the numbers, and none late.
pub(crate) async fn no_event_is_committed_behind_a_reader(world: World) {
    const WRITERS: usize = 12;
    const ROUNDS: usize = 4;
    let birth = world.audit.end().await.unwrap();
    let audit = Arc::clone(&world.audit);
    // For each round a user is created, changed and their session revoked, and a batch of two is written.
    let expected = WRITERS * ROUNDS * 5;
    let reader = tokio::spawn(async move {
        let (mut seen, mut position) = (Vec::new(), birth);
        while seen.len() < expected {
            let EventsAfter::Events(events, next) = audit.after(Some(position), 7).await.unwrap() else {
                panic!("nothing was purged")
            };
            seen.extend(events);
            position = next;
            tokio::task::yield_now().await;
        }
        seen
    });
    at_once(WRITERS, |writer| {
        let (users, ledger, audit) =
            (Arc::clone(&world.users), Arc::clone(&world.ledger), Arc::clone(&world.audit));
        async move {
            for round in 0..ROUNDS {
                let user = users.create(new_user(&format!("u{writer}-{round}"))).await.unwrap();
                users.disable(user.id, OPERATOR).await.unwrap().unwrap();
                let revocation = SessionRevocation { session: session_id(), user: user.id, cause: OPERATOR };
                ledger.revoke_sessions(&[revocation]).await.unwrap();
                let kinds = [EventKind::LoginFailed, EventKind::LoginSucceeded];
                audit.write(batch(&kinds, Some(user.id))).await.unwrap();
            }
        }
    })
    .await;
    let seen = tokio::time::timeout(Duration::from_mins(1), reader).await.unwrap().unwrap();
    let numbers: Vec<u64> = seen.iter().map(|event| event.position.seq - birth.seq).collect();
    assert_eq!(numbers, (1..=expected as u64).collect::<Vec<_>>(), "no gap and no event late");
    let users: BTreeSet<_> = seen.iter().map(|event| event.user).collect();
    assert_eq!(users.len(), WRITERS * ROUNDS);
    for user in users {
        let kinds: Vec<_> =
            seen.iter().filter(|event| event.user == user).map(|event| event.kind.unwrap()).collect();
        assert_eq!(
            kinds,
            [
                EventKind::UserCreated,
                EventKind::UserDisabled,
                EventKind::SessionRevoked,
                EventKind::LoginFailed,
                EventKind::LoginSucceeded,
            ]
        );
    }
}

pub(crate) async fn a_user_whom_many_create_at_once_is_one_event(world: World) {
    for round in 0..5 {
        let before = world.audit.end().await.unwrap();
        let new = new_user(&format!("ada{round}"));
        at_once(8, |_| {
            let (users, new) = (Arc::clone(&world.users), new.clone());
            async move { users.create(new).await.unwrap() }
        })
        .await;
        let account = NewServiceAccount {
            id: new_service_account_id(),
            name: ServiceAccountName::parse(&format!("shop{round}")).unwrap(),
            description: Note::parse("").unwrap(),
            roles: Vec::new(),
        };
        at_once(8, |_| {
            let (accounts, account) = (Arc::clone(&world.accounts), account.clone());
            async move { accounts.create(account).await.unwrap() }
        })
        .await;
        let kinds: Vec<_> = events_after(&world, Some(before)).await.iter().map(|event| event.kind).collect();
        assert_eq!(kinds, [Some(EventKind::UserCreated), Some(EventKind::ServiceAccountCreated)]);
    }
}
