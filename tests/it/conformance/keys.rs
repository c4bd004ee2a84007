//! Keys that make tokens: every sentence of the trait `KeyStore`.

use std::time::Duration;

use countersign::model::{
    Actor, KeyEnd, KeyKind, KeyTable, ReplicaId, RevocationReason, RevocationScope, SealedKey, TokenKey,
    UnixMillis,
};
use countersign::store::{KeyChange, KeyReport, KeysChanged, NewKeyActivation, NewTokenKey};

use super::{HOUR, MS, START, World};

const LIFE: Duration = Duration::from_mins(5);
/// A millisecond less than an hour.
const ALMOST: Duration = Duration::from_millis(3_599_999);

fn sealed(byte: u8) -> SealedKey {
    SealedKey { under: vec![byte; 8], bytes: vec![0, byte, 0xFF, b'\'', b'\\'] }
}

fn new_key(id: &str, kind: KeyKind, activation: NewKeyActivation) -> NewTokenKey {
    NewTokenKey {
        id: id.to_owned(),
        kind,
        algorithm: "EdDSA".to_owned(),
        verify_only: false,
        sealed: sealed(1),
        life: LIFE,
        activation,
        request: "a digest".to_owned(),
    }
}

fn add(id: &str) -> KeyChange {
    KeyChange::Add(new_key(id, KeyKind::Signing, NewKeyActivation::Later))
}

fn report(number: u8, revision: u64) -> KeyReport {
    KeyReport {
        id: ReplicaId::from_bytes([number; 16]),
        name: format!("replica-{number}"),
        revision,
        lease: HOUR,
        access_life: LIFE,
        refresh_life: HOUR,
    }
}

async fn table(world: &World) -> KeyTable {
    world.keys.keys().await.unwrap()
}

async fn change(world: &World, revision: u64, changes: Vec<KeyChange>) -> Option<KeysChanged> {
    world.keys.change(revision, changes, Actor::Operator).await.unwrap()
}

fn key<'t>(table: &'t KeyTable, id: &str) -> &'t TokenKey {
    table.keys.iter().find(|key| key.id == id).unwrap()
}

pub(crate) async fn there_are_no_keys_at_first(world: World) {
    let expected = KeyTable { now: START, revision: 0, leader: None, keys: Vec::new(), replicas: Vec::new() };
    assert_eq!(table(&world).await, expected);
}

pub(crate) async fn a_key_is_stored_as_it_is_and_goes_through_its_life(world: World) {
    let new = new_key("20260101T000000Z-0a1b2c3d", KeyKind::Signing, NewKeyActivation::Later);
    let id = new.id.clone();
    change(&world, 0, vec![KeyChange::Add(new)]).await.unwrap();
    let at_first = TokenKey {
        id: id.clone(),
        kind: KeyKind::Signing,
        algorithm: "EdDSA".to_owned(),
        verify_only: false,
        sealed: sealed(1),
        life: LIFE,
        revision: 1,
        created_at: START,
        activate_at: None,
        settled_at: None,
        ended: None,
        request: "a digest".to_owned(),
    };
    assert_eq!(table(&world).await.keys, std::slice::from_ref(&at_first));

    world.clock.advance(ALMOST);
    change(&world, 1, vec![KeyChange::Settle(id.clone())]).await.unwrap();
    let announced = TokenKey { settled_at: Some(START + ALMOST), ..at_first.clone() };
    assert_eq!(table(&world).await.keys, [announced]);
    world.clock.advance(MS);
    change(&world, 2, vec![KeyChange::Activate(id.clone())]).await.unwrap();
    let activated = TokenKey { activate_at: Some(START + HOUR), revision: 3, ..at_first };
    assert_eq!(
        table(&world).await.keys,
        std::slice::from_ref(&activated),
        "no replica is known to use it yet"
    );
    world.clock.advance(MS);
    change(&world, 3, vec![KeyChange::Settle(id.clone())]).await.unwrap();
    let settled = TokenKey { settled_at: Some(START + HOUR + MS), ..activated };
    assert_eq!(table(&world).await.keys, std::slice::from_ref(&settled));
    change(&world, 4, vec![KeyChange::End(id.clone(), KeyEnd::Retired)]).await.unwrap();
    let ended = Some((START + HOUR + MS, KeyEnd::Retired));
    let gone = TokenKey { ended, sealed: SealedKey::gone(), ..settled };
    assert_eq!(table(&world).await.keys, [gone], "its secret is deleted");
    change(&world, 5, vec![KeyChange::Forget(id)]).await.unwrap();
    let table = table(&world).await;
    assert_eq!((table.keys, table.revision), (Vec::new(), 6));
}

