//! The audit log over gRPC: each call that changes something is an event, once, with who called; and whoever follows the log
//! misses none.

use std::collections::BTreeMap;
use std::time::Duration;

use countersign::grpc::proto::v1::audit_service_client::AuditServiceClient;
use countersign::grpc::proto::v1::key_service_client::KeyServiceClient;
use countersign::grpc::proto::{DESCRIPTORS, v1};
use countersign::token::KeyEncryption;
use prost::Message as _;
use tonic::Streaming;
use tonic::transport::Channel;
use v1::EventType as Type;

use super::rpc::{Rpc, new_account};
use super::{ADMIN, AUDITOR, PASSWORD, World, name_of, named, new_user, outcome, reason, with, world};

/// Far more than any step needs, for busy machines.
const PATIENCE: Duration = Duration::from_mins(1);

/// Every method of the contract that changes something, with the event of the change.
const CHANGES: &[(&str, Type)] = &[
    ("AuthService/Login", Type::LoginSucceeded),
    ("AuthService/Logout", Type::Logout),
    ("AuthService/ChangePassword", Type::PasswordChanged),
    ("AuthService/ResetPassword", Type::PasswordReset),
    ("AuthService/RevokeOwnSessions", Type::SessionRevoked),
    ("UserService/CreateUser", Type::UserCreated),
    ("UserService/ImportUsers", Type::UserImported),
    ("UserService/UpdateUser", Type::UserUpdated),
    ("UserService/SetPassword", Type::PasswordChanged),
    ("UserService/CreatePasswordReset", Type::PasswordResetCreated),
    ("UserService/DisableUser", Type::UserDisabled),
    ("UserService/EnableUser", Type::UserEnabled),
    ("UserService/DeleteUser", Type::UserDeleted),
    ("SessionService/RevokeSessions", Type::SessionRevoked),
    ("ServiceAccountService/CreateServiceAccount", Type::ServiceAccountCreated),
    ("ServiceAccountService/UpdateServiceAccount", Type::ServiceAccountUpdated),
    ("ServiceAccountService/DisableServiceAccount", Type::ServiceAccountDisabled),
    ("ServiceAccountService/EnableServiceAccount", Type::ServiceAccountEnabled),
    ("ServiceAccountService/DeleteServiceAccount", Type::ServiceAccountDeleted),
    ("ServiceAccountService/CreateKey", Type::ServiceKeyCreated),
    ("ServiceAccountService/RevokeKey", Type::ServiceKeyRevoked),
    ("KeyService/RotateKey", Type::KeyCreated),
    ("KeyService/WithdrawKey", Type::KeyWithdrawn),
];

/// Those that change nothing of which somebody would want to know who did it. A Refresh goes on with what was there, and so does
/// the token of a service account, whose key has events.
const READS: &[&str] = &[
    "AuthService/Refresh",
    "AuthService/IssueServiceToken",
    "AuthService/VerifyAccessToken",
    "AuthService/BatchVerifyAccessTokens",
    "AuthService/VerifyStream",
    "AuthService/ListOwnSessions",
    "RevocationService/WatchRevocations",
    "UserService/CheckPasswordHash",
    "UserService/GetUser",
    "UserService/ListUsers",
    "SessionService/ListSessions",
    "SessionService/ExplainSession",
    "ServiceAccountService/GetServiceAccount",
    "ServiceAccountService/ListServiceAccounts",
    "ServiceAccountService/ListKeys",
    "KeyService/ListKeys",
    "AuditService/ListEvents",
    "AuditService/WatchEvents",
];

#[test]
fn of_each_method_it_is_said_whether_it_is_an_event() {
    let files = prost_types::FileDescriptorSet::decode(DESCRIPTORS).unwrap();
    let mut methods = Vec::new();
    for file in files.file.iter().filter(|file| file.package() == "countersign.v1") {
        for service in &file.service {
            let named =
                |method: &prost_types::MethodDescriptorProto| format!("{}/{}", service.name(), method.name());
            methods.extend(service.method.iter().map(named));
        }
    }
    let mut said: Vec<_> = CHANGES.iter().map(|(method, _)| *method).chain(READS.iter().copied()).collect();
    said.sort_unstable();
    methods.sort_unstable();
    assert_eq!(said, methods, "each method stands in CHANGES or in READS");
}

