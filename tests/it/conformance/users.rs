//! Users: every sentence of the trait `UserStore`.

use countersign::model::{
    Credential, CustomClaims, Epoch, ExternalId, Identity, ImportedUser, NewUser, PasswordHash,
    RevocationReason, RevocationScope, Role, UnixMillis, UserId, new_user_id,
};
use countersign::store::{AttributeChange, Cause, CreateUserError, ImportAnswer, SetAttributesError, Until};

use super::{HOUR, OPERATOR, START, World, hash, new_user, session_id, username};

fn set_roles(roles: &[Role]) -> AttributeChange<'_> {
    AttributeChange { roles: Some(roles), ..AttributeChange::default() }
}

fn set_claims(claims: &CustomClaims) -> AttributeChange<'_> {
    AttributeChange { claims: Some(claims), ..AttributeChange::default() }
}

fn set_external(id: Option<&ExternalId>) -> AttributeChange<'_> {
    AttributeChange { external_id: Some(id), ..AttributeChange::default() }
}

fn external(text: &str) -> ExternalId {
    ExternalId::parse(text).unwrap()
}

pub(crate) async fn a_new_user_is_enabled_and_in_epoch_zero(world: World) {
    let new = new_user("ada");
    let user = world.users.create(new.clone()).await.unwrap();
    assert_eq!((user.id, &user.username), (new.id, &new.username));
    assert_eq!((&user.roles, &user.claims), (&new.roles, &new.claims));
    assert_eq!((user.disabled, user.epoch), (false, Epoch(0)));
    assert_eq!((user.created_at, user.updated_at), (START, START));

    assert_eq!(world.users.find(new.id).await.unwrap().as_ref(), Some(&user));
    let credential = world.users.credential(&new.username).await.unwrap();
    assert_eq!(credential, Some(Credential { user, password_hash: new.password_hash }));
    assert_eq!(world.head().await.seq, 0, "a new user is no news to the ledger");
}

pub(crate) async fn a_username_is_taken_once(world: World) {
    let first = new_user("ada");
    let user = world.users.create(first.clone()).await.unwrap();
    let second = world.users.create(new_user("ada")).await;
    assert!(matches!(second, Err(CreateUserError::UsernameTaken)), "{second:?}");
    assert_eq!(world.users.create(first).await.unwrap(), user, "the same call again");
    assert_eq!(world.users.list(None, 10).await.unwrap(), [user]);
}

pub(crate) async fn an_external_id_is_one_users(world: World) {
    let long = "北".repeat(ExternalId::MAX_BYTES / 3);
    let ids = ["42", "042", "A", "a", "é", "e\u{301}", "a b", "a  b", "it's \"%_\\", &long];
    let mut made = Vec::new();
    for (number, text) in ids.into_iter().enumerate() {
        let new = NewUser { external_id: Some(external(text)), ..new_user(&format!("user{number}")) };
        let user = world.users.create(new.clone()).await.unwrap();
        assert_eq!(user.external_id, Some(external(text)), "{text}");
        assert_eq!(world.users.create(new).await.unwrap(), user, "the same call again");
        made.push(user);
    }
    for user in &made {
        let found = world.users.find_external(user.external_id.as_ref().unwrap()).await.unwrap();
        assert_eq!(found.as_ref(), Some(user));
        let credential = world.users.credential(&user.username).await.unwrap().unwrap();
        assert_eq!(&credential.user, user);
    }
    assert_eq!(world.users.list(None, 99).await.unwrap(), made);
    for absent in ["4", "4%", "__", "é ".trim(), "E"] {
        let absent = external(absent);
        let there = made.iter().any(|user| user.external_id.as_ref() == Some(&absent));
        assert_eq!(world.users.find_external(&absent).await.unwrap().is_some(), there, "{absent:?}");
    }

    let taken = NewUser { external_id: Some(external("42")), ..new_user("late") };
    let answer = world.users.create(taken.clone()).await;
    assert!(matches!(answer, Err(CreateUserError::ExternalIdTaken)), "{answer:?}");
    assert_eq!(world.users.credential(&taken.username).await.unwrap(), None);
    let both = NewUser { username: username("user0"), ..taken.clone() };
    let answer = world.users.create(both).await;
    assert!(matches!(answer, Err(CreateUserError::UsernameTaken)), "{answer:?}");
    // Any number of users has none.
    for name in ["ada", "grace"] {
        assert_eq!(world.users.create(new_user(name)).await.unwrap().external_id, None);
    }
    world.users.delete(made[0].id, OPERATOR).await.unwrap().unwrap();
    let user = world.users.create(taken).await.unwrap();
    assert_eq!(world.users.find_external(&external("42")).await.unwrap(), Some(user));
}

