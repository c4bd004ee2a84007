//! `UserService`, `SessionService` and `ServiceAccountService` against the whole service: who may call what, what each call
//! does, and what is over when it has answered.

use countersign::auth::CreateUser;
use countersign::grpc::proto::v1;
use countersign::grpc::proto::v1::auth_service_client::AuthServiceClient;
use countersign::grpc::proto::v1::service_account_service_client::ServiceAccountServiceClient;
use countersign::grpc::proto::v1::session_service_client::SessionServiceClient;
use countersign::grpc::proto::v1::user_service_client::UserServiceClient;
use countersign::model::{Role, Username};
use prost_types::FieldMask;
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status};
use tonic_types::StatusExt as _;

use crate::support::http::{Service, service_with_users};

mod audit;
mod classes;
mod external_id;
mod grpcurl;
mod importing;
mod own;
mod rpc;
mod service_accounts;
mod session_end;
mod who_may_call;

use rpc::Rpc;

const PASSWORD: &str = "correct horse battery";
const ADMIN: &str = "countersign:admin";
const USERS: &str = "countersign:users";
const SESSIONS: &str = "countersign:sessions";
const AUDITOR: &str = "countersign:auditor";

/// The whole service of `dev`, with a user for each of these roles, who is called as the role is.
struct World {
    auth: AuthServiceClient<Channel>,
    users: UserServiceClient<Channel>,
    sessions: SessionServiceClient<Channel>,
    accounts: ServiceAccountServiceClient<Channel>,
    channel: Channel,
    service: Service,
}

fn name_of(role: &str) -> String {
    format!("role-{}", role.trim_start_matches("countersign:"))
}

async fn world(settings: &[(&str, &str)]) -> World {
    let users = [ADMIN, USERS, SESSIONS, AUDITOR, "ops"].map(|role| {
        let username = Username::parse(&name_of(role)).unwrap();
        let roles = Role::parse_all([role]).unwrap();
        CreateUser { roles, ..CreateUser::new(username, PASSWORD.to_owned()) }
    });
    let service = service_with_users(settings, users).await;
    let address = service.grpc;
    let channel = Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
    World {
        auth: AuthServiceClient::new(channel.clone()),
        users: UserServiceClient::new(channel.clone()),
        sessions: SessionServiceClient::new(channel.clone()),
        accounts: ServiceAccountServiceClient::new(channel.clone()),
        channel,
        service,
    }
}

impl World {
    async fn tokens(&mut self, username: &str, password: &str) -> v1::Tokens {
        self.auth.login(login_as(username, password)).await.unwrap().into_inner().tokens.unwrap()
    }

    /// An access token of the user who has this role.
    async fn token(&mut self, role: &str) -> String {
        self.tokens(&name_of(role), PASSWORD).await.access_token
    }

    async fn create(&mut self, by: &str, username: &str, roles: &[&str]) -> Result<v1::User, Status> {
        let answer = self.users.create_user(with(by, new_user(username, roles))).await?;
        Ok(answer.into_inner().user.unwrap())
    }

    async fn get(&mut self, by: &str, username: &str) -> Result<v1::User, Status> {
        let ask = v1::GetUserRequest { user: Some(named(username)) };
        Ok(self.users.get_user(with(by, ask)).await?.into_inner().user.unwrap())
    }

    async fn list(&mut self, by: &str, username: &str) -> Vec<v1::Session> {
        let ask =
            v1::ListSessionsRequest { user: Some(named(username)), ..v1::ListSessionsRequest::default() };
        self.sessions.list_sessions(with(by, ask)).await.unwrap().into_inner().sessions
    }

    async fn verify(&mut self, access_token: &str) -> Option<v1::verify_access_token_response::Result> {
        let ask = v1::VerifyAccessTokenRequest {
            access_token: access_token.to_owned(),
            ..v1::VerifyAccessTokenRequest::default()
        };
        self.auth.verify_access_token(ask).await.unwrap().into_inner().result
    }