struct Log {
    client: AuditServiceClient<Channel>,
    token: String,
}

impl Log {
    async fn open(world: &mut World) -> Self {
        let token = world.token(AUDITOR).await;
        Self { client: AuditServiceClient::new(world.channel.clone()), token }
    }

    async fn list(&mut self, filter: v1::EventFilter) -> Vec<v1::Event> {
        let (mut events, mut page_token) = (Vec::new(), String::new());
        loop {
            let ask = v1::ListEventsRequest { filter: Some(filter.clone()), page_size: 100, page_token };
            let page = self.client.list_events(with(&self.token, ask)).await.unwrap().into_inner();
            events.extend(page.events);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return events;
            }
        }
    }

    async fn watch(
        &mut self,
        ask: v1::WatchEventsRequest,
    ) -> Result<Streaming<v1::WatchEventsResponse>, String> {
        let answer = self.client.watch_events(with(&self.token, ask)).await;
        answer.map(tonic::Response::into_inner).map_err(|status| reason(&status))
    }
}

/// Reads on until so many events have come, or until one that is given.
async fn next_events(stream: &mut Streaming<v1::WatchEventsResponse>, count: usize) -> Vec<v1::Event> {
    let mut events = Vec::new();
    while events.len() < count {
        let read = tokio::time::timeout(PATIENCE, stream.message()).await.expect("events come");
        events.extend(read.unwrap().expect("the stream goes on").events);
    }
    events
}