pub(crate) async fn an_external_id_is_set_moved_and_taken_away(world: World) {
    let (ada, grace) = (world.add_user("ada").await, world.add_user("grace").await);
    let id = external("42");
    let cause = Cause { reason: RevocationReason::UserChanged, ..OPERATOR };
    let set = async |user: UserId, id: Option<&ExternalId>| {
        world.users.set_attributes(user, set_external(id), None, cause).await
    };
    let row = set(ada.id, Some(&id)).await.unwrap().unwrap();
    assert_eq!(row.scope, RevocationScope::UserChanged { user: ada.id });
    let changed = world.users.find(ada.id).await.unwrap().unwrap();
    assert_eq!((&changed.roles, &changed.claims, changed.epoch), (&ada.roles, &ada.claims, Epoch(0)));
    assert!(changed.updated_at > ada.updated_at);
    assert_eq!(changed.external_id.as_ref(), Some(&id));
    assert_eq!(world.ledger.standing(ada.id, session_id()).await.unwrap().user, Some(changed));

    let taken = set(grace.id, Some(&id)).await;
    assert!(matches!(taken, Err(SetAttributesError::ExternalIdTaken)), "{taken:?}");
    assert_eq!(world.users.find(grace.id).await.unwrap(), Some(grace.clone()), "nothing of it was done");
    assert_eq!(world.head().await.seq, 1, "nor noted");
    assert!(set(ada.id, Some(&id)).await.unwrap().is_some(), "one's own is not taken");

    // What is not named stays.
    world.users.set_attributes(ada.id, set_roles(&[]), None, cause).await.unwrap().unwrap();
    assert_eq!(world.users.find(ada.id).await.unwrap().unwrap().external_id.as_ref(), Some(&id));
    assert!(set(ada.id, None).await.unwrap().is_some());
    assert_eq!(world.users.find(ada.id).await.unwrap().unwrap().external_id, None);
    assert_eq!(world.users.find_external(&id).await.unwrap(), None);
    assert!(set(grace.id, Some(&id)).await.unwrap().is_some());
    assert_eq!(world.users.find_external(&id).await.unwrap().unwrap().id, grace.id);
    assert!(set(new_user_id(), Some(&external("7"))).await.unwrap().is_none(), "nobody");
}

pub(crate) async fn whoever_is_not_there_is_none(world: World) {
    world.add_user("ada").await;
    let (users, nobody) = (&world.users, new_user_id());
    assert_eq!(users.find(nobody).await.unwrap(), None);
    assert_eq!(users.credential(&username("ad")).await.unwrap(), None);
    assert_eq!(users.credential(&username("ada%")).await.unwrap(), None);
    assert_eq!(users.set_password(nobody, &hash("new"), None, OPERATOR).await.unwrap(), None);
    assert!(!users.rehash(nobody, &hash("old"), &hash("new")).await.unwrap());
    assert!(!users.enable(nobody).await.unwrap());
    assert_eq!(users.disable(nobody, OPERATOR).await.unwrap(), None);
    assert_eq!(users.delete(nobody, OPERATOR).await.unwrap(), None);
    assert_eq!(users.set_attributes(nobody, set_roles(&[]), None, OPERATOR).await.unwrap(), None);
    assert_eq!(users.revoke_all(nobody, OPERATOR).await.unwrap(), None);
    assert_eq!(world.head().await.seq, 0, "nothing happened, so nothing is in the ledger");
}

