//! Users who come with the password hash of another system: over gRPC, and as a row that somebody has put into the table.

use std::sync::Arc;

use countersign::grpc::proto::v1;
use countersign::grpc::proto::v1::user_service_client::UserServiceClient;
use countersign::model::{NewUser, PasswordHash, SystemClock, Username};
use countersign::store::UserStore as _;
use countersign::store::sqlite::{SqliteOptions, SqliteStore};
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::{ADMIN, SESSIONS, USERS, World, named, reason, with, world};
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

pub(super) fn start(dry_run: bool) -> v1::ImportUsersRequest {
    let start = v1::import_users_request::Message::Start(v1::ImportStart { dry_run });
    v1::ImportUsersRequest { message: Some(start) }
}

pub(super) fn row(number: u64, username: &str) -> v1::ImportUsersRequest {
    said(user(number, username))
}

fn said(row: v1::ImportRow) -> v1::ImportUsersRequest {
    said_at_once(vec![row])
}

fn said_at_once(rows: Vec<v1::ImportRow>) -> v1::ImportUsersRequest {
    let rows = v1::import_users_request::Message::Rows(v1::ImportRows { rows });
    v1::ImportUsersRequest { message: Some(rows) }
}

/// A user with a hash that is stored as it comes.
fn user(number: u64, username: &str) -> v1::ImportRow {
    v1::ImportRow {
        number,
        username: username.to_owned(),
        credential: Some(v1::import_row::Credential::PasswordHash(BCRYPT.to_owned())),
        ..v1::ImportRow::default()
    }
}

/// Everything that is answered to these messages, and how the stream ended.
async fn import(
    world: &mut World,
    by: &str,
    messages: Vec<v1::ImportUsersRequest>,
) -> (Vec<v1::ImportUsersResponse>, Option<Status>) {
    let mut answers = Vec::new();
    let mut stream = match world.users.import_users(with(by, tokio_stream::iter(messages))).await {
        Ok(stream) => stream.into_inner(),
        Err(refused) => return (answers, Some(refused)),
    };
    loop {
        match stream.message().await {
            Ok(Some(answer)) => answers.push(answer),
            Ok(None) => return (answers, None),
            Err(ended) => return (answers, Some(ended)),
        }
    }
}

/// A row's number and what became of it.
fn told(answers: &[v1::ImportUsersResponse]) -> Vec<(u64, String)> {
    let outcome = |answer: &v1::ImportUsersResponse| match &answer.refusal {
        Some(refusal) => refusal.reason().as_str_name().replace("IMPORT_REFUSAL_REASON_", ""),
        None => answer.outcome().as_str_name().replace("IMPORT_OUTCOME_", ""),
    };
    answers.iter().map(|answer| (answer.number, outcome(answer))).collect()
}

fn expect(numbers_and_outcomes: &[(u64, &str)]) -> Vec<(u64, String)> {
    numbers_and_outcomes.iter().map(|(number, outcome)| (*number, (*outcome).to_owned())).collect()
}

