//! `countersign_verifier::testing`, as the tests of a Rust service use it.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use countersign_verifier::InvalidReason;
use countersign_verifier::client::{VerifyError, reason};
use countersign_verifier::testing::{Failure, Options, StartError, TestServer, TokenState, World};
use tonic::Code;

const PASSWORD: &str = "correct horse battery staple";

/// A world of the server that these tests share.
fn world() -> World {
    static SERVER: OnceLock<TestServer> = OnceLock::new();
    SERVER.get_or_init(|| TestServer::start(&options()).unwrap()).world()
}

fn options() -> Options {
    let binary =
        std::env::var_os("COUNTERSIGN_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_countersign").into());
    Options { binary: Some(PathBuf::from(binary)), ..Options::default() }
}

fn invalid(error: VerifyError) -> InvalidReason {
    match error {
        VerifyError::Invalid(reason) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn every_state_is_what_a_verifier_in_this_process_says() {
    let world = world();
    let verifier = world.verifier().await;
    for (state, reason) in [
        (TokenState::Expired, InvalidReason::Expired),
        (TokenState::NotYetValid, InvalidReason::NotYetValid),
        (TokenState::WrongAudience, InvalidReason::WrongAudience),
        (TokenState::WrongIssuer, InvalidReason::WrongIssuer),
        (TokenState::Revoked, InvalidReason::Revoked),
        (TokenState::UnknownKey, InvalidReason::UnknownKey),
        (TokenState::WithdrawnKey, InvalidReason::UnknownKey),
        (TokenState::BadSignature, InvalidReason::BadSignature),
        (TokenState::Malformed, InvalidReason::Malformed),
    ] {
        let minted = world.access_token().state(state).mint().await.unwrap();
        let refused = verifier.verify_at_least(&minted.token, &[], &minted.position).await;
        assert_eq!(invalid(refused.unwrap_err()), reason, "{state:?}");
    }
    let tenant = serde_json::json!({ "tenant": "acme", "seats": 7 });
    let tenant = tenant.as_object().unwrap().clone();
    let minted = world
        .access_token()
        .username("ada")
        .roles(["admin"])
        .claims(tenant)
        .external_id("42")
        .mint()
        .await
        .unwrap();
    let token = verifier.verify(&minted.token, &[]).await.unwrap();
    assert_eq!((token.username.as_str(), token.external_id.as_deref()), ("ada", Some("42")));
    assert_eq!(token.subject.to_string(), minted.user_id);
    assert_eq!((token.roles[0].as_str(), &token.custom["seats"]), ("admin", &7.into()));
}

#[tokio::test]
async fn a_session_lives_through_its_life_by_the_worlds_clock() {
    let world = world();
    let (verifier, client) = (world.verifier().await, world.client());
    world.create_user("ada", PASSWORD, &["ops"]).await.unwrap();
    let first = client.login("ada", PASSWORD, &[]).await.unwrap();
    assert_eq!(verifier.verify(&first.access_token, &[]).await.unwrap().roles, ["ops"]);
    world.advance(Duration::from_mins(6)).await.unwrap();
    assert_eq!(invalid(verifier.verify(&first.access_token, &[]).await.unwrap_err()), InvalidReason::Expired);
    let second = client.refresh(&first.refresh_token).await.unwrap();
    verifier.verify(&second.access_token, &[]).await.unwrap();
    let position = client.logout(&second.refresh_token, false).await.unwrap();
    let refused = verifier.verify_at_least(&second.access_token, &[], &position).await;
    assert_eq!(invalid(refused.unwrap_err()), InvalidReason::Revoked);
}

#[tokio::test]
async fn a_verifier_grows_stale_when_its_stream_is_stalled_and_recovers() {
    let world = world();
    let verifier = world.verifier().await;
    let minted = world.access_token().lifetime(Duration::from_hours(1)).mint().await.unwrap();
    world.stall_streams().await.unwrap();
    world.advance(Duration::from_secs(30)).await.unwrap();
    let stale = verifier.verify(&minted.token, &[]).await.unwrap_err();
    assert!(matches!(stale, VerifyError::Stale { .. }), "{stale:?}");
    world.resume_streams().await.unwrap();
    world.advance(Duration::from_secs(30)).await.unwrap();
    verifier.verify(&minted.token, &[]).await.unwrap();
    world.end_streams().await.unwrap();
    verifier.verify(&minted.token, &[]).await.unwrap();
}

#[tokio::test]
async fn a_client_tries_again_what_fails_for_a_moment_and_no_more() {
    let world = world();
    let client = world.client();
    world.create_user("ada", PASSWORD, &[]).await.unwrap();
    let tokens = client.login("ada", PASSWORD, &[]).await.unwrap();
    let refresh = "countersign.v1.AuthService/Refresh";
    world.fail(refresh, Failure::Code(Code::Unavailable), Some(1)).await.unwrap();
    client.refresh(&tokens.refresh_token).await.unwrap();
    world.fail(refresh, Failure::Reason("SESSION_REVOKED".to_owned()), None).await.unwrap();
    let refused = client.refresh(&tokens.refresh_token).await.unwrap_err();
    assert_eq!(reason(&refused).as_deref(), Some("SESSION_REVOKED"));
    world.clear_failures().await.unwrap();
    client.refresh(&tokens.refresh_token).await.unwrap();
}

#[tokio::test]
async fn worlds_do_not_see_each_other_and_one_can_be_made_anew() {
    let (one, two) = (world(), world());
    assert_ne!(one.name(), two.name());
    one.create_user("ada", PASSWORD, &[]).await.unwrap();
    assert!(two.client().login("ada", PASSWORD, &[]).await.is_err());
    one.client().login("ada", PASSWORD, &[]).await.unwrap();
    one.reset().await.unwrap();
    assert!(one.client().login("ada", PASSWORD, &[]).await.is_err());
    one.delete().await.unwrap();
}

/// More tests than the server keeps worlds for, one after the other.
#[tokio::test]
async fn the_worlds_of_tests_that_are_over_are_deleted() {
    let two = Options { arguments: ["--max-worlds", "3"].map(str::to_owned).to_vec(), ..options() };
    let server = TestServer::start(&two).unwrap();
    for _ in 0..8 {
        let world = server.world();
        // The one before is deleted while this one is made.
        let made = async {
            while world.create_user("ada", PASSWORD, &[]).await.is_err() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(8), made).await.expect("there is room");
    }
}

#[tokio::test]
async fn the_metadata_names_a_world_of_a_client_that_is_made_elsewhere() {
    use countersign::grpc::proto::v1::VerifyAccessTokenRequest;
    use countersign::grpc::proto::v1::auth_service_client::AuthServiceClient;
    let world = world();
    let minted = world.access_token().mint().await.unwrap();
    let mut client = AuthServiceClient::new(world.channel());
    let request = VerifyAccessTokenRequest { access_token: minted.token, ..Default::default() };
    let answer = client.verify_access_token(request).await.unwrap().into_inner();
    assert!(format!("{answer:?}").contains("Verified("), "{answer:?}");
}

#[test]
fn a_server_that_does_not_start_says_why() {
    let missing = Options { binary: Some("/nowhere/countersign".into()), ..Options::default() };
    assert!(matches!(TestServer::start(&missing).unwrap_err(), StartError::Program { .. }));
    let refused = Options { arguments: vec!["--audience".to_owned(), " ".repeat(300)], ..options() };
    let error = TestServer::start(&refused).unwrap_err().to_string();
    assert!(error.contains("tokens.audiences"), "{error}");
}