pub(crate) async fn a_change_is_made_to_the_table_that_was_read_or_not_at_all(world: World) {
    let at = NewKeyActivation::At(UnixMillis(17));
    let first = [
        KeyChange::Add(new_key("a", KeyKind::Signing, NewKeyActivation::AtOnce)),
        KeyChange::Add(NewTokenKey { verify_only: true, ..new_key("b", KeyKind::Signing, at) }),
        KeyChange::Add(new_key("c", KeyKind::Refresh, NewKeyActivation::AtOnce)),
    ];
    change(&world, 0, first.to_vec()).await.unwrap();
    let before = table(&world).await;
    assert_eq!(before.revision, 1);
    let times = |id: &str| (key(&before, id).activate_at, key(&before, id).settled_at);
    assert_eq!(
        [times("a"), times("b")],
        [(Some(START), Some(START)), (Some(UnixMillis(17)), Some(UnixMillis(17)))]
    );
    assert_eq!((key(&before, "b").verify_only, key(&before, "c").kind), (true, KeyKind::Refresh));
    for revision in [0, 2, u64::MAX / 2] {
        assert_eq!(change(&world, revision, vec![add("d")]).await, None);
    }
    assert_eq!(table(&world).await, before);
}

pub(crate) async fn of_many_changes_to_one_table_one_is_made(world: World) {
    let ids: Vec<_> = (0..8).map(|number| format!("key-{number}")).collect();
    let changes = ids.iter().map(|id| change(&world, 0, vec![add(id)]));
    let made = futures_util::future::join_all(changes).await;
    assert_eq!(made.iter().flatten().count(), 1);
    let table = table(&world).await;
    assert_eq!((table.keys.len(), table.revision), (1, 1));
}

pub(crate) async fn every_change_that_replicas_must_hear_of_is_in_the_ledger(world: World) {
    let before = world.head().await;
    let made = change(&world, 0, vec![add("a"), add("b")]).await.unwrap();
    let row = made.row.unwrap();
    assert_eq!(
        (row.scope, row.reason, row.at),
        (RevocationScope::KeysChanged, RevocationReason::Operator, START)
    );
    assert_eq!(world.rows_after(before).await, [row], "one row for one change");
    for (revision, what, heard) in [
        (1, KeyChange::Activate("a".to_owned()), true),
        (2, KeyChange::Settle("a".to_owned()), false),
        (3, KeyChange::Reseal("a".to_owned(), sealed(2)), false),
        (4, KeyChange::End("b".to_owned(), KeyEnd::Withdrawn), true),
        (5, KeyChange::Forget("b".to_owned()), false),
        (6, KeyChange::Tell, true),
    ] {
        let before = world.head().await;
        let changed = change(&world, revision, vec![what.clone()]).await.unwrap();
        assert_eq!(changed.revision, revision + 1, "{what:?}");
        assert_eq!(world.rows_after(before).await, changed.row.into_iter().collect::<Vec<_>>(), "{what:?}");
        assert_eq!(changed.row.is_some(), heard, "{what:?}");
    }
}

pub(crate) async fn a_change_of_a_key_that_is_not_there_changes_nothing(world: World) {
    change(&world, 0, vec![add("a")]).await.unwrap();
    let (before, head) = (table(&world).await, world.head().await);
    for what in [
        KeyChange::Activate("x".to_owned()),
        KeyChange::Settle("x".to_owned()),
        KeyChange::End("x".to_owned(), KeyEnd::Withdrawn),
        KeyChange::Forget("a".to_owned()),
        KeyChange::Reseal("x".to_owned(), sealed(3)),
    ] {
        let changes = vec![add("b"), what.clone()];
        assert!(world.keys.change(1, changes, Actor::Operator).await.is_err(), "{what:?}");
        assert_eq!((table(&world).await, world.head().await), (before.clone(), head), "{what:?}");
    }
}

