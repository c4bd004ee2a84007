//! Users who come with the password hash of another system: over gRPC, and as a row that somebody has put into the table.

use std::sync::Arc;

use countersign::grpc::proto::v1;
use countersign::model::{NewUser, PasswordHash, SystemClock, Username};
use countersign::store::UserStore as _;
use countersign::store::sqlite::{SqliteOptions, SqliteStore};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::{ADMIN, USERS, World, named, reason, with, world};
use crate::conformance::new_user;

/// A well-formed bcrypt hash.
const BCRYPT: &str = "$2b$10$GQ7RuMmPHUEuo0LB4oFQHODrYQxm7Y8Oo9rZPZeJ1uuxWYV4nXBRu";

/// A hash that another system has made of `123456`: the first of its kind among those that were collected.
fn made_by(origin: &str) -> String {
    let lines = include_str!("../../fixtures/password_hashes/made.jsonl").lines();
    lines
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .find(|vector| vector["origin"] == origin && vector["password"] == "123456")
        .map(|vector| vector["hash"].as_str().unwrap().to_owned())
        .unwrap()
}

async fn create(world: &mut World, by: &str, username: &str, hash: &str) -> Result<v1::User, Status> {
    let ask = v1::CreateUserRequest {
        username: username.to_owned(),
        credential: Some(v1::create_user_request::Credential::PasswordHash(hash.to_owned())),
        ..v1::CreateUserRequest::default()
    };
    Ok(world.users.create_user(with(by, ask)).await?.into_inner().user.unwrap())
}

/// The service's own database, beside it.
async fn database(world: &World) -> SqliteStore {
    let options = SqliteOptions::new(world.service.data.path().join("countersign.db"));
    SqliteStore::open(options, Arc::new(SystemClock::new())).await.unwrap()
}

async fn stored(store: &SqliteStore, username: &str) -> String {
    let found = store.credential(&Username::parse(username).unwrap()).await.unwrap().unwrap();
    found.password_hash.as_phc().to_owned()
}

/// The first login sees to a hash of our own, without waiting for it.
async fn becomes_our_own(store: &SqliteStore, username: &str) {
    for _ in 0..10_000 {
        if stored(store, username).await.starts_with("$argon2id$v=19$m=8,t=1,p=1$") {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("the hash of {username} is still {}", stored(store, username).await);
}

#[tokio::test]
async fn a_user_of_another_system_logs_in_with_the_password_from_there() {
    let mut world = world(&[("THROTTLE__ENABLED", "false")]).await;
    let admin = world.token(USERS).await;
    let store = database(&world).await;
    for (number, (origin, begins)) in [
        ("bcrypt", "$2a$10$"),
        ("argon2i", "$argon2i$"),
        ("passlib-pbkdf2-sha256", "$wrapped$v=1$pbkdf2-sha256$"),
        ("phpass", "$wrapped$v=1$phpass$"),
        ("ldap-ssha", "$wrapped$v=1$sha1$"),
        ("sha512-crypt", "$wrapped$v=1$sha512-crypt$"),
    ]
    .into_iter()
    .enumerate()
    {
        let username = format!("user-{number}");
        create(&mut world, &admin, &username, &made_by(origin)).await.unwrap();
        let kept = stored(&store, &username).await;
        assert!(kept.starts_with(begins), "{kept}");
        assert!(!world.logs_in(&username, "1234567").await, "{origin}");
        assert!(
            world.logs_in(&username, "123456").await,
            "{origin}: too short to be set, and theirs all the same"
        );
        becomes_our_own(&store, &username).await;
        assert!(world.logs_in(&username, "123456").await, "{origin}, by our own hash");
        assert!(!world.logs_in(&username, "1234567").await, "{origin}, by our own hash");
    }
    create(&mut world, &admin, "plain", "plain:123456").await.unwrap();
    assert!(stored(&store, "plain").await.starts_with("$argon2id$"), "plain text is never stored");
    assert!(world.logs_in("plain", "123456").await);
}

#[tokio::test]
async fn a_hash_that_is_put_into_the_table_by_hand_lets_its_user_in_unless_it_is_fast() {
    let mut world = world(&[("THROTTLE__ENABLED", "false")]).await;
    let store = database(&world).await;
    for (username, origin) in [("slow", "bcrypt"), ("fast", "md5")] {
        let password_hash = PasswordHash::from_phc(made_by(origin));
        store.create(NewUser { password_hash, ..new_user(username) }).await.unwrap();
    }
    assert!(world.logs_in("slow", "123456").await);
    becomes_our_own(&store, "slow").await;
    assert!(!world.logs_in("fast", "123456").await, "it must be imported, which wraps it");
}

#[tokio::test]
async fn a_hash_that_cannot_be_used_is_refused_with_what_is_wrong_with_it() {
    let mut world = world(&[]).await;
    let admin = world.token(ADMIN).await;
    for (hash, what) in [
        ("", "the format of the hash is not known"),
        ("hunter2", "the format of the hash is not known"),
        ("5f4dcc3b5aa765d61d8327deb882cf99", "a digest alone does not say what was hashed"),
        (&BCRYPT.replace("2b", "2x"), "`$2x$`"),
        (&BCRYPT.replace("$10$", "$16$"), "the cost is 16, and a login may cost at most 14"),
        (&"x".repeat(2049), "at most 2048 bytes"),
    ] {
        let refused = create(&mut world, &admin, "margaret", hash).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::InvalidArgument, "INVALID_REQUEST"));
        let details = refused.get_error_details();
        let violation = &details.bad_request().unwrap().field_violations[0];
        assert_eq!(violation.field, "password_hash");
        assert!(violation.description.contains(what), "{}", violation.description);
        assert!(hash.is_empty() || !violation.description.contains(hash), "the hash is not repeated");
    }
    let ask = v1::GetUserRequest { user: Some(named("margaret")) };
    let missing = world.users.get_user(with(&admin, ask)).await.unwrap_err();
    assert_eq!(reason(&missing), "USER_NOT_FOUND", "none of them was created");
}
