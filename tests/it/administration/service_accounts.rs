//! Service accounts and their keys: what becomes of them, and what a key is good for.

use countersign::grpc::proto::v1;
use tonic::{Code, Status};

use super::rpc::{Rpc, account_named, new_account, set_account_roles};
use super::{
    ADMIN, AUDITOR, PASSWORD, SESSIONS, USERS, World, login_as, name_of, outcome, reason, with, world,
};

impl World {
    /// Makes a service account with these roles, and a key of it; the key and its id.
    pub(super) async fn service_key(&mut self, by: &str, name: &str, roles: &[&str]) -> (String, String) {
        self.accounts.create_service_account(with(by, new_account(name, roles))).await.unwrap();
        let made = self.create_key(by, name, "").await.unwrap();
        (made.secret, made.key.unwrap().id)
    }

    async fn create_key(
        &mut self,
        by: &str,
        name: &str,
        request_id: &str,
    ) -> Result<v1::CreateKeyResponse, Status> {
        let ask = v1::CreateKeyRequest {
            service_account: Some(account_named(name)),
            label: "for the shop".to_owned(),
            request_id: request_id.to_owned(),
            ..v1::CreateKeyRequest::default()
        };
        Ok(self.accounts.create_key(with(by, ask)).await?.into_inner())
    }

    pub(super) async fn revoke_key(&mut self, by: &str, name: &str, key_id: &str) -> Result<(), Status> {
        let (service_account, key_id) = (Some(account_named(name)), key_id.to_owned());
        let ask = v1::RevokeKeyRequest { service_account, key_id };
        self.accounts.revoke_key(with(by, ask)).await.map(drop)
    }

    async fn keys(&mut self, by: &str, name: &str) -> Vec<v1::ServiceKey> {
        let ask = v1::ListKeysRequest { service_account: Some(account_named(name)) };
        self.accounts.list_keys(with(by, ask)).await.unwrap().into_inner().keys
    }

    async fn account(&mut self, by: &str, name: &str) -> Result<v1::ServiceAccount, Status> {
        let ask = v1::GetServiceAccountRequest { service_account: Some(account_named(name)) };
        Ok(self.accounts.get_service_account(with(by, ask)).await?.into_inner().service_account.unwrap())
    }
}

#[tokio::test]
async fn a_key_is_good_until_it_is_revoked_or_its_account_is_disabled_or_deleted() {
    let mut world = world(&[]).await;
    let admin = world.token(ADMIN).await;
    let (key, id) = world.service_key(&admin, "shop", &[USERS]).await;
    let other = world.create_key(&admin, "shop", "").await.unwrap().secret;
    assert!(key.starts_with("csgn_sk_") && key.len() == 80, "{}", key.len());
    let listed = world.keys(&admin, "shop").await;
    assert_eq!(listed.len(), 2);
    assert!(
        listed.iter().all(|listed| listed.label == "for the shop" && listed.created_by.starts_with("user:"))
    );
    let lives = |key: &v1::ServiceKey| key.expires_at.unwrap().seconds - key.created_at.unwrap().seconds;
    assert_eq!(lives(&listed[0]), 90 * 24 * 60 * 60);

    let ada = world.create(&key, "ada", &[]).await.unwrap();
    assert_eq!(ada.username, "ada");
    world.revoke_key(&admin, "shop", &id).await.unwrap();
    assert_eq!(Rpc::GetUser.call(&world, &key, "ada").await, "SERVICE_KEY_INVALID");
    assert_eq!(Rpc::GetUser.call(&world, &other, "ada").await, "OK", "another key of the account");
    assert_eq!(reason(&world.revoke_key(&admin, "shop", &id).await.unwrap_err()), "SERVICE_KEY_NOT_FOUND");

    for _ in 0..2 {
        assert_eq!(Rpc::DisableServiceAccount.call(&world, &admin, "shop").await, "OK", "idempotent");
        assert_eq!(Rpc::GetUser.call(&world, &other, "ada").await, "SERVICE_KEY_INVALID");
    }
    assert!(world.account(&admin, "shop").await.unwrap().disabled);
    for _ in 0..2 {
        assert_eq!(Rpc::EnableServiceAccount.call(&world, &admin, "shop").await, "OK", "idempotent");
        assert_eq!(Rpc::GetUser.call(&world, &other, "ada").await, "OK");
    }
    world
        .accounts
        .update_service_account(with(&admin, set_account_roles("shop", &[SESSIONS])))
        .await
        .unwrap();
    assert_eq!(Rpc::GetUser.call(&world, &other, "ada").await, "CALLER_NOT_ALLOWED", "a role is taken away");
    assert_eq!(Rpc::ListSessions.call(&world, &other, "ada").await, "OK", "and one is given");

    assert_eq!(Rpc::DeleteServiceAccount.call(&world, &admin, "shop").await, "OK");
    assert_eq!(Rpc::ListSessions.call(&world, &other, "ada").await, "SERVICE_KEY_INVALID");
    let about_accounts = Rpc::ALL.iter().filter(|rpc| rpc.is_about_service_accounts() && !rpc.creates());
    for rpc in about_accounts.filter(|rpc| **rpc != Rpc::ListServiceAccounts) {
        assert_eq!(rpc.call(&world, &admin, "shop").await, "SERVICE_ACCOUNT_NOT_FOUND", "{rpc:?}");
    }
}