    async fn verifies(&mut self, access_token: &str) -> bool {
        use v1::verify_access_token_response::Result;
        matches!(self.verify(access_token).await, Some(Result::Verified(_)))
    }

    /// What comes of a login: `OK`, or the reason that it was refused for.
    async fn login(&mut self, (username, password): (&str, &str)) -> String {
        outcome(self.auth.login(login_as(username, password)).await)
    }

    /// Whether the password is theirs. Nothing else may stand in the way.
    async fn logs_in(&mut self, username: &str, password: &str) -> bool {
        let outcome = self.login((username, password)).await;
        assert!(matches!(outcome.as_str(), "OK" | "INVALID_CREDENTIALS"), "{outcome}");
        outcome == "OK"
    }
}

/// A request of somebody who has this access token; of nobody when it is empty.
fn with<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    if !token.is_empty() {
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    }
    request
}

fn login_as(username: &str, password: &str) -> v1::LoginRequest {
    v1::LoginRequest {
        username: username.to_owned(),
        password: password.to_owned(),
        ..v1::LoginRequest::default()
    }
}

fn named(username: &str) -> v1::UserRef {
    v1::UserRef { user: Some(v1::user_ref::User::Username(username.to_owned())) }
}

fn new_user(username: &str, roles: &[&str]) -> v1::CreateUserRequest {
    v1::CreateUserRequest {
        username: username.to_owned(),
        credential: Some(v1::create_user_request::Credential::Password(PASSWORD.to_owned())),
        roles: roles.iter().map(|&role| role.to_owned()).collect(),
        ..v1::CreateUserRequest::default()
    }
}

fn set_roles(username: &str, roles: &[&str]) -> v1::UpdateUserRequest {
    v1::UpdateUserRequest {
        user: Some(named(username)),
        change: Some(v1::UserChange {
            roles: roles.iter().map(|&role| role.to_owned()).collect(),
            custom_claims: None,
            external_id: String::new(),
        }),
        update_mask: Some(FieldMask { paths: vec!["roles".to_owned()] }),
        etag: String::new(),
    }
}

fn reason(status: &Status) -> String {
    status.get_error_details().error_info().map(|info| info.reason.clone()).unwrap_or_default()
}

/// The reason that a call was refused for; `OK` when it was not.
fn outcome<T>(answer: Result<Response<T>, Status>) -> String {
    answer.map_or_else(|status| reason(&status), |_| "OK".to_owned())
}

#[tokio::test]
async fn nobody_gains_rights_by_way_of_an_account_that_has_them() {
    const CHANGES: [Rpc; 7] = [
        Rpc::UpdateUser,
        Rpc::SetPassword,
        Rpc::CreatePasswordReset,
        Rpc::DisableUser,
        Rpc::EnableUser,
        Rpc::DeleteUser,
        Rpc::RevokeSessions,
    ];
    let mut world = world(&[]).await;
    let admin = world.token(ADMIN).await;
    for role in [USERS, SESSIONS] {
        let token = world.token(role).await;
        for rpc in CHANGES.into_iter().filter(|rpc| rpc.is_for(role)) {
            for target in [ADMIN, USERS, SESSIONS, AUDITOR] {
                let outcome = rpc.call(&world, &token, &name_of(target)).await;
                assert_eq!(outcome, "CALLER_NOT_ALLOWED", "{rpc:?} on {target} by {role}");
            }
        }
    }
    let users = world.token(USERS).await;
    for role in [ADMIN, USERS, SESSIONS, AUDITOR] {
        let made = world.create(&users, "mallory", &["ops", role]).await.unwrap_err();
        assert_eq!(reason(&made), "CALLER_NOT_ALLOWED", "{role}");
        let given = world.users.update_user(with(&users, set_roles("role-ops", &[role]))).await.unwrap_err();
        assert_eq!(reason(&given), "CALLER_NOT_ALLOWED", "{role}");
    }
    for role in [ADMIN, USERS, SESSIONS, AUDITOR] {
        assert!(world.logs_in(&name_of(role), PASSWORD).await, "{role} is as it was");
        let made = world.create(&admin, &format!("made-{}", name_of(role)), &[role]).await.unwrap();
        assert_eq!(made.roles, [role]);
    }
    let unknown = world.create(&admin, "mallory", &["countersign:user"]).await.unwrap_err();
    assert_eq!(reason(&unknown), "INVALID_REQUEST", "a reserved role that does nothing is a slip of the pen");
    assert!(
        unknown.get_error_details().bad_request().unwrap().field_violations[0].description.contains(USERS)
    );
}

