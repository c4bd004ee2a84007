//! What ended a session: a refused Refresh says it to the client, and `ExplainSession` to an operator.

use super::*;

/// The limit that a user of these tests comes up against.
const LIMIT: &str = "3";

/// A session of a new user, and what is needed to end it.
struct Victim {
    username: String,
    user_id: String,
    session: String,
    tokens: v1::Tokens,
}

fn by_id(user_id: &str) -> v1::UserRef {
    v1::UserRef { user: Some(v1::user_ref::User::UserId(user_id.to_owned())) }
}

impl World {
    async fn victim(&mut self, by: &str, username: &str) -> Victim {
        let user_id = self.create(by, username, &[]).await.unwrap().id;
        let login = v1::LoginRequest {
            username: username.to_owned(),
            password: PASSWORD.to_owned(),
            ..v1::LoginRequest::default()
        };
        let login = self.auth.login(login).await.unwrap().into_inner();
        let (tokens, session) = (login.tokens.unwrap(), login.session.unwrap().id);
        Victim { username: username.to_owned(), user_id, session, tokens }
    }

    async fn logout(&mut self, refresh_token: String, everywhere: bool) {
        let token = Some(v1::logout_request::Token::RefreshToken(refresh_token));
        self.auth.logout(v1::LogoutRequest { token, everywhere }).await.unwrap();
    }

    async fn refresh(&mut self, refresh_token: &str) -> Result<v1::Tokens, Status> {
        let request = v1::RefreshRequest { refresh_token: refresh_token.to_owned() };
        Ok(self.auth.refresh(request).await?.into_inner().tokens.unwrap())
    }

    async fn explain(
        &mut self,
        by: &str,
        user: v1::UserRef,
        session: &str,
    ) -> Result<v1::ExplainSessionResponse, Status> {
        let ask = v1::ExplainSessionRequest { user: Some(user), session_id: session.to_owned() };
        Ok(self.sessions.explain_session(with(by, ask)).await?.into_inner())
    }
}

/// The reason of a refusal, and what ended the session.
fn told(refused: &Status) -> (String, Option<String>) {
    let details = refused.get_error_details();
    let info = details.error_info().unwrap();
    (info.reason.clone(), info.metadata.get("cause").cloned())
}

/// Ends the session in the way that has this name; answers who did it.
async fn end(world: &mut World, admin: &str, cause: &str, victim: &Victim) -> String {
    let user = Some(named(&victim.username));
    let themselves = format!("user:{}", victim.user_id);
    let administrator = format!("user:{}", world.get(admin, &name_of(ADMIN)).await.unwrap().id);
    match cause {
        "LOGGED_OUT" => {
            world.logout(victim.tokens.refresh_token.clone(), false).await;
            themselves
        }
        "LOGGED_OUT_EVERYWHERE" => {
            let other = world.tokens(&victim.username, PASSWORD).await;
            world.logout(other.refresh_token, true).await;
            themselves
        }
        "PASSWORD_CHANGED" => {
            let ask = v1::SetPasswordRequest { user, password: "another horse battery".to_owned() };
            world.users.set_password(with(admin, ask)).await.unwrap();
            administrator
        }
        "SIGNED_IN_ELSEWHERE" => {
            for _ in 0..3 {
                world.tokens(&victim.username, PASSWORD).await;
            }
            "system".to_owned()
        }
        "REVOKED_BY_ADMINISTRATOR" => {
            let session_ids = vec![victim.session.clone()];
            let ask = v1::RevokeSessionsRequest { user, session_ids, all: false };
            world.sessions.revoke_sessions(with(admin, ask)).await.unwrap();
            administrator
        }
        "REVOKED_BY_ADMINISTRATOR all" => {
            let ask = v1::RevokeSessionsRequest { user, session_ids: Vec::new(), all: true };
            world.sessions.revoke_sessions(with(admin, ask)).await.unwrap();
            administrator
        }
        "USER_DISABLED" => {
            world.users.disable_user(with(admin, v1::DisableUserRequest { user })).await.unwrap();
            administrator
        }
        "USER_DELETED" => {
            world.users.delete_user(with(admin, v1::DeleteUserRequest { user })).await.unwrap();
            administrator
        }
        "TOKEN_REUSED" => {
            world.refresh(&victim.tokens.refresh_token).await.unwrap();
            let refused = world.refresh(&victim.tokens.refresh_token).await.unwrap_err();
            assert_eq!(told(&refused), ("REFRESH_TOKEN_REUSED".to_owned(), Some(cause.to_owned())));
            "system".to_owned()
        }
        _ => unreachable!("{cause}"),
    }
}