#[tokio::test]
async fn a_key_is_no_token_and_no_token_is_a_key() {
    let mut world = world(&[]).await;
    let admin = world.token(ADMIN).await;
    let (key, _) = world.service_key(&admin, "shop", &[ADMIN]).await;
    assert!(!world.verifies(&key).await);
    let refresh = v1::RefreshRequest { refresh_token: key.clone() };
    assert_eq!(outcome(world.auth.refresh(refresh).await), "REFRESH_TOKEN_INVALID");
    let own = v1::ListOwnSessionsRequest { refresh_token: key.clone() };
    assert_eq!(outcome(world.auth.list_own_sessions(own).await), "REFRESH_TOKEN_INVALID");
    let reset = v1::ResetPasswordRequest {
        reset_token: key.clone(),
        new_password: "another horse battery".to_owned(),
    };
    assert_eq!(outcome(world.auth.reset_password(reset).await), "RESET_TOKEN_INVALID");
    let introspected =
        world.service.http.get("/v1/auth/session", &[("authorization", &format!("Bearer {key}"))]).await;
    introspected.assert_refused(401, "ACCESS_TOKEN_INVALID");

    let tokens = world.tokens(&name_of(ADMIN), PASSWORD).await;
    for token in [&tokens.access_token, &tokens.refresh_token] {
        let disguised = format!("csgn_sk_{}", token.trim_start_matches("csgn_rt_"));
        assert_eq!(Rpc::ListUsers.call(&world, &disguised, "").await, "SERVICE_KEY_INVALID");
    }
}

/// The caller's layer looks at what is not administrative, and it asks no store.
#[tokio::test]
async fn a_key_opens_nothing_else_that_a_rule_keeps_for_a_role() {
    let rules = r#"[{ methods = ["countersign.v1.AuthService/Login"], roles = ["ops"] }]"#;
    let mut world = world(&[("GRPC__ALLOW", rules)]).await;
    let key = countersign::auth::PlainServiceKey::generate(countersign::model::new_service_key_id()).0;
    let ask = with(key.expose(), login_as(&name_of(ADMIN), PASSWORD));
    assert_eq!(outcome(world.auth.login(ask).await), "ACCESS_TOKEN_INVALID");
}

#[tokio::test]
async fn an_operators_rule_opens_a_method_to_the_key_of_an_account_with_a_role() {
    let rules = r#"[{ methods = ["countersign.v1.SessionService/*"], roles = ["support"] }]"#;
    let mut world = world(&[("GRPC__ALLOW", rules)]).await;
    let admin = world.token(ADMIN).await;
    let (key, _) = world.service_key(&admin, "helpdesk", &["support"]).await;
    assert_eq!(Rpc::ListSessions.call(&world, &key, "role-ops").await, "OK");
    assert_eq!(Rpc::RevokeSessions.call(&world, &key, "role-auditor").await, "CALLER_NOT_ALLOWED");
    assert_eq!(Rpc::GetUser.call(&world, &key, "role-ops").await, "CALLER_NOT_ALLOWED");
}

