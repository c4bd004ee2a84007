//! One phone and one browser: limits of sessions by the class of the client.

use countersign::grpc::proto::v1;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::{PASSWORD, SESSIONS, USERS, World, login_as, world};

const LIMITS: [(&str, &str); 1] = [("SESSIONS__LIMITS", "web=1,mobile=1,desktop=0")];

async fn login(world: &mut World, class: &str) -> Result<v1::Tokens, Status> {
    let client = Some(v1::Client { class: class.to_owned(), ..v1::Client::default() });
    let login = world.auth.login(v1::LoginRequest { client, ..login_as("ada", PASSWORD) }).await?;
    Ok(login.into_inner().tokens.unwrap())
}

async fn refresh(world: &mut World, tokens: &v1::Tokens) -> Result<v1::Tokens, Status> {
    let ask = v1::RefreshRequest { refresh_token: tokens.refresh_token.clone() };
    Ok(world.auth.refresh(ask).await?.into_inner().tokens.unwrap())
}

#[tokio::test]
async fn one_phone_and_one_browser() {
    let mut world = world(&LIMITS).await;
    let (users, sessions) = (world.token(USERS).await, world.token(SESSIONS).await);
    world.create(&users, "ada", &[]).await.unwrap();
    let phone = login(&mut world, "mobile").await.unwrap();
    let browser = login(&mut world, "web").await.unwrap();
    for class in ["desktop", "desktop", "", ""] {
        login(&mut world, class).await.unwrap();
    }
    let other_phone = login(&mut world, "mobile").await.unwrap();

    let kicked = refresh(&mut world, &phone).await.unwrap_err();
    let details = kicked.get_error_details();
    let info = details.error_info().unwrap();
    assert_eq!((kicked.code(), info.reason.as_str()), (Code::Unauthenticated, "SESSION_REVOKED"));
    assert_eq!(info.metadata["cause"], "SIGNED_IN_ELSEWHERE");
    assert!(!world.verifies(&phone.access_token).await);
    let browser = refresh(&mut world, &browser).await.unwrap();
    assert!(world.verifies(&browser.access_token).await && world.verifies(&other_phone.access_token).await);

    let mut classes: Vec<String> = Vec::new();
    for session in world.list(&sessions, "ada").await {
        classes.push(session.client.unwrap().class);
    }
    classes.sort();
    assert_eq!(classes, ["", "", "desktop", "desktop", "mobile", "web"]);
}

#[tokio::test]
async fn a_class_that_is_not_configured_is_a_mistake_of_the_client() {
    for (settings, class, says) in [
        (&LIMITS[..], "tablet", "must be empty or one of desktop, mobile, web"),
        (&LIMITS[..], "Mobile", "a-z 0-9"),
        (&[], "mobile", "no class is configured"),
    ] {
        let mut world = world(settings).await;
        let refused = login(&mut world, class).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{class}");
        let details = refused.get_error_details();
        let violation = &details.bad_request().unwrap().field_violations[0];
        assert_eq!(violation.field, "client.class");
        assert!(violation.description.contains(says), "{}", violation.description);
    }
}