#[tokio::test]
async fn a_role_that_is_taken_away_is_of_no_use_though_a_token_tells_of_it() {
    let mut world = world(&[]).await;
    let (admin, users) = (world.token(ADMIN).await, world.token(USERS).await);
    assert_eq!(Rpc::GetUser.call(&world, &users, "role-ops").await, "OK");
    world.users.update_user(with(&admin, set_roles("role-users", &["ops"]))).await.unwrap();
    assert_eq!(Rpc::GetUser.call(&world, &users, "role-ops").await, "CALLER_NOT_ALLOWED");

    let sessions = world.token(SESSIONS).await;
    let disable = v1::DisableUserRequest { user: Some(named("role-sessions")) };
    world.users.disable_user(with(&admin, disable)).await.unwrap();
    assert_eq!(Rpc::ListSessions.call(&world, &sessions, "role-ops").await, "SESSION_REVOKED");
}

#[tokio::test]
async fn a_rule_opens_a_method_to_a_role_of_the_operators_own() {
    let rules = r#"[{ methods = ["countersign.v1.SessionService/*"], roles = ["ops"] }, { methods = ["*"], roles = ["x"] }]"#;
    let mut world = world(&[("GRPC__ALLOW", rules)]).await;
    // The last rule closes everything else to those without the role; a login is needed to have one.
    let login = v1::LoginRequest { username: "role-ops".to_owned(), ..v1::LoginRequest::default() };
    assert_eq!(reason(&world.auth.login(login).await.unwrap_err()), "TOKEN_MISSING");
}

#[tokio::test]
async fn whoever_a_rule_names_by_role_may_call_and_has_no_reserved_rights() {
    let rules = r#"[{ methods = ["countersign.v1.SessionService/*"], roles = ["ops"] }]"#;
    let mut world = world(&[("GRPC__ALLOW", rules)]).await;
    let (ops, auditor) = (world.token("ops").await, world.token(AUDITOR).await);
    assert_eq!(Rpc::RevokeSessions.call(&world, &ops, "role-ops").await, "OK");
    let ops = world.token("ops").await;
    assert_eq!(Rpc::RevokeSessions.call(&world, &ops, "role-auditor").await, "CALLER_NOT_ALLOWED");
    assert_eq!(Rpc::GetUser.call(&world, &ops, "role-ops").await, "CALLER_NOT_ALLOWED", "no rule names it");
    assert_eq!(Rpc::ListSessions.call(&world, &auditor, "role-ops").await, "OK", "the roles go on as well");
}