#[tokio::test]
async fn a_refused_refresh_and_an_explanation_name_what_ended_the_session() {
    let settings =
        [("ROTATION__GRACE", "0s"), ("ROTATION__STRICT", "true"), ("SESSIONS__MAX_PER_USER", LIMIT)];
    let mut world = world(&settings).await;
    let admin = world.token(ADMIN).await;
    let auditor = world.token(AUDITOR).await;
    for (number, way) in [
        "LOGGED_OUT",
        "LOGGED_OUT_EVERYWHERE",
        "PASSWORD_CHANGED",
        "SIGNED_IN_ELSEWHERE",
        "REVOKED_BY_ADMINISTRATOR",
        "REVOKED_BY_ADMINISTRATOR all",
        "USER_DISABLED",
        "USER_DELETED",
        "TOKEN_REUSED",
    ]
    .into_iter()
    .enumerate()
    {
        let victim = world.victim(&admin, &format!("user-{number}")).await;
        let alive = world.explain(&auditor, by_id(&victim.user_id), &victim.session).await.unwrap();
        let expected =
            v1::ExplainSessionResponse { state: v1::SessionState::Alive.into(), ..Default::default() };
        assert_eq!(alive, expected, "{way}");

        let actor = end(&mut world, &admin, way, &victim).await;
        let cause = way.split(' ').next().unwrap();
        let refused = world.refresh(&victim.tokens.refresh_token).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated);
        assert_eq!(told(&refused), ("SESSION_REVOKED".to_owned(), Some(cause.to_owned())), "{way}");

        let explained = world.explain(&auditor, by_id(&victim.user_id), &victim.session).await.unwrap();
        assert_eq!(explained.state(), v1::SessionState::Revoked, "{way}");
        assert_eq!(explained.cause().as_str_name(), format!("SESSION_END_CAUSE_{cause}"));
        assert_eq!(explained.actor, actor, "{way}");
        let (began, ended) = (victim.tokens.access_expires_at.unwrap(), explained.ended_at.unwrap());
        assert!((began.seconds - ended.seconds).abs() < 3600, "{way}: {ended:?}");
    }
}

#[tokio::test]
async fn a_session_that_went_on_is_told_of_the_first_end_and_of_no_later_one() {
    let mut world = world(&[]).await;
    let admin = world.token(ADMIN).await;
    let victim = world.victim(&admin, "ada").await;
    for cause in ["PASSWORD_CHANGED", "USER_DISABLED", "USER_DELETED"] {
        end(&mut world, &admin, cause, &victim).await;
        let refused = world.refresh(&victim.tokens.refresh_token).await.unwrap_err();
        assert_eq!(told(&refused).1.as_deref(), Some("PASSWORD_CHANGED"), "after {cause}");
    }
    let explained = world.explain(&admin, by_id(&victim.user_id), &victim.session).await.unwrap();
    assert_eq!(
        explained.cause(),
        v1::SessionEndCause::PasswordChanged,
        "the user is no more, the ledger knows"
    );
}

#[tokio::test]
async fn what_nobody_knows_of_is_unknown_or_nobodys() {
    let mut world = world(&[]).await;
    let admin = world.token(ADMIN).await;
    let support = world.token(SESSIONS).await;
    let (ada, bob) = (world.victim(&admin, "ada").await, world.victim(&admin, "bob").await);
    let unknown =
        v1::ExplainSessionResponse { state: v1::SessionState::Unknown.into(), ..Default::default() };
    for session in [bob.session.as_str(), "AAAAAAAAAAAAAAAAAAAAAA"] {
        assert_eq!(
            world.explain(&support, by_id(&ada.user_id), session).await.unwrap(),
            unknown,
            "{session}"
        );
    }
    end(&mut world, &admin, "LOGGED_OUT", &bob).await;
    let of_another = world.explain(&support, named("ada"), &bob.session).await.unwrap();
    assert_eq!(of_another, unknown, "nor is its end");

    let nobody = by_id("0197a2c4-0000-7000-8000-000000000001");
    for user in [nobody, named("nobody")] {
        let refused = world.explain(&support, user, &ada.session).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "USER_NOT_FOUND"));
    }
    for (user, session, field) in [
        (v1::UserRef::default(), ada.session.as_str(), "user"),
        (named("ada"), "", "session_id"),
        (named("ada"), "x", "session_id"),
    ] {
        let refused = world.explain(&support, user, session).await.unwrap_err();
        assert_eq!(reason(&refused), "INVALID_REQUEST");
        assert_eq!(refused.get_error_details().bad_request().unwrap().field_violations[0].field, field);
    }
}
