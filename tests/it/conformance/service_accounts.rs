//! Service accounts and their keys: every sentence of the trait `ServiceAccountStore`.

use countersign::model::{
    Actor, Epoch, NewServiceAccount, Note, Revocation, RevocationReason, RevocationScope, Role,
    ServiceAccount, ServiceAccountChange, ServiceAccountId, ServiceAccountName, ServiceKeyDigest,
    ServiceKeyId, SessionId, UnixMillis, new_service_account_id, new_service_key_id,
};
use countersign::store::{Cause, CreateServiceAccountError, KeyCreated, NewServiceKey, StoredKey, Until};

use super::{HOUR, MS, START, World, just_before};

const MOST: u32 = 3;
const CAUSE: Cause =
    Cause { actor: Actor::Operator, reason: RevocationReason::Operator, until: Until::For(HOUR) };

fn name(text: &str) -> ServiceAccountName {
    ServiceAccountName::parse(text).unwrap()
}

fn note(text: &str) -> Note {
    Note::parse(text).unwrap()
}

fn new_account(text: &str) -> NewServiceAccount {
    NewServiceAccount {
        id: new_service_account_id(),
        name: name(text),
        description: note("Für die Kasse: \"☎\" '\\ 日本"),
        roles: Role::parse_all(["countersign:users", "ops"]).unwrap(),
    }
}

async fn add_account(world: &World, text: &str) -> ServiceAccount {
    world.accounts.create(new_account(text)).await.unwrap()
}

fn digest(byte: u8) -> ServiceKeyDigest {
    ServiceKeyDigest::from_bytes([byte; 32])
}

fn new_key(account: &ServiceAccount, byte: u8) -> NewServiceKey {
    NewServiceKey {
        id: new_service_key_id(),
        account: account.id,
        digest: digest(byte),
        session: session(byte),
        label: note("Käse \"x\""),
        created_by: "operator".to_owned(),
        ttl: HOUR,
        unchanged_since: account.updated_at,
        most: MOST,
        cause: CAUSE,
    }
}

fn session(byte: u8) -> SessionId {
    SessionId::from_bytes([byte; 16])
}

/// What ends the tokens that were got with one key.
fn of_key(account: &ServiceAccount, session: SessionId) -> RevocationScope {
    RevocationScope::Session { session, user: account.id.as_subject() }
}

/// The row stands in the ledger as it was returned, and nothing after it.
async fn assert_last(world: &World, row: Option<Revocation>, scope: RevocationScope) {
    let row = row.expect("it ends tokens");
    assert_eq!((row.scope, row.reason), (scope, CAUSE.reason));
    assert_eq!(row.until, row.at + HOUR);
    assert_eq!(world.ledger.head().await.unwrap(), row.position());
}

async fn ids_of_keys(world: &World, account: ServiceAccountId) -> Vec<ServiceKeyId> {
    world.accounts.keys(account).await.unwrap().into_iter().map(|key| key.id).collect()
}

pub(crate) async fn a_new_service_account_is_enabled_and_has_no_keys(world: World) {
    let new = new_account("shop");
    let account = world.accounts.create(new.clone()).await.unwrap();
    assert_eq!((account.id, &account.name), (new.id, &new.name));
    assert_eq!((&account.description, &account.roles), (&new.description, &new.roles));
    assert_eq!((account.disabled, account.created_at, account.updated_at), (false, START, START));
    assert_eq!(world.accounts.find(new.id).await.unwrap().as_ref(), Some(&account));
    assert_eq!(world.accounts.named(&new.name).await.unwrap(), Some(account));
    assert_eq!(world.accounts.keys(new.id).await.unwrap(), []);
    assert_eq!(world.head().await.seq, 0, "a service account is no news to the ledger");
}

pub(crate) async fn the_name_of_a_service_account_is_taken_once(world: World) {
    let first = new_account("shop");
    let account = world.accounts.create(first.clone()).await.unwrap();
    let second = world.accounts.create(new_account("shop")).await;
    assert!(matches!(second, Err(CreateServiceAccountError::NameTaken)), "{second:?}");
    assert_eq!(world.accounts.create(first).await.unwrap(), account, "the same call again");
    assert_eq!(world.accounts.list(None, 10).await.unwrap(), [account]);
}