/// The user named `name` does or has done to them what the method does. Says who did it.
async fn call(world: &mut World, admin: &str, method: &str, name: &str) -> String {
    let by_admin = format!("user:{}", world.get(admin, &name_of(ADMIN)).await.unwrap().id);
    let rpc = Rpc::ALL.iter().find(|rpc| method.ends_with(&format!("/{rpc:?}")));
    let itself = format!("user:{}", world.get(admin, name).await.unwrap().id);
    let outcome = match method {
        "AuthService/Login" => {
            world.tokens(name, PASSWORD).await;
            return itself;
        }
        "AuthService/Logout" | "AuthService/ChangePassword" | "AuthService/RevokeOwnSessions" => {
            let tokens = world.tokens(name, PASSWORD).await;
            let refresh_token = tokens.refresh_token;
            let answer = if method.ends_with("Logout") {
                let token = Some(v1::logout_request::Token::RefreshToken(refresh_token));
                outcome(world.auth.logout(v1::LogoutRequest { token, everywhere: false }).await)
            } else if method.ends_with("ChangePassword") {
                let new_password = "another horse battery".to_owned();
                let current_password = PASSWORD.to_owned();
                let ask = v1::ChangePasswordRequest { refresh_token, current_password, new_password };
                outcome(world.auth.change_password(ask).await)
            } else {
                world.tokens(name, PASSWORD).await;
                let ask = v1::RevokeOwnSessionsRequest { refresh_token, others: true, ..Default::default() };
                outcome(world.auth.revoke_own_sessions(ask).await)
            };
            assert_eq!(answer, "OK", "{method}");
            return itself;
        }
        "AuthService/ResetPassword" => {
            let ask = v1::CreatePasswordResetRequest { user: Some(named(name)), ttl: None };
            let made = world.users.create_password_reset(with(admin, ask)).await.unwrap().into_inner();
            let new_password = "another horse battery".to_owned();
            let ask = v1::ResetPasswordRequest { reset_token: made.reset_token, new_password };
            assert_eq!(outcome(world.auth.reset_password(ask).await), "OK");
            return itself;
        }
        "ServiceAccountService/RevokeKey" => {
            let (_, id) = world.service_key(admin, &format!("k-{name}"), &[]).await;
            outcome(world.revoke_key(admin, &format!("k-{name}"), &id).await.map(tonic::Response::new))
        }
        "KeyService/RotateKey" | "KeyService/WithdrawKey" => {
            let mut keys = KeyServiceClient::new(world.channel.clone());
            if method.ends_with("RotateKey") {
                let ask =
                    v1::RotateKeyRequest { kind: v1::KeyKind::Signing.into(), request_id: "r".to_owned() };
                keys.rotate_key(with(admin, ask.clone())).await.unwrap();
                outcome(keys.rotate_key(with(admin, ask)).await)
            } else {
                let ask = v1::KeyServiceListKeysRequest {};
                let listed = keys.list_keys(with(admin, ask)).await.unwrap().into_inner().keys;
                let next = listed.iter().find(|key| key.state() == v1::KeyState::Announced).unwrap();
                outcome(
                    keys.withdraw_key(with(admin, v1::WithdrawKeyRequest { key_id: next.id.clone() })).await,
                )
            }
        }
        "SessionService/RevokeSessions" => {
            world.tokens(name, PASSWORD).await;
            Rpc::RevokeSessions.call(world, admin, name).await
        }
        _ => {
            let rpc = rpc.unwrap_or_else(|| panic!("{method} is not called here"));
            let name = if rpc.creates() { format!("new-{name}") } else { name.to_owned() };
            rpc.call(world, admin, &name).await
        }
    };
    assert_eq!(outcome, "OK", "{method}");
    by_admin
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_call_that_changes_something_is_one_event_with_who_called() {
    let key = KeyEncryption::generate();
    let settings = [
        ("KEYS__STORE", "database"),
        ("KEYS__ENCRYPTION_KEY", key.as_str()),
        ("KEYS__RELOAD_INTERVAL", "100ms"),
        ("THROTTLE__ENABLED", "false"),
    ];
    let mut world = world(&settings).await;
    let admin = world.token(ADMIN).await;
    let mut log = Log::open(&mut world).await;
    for (n, (method, expected)) in CHANGES.iter().enumerate() {
        let name = format!("somebody-{n}");
        world.create(&admin, &name, &[]).await.unwrap();
        world.accounts.create_service_account(with(&admin, new_account(&name, &[]))).await.unwrap();
        let user = world.get(&admin, &name).await.unwrap().id;
        let mut stream = log.watch(v1::WatchEventsRequest::default()).await.unwrap();
        // From here on: the stream says where it begins.
        stream.message().await.unwrap().unwrap();
        let actor = call(&mut world, &admin, method, &name).await;
        // What is written later is behind all that was committed before.
        let marker = format!("marker-{n}");
        world.create(&admin, &marker, &[]).await.unwrap();
        let mut events = Vec::new();
        loop {
            let more = next_events(&mut stream, 1).await;
            events.extend(more);
            let ended = events.iter().any(|event: &v1::Event| event.name == marker);
            let login = |event: &v1::Event| event.r#type() == Type::LoginSucceeded && event.user_id == user;
            if ended && (*expected != Type::LoginSucceeded || events.iter().any(login)) {
                break;
            }
        }
        // Logins are written shortly after, those of before perhaps now.
        let of_type = |event: &&v1::Event| {
            event.r#type() == *expected
                && event.name != marker
                && (*expected != Type::LoginSucceeded || event.user_id == user)
        };
        let of_type: Vec<_> = events.iter().filter(of_type).collect();
        let [event] = of_type.as_slice() else { panic!("{method}: {events:?}") };
        assert_eq!(event.actor, actor, "{method}");
        assert_eq!(event.peer, "127.0.0.1", "{method}");
        assert!(!event.request_id.is_empty(), "{method}");
        let about_user = !method.starts_with("Key") && !method.starts_with("ServiceAccount");
        let creates = ["CreateUser", "ImportUsers"].iter().any(|made| method.ends_with(made));
        if about_user && !creates {
            assert_eq!(event.user_id, user, "{method}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_is_repeated_is_one_event() {
    let mut world = world(&[]).await;
    let admin = world.token(ADMIN).await;
    let mut log = Log::open(&mut world).await;
    let again = v1::CreateUserRequest { request_id: "r".to_owned(), ..new_user("ada", &[]) };
    let id =
        world.users.create_user(with(&admin, again.clone())).await.unwrap().into_inner().user.unwrap().id;
    world.users.create_user(with(&admin, again)).await.unwrap();
    let account = v1::CreateServiceAccountRequest { request_id: "r".to_owned(), ..new_account("shop", &[]) };
    world.accounts.create_service_account(with(&admin, account.clone())).await.unwrap();
    world.accounts.create_service_account(with(&admin, account)).await.unwrap();
    let of_user = log.list(v1::EventFilter { user_id: id, ..Default::default() }).await;
    assert_eq!(of_user.len(), 1, "{of_user:?}");
    let types = vec![Type::ServiceAccountCreated.into()];
    assert_eq!(log.list(v1::EventFilter { types, ..Default::default() }).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logins_and_their_refusals_are_events_with_what_the_client_says_of_itself() {
    let mut world = world(&[]).await;
    let mut log = Log::open(&mut world).await;
    let mut stream = log.watch(v1::WatchEventsRequest::default()).await.unwrap();
    stream.message().await.unwrap().unwrap();
    let client =
        v1::Client { name: "till".to_owned(), user_agent: "test/1".to_owned(), ..Default::default() };
    let ask = |password: &str| v1::LoginRequest {
        username: name_of("ops"),
        password: password.to_owned(),
        client: Some(client.clone()),
        ..Default::default()
    };
    let session = world.auth.login(ask(PASSWORD)).await.unwrap().into_inner().session.unwrap();
    world.auth.login(ask("wrong horse battery")).await.unwrap_err();
    let nobody = v1::LoginRequest { username: "nobody-by-this-name".to_owned(), ..ask(PASSWORD) };
    world.auth.login(nobody).await.unwrap_err();
    let mut events = Vec::new();
    while events.len() < 3 {
        let of_before =
            |event: &v1::Event| event.r#type() == Type::LoginSucceeded && event.user_id != session.subject;
        events.extend(next_events(&mut stream, 1).await.into_iter().filter(|event| !of_before(event)));
    }
    assert_eq!(events[0].r#type(), Type::LoginSucceeded);
    assert_eq!((&events[0].session_id, &events[0].user_id), (&session.id, &session.subject));
    assert_eq!((events[0].client_name.as_str(), events[0].client_user_agent.as_str()), ("till", "test/1"));
    let failed: Vec<_> = events[1..]
        .iter()
        .map(|event| (event.r#type(), event.cause.as_str(), event.user_id.as_str()))
        .collect();
    assert_eq!(
        failed,
        [
            (Type::LoginFailed, "WRONG_PASSWORD", session.subject.as_str()),
            (Type::LoginFailed, "UNKNOWN_USER", ""),
        ]
    );
    assert!(!format!("{events:?}").contains("nobody-by-this-name"), "nothing that was typed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_who_is_refused_is_an_event() {
    let mut world = world(&[]).await;
    let admin = world.token(ADMIN).await;
    let ops = world.token("ops").await;
    let mut log = Log::open(&mut world).await;
    let mut stream = log.watch(v1::WatchEventsRequest::default()).await.unwrap();
    stream.message().await.unwrap().unwrap();
    assert_eq!(Rpc::DeleteUser.call(&world, "", "ada").await, "TOKEN_MISSING");
    assert_eq!(Rpc::DeleteUser.call(&world, &ops, "ada").await, "CALLER_NOT_ALLOWED");
    let (key, id) = world.service_key(&admin, "shop", &[]).await;
    assert_eq!(Rpc::ListUsers.call(&world, &key, "ada").await, "CALLER_NOT_ALLOWED");
    let mut told = BTreeMap::new();
    while told.len() < 3 {
        for event in next_events(&mut stream, 1).await {
            if event.r#type() == Type::CallerRefused {
                told.insert((event.cause, event.method), (event.actor, event.key_id));
            }
        }
    }
    let at = |cause: &str, method: &str| (cause.to_owned(), format!("/countersign.v1.UserService/{method}"));
    let ops = format!("user:{}", world.get(&admin, &name_of("ops")).await.unwrap().id);
    let nothing = String::new;
    assert_eq!(told[&at("TOKEN_MISSING", "DeleteUser")], (nothing(), nothing()));
    assert_eq!(told[&at("CALLER_NOT_ALLOWED", "DeleteUser")], (ops, nothing()));
    assert_eq!(told[&at("CALLER_NOT_ALLOWED", "ListUsers")], (nothing(), id));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_follows_the_log_goes_on_where_they_were() {
    let mut world = world(&[]).await;
    let admin = world.token(ADMIN).await;
    let mut log = Log::open(&mut world).await;
    let types = vec![Type::UserCreated.into()];
    let filter = Some(v1::EventFilter { types, ..Default::default() });
    let oldest = v1::WatchEventsRequest { from_oldest: true, filter: filter.clone(), ..Default::default() };
    let mut stream = log.watch(oldest).await.unwrap();
    let begun = next_events(&mut stream, 5).await;
    drop(stream);
    let mut position = begun.last().unwrap().position.clone();
    let mut seen = Vec::new();
    for round in 0..4 {
        for n in 0..3 {
            world.create(&admin, &format!("u{round}{n}"), &[]).await.unwrap();
        }
        let ask = v1::WatchEventsRequest { position, filter: filter.clone(), ..Default::default() };
        let mut stream = log.watch(ask).await.unwrap();
        let events = next_events(&mut stream, 3).await;
        position = events.last().unwrap().position.clone();
        seen.extend(events.into_iter().map(|event| event.name));
    }
    let expected: Vec<_> = (0..4).flat_map(|round| (0..3).map(move |n| format!("u{round}{n}"))).collect();
    assert_eq!(seen, expected, "each once, in order");

    for (ask, expected) in [
        (v1::WatchEventsRequest { position: "x".to_owned(), ..Default::default() }, "INVALID_REQUEST"),
        (
            v1::WatchEventsRequest { position: position.clone(), from_oldest: true, ..Default::default() },
            "INVALID_REQUEST",
        ),
        (
            v1::WatchEventsRequest {
                filter: Some(v1::EventFilter {
                    since: Some(prost_types::Timestamp::default()),
                    ..Default::default()
                }),
                ..Default::default()
            },
            "INVALID_REQUEST",
        ),
        // A log that goes on from another one: the position before it was told by neither.
        (
            v1::WatchEventsRequest {
                position: countersign::model::Position { seq: 2, mark: 1 }.to_string(),
                ..Default::default()
            },
            "POSITION_EXPIRED",
        ),
    ] {
        assert_eq!(log.watch(ask.clone()).await.unwrap_err(), expected, "{ask:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_many_follow_the_log_and_no_more() {
    let mut world = world(&[]).await;
    let mut log = Log::open(&mut world).await;
    let mut streams = Vec::new();
    let refused = loop {
        match log.watch(v1::WatchEventsRequest::default()).await {
            Ok(stream) => streams.push(stream),
            Err(refused) => break refused,
        }
        assert!(streams.len() < 1000, "there is a bound");
    };
    assert_eq!((refused.as_str(), streams.len()), ("SERVER_OVERLOADED", 32));
    streams.clear();
    let opened = async {
        while log.watch(v1::WatchEventsRequest::default()).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, opened).await.expect("whoever leaves makes room");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_of_the_log_is_bounded() {
    let mut world = world(&[]).await;
    let mut log = Log::open(&mut world).await;
    let token = log.token.clone();
    let filter =
        |filter: v1::EventFilter| v1::ListEventsRequest { filter: Some(filter), ..Default::default() };
    for ask in [
        v1::ListEventsRequest { page_size: 1001, ..Default::default() },
        v1::ListEventsRequest { page_size: -1, ..Default::default() },
        v1::ListEventsRequest { page_token: "x".to_owned(), ..Default::default() },
        filter(v1::EventFilter { types: vec![0], ..Default::default() }),
        filter(v1::EventFilter { types: vec![1; 33], ..Default::default() }),
        filter(v1::EventFilter { types: vec![999], ..Default::default() }),
        filter(v1::EventFilter { user_id: "x".to_owned(), ..Default::default() }),
        filter(v1::EventFilter { session_id: "x".to_owned(), ..Default::default() }),
        filter(v1::EventFilter { actor: "x".repeat(256), ..Default::default() }),
    ] {
        let refused = log.client.list_events(with(&token, ask.clone())).await;
        assert_eq!(outcome(refused), "INVALID_REQUEST", "{ask:?}");
    }
}