#[tokio::test]
async fn a_user_lives_from_creation_to_deletion() {
    let mut world = world(&[]).await;
    let admin = world.token(USERS).await;
    let ada = world.create(&admin, "Ada", &["ops", "admin", "ops"]).await.unwrap();
    assert_eq!((ada.username.as_str(), ada.disabled), ("ada", false));
    assert_eq!(ada.roles, ["admin", "ops"]);
    assert_eq!(world.get(&admin, "ADA").await.unwrap(), ada);
    let by_id = v1::UserRef { user: Some(v1::user_ref::User::UserId(ada.id.clone())) };
    let found = world.users.get_user(with(&admin, v1::GetUserRequest { user: Some(by_id) })).await.unwrap();
    assert_eq!(found.into_inner().user.as_ref(), Some(&ada));

    let first = world.tokens("ada", PASSWORD).await;
    let ask =
        v1::SetPasswordRequest { user: Some(named("ada")), password: "another horse battery".to_owned() };
    world.users.set_password(with(&admin, ask)).await.unwrap();
    assert!(!world.verifies(&first.access_token).await, "at once");
    assert!(!world.logs_in("ada", PASSWORD).await);

    let second = world.tokens("ada", "another horse battery").await;
    world
        .users
        .disable_user(with(&admin, v1::DisableUserRequest { user: Some(named("ada")) }))
        .await
        .unwrap();
    world
        .users
        .disable_user(with(&admin, v1::DisableUserRequest { user: Some(named("ada")) }))
        .await
        .unwrap();
    assert!(!world.verifies(&second.access_token).await);
    assert!(!world.logs_in("ada", "another horse battery").await);
    assert!(world.get(&admin, "ada").await.unwrap().disabled);
    world.users.enable_user(with(&admin, v1::EnableUserRequest { user: Some(named("ada")) })).await.unwrap();

    let third = world.tokens("ada", "another horse battery").await;
    world.users.delete_user(with(&admin, v1::DeleteUserRequest { user: Some(named("ada")) })).await.unwrap();
    assert!(!world.verifies(&third.access_token).await);
    assert_eq!(reason(&world.get(&admin, "ada").await.unwrap_err()), "USER_NOT_FOUND");
    for rpc in [
        Rpc::UpdateUser,
        Rpc::SetPassword,
        Rpc::CreatePasswordReset,
        Rpc::DisableUser,
        Rpc::EnableUser,
        Rpc::DeleteUser,
    ] {
        assert_eq!(rpc.call(&world, &admin, "ada").await, "USER_NOT_FOUND", "{rpc:?}");
    }
    let again = world.create(&admin, "ada", &[]).await.unwrap();
    assert_ne!(again.id, ada.id);
}

#[tokio::test]
async fn the_same_creation_again_finds_the_user_that_it_made() {
    let mut world = world(&[]).await;
    let admin = world.token(USERS).await;
    let mut create = async |request_id: &str, user_id: &str, username: &str| {
        let (request_id, user_id) = (request_id.to_owned(), user_id.to_owned());
        let ask = v1::CreateUserRequest { request_id, user_id, ..new_user(username, &[]) };
        let answer = world.users.create_user(with(&admin, ask)).await;
        answer.map(|answer| answer.into_inner().user.unwrap().id).map_err(|status| reason(&status))
    };
    let ada = create("r-1", "", "ada").await.unwrap();
    assert_eq!(create("r-1", "", "ada").await, Ok(ada.clone()));
    assert_eq!(create("r-2", "", "ada").await, Err("USERNAME_TAKEN".to_owned()));
    assert_eq!(create("", "", "ada").await, Err("USERNAME_TAKEN".to_owned()));
    assert_eq!(create("r-1", "", "grace").await, Err("INVALID_REQUEST".to_owned()), "the request of another");
    let chosen = "0197a2c4-0000-7000-8000-000000000001";
    assert_eq!(create("", chosen, "grace").await.as_deref(), Ok(chosen));
    assert_eq!(create("", chosen, "grace").await.as_deref(), Ok(chosen));
    assert_eq!(create("", chosen, "linus").await, Err("INVALID_REQUEST".to_owned()));
    for (request_id, user_id) in [("r", chosen), ("", "7"), ("", "0197A2C4-0000-7000-8000-000000000001")] {
        assert_eq!(
            create(request_id, user_id, "linus").await,
            Err("INVALID_REQUEST".to_owned()),
            "{user_id}"
        );
    }
    let long = "x".repeat(129);
    assert_eq!(create(&long, "", "linus").await, Err("INVALID_REQUEST".to_owned()));
}