pub(crate) async fn users_are_listed_by_username_page_by_page(world: World) {
    let names = ["ada", "ada2", "b_b", "bab", "zoë", "émile", "日本"];
    for name in ["émile", "bab", "ada2", "zoë", "日本", "ada", "b_b"] {
        world.add_user(name).await;
    }
    for limit in 1..=8 {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = world.users.list(after.as_ref(), limit).await.unwrap();
            assert!(page.len() <= limit as usize);
            let Some(last) = page.last() else { break };
            after = Some(last.username.clone());
            seen.extend(page.iter().map(|user| user.username.as_str().to_owned()));
        }
        assert_eq!(seen, names, "in pages of {limit}");
    }
    let after_nobody = world.users.list(Some(&username("c")), 1).await.unwrap();
    assert_eq!(after_nobody[0].username.as_str(), "zoë", "the name before a page need not exist");
}

/// One of the verbs that end all sessions of a user.
#[derive(Debug, Clone, Copy)]
enum Ending {
    SetPassword,
    Disable,
    RevokeAll,
    Delete,
}

async fn end(world: &World, ending: Ending, id: UserId, cause: Cause) -> countersign::model::Revocation {
    let users = &world.users;
    match ending {
        Ending::SetPassword => users.set_password(id, &hash("new"), None, cause).await,
        Ending::Disable => users.disable(id, cause).await,
        Ending::RevokeAll => users.revoke_all(id, cause).await,
        Ending::Delete => users.delete(id, cause).await,
    }
    .unwrap()
    .unwrap()
}

pub(crate) async fn every_end_of_all_sessions_raises_the_epoch(world: World) {
    let user = world.add_user("ada").await;
    let bystander = world.add_user("bob").await;
    let endings = [
        (Ending::SetPassword, RevocationReason::PasswordChanged),
        (Ending::RevokeAll, RevocationReason::LogoutEverywhere),
        (Ending::Disable, RevocationReason::UserDisabled),
        (Ending::Disable, RevocationReason::UserDisabled),
        (Ending::Delete, RevocationReason::UserDeleted),
    ];
    let mut epoch = user.epoch;
    for (ending, reason) in endings {
        world.clock.advance(HOUR);
        let before = world.head().await;
        let cause = Cause { reason, until: Until::For(100 * HOUR), ..OPERATOR };
        let row = end(&world, ending, user.id, cause).await;
        epoch = epoch.next();
        assert_eq!(row.scope, RevocationScope::User { user: user.id, epoch }, "{ending:?}");
        assert_eq!((row.reason, row.until), (reason, row.at + 100 * HOUR), "{ending:?}");
        assert_eq!(row.at, countersign::model::Clock::now(world.clock.as_ref()), "{ending:?}");
        assert_eq!(row.seq, before.seq + 1, "{ending:?}");
        assert_eq!(world.rows_after(before).await, [row], "{ending:?}");
        let now = world.ledger.standing(user.id, session_id()).await.unwrap();
        assert_eq!(
            now.user.map(|user| (user.epoch, user.updated_at)),
            match ending {
                Ending::Delete => None,
                _ => Some((epoch, row.at)),
            }
        );
    }
    assert_eq!(world.users.find(bystander.id).await.unwrap(), Some(bystander));
}

pub(crate) async fn a_changed_password_is_the_one_that_counts(world: World) {
    let user = world.add_user("ada").await;
    world.users.set_password(user.id, &hash("$new"), None, OPERATOR).await.unwrap().unwrap();
    let credential = world.users.credential(&user.username).await.unwrap().unwrap();
    assert_eq!((credential.password_hash, credential.user.epoch), (hash("$new"), Epoch(1)));
}

pub(crate) async fn a_rehash_replaces_only_the_hash_that_it_was_made_for(world: World) {
    let new = new_user("ada");
    world.users.create(new.clone()).await.unwrap();
    assert!(!world.users.rehash(new.id, &hash("another"), &hash("new")).await.unwrap());
    let kept = world.users.credential(&new.username).await.unwrap().unwrap();
    assert_eq!(kept.password_hash, new.password_hash);

    assert!(world.users.rehash(new.id, &new.password_hash, &hash("new")).await.unwrap());
    let replaced = world.users.credential(&new.username).await.unwrap().unwrap();
    assert_eq!((replaced.password_hash, replaced.user.epoch), (hash("new"), Epoch(0)));
    assert_eq!(world.head().await.seq, 0, "the password is the same, so nothing ended");
}