#[tokio::test]
async fn an_import_by_a_program_with_a_service_key_answers_each_row_and_may_be_repeated() {
    let mut world = world(&[("THROTTLE__ENABLED", "false")]).await;
    let admin = world.token(ADMIN).await;
    let (key, _) = world.service_key(&admin, "mover", &[USERS]).await;
    let plain = v1::ImportRow {
        credential: Some(v1::import_row::Credential::Password("123456".to_owned())),
        roles: vec!["ops".to_owned()],
        external_id: "7".to_owned(),
        created_at: Some(prost_types::Timestamp { seconds: 1_234_567_890, nanos: 123_000_000 }),
        ..user(11, "Grace")
    };
    let none = v1::ImportRow {
        credential: Some(v1::import_row::Credential::NoPassword(v1::NoPassword {})),
        disabled: true,
        ..user(12, "alan")
    };
    let fast = v1::ImportRow {
        credential: Some(v1::import_row::Credential::PasswordHash(made_by("md5"))),
        ..user(13, "edsger")
    };
    let rows = || {
        vec![
            start(false),
            row(10, "ada"),
            said(plain.clone()),
            said(none.clone()),
            said(fast.clone()),
            row(14, ""),
            said(v1::ImportRow { user_id: "7".to_owned(), ..user(15, "barbara") }),
            said(v1::ImportRow { credential: None, ..user(16, "barbara") }),
            said(v1::ImportRow { external_id: "7".to_owned(), ..user(17, "barbara") }),
            said(v1::ImportRow { roles: vec!["x y".to_owned()], ..user(18, "barbara") }),
            said(v1::ImportRow { roles: vec![SESSIONS.to_owned()], ..user(19, "barbara") }),
            said(v1::ImportRow { roles: vec!["countersign:god".to_owned()], ..user(20, "barbara") }),
            said(v1::ImportRow { roles: vec!["ops".to_owned()], ..user(21, "ada") }),
            row(22, "role-admin"),
            row(23, "ada"),
            said(v1::ImportRow {
                created_at: Some(prost_types::Timestamp { seconds: i64::MAX, nanos: -1 }),
                ..user(24, "barbara")
            }),
        ]
    };
    let refused = [
        (14, "INVALID_FIELD"),
        (15, "INVALID_FIELD"),
        (16, "INVALID_FIELD"),
        (17, "EXTERNAL_ID_TAKEN"),
        (18, "INVALID_FIELD"),
        (19, "ROLE_NOT_ALLOWED"),
        (20, "INVALID_FIELD"),
        (21, "USER_DIFFERS"),
        (22, "USERNAME_TAKEN"),
        (23, "UNCHANGED"),
        (24, "INVALID_FIELD"),
    ];
    let new = |outcome: &'static str| (10..14).map(move |number| (number, outcome));
    let all = |outcome| expect(&new(outcome).chain(refused).collect::<Vec<_>>());

    let mut dry = rows();
    dry[0] = start(true);
    let (answers, ended) = import(&mut world, &key, dry).await;
    assert!(ended.is_none(), "{ended:?}");
    assert_eq!(told(&answers), all("CREATED"));
    assert_eq!(reason(&world.get(&admin, "ada").await.unwrap_err()), "USER_NOT_FOUND", "it was dry");

    let (first, ended) = import(&mut world, &key, rows()).await;
    assert!(ended.is_none(), "{ended:?}");
    assert_eq!(told(&first), all("CREATED"));
    assert_eq!(first[11].refusal.as_ref().unwrap().fields, ["roles"], "what differs is named");
    assert!(world.logs_in("grace", "123456").await && world.logs_in("edsger", "123456").await);
    assert!(!world.logs_in("edsger", "1234567").await && !world.logs_in("alan", "$none$").await);
    let grace = world.get(&admin, "grace").await.unwrap();
    assert_eq!((grace.roles, grace.external_id.as_str()), (vec!["ops".to_owned()], "7"));
    assert_eq!(
        grace.created_at.unwrap(),
        prost_types::Timestamp { seconds: 1_234_567_890, nanos: 123_000_000 }
    );
    assert_eq!(
        (grace.id, world.get(&admin, "alan").await.unwrap().disabled),
        (first[1].user_id.clone(), true)
    );

    // By now two of them have another hash than the rows, and the rows find them all the same.
    let (again, ended) = import(&mut world, &key, rows()).await;
    assert!(ended.is_none(), "{ended:?}");
    assert_eq!(told(&again), all("UNCHANGED"));
    assert_eq!(again[0].user_id, first[0].user_id);
    let metrics = world.service.operations.get("/metrics", &[]).await.body;
    let metrics = String::from_utf8_lossy(&metrics);
    for line in ["outcome=\"created\"} 4", "outcome=\"unchanged\"} 6", "outcome=\"refused\"} 20"] {
        assert!(
            metrics.contains(&format!("countersign_users_imported_total{{{line}")),
            "{line} in\n{metrics}"
        );
    }
}

#[tokio::test]
async fn rows_before_whatever_ends_an_import_are_stored_and_answered() {
    let mut world = world(&[]).await;
    let users = world.token(USERS).await;
    for (number, (last, code)) in [
        (start(false), Code::InvalidArgument),
        (v1::ImportUsersRequest::default(), Code::InvalidArgument),
        (said_at_once((0..101).map(|number| user(number, "many")).collect()), Code::InvalidArgument),
        (said(v1::ImportRow { external_id: "x".repeat(70_000), ..user(2, "large") }), Code::InvalidArgument),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("before-{number}");
        let (answers, ended) =
            import(&mut world, &users, vec![start(false), row(1, &name), last, row(3, "after")]).await;
        assert_eq!(told(&answers), expect(&[(1, "CREATED")]), "{number}");
        let ended = ended.unwrap();
        assert_eq!((ended.code(), reason(&ended).as_str()), (code, "INVALID_REQUEST"), "{number}");
    }
    let (answers, ended) = import(&mut world, &users, vec![row(1, "x")]).await;
    assert_eq!((answers.len(), ended.unwrap().code()), (0, Code::InvalidArgument), "start comes first");
    let (answers, ended) = import(&mut world, &users, vec![start(false)]).await;
    assert!(answers.is_empty() && ended.is_none(), "no rows are none");
}