#[tokio::test]
async fn of_two_who_change_what_both_have_read_one_does() {
    let mut world = world(&[]).await;
    let admin = world.token(USERS).await;
    let ada = world.create(&admin, "ada", &[]).await.unwrap();
    let change = |roles: &[&str], etag: &str| {
        with(&admin, v1::UpdateUserRequest { etag: etag.to_owned(), ..set_roles("ada", roles) })
    };
    let (mut one, mut other) = (world.users.clone(), world.users.clone());
    let (one, other) = tokio::join!(
        one.update_user(change(&["a"], &ada.etag)),
        other.update_user(change(&["b"], &ada.etag))
    );
    let (won, lost) = if one.is_ok() { (one, other) } else { (other, one) };
    let won = won.unwrap().into_inner().user.unwrap();
    let lost = lost.unwrap_err();
    assert_eq!((lost.code(), reason(&lost)), (Code::Aborted, "ETAG_MISMATCH".to_owned()));
    assert_eq!(world.get(&admin, "ada").await.unwrap(), won);
    assert_ne!(won.etag, ada.etag);
    let next = world.users.update_user(change(&["c"], &won.etag)).await.unwrap().into_inner().user.unwrap();
    assert_eq!(next.roles, ["c"]);
    let whatever = world.users.update_user(change(&["d"], "")).await.unwrap().into_inner().user.unwrap();
    assert_eq!(whatever.roles, ["d"]);
    assert_eq!(outcome(world.users.update_user(change(&["e"], "nonsense")).await), "INVALID_REQUEST");
}

#[tokio::test]
async fn what_the_mask_does_not_name_stays() {
    let mut world = world(&[]).await;
    let admin = world.token(USERS).await;
    let claims = |text: &str| {
        let kind = Some(prost_types::value::Kind::StringValue(text.to_owned()));
        Some(prost_types::Struct { fields: [("tenant".to_owned(), prost_types::Value { kind })].into() })
    };
    let ask = v1::CreateUserRequest { custom_claims: claims("acme"), ..new_user("ada", &["ops"]) };
    let ada = world.users.create_user(with(&admin, ask)).await.unwrap().into_inner().user.unwrap();
    assert_eq!(ada.custom_claims, claims("acme"));
    let change = |paths: &[&str]| {
        let paths = paths.iter().map(|&path| path.to_owned()).collect();
        let change = v1::UserChange { custom_claims: claims("other"), ..v1::UserChange::default() };
        let update_mask = Some(FieldMask { paths });
        with(&admin, v1::UpdateUserRequest { change: Some(change), update_mask, ..set_roles("ada", &[]) })
    };
    let only_claims = world.users.update_user(change(&["custom_claims"])).await.unwrap();
    let only_claims = only_claims.into_inner().user.unwrap();
    assert_eq!((&only_claims.roles, &only_claims.custom_claims), (&ada.roles, &claims("other")));
    let only_roles = world.users.update_user(change(&["roles"])).await.unwrap().into_inner().user.unwrap();
    assert_eq!((only_roles.roles, only_roles.custom_claims), (Vec::new(), claims("other")));
    for bad in [&[][..], &["username"], &["roles", "password"]] {
        assert_eq!(outcome(world.users.update_user(change(bad)).await), "INVALID_REQUEST", "{bad:?}");
    }
}

#[tokio::test]
async fn a_password_that_is_not_good_enough_is_refused_with_its_reason() {
    let mut world = world(&[]).await;
    let admin = world.token(USERS).await;
    world.create(&admin, "margaret", &[]).await.unwrap();
    for (password, expected) in [
        ("short", "TOO_SHORT"),
        ("password1", "COMMON"),
        ("margaret", "LIKE_USERNAME"),
        ("aaaaaaaaaaaa", "REPEATED"),
        ("abcdefghijkl", "SEQUENCE"),
        (&"x".repeat(1025), "TOO_LONG"),
        ("correct\0horse", "CONTAINS_NUL"),
    ] {
        let ask = v1::SetPasswordRequest { user: Some(named("margaret")), password: password.to_owned() };
        let refused = world.users.set_password(with(&admin, ask)).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::InvalidArgument, "PASSWORD_REJECTED"));
        let details = refused.get_error_details();
        assert_eq!(details.error_info().unwrap().metadata["password"], expected);
        let violation = &details.bad_request().unwrap().field_violations[0];
        assert_eq!(violation.field, "password");
        assert!(!violation.description.contains(password), "the password is not repeated");
    }
    assert!(world.logs_in("margaret", PASSWORD).await, "nothing was changed");
}