#[tokio::test]
async fn no_program_gets_more_than_whoever_made_it_has() {
    let rules = r#"[{ methods = ["countersign.v1.ServiceAccountService/*"], roles = ["ops"] }]"#;
    let mut world = world(&[("GRPC__ALLOW", rules)]).await;
    let admin = world.token(ADMIN).await;
    let (key, _) = world.service_key(&admin, "maker", &["ops", USERS]).await;
    for (by, who) in [(key, "a service key"), (world.token("ops").await, "an access token")] {
        for role in [ADMIN, USERS, SESSIONS, AUDITOR, "billing"] {
            let made =
                world.accounts.create_service_account(with(&by, new_account("mallory", &["ops", role])));
            assert_eq!(reason(&made.await.unwrap_err()), "CALLER_NOT_ALLOWED", "{role} by {who}");
            let theirs = format!("theirs-{}-{}", role.replace(':', "-"), who.replace(' ', "-"));
            world.accounts.create_service_account(with(&by, new_account(&theirs, &["ops"]))).await.unwrap();
            let given = with(&by, set_account_roles(&theirs, &["ops", role]));
            let given = world.accounts.update_service_account(given).await.unwrap_err();
            assert_eq!(reason(&given), "CALLER_NOT_ALLOWED", "{role} by {who}");
            world.create_key(&by, &theirs, "").await.unwrap();
            // What has been given by somebody who has it, is not for the maker to use.
            let given = with(&admin, set_account_roles(&theirs, &["ops", role]));
            world.accounts.update_service_account(given).await.unwrap();
            let made = world.create_key(&by, &theirs, "").await.unwrap_err();
            assert_eq!(reason(&made), "CALLER_NOT_ALLOWED", "{role} by {who}");
            let touches = [
                Rpc::UpdateServiceAccount,
                Rpc::DisableServiceAccount,
                Rpc::EnableServiceAccount,
                Rpc::RevokeKey,
                Rpc::DeleteServiceAccount,
            ];
            for rpc in touches {
                // What is not reserved may be taken away by whoever may call.
                let allowed = if role == "billing" { rpc.permitted() } else { "CALLER_NOT_ALLOWED" };
                assert_eq!(rpc.call(&world, &by, &theirs).await, allowed, "{rpc:?} on {role} by {who}");
            }
        }
    }
    let unknown =
        world.accounts.create_service_account(with(&admin, new_account("x", &["countersign:user"])));
    let unknown = unknown.await.unwrap_err();
    assert_eq!(reason(&unknown), "INVALID_REQUEST", "a reserved role that does nothing is a slip of the pen");
}

/// The key of a program that creates users touches no user who has a reserved role.
#[tokio::test]
async fn a_key_has_no_reserved_rights_that_its_account_has_not() {
    let mut world = world(&[]).await;
    let admin = world.token(ADMIN).await;
    let (users, _) = world.service_key(&admin, "shop", &[USERS]).await;
    for role in [ADMIN, USERS, SESSIONS, AUDITOR] {
        let made = world.create(&users, "mallory", &[role]).await.unwrap_err();
        assert_eq!(reason(&made), "CALLER_NOT_ALLOWED", "{role}");
        assert_eq!(Rpc::SetPassword.call(&world, &users, &name_of(role)).await, "CALLER_NOT_ALLOWED");
    }
    let (all, _) = world.service_key(&admin, "root", &[ADMIN]).await;
    world.create(&all, "grace", &[USERS]).await.unwrap();
    assert_eq!(Rpc::CreateKey.call(&world, &all, "shop").await, "OK");
}

#[tokio::test]
async fn the_same_call_again_makes_nothing_twice() {
    let mut world = world(&[]).await;
    let admin = world.token(ADMIN).await;
    let mut create = async |request_id: &str, name: &str| {
        let ask = v1::CreateServiceAccountRequest {
            request_id: request_id.to_owned(),
            ..new_account(name, &[USERS])
        };
        let answer = world.accounts.create_service_account(with(&admin, ask)).await;
        answer.map(|answer| answer.into_inner().service_account.unwrap().id).map_err(|status| reason(&status))
    };
    let shop = create("r-1", "shop").await.unwrap();
    assert_eq!(create("r-1", "shop").await, Ok(shop));
    assert_eq!(create("r-2", "shop").await, Err("SERVICE_ACCOUNT_NAME_TAKEN".to_owned()));
    assert_eq!(create("", "shop").await, Err("SERVICE_ACCOUNT_NAME_TAKEN".to_owned()));
    assert_eq!(create("r-1", "other").await, Err("INVALID_REQUEST".to_owned()), "the request of another");
    assert_eq!(create(&"x".repeat(129), "other").await, Err("INVALID_REQUEST".to_owned()));

    let first = world.create_key(&admin, "shop", "k-1").await.unwrap();
    assert_eq!(Rpc::ListUsers.call(&world, &first.secret, "").await, "OK");
    let again = world.create_key(&admin, "shop", "k-1").await.unwrap();
    assert_ne!(first.secret, again.secret);
    assert_eq!(first.key.unwrap().id, again.key.unwrap().id);
    assert_eq!(Rpc::ListUsers.call(&world, &again.secret, "").await, "OK");
    assert_eq!(
        Rpc::ListUsers.call(&world, &first.secret, "").await,
        "SERVICE_KEY_INVALID",
        "it was replaced"
    );
    assert_eq!(world.keys(&admin, "shop").await.len(), 1);
    assert_eq!(
        reason(&world.create_key(&admin, "shop", &"x".repeat(129)).await.unwrap_err()),
        "INVALID_REQUEST"
    );
}