pub(crate) async fn a_disabled_user_can_be_let_in_again(world: World) {
    let user = world.add_user("ada").await;
    world.users.disable(user.id, OPERATOR).await.unwrap().unwrap();
    assert!(world.users.find(user.id).await.unwrap().unwrap().disabled);
    assert!(world.users.credential(&user.username).await.unwrap().unwrap().user.disabled);
    let before = world.head().await;
    for _ in 0..2 {
        assert!(world.users.enable(user.id).await.unwrap());
        let enabled = world.users.find(user.id).await.unwrap().unwrap();
        assert_eq!((enabled.disabled, enabled.epoch), (false, Epoch(1)), "what was ended stays ended");
    }
    assert_eq!(world.head().await, before);
}

pub(crate) async fn a_deleted_user_leaves_the_name_and_the_epoch_behind(world: World) {
    let user = world.add_user("ada").await;
    let row = world.users.delete(user.id, OPERATOR).await.unwrap().unwrap();
    assert_eq!(row.scope, RevocationScope::User { user: user.id, epoch: Epoch(1) });
    assert_eq!(world.users.find(user.id).await.unwrap(), None);
    assert_eq!(world.users.credential(&user.username).await.unwrap(), None);
    assert_eq!(world.users.list(None, 10).await.unwrap(), []);
    assert_eq!(world.users.delete(user.id, OPERATOR).await.unwrap(), None);
    let next = world.add_user("ada").await;
    assert_ne!(next.id, user.id);
}

pub(crate) async fn attributes_are_set_apart_and_end_nothing(world: World) {
    let user = world.add_user("ada").await;
    let roles = Role::parse_all(["ops"]).unwrap();
    let claims = CustomClaims::parse(r#"{"plan":"gold"}"#).unwrap();
    let cause = Cause { reason: RevocationReason::UserChanged, ..OPERATOR };

    world.clock.advance(HOUR);
    let row = world.users.set_attributes(user.id, set_roles(&roles), None, cause).await.unwrap().unwrap();
    assert_eq!(row.scope, RevocationScope::UserChanged { user: user.id });
    assert_eq!((row.seq, row.reason, row.at), (1, RevocationReason::UserChanged, START + HOUR));
    let changed = world.users.find(user.id).await.unwrap().unwrap();
    assert_eq!((&changed.roles, &changed.claims), (&roles, &user.claims));
    assert_eq!((changed.epoch, changed.updated_at), (Epoch(0), START + HOUR));

    world.users.set_attributes(user.id, set_claims(&claims), None, cause).await.unwrap().unwrap();
    let changed = world.users.find(user.id).await.unwrap().unwrap();
    assert_eq!((&changed.roles, &changed.claims), (&roles, &claims));

    let none = CustomClaims::default();
    let both = AttributeChange { claims: Some(&none), ..set_roles(&[]) };
    world.users.set_attributes(user.id, both, None, cause).await.unwrap().unwrap();
    let changed = world.users.find(user.id).await.unwrap().unwrap();
    assert_eq!((changed.roles, changed.claims, changed.epoch), (vec![], none, Epoch(0)));
    assert_eq!(world.head().await.seq, 3);
}

pub(crate) async fn of_two_changes_to_what_both_have_read_one_is_made(world: World) {
    let user = world.add_user("ada").await;
    let roles = Role::parse_all(["ops"]).unwrap();
    let change = |since| world.users.set_attributes(user.id, set_roles(&roles), Some(since), OPERATOR);
    let (one, other) = tokio::join!(change(user.updated_at), change(user.updated_at));
    assert_eq!([one.unwrap().is_some(), other.unwrap().is_some()].iter().filter(|made| **made).count(), 1);
    assert_eq!(world.head().await.seq, 1, "what was not made is not noted");

    // The clock stands still, and every change can be told from the one before it all the same.
    let mut seen = vec![user.updated_at];
    let mut read_again = async || {
        let now = world.users.find(user.id).await.unwrap().unwrap().updated_at;
        assert!(seen.iter().all(|before| *before < now), "{now:?} after {seen:?}");
        seen.push(now);
    };
    read_again().await;
    world.users.set_password(user.id, &hash("new"), None, OPERATOR).await.unwrap().unwrap();
    read_again().await;
    world.users.disable(user.id, OPERATOR).await.unwrap().unwrap();
    read_again().await;
    assert!(world.users.enable(user.id).await.unwrap());
    read_again().await;
    world.users.revoke_all(user.id, OPERATOR).await.unwrap().unwrap();
    read_again().await;
    assert!(change(*seen.last().unwrap()).await.unwrap().is_some());
    assert!(change(*seen.last().unwrap()).await.unwrap().is_none());
}

pub(crate) async fn a_password_is_set_in_the_epoch_in_which_the_old_one_was_shown(world: World) {
    let user = world.add_user("ada").await;
    let change = |name: &'static str, epoch| {
        let (users, hash) = (world.users.clone(), hash(name));
        async move { users.set_password(user.id, &hash, Some(epoch), OPERATOR).await.unwrap() }
    };
    // Both have shown the old password; the one that comes second has it no longer.
    let (one, other) = tokio::join!(change("one", Epoch(0)), change("other", Epoch(0)));
    assert_eq!([one, other].iter().filter(|row| row.is_some()).count(), 1);
    assert_eq!(world.head().await.seq, 1, "what was not done is not noted");
    assert_eq!(world.users.find(user.id).await.unwrap().unwrap().epoch, Epoch(1));
    assert!(change("late", Epoch(0)).await.is_none());
    let row = change("new", Epoch(1)).await.unwrap();
    assert_eq!(row.scope, RevocationScope::User { user: user.id, epoch: Epoch(2) });
    let credential = world.users.credential(&user.username).await.unwrap().unwrap();
    assert_eq!(credential.password_hash, hash("new"));
}