pub(crate) async fn a_service_account_that_is_not_there_is_none(world: World) {
    let account = add_account(&world, "shop").await;
    let (accounts, nobody) = (&world.accounts, new_service_account_id());
    assert_eq!(accounts.find(nobody).await.unwrap(), None);
    assert_eq!(accounts.named(&name("sho")).await.unwrap(), None);
    assert_eq!(accounts.change(nobody, ServiceAccountChange::default(), None, CAUSE).await.unwrap(), None);
    assert_eq!(accounts.delete(nobody, CAUSE).await.unwrap(), None);
    assert_eq!(accounts.keys(nobody).await.unwrap(), []);
    let stranger = NewServiceKey { account: nobody, ..new_key(&account, 1) };
    assert_eq!(accounts.create_key(stranger).await.unwrap(), KeyCreated::Changed);
    assert_eq!(accounts.revoke_key(account.id, new_service_key_id(), CAUSE).await.unwrap(), None);
    assert_eq!(accounts.stored_key(new_service_key_id()).await.unwrap(), None);
}

pub(crate) async fn service_accounts_are_listed_by_name_page_by_page(world: World) {
    let names = ["0", "a", "a-b", "a.b", "a_b", "ab", "shop"];
    for name in ["shop", "ab", "a", "a_b", "0", "a.b", "a-b"] {
        add_account(&world, name).await;
    }
    for limit in 1..=8 {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = world.accounts.list(after.as_ref(), limit).await.unwrap();
            assert!(page.len() <= limit as usize);
            let Some(last) = page.last() else { break };
            after = Some(last.name.clone());
            seen.extend(page.iter().map(|account| account.name.as_str().to_owned()));
        }
        assert_eq!(seen, names, "in pages of {limit}");
    }
}

pub(crate) async fn a_service_account_is_changed_if_nothing_else_has_changed_it(world: World) {
    let account = add_account(&world, "shop").await;
    let bystander = add_account(&world, "other").await;
    let roles = Role::parse_all(["billing"]).unwrap();
    let set_roles = ServiceAccountChange { roles: Some(roles.clone()), ..ServiceAccountChange::default() };
    let since = Some(account.updated_at);
    let change = |change, since| change_of(&world, account.id, change, since);
    let (now, ended) = change(set_roles.clone(), since).await.unwrap();
    assert_eq!(ended, None, "its tokens go on");
    assert!(now.updated_at > account.updated_at, "another time, though the clock stands still");
    assert_eq!((&now.roles, &now.description), (&roles, &account.description));
    assert_eq!(world.accounts.find(account.id).await.unwrap(), Some(now.clone()));
    assert_eq!(change(set_roles, since).await, None, "it is another by now");

    let disable = ServiceAccountChange { disabled: Some(true), ..ServiceAccountChange::default() };
    world.clock.advance(HOUR);
    let (disabled, ended) = change(disable.clone(), None).await.unwrap();
    assert_eq!((disabled.disabled, &disabled.roles, disabled.updated_at), (true, &roles, START + HOUR));
    assert_eq!(disabled.epoch, Epoch(1));
    let of_account = |epoch| RevocationScope::User { user: account.id.as_subject(), epoch: Epoch(epoch) };
    assert_last(&world, ended, of_account(1)).await;
    let (again, ended) = change(disable, None).await.unwrap();
    assert_eq!(again.epoch, Epoch(2), "also when it was disabled before");
    assert_last(&world, ended, of_account(2)).await;
    let describe = ServiceAccountChange { description: Some(note("")), ..ServiceAccountChange::default() };
    let (described, _) = change(describe, None).await.unwrap();
    assert_eq!((described.disabled, &described.description), (true, &note("")));
    let enable = ServiceAccountChange { disabled: Some(false), ..ServiceAccountChange::default() };
    let (enabled, ended) = change(enable, None).await.unwrap();
    assert_eq!((enabled.disabled, enabled.epoch, ended), (false, Epoch(2), None));
    assert_eq!(world.accounts.find(bystander.id).await.unwrap(), Some(bystander));
}

async fn change_of(
    world: &World,
    id: ServiceAccountId,
    change: ServiceAccountChange,
    since: Option<UnixMillis>,
) -> Option<(ServiceAccount, Option<Revocation>)> {
    world.accounts.change(id, change, since, CAUSE).await.unwrap()
}

pub(crate) async fn when_the_tokens_of_a_service_key_end_the_next_ones_have_another_session(world: World) {
    let account = add_account(&world, "shop").await;
    let (key, other) = (new_key(&account, 1), new_key(&account, 2));
    for new in [&key, &other] {
        world.accounts.create_key(new.clone()).await.unwrap();
    }
    let session_of = async |key| world.accounts.stored_key(key).await.unwrap().unwrap().session;
    let ended = world.accounts.end_tokens(account.id, session(1), CAUSE).await.unwrap();
    assert_last(&world, Some(ended), of_key(&account, session(1))).await;
    let next = session_of(key.id).await;
    assert_ne!(next, session(1), "the key is as good as before");
    assert_eq!(session_of(other.id).await, session(2));

    let ended = world.accounts.end_tokens(account.id, session(1), CAUSE).await.unwrap();
    assert_last(&world, Some(ended), of_key(&account, session(1))).await;
    assert_eq!(session_of(key.id).await, next, "they had ended before");
    let ended = world.accounts.revoke_key(account.id, key.id, CAUSE).await.unwrap();
    assert_last(&world, ended, of_key(&account, next)).await;
}