#[tokio::test]
async fn an_account_has_twenty_keys_and_no_more() {
    let mut world = world(&[]).await;
    let admin = world.token(ADMIN).await;
    let (_, id) = world.service_key(&admin, "shop", &[]).await;
    for _ in 1..20 {
        world.create_key(&admin, "shop", "").await.unwrap();
    }
    let refused = world.create_key(&admin, "shop", "").await.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused)),
        (Code::FailedPrecondition, "SERVICE_KEY_LIMIT_REACHED".to_owned())
    );
    assert_eq!(world.keys(&admin, "shop").await.len(), 20);
    world.revoke_key(&admin, "shop", &id).await.unwrap();
    world.create_key(&admin, "shop", "").await.unwrap();
}

#[tokio::test]
async fn accounts_are_listed_page_by_page_and_changed_by_what_was_read() {
    let mut world = world(&[]).await;
    let (admin, auditor) = (world.token(ADMIN).await, world.token(AUDITOR).await);
    let names: Vec<String> = (0..7).map(|number| format!("shop-{number}")).collect();
    for name in names.iter().rev() {
        world.accounts.create_service_account(with(&admin, new_account(name, &[]))).await.unwrap();
    }
    for page_size in [0, 1, 3, 7, 500] {
        let (mut seen, mut page_token, mut pages) = (Vec::new(), String::new(), 0);
        loop {
            let ask = v1::ListServiceAccountsRequest { page_size, page_token };
            let page = world.accounts.list_service_accounts(with(&auditor, ask)).await.unwrap().into_inner();
            assert!(page_size == 0 || page.service_accounts.len() <= usize::try_from(page_size).unwrap());
            seen.extend(page.service_accounts.into_iter().map(|account| account.name));
            (page_token, pages) = (page.next_page_token, pages + 1);
            if page_token.is_empty() {
                break;
            }
        }
        assert_eq!(seen, names, "{page_size} a page");
        assert!(page_size != 7 || pages == 1, "no empty page follows the last account");
    }
    for (page_size, page_token) in [(-1, ""), (501, ""), (1, "!"), (1, "_w")] {
        let ask = v1::ListServiceAccountsRequest { page_size, page_token: page_token.to_owned() };
        assert_eq!(outcome(world.accounts.list_service_accounts(with(&admin, ask)).await), "INVALID_REQUEST");
    }

    let read = world.account(&auditor, "shop-0").await.unwrap();
    let change = |paths: &[&str], etag: &str| {
        let paths = paths.iter().map(|&path| path.to_owned()).collect();
        let change =
            v1::ServiceAccountChange { description: "tills".to_owned(), roles: vec!["ops".to_owned()] };
        with(
            &admin,
            v1::UpdateServiceAccountRequest {
                change: Some(change),
                update_mask: Some(prost_types::FieldMask { paths }),
                etag: etag.to_owned(),
                ..set_account_roles("shop-0", &[])
            },
        )
    };
    let described =
        world.accounts.update_service_account(change(&["description"], &read.etag)).await.unwrap();
    let described = described.into_inner().service_account.unwrap();
    assert_eq!((described.description.as_str(), described.roles.len()), ("tills", 0));
    let stale = world.accounts.update_service_account(change(&["roles"], &read.etag)).await.unwrap_err();
    assert_eq!((stale.code(), reason(&stale)), (Code::Aborted, "ETAG_MISMATCH".to_owned()));
    let whatever = world.accounts.update_service_account(change(&["roles"], "")).await.unwrap().into_inner();
    assert_eq!(whatever.service_account.unwrap().roles, ["ops"]);
    for (paths, etag) in [(&[][..], ""), (&["name"], ""), (&["roles", "id"], ""), (&["roles"], "nonsense")] {
        let outcome = outcome(world.accounts.update_service_account(change(paths, etag)).await);
        assert_eq!(outcome, "INVALID_REQUEST", "{paths:?} {etag}");
    }
}