pub(crate) async fn an_id_is_one_keys(world: World) {
    change(&world, 0, vec![add("a")]).await.unwrap();
    let before = table(&world).await;
    let taken = KeyChange::Add(new_key("a", KeyKind::Refresh, NewKeyActivation::Later));
    assert!(world.keys.change(1, vec![taken], Actor::Operator).await.is_err());
    assert_eq!(table(&world).await, before);
}

pub(crate) async fn a_replica_is_alive_for_as_long_as_it_says(world: World) {
    world.keys.report(report(1, 0)).await.unwrap();
    world.keys.report(report(2, 3)).await.unwrap();
    let names = |table: &KeyTable| {
        let replicas = table.replicas.iter();
        replicas.map(|replica| (replica.name.clone(), replica.revision)).collect::<Vec<_>>()
    };
    let both = [("replica-1".to_owned(), 0), ("replica-2".to_owned(), 3)];
    assert_eq!(names(&table(&world).await), both);
    world.clock.advance(ALMOST);
    let told = world.keys.report(report(2, 4)).await.unwrap();
    assert_eq!(told.replicas.len(), 2);
    world.clock.advance(MS);
    assert_eq!(names(&table(&world).await), [("replica-2".to_owned(), 4)]);
    world.keys.leave(ReplicaId::from_bytes([2; 16])).await.unwrap();
    assert_eq!(names(&table(&world).await), []);
}

pub(crate) async fn the_lease_is_one_replicas_until_it_is_over_or_given_up(world: World) {
    let leader = |table: KeyTable| table.leader.map(|id| id.as_bytes()[0]);
    assert_eq!(leader(world.keys.report(report(1, 0)).await.unwrap()), Some(1));
    assert_eq!(leader(world.keys.report(report(2, 0)).await.unwrap()), Some(1));
    world.clock.advance(ALMOST);
    assert_eq!(leader(world.keys.report(report(2, 0)).await.unwrap()), Some(1));
    world.clock.advance(MS);
    assert_eq!(leader(table(&world).await), None);
    assert_eq!(leader(world.keys.report(report(2, 0)).await.unwrap()), Some(2));
    assert_eq!(leader(world.keys.report(report(1, 0)).await.unwrap()), Some(2));
    world.keys.leave(ReplicaId::from_bytes([1; 16])).await.unwrap();
    assert_eq!(leader(table(&world).await), Some(2), "it was not the other's to give up");
    world.keys.leave(ReplicaId::from_bytes([2; 16])).await.unwrap();
    assert_eq!(leader(world.keys.report(report(3, 0)).await.unwrap()), Some(3));
}

pub(crate) async fn a_life_is_raised_and_never_lowered(world: World) {
    let changes =
        vec![add("a"), add("b"), KeyChange::Add(new_key("c", KeyKind::Refresh, NewKeyActivation::Later))];
    change(&world, 0, changes).await.unwrap();
    change(&world, 1, vec![KeyChange::End("b".to_owned(), KeyEnd::Retired)]).await.unwrap();
    for (access_life, expected) in [(LIFE * 3, LIFE * 3), (LIFE, LIFE * 3)] {
        let table = world.keys.report(KeyReport { access_life, ..report(1, 0) }).await.unwrap();
        let lives = ["a", "b", "c"].map(|id| key(&table, id).life);
        assert_eq!(lives, [expected, LIFE, HOUR]);
    }
}

pub(crate) async fn a_key_is_encrypted_anew(world: World) {
    change(&world, 0, vec![add("a"), add("b")]).await.unwrap();
    change(&world, 1, vec![KeyChange::Reseal("a".to_owned(), sealed(9))]).await.unwrap();
    let table = table(&world).await;
    assert_eq!((&key(&table, "a").sealed, &key(&table, "b").sealed), (&sealed(9), &sealed(1)));
}