pub(crate) async fn a_service_key_is_found_with_its_account_until_it_expires(world: World) {
    let account = add_account(&world, "shop").await;
    let new = new_key(&account, 7);
    let KeyCreated::Key(key, None) = world.accounts.create_key(new.clone()).await.unwrap() else { panic!() };
    assert_eq!((key.id, key.account, &key.label), (new.id, account.id, &new.label));
    assert_eq!((key.created_by.as_str(), key.created_at, key.expires_at), ("operator", START, START + HOUR));
    assert_eq!(world.accounts.keys(account.id).await.unwrap(), std::slice::from_ref(&key));

    let stored = StoredKey {
        digest: digest(7),
        session: session(7),
        expires_at: START + HOUR,
        account: account.clone(),
    };
    assert_eq!(world.accounts.stored_key(key.id).await.unwrap(), Some(stored));
    let disable = ServiceAccountChange { disabled: Some(true), ..ServiceAccountChange::default() };
    let (disabled, _) = change_of(&world, account.id, disable, None).await.unwrap();
    let stored = world.accounts.stored_key(key.id).await.unwrap().unwrap();
    assert_eq!(stored.account, disabled, "the account as it is now");
    world.clock.advance(just_before(HOUR));
    assert!(world.accounts.stored_key(key.id).await.unwrap().is_some());
    world.clock.advance(MS);
    assert_eq!(world.accounts.stored_key(key.id).await.unwrap(), None);
    assert_eq!(world.accounts.keys(account.id).await.unwrap(), [key], "it is listed until it is forgotten");
}

pub(crate) async fn a_service_account_has_so_many_keys_and_no_more(world: World) {
    let account = add_account(&world, "shop").await;
    let other = add_account(&world, "other").await;
    let mut keys = Vec::new();
    for byte in 0..3 {
        world.clock.advance(MS);
        let new = new_key(&account, byte);
        keys.push(new.id);
        assert!(matches!(world.accounts.create_key(new).await.unwrap(), KeyCreated::Key(..)));
    }
    assert_eq!(ids_of_keys(&world, account.id).await, keys, "the oldest first");
    let fourth = new_key(&account, 4);
    assert_eq!(world.accounts.create_key(fourth.clone()).await.unwrap(), KeyCreated::LimitReached);
    let of_other = world.accounts.create_key(new_key(&other, 5)).await.unwrap();
    assert!(matches!(of_other, KeyCreated::Key(..)), "another account has room of its own");

    world.clock.advance(HOUR.saturating_sub(2 * MS));
    assert!(matches!(world.accounts.create_key(fourth.clone()).await.unwrap(), KeyCreated::Key(..)));
    assert_eq!(
        ids_of_keys(&world, account.id).await,
        [keys[1], keys[2], fourth.id],
        "the expired one is forgotten"
    );
}

pub(crate) async fn a_service_key_takes_the_place_of_one_with_its_id(world: World) {
    let account = add_account(&world, "shop").await;
    let first = new_key(&account, 1);
    world.accounts.create_key(first.clone()).await.unwrap();
    for byte in 2..4 {
        world.accounts.create_key(new_key(&account, byte)).await.unwrap();
    }
    let again = NewServiceKey { digest: digest(9), session: session(9), ..first.clone() };
    let KeyCreated::Key(_, ended) = world.accounts.create_key(again).await.unwrap() else {
        panic!("it takes no room")
    };
    assert_last(&world, ended, of_key(&account, session(1))).await;
    assert_eq!(world.accounts.stored_key(first.id).await.unwrap().unwrap().digest, digest(9));
    assert_eq!(ids_of_keys(&world, account.id).await.len(), 3);
}

pub(crate) async fn no_service_key_is_stored_for_an_account_that_has_changed(world: World) {
    let account = add_account(&world, "shop").await;
    let stale =
        NewServiceKey { unchanged_since: UnixMillis(account.updated_at.0 - 1), ..new_key(&account, 1) };
    assert_eq!(world.accounts.create_key(stale).await.unwrap(), KeyCreated::Changed);
    assert_eq!(world.accounts.keys(account.id).await.unwrap(), []);
}