#[tokio::test]
async fn what_is_out_of_bounds_is_refused_with_its_field() {
    let mut world = world(&[]).await;
    let admin = world.token(ADMIN).await;
    let field = |status: Status| {
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        let details = tonic_types::StatusExt::get_error_details(&status);
        details.bad_request().unwrap().field_violations[0].field.clone()
    };
    let long = "x".repeat(257);
    let of = |name: &str, description: &str| v1::CreateServiceAccountRequest {
        description: description.to_owned(),
        ..new_account(name, &[])
    };
    for (message, expected) in [
        (of("", ""), "name"),
        (of("Shop", ""), "name"),
        (of(&"x".repeat(65), ""), "name"),
        (of("shop", &long), "description"),
        (of("shop", "a\nb"), "description"),
        (new_account("shop", &["no role"]), "roles"),
    ] {
        let refused = world.accounts.create_service_account(with(&admin, message)).await.unwrap_err();
        assert_eq!(field(refused), expected);
    }
    world.service_key(&admin, "shop", &[]).await;
    let of = |ttl: Option<i64>, label: &str| v1::CreateKeyRequest {
        service_account: Some(account_named("shop")),
        ttl: ttl.map(|seconds| prost_types::Duration { seconds, nanos: 0 }),
        label: label.to_owned(),
        request_id: String::new(),
    };
    for (message, expected) in [
        (of(Some(59), ""), "ttl"),
        (of(Some(365 * 24 * 60 * 60 + 1), ""), "ttl"),
        (of(None, &long), "label"),
        (v1::CreateKeyRequest::default(), "service_account"),
    ] {
        let refused = world.accounts.create_key(with(&admin, message)).await.unwrap_err();
        assert_eq!(field(refused), expected);
    }
    let bad_id = world.revoke_key(&admin, "shop", "7").await.unwrap_err();
    assert_eq!(field(bad_id), "key_id");
}

#[tokio::test]
async fn keys_that_are_none_are_looked_up_so_often_and_no_more_while_good_ones_go_on() {
    let mut world = world(&[]).await;
    let admin = world.token(ADMIN).await;
    let (good, _) = world.service_key(&admin, "shop", &[USERS]).await;
    assert_eq!(Rpc::ListUsers.call(&world, &good, "").await, "OK");
    // All at once: one after the other, a busy machine would take longer than the bound needs to forget them.
    let calls = (0..1000).map(|_| {
        let channel = world.channel.clone();
        tokio::spawn(async move {
            let key =
                countersign::auth::PlainServiceKey::generate(countersign::model::new_service_key_id()).0;
            Rpc::ListUsers.call_on(channel, key.expose(), "").await
        })
    });
    let mut outcomes = std::collections::BTreeMap::new();
    for call in calls.collect::<Vec<_>>() {
        *outcomes.entry(call.await.unwrap()).or_insert(0) += 1;
    }
    // On a busy machine some wait longer for a connection to the database than they may.
    let of = |reason| outcomes.get(reason).copied().unwrap_or(0_usize);
    let looked_up = of("SERVICE_KEY_INVALID") + of("STORE_UNAVAILABLE");
    assert_eq!(looked_up + of("RATE_LIMIT_EXCEEDED"), 1000, "{outcomes:?}");
    assert!(looked_up >= 200 && of("SERVICE_KEY_INVALID") > 0, "{outcomes:?}");
    assert!(of("RATE_LIMIT_EXCEEDED") > 0, "{outcomes:?}");
    assert_eq!(Rpc::ListUsers.call(&world, &good, "").await, "OK", "one that was good before is not held up");
    assert_eq!(Rpc::ListUsers.call(&world, &admin, "").await, "OK");
    let mistyped = Rpc::ListUsers.call(&world, "csgn_sk_x", "").await;
    assert_eq!(mistyped, "SERVICE_KEY_INVALID", "what is not well formed is not looked up at all");
}
