//! What users do themselves, with the refresh token of a session of theirs.

use super::*;

const OTHER: &str = "another horse battery";

impl World {
    async fn change_password(
        &mut self,
        tokens: &v1::Tokens,
        current: &str,
        new: &str,
    ) -> Result<v1::ChangePasswordResponse, Status> {
        let ask = v1::ChangePasswordRequest {
            refresh_token: tokens.refresh_token.clone(),
            current_password: current.to_owned(),
            new_password: new.to_owned(),
        };
        Ok(self.auth.change_password(ask).await?.into_inner())
    }

    async fn own(&mut self, tokens: &v1::Tokens) -> Result<v1::ListOwnSessionsResponse, Status> {
        let ask = v1::ListOwnSessionsRequest { refresh_token: tokens.refresh_token.clone() };
        Ok(self.auth.list_own_sessions(ask).await?.into_inner())
    }

    async fn end(&mut self, tokens: &v1::Tokens, ids: &[&str], others: bool) -> Result<i32, Status> {
        let ask = v1::RevokeOwnSessionsRequest {
            refresh_token: tokens.refresh_token.clone(),
            session_ids: ids.iter().map(|&id| id.to_owned()).collect(),
            others,
        };
        Ok(self.auth.revoke_own_sessions(ask).await?.into_inner().revoked)
    }

    async fn refreshes(&mut self, tokens: &v1::Tokens) -> Result<v1::Tokens, String> {
        let ask = v1::RefreshRequest { refresh_token: tokens.refresh_token.clone() };
        let answer = self.auth.refresh(ask).await.map_err(|status| reason(&status))?;
        Ok(answer.into_inner().tokens.unwrap())
    }
}

/// A user with two sessions.
async fn ada(settings: &[(&str, &str)]) -> (World, [v1::Tokens; 2]) {
    let mut world = world(settings).await;
    let users = world.token(USERS).await;
    world.create(&users, "ada", &["ops"]).await.unwrap();
    let sessions = [world.tokens("ada", PASSWORD).await, world.tokens("ada", PASSWORD).await];
    (world, sessions)
}

#[tokio::test]
async fn whoever_changes_their_password_goes_on_and_nobody_else_does() {
    let (mut world, [here, elsewhere]) = ada(&[]).await;
    let changed = world.change_password(&here, PASSWORD, OTHER).await.unwrap();
    let tokens = changed.tokens.unwrap();
    for old in [&here, &elsewhere] {
        assert!(!world.verifies(&old.access_token).await, "at once");
        assert_eq!(world.refreshes(old).await.unwrap_err(), "SESSION_REVOKED");
    }
    assert!(world.verifies(&tokens.access_token).await);
    let next = world.refreshes(&tokens).await.unwrap();
    assert!(world.verifies(&next.access_token).await);
    let own = world.own(&next).await.unwrap();
    assert_eq!((own.sessions.len(), &own.current_session_id), (1, &changed.session.unwrap().id));
    assert!(!world.logs_in("ada", PASSWORD).await);
    assert!(world.logs_in("ada", OTHER).await);
    let again = world.change_password(&here, OTHER, PASSWORD).await.unwrap_err();
    assert_eq!(reason(&again), "SESSION_REVOKED", "the session that asked is over, too");
}

#[tokio::test]
async fn a_change_that_is_refused_changes_nothing() {
    let (mut world, [here, elsewhere]) = ada(&[]).await;
    for (current, new, expected) in [
        ("not the password", OTHER, "INVALID_CREDENTIALS"),
        (PASSWORD, "short", "PASSWORD_REJECTED"),
        (PASSWORD, "password1", "PASSWORD_REJECTED"),
        ("", OTHER, "INVALID_REQUEST"),
        (PASSWORD, "", "INVALID_REQUEST"),
    ] {
        let refused = world.change_password(&here, current, new).await.unwrap_err();
        assert_eq!(reason(&refused), expected, "{current:?} to {new:?}");
    }
    let refused = world.change_password(&here, PASSWORD, "short").await.unwrap_err();
    let details = refused.get_error_details();
    assert_eq!(details.error_info().unwrap().metadata["password"], "TOO_SHORT");
    assert_eq!(details.bad_request().unwrap().field_violations[0].field, "new_password");
    let access = v1::Tokens { refresh_token: here.access_token.clone(), ..v1::Tokens::default() };
    for (token, expected) in [(&access, "REFRESH_TOKEN_INVALID"), (&v1::Tokens::default(), "INVALID_REQUEST")]
    {
        let refused = world.change_password(token, PASSWORD, OTHER).await.unwrap_err();
        assert_eq!(reason(&refused), expected, "an access token is not enough");
        assert_eq!(reason(&world.own(token).await.unwrap_err()), expected);
        assert_eq!(reason(&world.end(token, &[], true).await.unwrap_err()), expected);
    }
    for tokens in [&here, &elsewhere] {
        assert!(world.verifies(&tokens.access_token).await);
        assert!(world.refreshes(tokens).await.is_ok());
    }
    assert!(world.logs_in("ada", PASSWORD).await);
}