pub(crate) async fn a_service_key_is_revoked_by_its_account_alone(world: World) {
    let (account, other) = (add_account(&world, "shop").await, add_account(&world, "other").await);
    let (key, kept) = (new_key(&account, 1), new_key(&account, 2));
    for new in [&key, &kept] {
        world.accounts.create_key(new.clone()).await.unwrap();
    }
    assert_eq!(world.accounts.revoke_key(other.id, key.id, CAUSE).await.unwrap(), None);
    assert!(world.accounts.stored_key(key.id).await.unwrap().is_some());
    let ended = world.accounts.revoke_key(account.id, key.id, CAUSE).await.unwrap();
    assert_last(&world, ended, of_key(&account, session(1))).await;
    assert_eq!(world.accounts.stored_key(key.id).await.unwrap(), None);
    assert_eq!(world.accounts.revoke_key(account.id, key.id, CAUSE).await.unwrap(), None, "it is gone");
    assert!(world.accounts.stored_key(kept.id).await.unwrap().is_some());
}

pub(crate) async fn a_deleted_service_account_takes_its_keys_with_it(world: World) {
    let (account, other) = (add_account(&world, "shop").await, add_account(&world, "other").await);
    let (key, kept) = (new_key(&account, 1), new_key(&other, 2));
    for new in [&key, &kept] {
        world.accounts.create_key(new.clone()).await.unwrap();
    }
    let ended = world.accounts.delete(account.id, CAUSE).await.unwrap();
    let of_account = RevocationScope::User { user: account.id.as_subject(), epoch: Epoch(1) };
    assert_last(&world, ended, of_account).await;
    assert_eq!(world.accounts.stored_key(key.id).await.unwrap(), None);
    assert_eq!(world.accounts.find(account.id).await.unwrap(), None);
    assert_eq!(world.accounts.keys(account.id).await.unwrap(), []);
    assert_eq!(world.accounts.delete(account.id, CAUSE).await.unwrap(), None);
    assert!(world.accounts.stored_key(kept.id).await.unwrap().is_some());
    let again = add_account(&world, "shop").await;
    assert_eq!(world.accounts.keys(again.id).await.unwrap(), [], "the name is free, and the keys are gone");
    assert_eq!(again.epoch, Epoch(0));
    world.accounts.delete(again.id, CAUSE).await.unwrap();
    let same = world.accounts.create(NewServiceAccount { id: account.id, ..new_account("shop") }).await;
    assert_eq!(same.unwrap().epoch, Epoch(1), "no token of the one before is good again");
}

pub(crate) async fn a_limit_of_service_keys_holds_when_many_are_made_at_once(world: World) {
    let account = add_account(&world, "shop").await;
    let calls = (0..12).map(|byte| {
        let (accounts, new) = (world.accounts.clone(), new_key(&account, byte));
        tokio::spawn(async move { accounts.create_key(new).await.unwrap() })
    });
    let mut made = 0;
    for call in calls.collect::<Vec<_>>() {
        match call.await.unwrap() {
            KeyCreated::Key(..) => made += 1,
            KeyCreated::LimitReached => {}
            KeyCreated::Changed => panic!("nothing has changed the account"),
        }
    }
    assert_eq!(made, MOST);
    assert_eq!(ids_of_keys(&world, account.id).await.len(), MOST as usize);
}

pub(crate) async fn no_service_key_outlives_an_account_that_is_deleted_meanwhile(world: World) {
    for round in 0..10_u8 {
        let account = add_account(&world, &format!("shop-{round}")).await;
        let key = new_key(&account, round);
        let making = {
            let (accounts, key) = (world.accounts.clone(), key.clone());
            tokio::spawn(async move { accounts.create_key(key).await.unwrap() })
        };
        assert!(world.accounts.delete(account.id, CAUSE).await.unwrap().is_some());
        let made = making.await.unwrap();
        assert!(matches!(made, KeyCreated::Key(..) | KeyCreated::Changed), "{made:?}");
        assert_eq!(world.accounts.keys(account.id).await.unwrap(), [], "{made:?}");
        assert_eq!(world.accounts.stored_key(key.id).await.unwrap(), None, "{made:?}");
    }
}

pub(crate) async fn of_two_changes_of_a_service_account_to_what_both_have_read_one_is_made(world: World) {
    for round in 0..10_u8 {
        let account = add_account(&world, &format!("shop-{round}")).await;
        let calls = ["ops", "billing"].map(|role| {
            let roles = Some(Role::parse_all([role]).unwrap());
            let change = ServiceAccountChange { roles, ..ServiceAccountChange::default() };
            let (accounts, id, since) = (world.accounts.clone(), account.id, Some(account.updated_at));
            tokio::spawn(async move { accounts.change(id, change, since, CAUSE).await.unwrap() })
        });
        let mut made = Vec::new();
        for call in calls {
            made.extend(call.await.unwrap().map(|(account, _)| account));
        }
        assert_eq!(made.len(), 1, "{made:?}");
        assert_eq!(world.accounts.find(account.id).await.unwrap(), made.pop());
    }
}