#[tokio::test]
async fn users_are_listed_page_by_page_and_by_what_is_asked_of_them() {
    let mut world = world(&[]).await;
    let admin = world.token(USERS).await;
    for name in ["ann", "anna", "annabel", "anne", "bob", "ánn"] {
        let roles: &[&str] = if name.starts_with("anna") { &["ops"] } else { &[] };
        world.create(&admin, name, roles).await.unwrap();
    }
    let disable = v1::DisableUserRequest { user: Some(named("anna")) };
    world.users.disable_user(with(&admin, disable)).await.unwrap();
    let mut all = async |filter: v1::UserFilter, page_size: i32| {
        let (mut names, mut page_token, mut pages) = (Vec::new(), String::new(), 0);
        loop {
            let ask = v1::ListUsersRequest { page_size, page_token, filter: Some(filter.clone()) };
            let page = world.users.list_users(with(&admin, ask)).await.unwrap().into_inner();
            assert!(page_size == 0 || page.users.len() <= usize::try_from(page_size).unwrap());
            names.extend(page.users.into_iter().map(|user| user.username));
            (page_token, pages) = (page.next_page_token, pages + 1);
            if page_token.is_empty() {
                return (names, pages);
            }
        }
    };
    let prefixed = |prefix: &str| v1::UserFilter { username_prefix: prefix.to_owned(), ..Default::default() };
    let everybody = all(v1::UserFilter::default(), 0).await.0;
    assert_eq!(everybody.len(), 11);
    assert!(everybody.is_sorted());
    for size in [1, 2, 3, 10, 11, 12, 1000] {
        assert_eq!(all(v1::UserFilter::default(), size).await.0, everybody, "{size} a page");
        assert_eq!(all(prefixed("ANN"), size).await.0, ["ann", "anna", "annabel", "anne"], "{size} a page");
    }
    assert_eq!(all(v1::UserFilter::default(), 11).await.1, 1, "no empty page follows the last user");
    assert_eq!(all(prefixed("anna"), 1).await.0, ["anna", "annabel"]);
    assert_eq!(all(prefixed("zz"), 5).await, (Vec::new(), 1));
    let ops = v1::UserFilter { role: "ops".to_owned(), ..Default::default() };
    assert_eq!(all(ops.clone(), 2).await.0, ["anna", "annabel", "role-ops"]);
    let disabled = v1::UserFilter { disabled: Some(true), ..ops };
    assert_eq!(all(disabled.clone(), 2).await.0, ["anna"]);
    let enabled = v1::UserFilter { disabled: Some(false), username_prefix: "ann".to_owned(), ..disabled };
    assert_eq!(all(enabled, 2).await.0, ["annabel"]);

    for (page_size, page_token) in [(-1, ""), (1001, ""), (1, "!"), (1, "_w")] {
        let ask = v1::ListUsersRequest { page_size, page_token: page_token.to_owned(), filter: None };
        assert_eq!(outcome(world.users.list_users(with(&admin, ask)).await), "INVALID_REQUEST");
    }
}