#[tokio::test]
async fn guesses_of_the_current_password_count_as_logins_do() {
    let (mut world, [here, _]) = ada(&[]).await;
    let mut refused = Vec::new();
    for guess in 0..30 {
        let answer = world.change_password(&here, &format!("guess number {guess}"), OTHER).await;
        refused.push(reason(&answer.unwrap_err()));
    }
    let looked_at = refused.iter().filter(|reason| *reason == "INVALID_CREDENTIALS").count();
    assert!((1..=10).contains(&looked_at), "{refused:?}");
    assert_eq!(refused.last().unwrap(), "RATE_LIMIT_EXCEEDED");
    assert!(world.refreshes(&here).await.is_ok(), "the session goes on");
}

#[tokio::test]
async fn nobody_makes_room_for_the_session_that_a_change_of_password_begins() {
    let settings = [("SESSIONS__MAX_PER_USER", "1"), ("SESSIONS__ON_LIMIT", "deny")];
    let mut world = world(&settings).await;
    let users = world.token(USERS).await;
    world.create(&users, "ada", &[]).await.unwrap();
    let here = world.tokens("ada", PASSWORD).await;
    let tokens = world.change_password(&here, PASSWORD, OTHER).await.unwrap().tokens.unwrap();
    assert!(world.refreshes(&tokens).await.is_ok());
}

#[tokio::test]
async fn a_user_sees_their_sessions_and_ends_some() {
    let (mut world, [here, elsewhere]) = ada(&[]).await;
    let users = world.token(USERS).await;
    world.create(&users, "bob", &[]).await.unwrap();
    let bob = world.tokens("bob", PASSWORD).await;
    let bobs = world.own(&bob).await.unwrap().current_session_id;

    let own = world.own(&here).await.unwrap();
    assert_eq!(own.sessions.len(), 2);
    let other = own.sessions.iter().find(|session| session.id != own.current_session_id).unwrap().id.clone();
    assert_eq!(world.end(&here, &[&other, &bobs], false).await.unwrap(), 1);
    assert_eq!(world.end(&here, &[&other, &bobs], false).await.unwrap(), 0);
    assert!(!world.verifies(&elsewhere.access_token).await, "at once");
    assert_eq!(world.refreshes(&elsewhere).await.unwrap_err(), "SESSION_REVOKED");
    assert!(world.verifies(&here.access_token).await);
    assert!(world.verifies(&bob.access_token).await, "another user's session is not ended");

    let third = world.tokens("ada", PASSWORD).await;
    let fourth = world.tokens("ada", PASSWORD).await;
    assert_eq!(world.end(&fourth, &[], true).await.unwrap(), 2);
    for ended in [&here, &third] {
        assert!(!world.verifies(&ended.access_token).await);
    }
    let fourth = world.refreshes(&fourth).await.unwrap();
    let own = world.own(&fourth).await.unwrap();
    assert_eq!(own.sessions.len(), 1);
    assert_eq!(world.end(&fourth, &[&own.current_session_id], false).await.unwrap(), 1, "as a logout");
    assert!(!world.verifies(&fourth.access_token).await);
    for (ids, others) in [(&[][..], false), (&[bobs.as_str()][..], true), (&["x"][..], false)] {
        assert_eq!(reason(&world.end(&bob, ids, others).await.unwrap_err()), "INVALID_REQUEST");
    }
}