pub(crate) fn imported(name: &str) -> ImportedUser {
    ImportedUser { new: new_user(name), disabled: false, created_at: None }
}

pub(crate) async fn many_users_are_created_at_once_and_each_is_answered(world: World) {
    const MANY: usize = 500;
    let before = UnixMillis(1_234_567_890_123);
    let mut users: Vec<ImportedUser> = (0..MANY).map(|n| imported(&format!("user{n:03}"))).collect();
    users[1].disabled = true;
    users[2].created_at = Some(before);
    users[3].new.external_id = Some(external("it's \"%_\\ 北京"));
    users[4].new.claims = CustomClaims::parse(r#"{"a":"\u0000\n\"","b":[1,{"c":null}]}"#).unwrap();
    users[5].new.password_hash = PasswordHash::from_phc(format!("$x$\"'\\ü{}", "y".repeat(2000)));
    users[6].new.roles = Role::parse_all(Vec::new()).unwrap();
    users[7].new.username = username("Ünï-cödé@例.com");
    users[8].new.password_hash = PasswordHash::none();

    let identities: Vec<Identity> = users.iter().map(|user| Identity::from(&user.new)).collect();
    let looked_up = world.users.look_up(identities.clone()).await.unwrap();
    assert_eq!(looked_up, vec![ImportAnswer::Created; MANY]);
    assert_eq!(world.users.list(None, 1).await.unwrap(), [], "looking up creates nobody");

    let answers = world.users.import(users.clone()).await.unwrap();
    assert_eq!(answers, vec![ImportAnswer::Created; MANY]);
    assert_eq!(world.head().await.seq, 0, "new users are no news to the ledger");
    for (place, ImportedUser { new, disabled, created_at }) in users.iter().enumerate() {
        let Credential { user, password_hash } =
            world.users.credential(&new.username).await.unwrap().unwrap();
        assert_eq!((user.id, &user.roles, &user.claims), (new.id, &new.roles, &new.claims), "{place}");
        assert_eq!((&user.external_id, &password_hash), (&new.external_id, &new.password_hash), "{place}");
        assert_eq!((user.disabled, user.epoch), (*disabled, Epoch(0)), "{place}");
        assert_eq!((user.created_at, user.updated_at), (created_at.unwrap_or(START), START), "{place}");
    }

    // The same again finds them, as they are.
    world.users.set_attributes(users[9].new.id, set_roles(&[]), None, OPERATOR).await.unwrap().unwrap();
    let known = world.users.find(users[9].new.id).await.unwrap().unwrap();
    for answers in [world.users.import(users.clone()).await, world.users.look_up(identities).await] {
        let answers = answers.unwrap();
        assert!(answers.iter().all(|answer| matches!(answer, ImportAnswer::Known(_))));
        assert_eq!(answers[9], ImportAnswer::Known(Box::new(known.clone())));
    }
    assert_eq!(world.users.import(Vec::new()).await.unwrap(), []);
    assert_eq!(world.users.look_up(Vec::new()).await.unwrap(), []);
}

pub(crate) async fn of_many_users_those_who_are_in_the_way_of_others_are_told(world: World) {
    let ada =
        world.users.create(NewUser { external_id: Some(external("7")), ..new_user("ada") }).await.unwrap();
    let with_external = |name: &str, id: &str| {
        let mut user = imported(name);
        user.new.external_id = Some(external(id));
        user
    };
    let first = with_external("grace", "8");
    let mut known = imported("somebody");
    known.new.id = ada.id;
    let users = vec![
        imported("alan"),
        imported("ada"),
        with_external("barbara", "7"),
        known,
        first.clone(),
        imported("grace"),
        with_external("edsger", "8"),
        first,
        imported("zoë"),
    ];
    let answers = world.users.import(users).await.unwrap();
    let told: Vec<&str> = answers
        .iter()
        .map(|answer| match answer {
            ImportAnswer::Created => "created",
            ImportAnswer::Known(user) => user.username.as_str(),
            ImportAnswer::UsernameTaken => "username",
            ImportAnswer::ExternalIdTaken => "external id",
        })
        .collect();
    let expected = [
        "created",
        "username",
        "external id",
        "ada",
        "created",
        "username",
        "external id",
        "grace",
        "created",
    ];
    assert_eq!(told, expected);
    let there = world.users.list(None, 9).await.unwrap();
    let names: Vec<&str> = there.iter().map(|user| user.username.as_str()).collect();
    assert_eq!(names, ["ada", "alan", "grace", "zoë"]);
    assert_eq!(there[0], ada, "whoever was there stays as they were");
}

pub(crate) async fn whoever_has_the_id_of_a_deleted_user_begins_where_that_one_ended(world: World) {
    let again = new_user("ada");
    world.users.create(again.clone()).await.unwrap();
    world.users.set_password(again.id, &hash("new"), None, OPERATOR).await.unwrap().unwrap();
    let gone = world.users.delete(again.id, OPERATOR).await.unwrap().unwrap();
    assert_eq!(gone.scope, RevocationScope::User { user: again.id, epoch: Epoch(2) });
    // Of the sessions and the access tokens of before, none is of this epoch.
    let user = world.users.create(again.clone()).await.unwrap();
    assert_eq!(user.epoch, Epoch(2));
    world.users.delete(again.id, OPERATOR).await.unwrap().unwrap();
    let row = ImportedUser { new: again.clone(), disabled: false, created_at: None };
    let answers = world.users.import(vec![imported("grace"), row]).await.unwrap();
    assert_eq!(answers, [ImportAnswer::Created, ImportAnswer::Created]);
    assert_eq!(world.users.find(again.id).await.unwrap().unwrap().epoch, Epoch(3));
}

pub(crate) async fn users_are_listed_with_their_hashes(world: World) {
    for name in ["bob", "ada", "zoë"] {
        world.users.create(NewUser { password_hash: hash(name), ..new_user(name) }).await.unwrap();
    }
    let first = world.users.list_credentials(None, 2).await.unwrap();
    let rest = world.users.list_credentials(Some(&first[1].user.username), 2).await.unwrap();
    let all: Vec<_> = first.into_iter().chain(rest).collect();
    let users: Vec<_> = all.iter().map(|credential| credential.user.clone()).collect();
    assert_eq!(users, world.users.list(None, 9).await.unwrap());
    for Credential { user, password_hash } in all {
        assert_eq!(password_hash, hash(user.username.as_str()));
    }
}
