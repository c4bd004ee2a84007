//! Every administrative method and everybody who may try to call it.

use countersign::grpc::proto::v1;
use tonic::Code;

use super::rpc::{Rpc, new_account};
use super::{ADMIN, AUDITOR, PASSWORD, SESSIONS, USERS, World, name_of, with, world};

/// The roles that there are, and one that opens nothing.
const ROLES: [&str; 5] = [ADMIN, USERS, SESSIONS, AUDITOR, "ops"];

/// Credentials that are good for nothing, with the reason that they are refused for.
async fn strangers(world: &mut World) -> Vec<(String, &'static str)> {
    let admin = world.token(ADMIN).await;
    let refresh = world.tokens(&name_of(ADMIN), PASSWORD).await.refresh_token;
    let revoked = world.tokens(&name_of(ADMIN), PASSWORD).await;
    let token = v1::logout_request::Token::RefreshToken(revoked.refresh_token);
    world.auth.logout(v1::LogoutRequest { token: Some(token), everywhere: false }).await.unwrap();
    let mut strangers = vec![
        (String::new(), "TOKEN_MISSING"),
        (refresh, "ACCESS_TOKEN_INVALID"),
        ("nonsense".to_owned(), "ACCESS_TOKEN_INVALID"),
        (revoked.access_token, "SESSION_REVOKED"),
        ("csgn_sk_nonsense".to_owned(), "SERVICE_KEY_INVALID"),
    ];
    let mut keys = Vec::new();
    let (revoked, id) = world.service_key(&admin, "revoked", &[ADMIN]).await;
    world.revoke_key(&admin, "revoked", &id).await.unwrap();
    keys.push(revoked);
    let (of_disabled, _) = world.service_key(&admin, "disabled", &[ADMIN]).await;
    assert_eq!(Rpc::DisableServiceAccount.call(world, &admin, "disabled").await, "OK");
    keys.push(of_disabled);
    let (of_deleted, _) = world.service_key(&admin, "deleted", &[ADMIN]).await;
    assert_eq!(Rpc::DeleteServiceAccount.call(world, &admin, "deleted").await, "OK");
    keys.push(of_deleted);
    // One character is another: the checksum finds it.
    let (mut mistyped, _) = world.service_key(&admin, "mistyped", &[ADMIN]).await;
    let last = if mistyped.ends_with('A') { 'B' } else { 'A' };
    mistyped.pop();
    mistyped.push(last);
    keys.push(mistyped);
    // Nobody made it, and it looks as if somebody had.
    let (made_up, _) = countersign::auth::PlainServiceKey::generate(countersign::model::new_service_key_id());
    keys.push(made_up.expose().to_owned());
    strangers.extend(keys.into_iter().map(|key| (key, "SERVICE_KEY_INVALID")));
    strangers
}

#[tokio::test]
async fn who_may_call_what() {
    let mut world = world(&[]).await;
    let admin = world.token(ADMIN).await;
    let mut callers = Vec::new();
    for role in ROLES {
        callers.push((role, "access token", world.token(role).await));
        callers.push((role, "service key", world.service_key(&admin, &name_of(role), &[role]).await.0));
    }
    let strangers = strangers(&mut world).await;
    let mut number = 0;
    for &rpc in Rpc::ALL {
        for (credential, expected) in &strangers {
            assert_eq!(rpc.call(&world, credential, "nobody").await, *expected, "{rpc:?}");
        }
        for (role, kind, credential) in &callers {
            // Whatever was done to the last one, the next is as new.
            number += 1;
            let name = format!("somebody-{number}");
            if !rpc.creates() {
                world.create(&admin, &name, &[]).await.unwrap();
                world.accounts.create_service_account(with(&admin, new_account(&name, &[]))).await.unwrap();
            }
            let expected = if rpc.is_for(role) { rpc.permitted() } else { "CALLER_NOT_ALLOWED" };
            assert_eq!(rpc.call(&world, credential, &name).await, expected, "{rpc:?} by {kind} with {role}");
        }
    }
    let answer = world.users.get_user(with("", v1::GetUserRequest::default())).await.unwrap_err();
    assert_eq!(answer.code(), Code::Unauthenticated);
    let answer = world.users.get_user(with("csgn_sk_x", v1::GetUserRequest::default())).await.unwrap_err();
    assert_eq!(answer.code(), Code::Unauthenticated);
    for (_, _, ops) in callers.iter().filter(|(role, ..)| *role == "ops") {
        let answer = world.users.get_user(with(ops, v1::GetUserRequest::default())).await.unwrap_err();
        assert_eq!(answer.code(), Code::PermissionDenied, "before the message is looked at");
    }
}

#[tokio::test]
async fn a_certificate_that_no_rule_names_opens_nothing() {
    let settings = [("GRPC__TLS__CLIENT_CERTIFICATES", "required")];
    let secured = crate::tls::Secured::start(&settings).await;
    let pair = secured.authority.issue(&["spiffe://example.org/ns/shop/sa/backend"]);
    let channel = secured.channel("backend", Some(&pair));
    for &rpc in Rpc::ALL {
        assert_eq!(rpc.call_on(channel.clone(), "", "nobody").await, "TOKEN_MISSING", "{rpc:?}");
    }
}

/// An operator's own rule for programs: the certificate is trusted with what no role is needed for.
#[tokio::test]
async fn a_certificate_that_a_rule_names_hands_out_no_role() {
    let rules =
        r#"[{ methods = ["countersign.v1.ServiceAccountService/*"], sans = ["spiffe://example.org/*"] }]"#;
    let settings = [("GRPC__TLS__CLIENT_CERTIFICATES", "required"), ("GRPC__ALLOW", rules)];
    let secured = crate::tls::Secured::start(&settings).await;
    let pair = secured.authority.issue(&["spiffe://example.org/ns/shop/sa/backend"]);
    let channel = secured.channel("backend", Some(&pair));
    assert_eq!(Rpc::CreateServiceAccount.call_on(channel.clone(), "", "shop").await, "OK");
    assert_eq!(Rpc::CreateKey.call_on(channel.clone(), "", "shop").await, "OK", "it has no roles");
    assert_eq!(Rpc::GetUser.call_on(channel.clone(), "", "ada").await, "TOKEN_MISSING");
    let mut accounts = v1::service_account_service_client::ServiceAccountServiceClient::new(channel);
    for role in ["ops", ADMIN] {
        let refused = accounts.create_service_account(new_account("other", &[role])).await.unwrap_err();
        assert_eq!(super::reason(&refused), "CALLER_NOT_ALLOWED", "{role}");
    }
}