#[tokio::test]
async fn a_token_that_was_left_behind_ends_its_session_here_too() {
    for what in 0..3 {
        let (mut world, [first, _]) =
            ada(&[("ROTATION__GRACE", "100ms"), ("ROTATION__DEADLINE", "100ms")]).await;
        let second = world.refreshes(&first).await.unwrap();
        // The line goes on once nobody can be waiting for the answer to the first token any more.
        let third = loop {
            let next = world.refreshes(&second).await.unwrap();
            if next.refresh_token != second.refresh_token {
                break next;
            }
        };
        let refused = match what {
            0 => world.change_password(&first, PASSWORD, OTHER).await.map(drop),
            1 => world.own(&first).await.map(drop),
            _ => world.end(&first, &[], true).await.map(drop),
        };
        assert_eq!(reason(&refused.unwrap_err()), "REFRESH_TOKEN_REUSED");
        assert_eq!(world.refreshes(&third).await.unwrap_err(), "SESSION_REVOKED");
        assert!(world.logs_in("ada", PASSWORD).await, "the password is what it was");
    }
}

async fn reset(world: &mut World, ttl: Option<i64>) -> Result<v1::CreatePasswordResetResponse, Status> {
    let users = world.token(USERS).await;
    let ttl = ttl.map(|seconds| prost_types::Duration { seconds, nanos: 0 });
    let ask = v1::CreatePasswordResetRequest { user: Some(named("ada")), ttl };
    Ok(world.users.create_password_reset(with(&users, ask)).await?.into_inner())
}

async fn use_reset(world: &mut World, token: &str, new: &str) -> String {
    let ask = v1::ResetPasswordRequest { reset_token: token.to_owned(), new_password: new.to_owned() };
    outcome(world.auth.reset_password(ask).await)
}

#[tokio::test]
async fn whoever_has_forgotten_their_password_sets_another_once() {
    let (mut world, [here, elsewhere]) = ada(&[]).await;
    let made = reset(&mut world, None).await.unwrap();
    let token = made.reset_token.clone();
    assert!(token.starts_with("csgn_pr_") && token.len() == 88, "{} bytes", token.len());
    assert!(!format!("{made:?}").contains(&token[8..]));
    let other = reset(&mut world, Some(60)).await.unwrap().reset_token;
    assert_eq!(use_reset(&mut world, &token, "short").await, "PASSWORD_REJECTED");
    assert!(world.verifies(&here.access_token).await, "nothing was changed");
    assert_eq!(use_reset(&mut world, &token, OTHER).await, "OK", "the token was as good as before");
    for old in [&here, &elsewhere] {
        assert!(!world.verifies(&old.access_token).await, "at once");
        assert_eq!(world.refreshes(old).await.unwrap_err(), "SESSION_REVOKED");
    }
    assert!(!world.logs_in("ada", PASSWORD).await);
    assert!(world.logs_in("ada", OTHER).await);
    for spent in [&token, &other] {
        assert_eq!(use_reset(&mut world, spent, PASSWORD).await, "RESET_TOKEN_INVALID");
    }
}

#[tokio::test]
async fn a_reset_that_is_expired_spent_or_none_is_refused() {
    let (mut world, [here, _]) = ada(&[]).await;
    let short = reset(&mut world, Some(1)).await.unwrap();
    // This password is nobody's, so that only the token's life can be what it is refused for in the end.
    let expired = async {
        while use_reset(&mut world, &short.reset_token, "short").await == "PASSWORD_REJECTED" {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), expired).await.expect("it expires");
    assert_eq!(use_reset(&mut world, &short.reset_token, OTHER).await, "RESET_TOKEN_INVALID");
    for none in ["x", here.refresh_token.as_str(), here.access_token.as_str(), &"x".repeat(2000)] {
        assert_eq!(use_reset(&mut world, none, OTHER).await, "RESET_TOKEN_INVALID");
    }
    assert_eq!(use_reset(&mut world, "", OTHER).await, "INVALID_REQUEST");
    for ttl in [0, -1, 86_401] {
        assert_eq!(reason(&reset(&mut world, Some(ttl)).await.unwrap_err()), "INVALID_REQUEST", "{ttl} s");
    }

    let users = world.token(USERS).await;
    let spent = reset(&mut world, Some(86_400)).await.unwrap().reset_token;
    world
        .users
        .disable_user(with(&users, v1::DisableUserRequest { user: Some(named("ada")) }))
        .await
        .unwrap();
    assert_eq!(use_reset(&mut world, &spent, OTHER).await, "RESET_TOKEN_INVALID");
    let while_disabled = reset(&mut world, None).await.unwrap().reset_token;
    assert_eq!(use_reset(&mut world, &while_disabled, OTHER).await, "RESET_TOKEN_INVALID", "locked out");
    world.users.delete_user(with(&users, v1::DeleteUserRequest { user: Some(named("ada")) })).await.unwrap();
    assert_eq!(use_reset(&mut world, &while_disabled, OTHER).await, "RESET_TOKEN_INVALID");
}