/// A caller who waits for each answer before the next row is not kept waiting, and one who reads nothing is not read from.
#[tokio::test]
async fn rows_may_be_sent_one_by_one_and_no_more_are_read_than_are_answered() {
    /// The answers to so many rows are more than all windows on the way have room for.
    const MESSAGES: u64 = 400;

    let mut world = world(&[]).await;
    let users = world.token(USERS).await;
    let (send, said) = tokio::sync::mpsc::channel(1);
    send.send(start(false)).await.unwrap();
    let said = tokio_stream::wrappers::ReceiverStream::new(said);
    let mut answers = world.users.import_users(with(&users, said)).await.unwrap().into_inner();
    for number in 0..5 {
        send.send(row(number, &format!("one-by-one-{number}"))).await.unwrap();
        assert_eq!(answers.message().await.unwrap().unwrap().number, number);
    }
    drop(send);
    assert!(answers.message().await.unwrap().is_none());

    let (send, said) = tokio::sync::mpsc::channel(1);
    let said = tokio_stream::wrappers::ReceiverStream::new(said);
    let begun = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let count = Arc::clone(&begun);
    let upload = tokio::spawn(async move {
        let rows = |message: u64| said_at_once((0..100).map(|row| user(message * 100 + row, "")).collect());
        for message in std::iter::once(start(true)).chain((0..MESSAGES).map(rows)) {
            if send.send(message).await.is_err() {
                return;
            }
            count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    });
    let address = format!("http://{}", world.service.grpc);
    let channel = Channel::from_shared(address).unwrap().initial_stream_window_size(65_535);
    let mut client = UserServiceClient::new(channel.connect().await.unwrap());
    let mut answers = client.import_users(with(&users, said)).await.unwrap().into_inner();
    assert_eq!(answers.message().await.unwrap().unwrap().number, 0);
    let mut before = 0;
    loop {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        let now = begun.load(std::sync::atomic::Ordering::Relaxed);
        if now == before {
            break;
        }
        before = now;
    }
    assert!(before < MESSAGES / 2, "{before} messages were read, of which the first row was answered");
    let mut total = 1;
    while let Some(answer) = answers.message().await.unwrap() {
        assert_eq!(answer.number, total);
        total += 1;
    }
    upload.await.unwrap();
    assert_eq!(total, MESSAGES * 100);
}

#[tokio::test]
async fn a_hash_is_tried_before_many_are_imported() {
    use v1::check_password_hash_response::Result::{Accepted, Refused};

    let mut world = world(&[]).await;
    let users = world.token(USERS).await;
    let mut check = async |hash: &str, password: Option<&str>| {
        let (password_hash, password) = (hash.to_owned(), password.map(str::to_owned));
        let ask = v1::CheckPasswordHashRequest { password_hash, password };
        world
            .users
            .check_password_hash(with(&users, ask))
            .await
            .map(|answer| answer.into_inner().result.unwrap())
    };
    for (origin, format, wrapped) in
        [("bcrypt", "bcrypt", false), ("phpass", "phpass", true), ("ldap-ssha", "ldap-ssha", true)]
    {
        let hash = made_by(origin);
        for (password, matches) in
            [(None, None), (Some("123456"), Some(true)), (Some("1234567"), Some(false))]
        {
            let Accepted(accepted) = check(&hash, password).await.unwrap() else { panic!("{origin}") };
            assert_eq!((accepted.format.as_str(), accepted.wrapped), (format, wrapped));
            assert_eq!(accepted.matches, matches, "{origin} {password:?}");
        }
    }
    let Accepted(plain) = check("plain:123456", Some("123456")).await.unwrap() else { panic!("plain") };
    assert_eq!((plain.format.as_str(), plain.wrapped, plain.matches), ("plain", true, Some(true)));
    for (hash, problem) in [
        ("hunter2", "UNKNOWN_FORMAT"),
        (&BCRYPT.replace("$10$", "$16$"), "TOO_COSTLY"),
        (&BCRYPT[..40], "MALFORMED"),
        (&"x".repeat(3000), "TOO_LONG"),
    ] {
        let Refused(refusal) = check(hash, Some("123456")).await.unwrap() else { panic!("{hash}") };
        assert_eq!(refusal.hash_problem, problem);
        assert!(!refusal.description.contains(hash), "{}", refusal.description);
    }
    let refused = check(BCRYPT, Some(&"x".repeat(1025))).await.unwrap_err();
    assert_eq!(reason(&refused), "PASSWORD_REJECTED");
}
