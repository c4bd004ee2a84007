//! Tokens in every state are what the service itself says they are.

use std::collections::BTreeMap;
use std::time::Duration;

use countersign::grpc::proto::test_v1::{TokenKind, TokenState};
use prost_types::value::Kind;
use tonic::Code;

use super::support::TestServer;

#[tokio::test]
async fn an_access_token_is_in_the_state_that_was_asked_for() {
    use TokenState::*;
    let server = TestServer::start(&[]);
    let mut world = server.world("states");
    for (state, reason) in [
        (Expired, "EXPIRED"),
        (NotYetValid, "NOT_YET_VALID"),
        (WrongAudience, "WRONG_AUDIENCE"),
        (WrongIssuer, "WRONG_ISSUER"),
        (Revoked, "REVOKED"),
        (UnknownKey, "UNKNOWN_KEY"),
        (WithdrawnKey, "UNKNOWN_KEY"),
        (WithdrawnKey, "UNKNOWN_KEY"),
        (BadSignature, "BAD_SIGNATURE"),
        (Malformed, "MALFORMED"),
    ] {
        let minted = world.mint(TokenKind::Access, state, |_| ()).await.unwrap();
        assert_eq!(world.verify(&minted.token).await.unwrap(), Err(reason.to_owned()), "{state:?}");
        assert_eq!(!minted.position.is_empty(), matches!(state, Revoked | WithdrawnKey), "{state:?}");
    }
    for state in [Good, Unspecified] {
        let minted = world.mint(TokenKind::Access, state, |_| ()).await.unwrap();
        assert_eq!(world.verify(&minted.token).await.unwrap(), Ok(minted.username), "{state:?}");
    }
}

#[tokio::test]
async fn a_refresh_token_is_in_the_state_that_was_asked_for() {
    use TokenState::*;
    let server = TestServer::start(&[]);
    let mut world = server.world("");
    let good = world.mint(TokenKind::Refresh, Good, |_| ()).await.unwrap();
    let tokens = world.refresh(&good.token).await.unwrap();
    assert_eq!(world.verify(&tokens.access_token).await.unwrap(), Ok(good.username));
    for (state, reason) in [
        (Expired, "REFRESH_TOKEN_EXPIRED"),
        (Revoked, "SESSION_REVOKED"),
        (BadSignature, "REFRESH_TOKEN_INVALID"),
        (Malformed, "REFRESH_TOKEN_INVALID"),
        (Reused, "REFRESH_TOKEN_REUSED"),
    ] {
        let minted = world.mint(TokenKind::Refresh, state, |_| ()).await.unwrap();
        assert_eq!(world.refresh(&minted.token).await.unwrap_err().reason, reason, "{state:?}");
    }
}

#[tokio::test]
async fn a_token_speaks_of_the_user_that_was_asked_for() {
    let server = TestServer::start(&["--audience", "orders", "--audience", "billing"]);
    let mut world = server.world("");
    let id = world.create_user("ada", &["admin"]).await.unwrap();
    let known = world.mint(TokenKind::Access, TokenState::Good, |it| it.username = "ada".to_owned()).await;
    assert_eq!(known.unwrap().user_id, id);

    let minted = world
        .mint(TokenKind::Access, TokenState::Good, |it| {
            it.user_id = "018f4e5c-0000-7000-8000-000000000001".to_owned();
            it.username = "grace".to_owned();
            it.roles = vec!["ops".to_owned()];
            it.audiences = vec!["orders".to_owned(), "billing".to_owned()];
            it.external_id = "42".to_owned();
            it.lifetime = Some(prost_types::Duration { seconds: 7200, nanos: 0 });
            let tenant = prost_types::Value { kind: Some(Kind::StringValue("acme".to_owned())) };
            it.custom_claims =
                Some(prost_types::Struct { fields: BTreeMap::from([("tenant".to_owned(), tenant)]) });
        })
        .await
        .unwrap();
    let claims = minted.token.split('.').nth(1).unwrap();
    let claims = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, claims).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(claims["sub"], "018f4e5c-0000-7000-8000-000000000001");
    assert_eq!((&claims["username"], &claims["roles"][0]), (&"grace".into(), &"ops".into()));
    assert_eq!((&claims["tenant"], &claims["ext"]), (&"acme".into(), &"42".into()));
    assert_eq!(claims["aud"], serde_json::json!(["orders", "billing"]));
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 7200);
    assert_eq!(world.verify(&minted.token).await.unwrap(), Ok("grace".to_owned()));
    world.advance(Duration::from_secs(7201)).await;
    assert_eq!(world.verify(&minted.token).await.unwrap(), Err("EXPIRED".to_owned()));
}

#[tokio::test]
async fn what_no_token_can_be_is_refused() {
    let server = TestServer::start(&[]);
    let mut world = server.world("");
    for (kind, state) in [
        (TokenKind::Access, TokenState::Reused),
        (TokenKind::Refresh, TokenState::WrongAudience),
        (TokenKind::Refresh, TokenState::WithdrawnKey),
    ] {
        let refused = world.mint(kind, state, |_| ()).await.unwrap_err();
        assert_eq!((refused.code, refused.reason.as_str()), (Code::InvalidArgument, "INVALID_REQUEST"));
    }
    let audience =
        world.mint(TokenKind::Access, TokenState::Good, |it| it.audiences = vec!["x".to_owned()]).await;
    assert_eq!(audience.unwrap_err().code, Code::InvalidArgument);
}

/// A thief and an owner, in no time: what a rotation's rules say after minutes and days.
#[tokio::test]
async fn the_clock_moves_what_is_due_with_it() {
    let server = TestServer::start(&[]);
    let mut world = server.world("");
    world.create_user("ada", &[]).await.unwrap();
    let first = world.login("ada").await.unwrap();
    let second = world.refresh(&first.refresh_token).await.unwrap();
    world.advance(Duration::from_mins(1)).await;
    let third = world.refresh(&second.refresh_token).await.unwrap();
    world.advance(Duration::from_mins(5)).await;
    assert_eq!(world.verify(&third.access_token).await.unwrap(), Err("EXPIRED".to_owned()));
    let stolen = world.refresh(&first.refresh_token).await.unwrap_err();
    assert_eq!(stolen.reason, "REFRESH_TOKEN_REUSED");
    assert_eq!(world.refresh(&third.refresh_token).await.unwrap_err().reason, "SESSION_REVOKED");

    let idle = world.login("ada").await.unwrap();
    world.advance(Duration::from_hours(24 * 365)).await;
    assert_eq!(world.refresh(&idle.refresh_token).await.unwrap_err().reason, "REFRESH_TOKEN_EXPIRED");
    // The service goes on: keys were rotated, and a login of a year later is as good as any.
    let late = world.login("ada").await.unwrap();
    assert_eq!(world.verify(&late.access_token).await.unwrap(), Ok("ada".to_owned()));
    let refused = world
        .test
        .advance_clock(countersign::grpc::proto::test_v1::AdvanceClockRequest {
            by: Some(prost_types::Duration { seconds: 100 * 365 * 86_400, nanos: 0 }),
        })
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
}