/// The password is set in the epoch in which the old one was shown: of an operator's change and the user's own, made at
/// once, no outcome lets the user's password or session outlive the operator's when that came second.
#[tokio::test]
async fn of_an_operators_change_and_the_users_own_the_later_one_counts() {
    const OPERATORS: &str = "set by the operator";
    let (mut world, _) = ada(&[("PASSWORDS__THREADS", "2"), ("THROTTLE__ENABLED", "false")]).await;
    let users = world.token(USERS).await;
    let mut password = PASSWORD.to_owned();
    for round in 0..30 {
        let here = world.tokens("ada", &password).await;
        let own = format!("chosen by ada in round {round}");
        let change = v1::ChangePasswordRequest {
            refresh_token: here.refresh_token.clone(),
            current_password: password.clone(),
            new_password: own.clone(),
        };
        let operators = v1::SetPasswordRequest { user: Some(named("ada")), password: OPERATORS.to_owned() };
        let (mut auth, mut admin) = (world.auth.clone(), world.users.clone());
        let (changed, set) =
            tokio::join!(auth.change_password(change), admin.set_password(with(&users, operators)));
        set.unwrap();
        let begun = changed.ok().and_then(|changed| changed.into_inner().tokens);
        // The operator's change never depends on another, so it always counts in the end or came first.
        if world.logs_in("ada", OPERATORS).await {
            assert!(!world.logs_in("ada", &own).await);
            if let Some(begun) = begun {
                assert!(!world.verifies(&begun.access_token).await, "round {round}");
                assert!(world.refreshes(&begun).await.is_err(), "round {round}");
            }
            password = OPERATORS.to_owned();
        } else {
            let why = world.login(("ada", OPERATORS)).await;
            panic!("round {round}: the user's change overtook the operator's: {why:?}");
        }
    }
}

/// SHA-1 of `another horse battery`, as the list of Have I Been Pwned has it.
const BREACHED: &str = "B0E514976F5788B180C3D1E96F5C25D872F9A5F0";

#[tokio::test]
async fn what_is_known_from_a_breach_is_set_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let (list, file) = (folder.path().join("list.txt"), folder.path().join("breached.bin"));
    std::fs::write(&list, format!("{BREACHED}:42\r\n")).unwrap();
    let made = std::process::Command::new(env!("CARGO_BIN_EXE_countersign"))
        .args(["passwords", "build-breached"])
        .arg(&file)
        .arg("--from")
        .arg(&list)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    assert!(String::from_utf8_lossy(&made.stdout).ends_with("breached.bin: 1 passwords\n"));

    let (mut world, [here, _]) = ada(&[("PASSWORDS__BREACHED_FILE", file.to_str().unwrap())]).await;
    let users = world.token(USERS).await;
    let why = |status: Status| {
        assert_eq!(reason(&status), "PASSWORD_REJECTED");
        status.get_error_details().error_info().unwrap().metadata["password"].clone()
    };
    let ask = v1::SetPasswordRequest { user: Some(named("ada")), password: OTHER.to_owned() };
    assert_eq!(why(world.users.set_password(with(&users, ask)).await.unwrap_err()), "BREACHED");
    assert_eq!(why(world.change_password(&here, PASSWORD, OTHER).await.unwrap_err()), "BREACHED");
    let token = reset(&mut world, None).await.unwrap().reset_token;
    let ask = v1::ResetPasswordRequest { reset_token: token, new_password: OTHER.to_owned() };
    assert_eq!(why(world.auth.reset_password(ask).await.unwrap_err()), "BREACHED");
    let credential = Some(v1::create_user_request::Credential::Password(OTHER.to_owned()));
    let ask = v1::CreateUserRequest { credential, ..new_user("grace", &[]) };
    assert_eq!(why(world.users.create_user(with(&users, ask)).await.unwrap_err()), "BREACHED");
    assert!(world.change_password(&here, PASSWORD, "a third horse battery").await.is_ok());

    // The list as it is published is not the file, and the start says what to do.
    let refused = std::process::Command::new(env!("CARGO_BIN_EXE_countersign"))
        .args(["user", "list", "--data-dir"])
        .arg(world.service.data.path())
        .env("COUNTERSIGN__PASSWORDS__BREACHED_FILE", &list)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(told.contains("passwords.breached_file") && told.contains("build-breached"), "{told}");
}