#[tokio::test]
async fn a_session_is_seen_and_ended_and_no_other() {
    let mut world = world(&[]).await;
    let (users, support) = (world.token(USERS).await, world.token(SESSIONS).await);
    world.create(&users, "ada", &[]).await.unwrap();
    world.create(&users, "bob", &[]).await.unwrap();
    let [kicked, kept] = [world.tokens("ada", PASSWORD).await, world.tokens("ada", PASSWORD).await];
    let bobs = world.tokens("bob", PASSWORD).await;
    let listed = world.list(&support, "ada").await;
    assert_eq!(listed.len(), 2, "the newest first: {listed:?}");
    assert!(listed[0].created_at.as_ref().unwrap().seconds >= listed[1].created_at.as_ref().unwrap().seconds);
    let client = listed[0].client.as_ref().unwrap();
    assert_eq!(client.address, "127.0.0.1");
    let refreshed = v1::RefreshRequest { refresh_token: kept.refresh_token.clone() };
    let kept = world.auth.refresh(refreshed).await.unwrap().into_inner().tokens.unwrap();

    // Which of the two it is, the claim `sid` says.
    let ask =
        v1::VerifyAccessTokenRequest { access_token: kicked.access_token.clone(), ..Default::default() };
    let answer = world.auth.verify_access_token(ask).await.unwrap().into_inner().result;
    let Some(v1::verify_access_token_response::Result::Verified(token)) = answer else {
        panic!("{answer:?}")
    };
    let bobs_session = world.list(&support, "bob").await[0].id.clone();
    let revoke = |session_ids: &[&String], all: bool| {
        let session_ids = session_ids.iter().map(|&id| id.clone()).collect();
        with(&support, v1::RevokeSessionsRequest { user: Some(named("ada")), session_ids, all })
    };
    let sessions = &mut world.sessions;
    let ids = [&token.session_id, &bobs_session, &"AAAAAAAAAAAAAAAAAAAAAA".to_owned()];
    assert_eq!(sessions.revoke_sessions(revoke(&ids, false)).await.unwrap().into_inner().revoked, 1);
    assert_eq!(sessions.revoke_sessions(revoke(&ids, false)).await.unwrap().into_inner().revoked, 0);
    for bad in [revoke(&[], false), revoke(&ids, true), revoke(&[&"x".to_owned()], false)] {
        assert_eq!(outcome(sessions.revoke_sessions(bad).await), "INVALID_REQUEST");
    }
    let many = vec![&bobs_session; 101];
    assert_eq!(outcome(sessions.revoke_sessions(revoke(&many, false)).await), "INVALID_REQUEST");
    assert!(!world.verifies(&kicked.access_token).await, "at once");
    assert!(world.verifies(&kept.access_token).await);
    assert!(world.verifies(&bobs.access_token).await, "another user's session is not ended");
    let refused = v1::RefreshRequest { refresh_token: kicked.refresh_token };
    assert_eq!(outcome(world.auth.refresh(refused).await), "SESSION_REVOKED");
    assert_eq!(world.list(&support, "ada").await.len(), 1);

    assert_eq!(world.sessions.revoke_sessions(revoke(&[], true)).await.unwrap().into_inner().revoked, 1);
    assert!(!world.verifies(&kept.access_token).await);
    assert!(world.list(&support, "ada").await.is_empty());
    assert!(world.verifies(&bobs.access_token).await);
    assert!(world.logs_in("ada", PASSWORD).await, "they may begin another");
    assert_eq!(Rpc::ListSessions.call(&world, &support, "nobody").await, "USER_NOT_FOUND");
}

#[tokio::test]
async fn sessions_are_listed_page_by_page() {
    let mut world = world(&[]).await;
    let (users, support) = (world.token(USERS).await, world.token(SESSIONS).await);
    world.create(&users, "ada", &[]).await.unwrap();
    for _ in 0..7 {
        world.tokens("ada", PASSWORD).await;
    }
    let whole: Vec<String> =
        world.list(&support, "ada").await.into_iter().map(|session| session.id).collect();
    assert_eq!(whole.len(), 7);
    for page_size in [1, 3, 7, 500] {
        let (mut ids, mut page_token) = (Vec::new(), String::new());
        loop {
            let ask = v1::ListSessionsRequest { user: Some(named("ada")), page_size, page_token };
            let page = world.sessions.list_sessions(with(&support, ask)).await.unwrap().into_inner();
            assert!(page.sessions.len() <= usize::try_from(page_size).unwrap());
            ids.extend(page.sessions.into_iter().map(|session| session.id));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        assert_eq!(ids, whole, "{page_size} a page");
    }
    let ask = v1::ListSessionsRequest { user: Some(named("ada")), page_size: 501, page_token: String::new() };
    assert_eq!(outcome(world.sessions.list_sessions(with(&support, ask)).await), "INVALID_REQUEST");
}
