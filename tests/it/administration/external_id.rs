//! What a user is called in another system.

use countersign::grpc::proto::v1;
use prost_types::FieldMask;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::{PASSWORD, USERS, World, new_user, outcome, reason, set_roles, with, world};

/// The external id in a good access token, from what Verify answers.
async fn external_id(world: &mut World, access_token: &str) -> String {
    use v1::verify_access_token_response::Result;
    match world.verify(access_token).await {
        Some(Result::Verified(token)) => token.external_id,
        other => panic!("{other:?}"),
    }
}

/// The field that a request was refused for.
fn refused_field(refused: &Status) -> String {
    refused.get_error_details().bad_request().unwrap().field_violations[0].field.clone()
}

#[tokio::test]
async fn an_external_id_names_its_user_and_is_in_the_tokens_from_the_next_refresh_on() {
    let mut world = world(&[]).await;
    let admin = world.token(USERS).await;
    let external = |id: &str| Some(v1::UserRef { user: Some(v1::user_ref::User::ExternalId(id.to_owned())) });
    let ask = v1::CreateUserRequest { external_id: "42".to_owned(), ..new_user("ada", &["ops"]) };
    let ada = world.users.create_user(with(&admin, ask.clone())).await.unwrap().into_inner().user.unwrap();
    assert_eq!(ada.external_id, "42");
    let found =
        world.users.get_user(with(&admin, v1::GetUserRequest { user: external("42") })).await.unwrap();
    assert_eq!(found.into_inner().user.as_ref(), Some(&ada));
    let unknown = world.users.get_user(with(&admin, v1::GetUserRequest { user: external("43") })).await;
    assert_eq!(outcome(unknown), "USER_NOT_FOUND");
    let listed = world.users.list_users(with(&admin, v1::ListUsersRequest::default())).await.unwrap();
    assert!(listed.into_inner().users.contains(&ada));

    let tokens = world.tokens("ada", PASSWORD).await;
    assert_eq!(external_id(&mut world, &tokens.access_token).await, "42");
    world.create(&admin, "grace", &[]).await.unwrap();
    let grace = world.tokens("grace", PASSWORD).await;
    assert_eq!(external_id(&mut world, &grace.access_token).await, "");

    let taken = v1::CreateUserRequest { username: "linus".to_owned(), ..ask.clone() };
    let taken = world.users.create_user(with(&admin, taken)).await.unwrap_err();
    assert_eq!((taken.code(), reason(&taken).as_str()), (Code::AlreadyExists, "EXTERNAL_ID_TAKEN"));
    let change = |username: &str, id: &str| {
        let change = v1::UserChange { external_id: id.to_owned(), ..v1::UserChange::default() };
        let update_mask = Some(FieldMask { paths: vec!["external_id".to_owned()] });
        with(&admin, v1::UpdateUserRequest { change: Some(change), update_mask, ..set_roles(username, &[]) })
    };
    let taken = world.users.update_user(change("grace", "42")).await.unwrap_err();
    assert_eq!((taken.code(), reason(&taken).as_str()), (Code::AlreadyExists, "EXTERNAL_ID_TAKEN"));

    let changed = world.users.update_user(change("ada", "7")).await.unwrap().into_inner().user.unwrap();
    assert_eq!((changed.external_id.as_str(), &changed.roles), ("7", &ada.roles));
    assert_ne!(changed.etag, ada.etag);
    assert!(world.verifies(&tokens.access_token).await, "no session ends");
    let refreshed = world.auth.refresh(v1::RefreshRequest { refresh_token: tokens.refresh_token }).await;
    let refreshed = refreshed.unwrap().into_inner().tokens.unwrap();
    assert_eq!(external_id(&mut world, &refreshed.access_token).await, "7");
    world.users.update_user(change("grace", "42")).await.unwrap();
    let none = world.users.update_user(change("ada", "")).await.unwrap().into_inner().user.unwrap();
    assert_eq!(none.external_id, "");
    let disable = v1::DisableUserRequest { user: external("42") };
    world.users.disable_user(with(&admin, disable)).await.unwrap();
    assert!(world.get(&admin, "grace").await.unwrap().disabled);

    for bad in [" 7", "7 ", "a\nb", &"x".repeat(129)] {
        let refused = world.users.update_user(change("ada", bad)).await.unwrap_err();
        assert_eq!(refused_field(&refused), "change.external_id", "{bad:?}");
        let ask = v1::CreateUserRequest { external_id: bad.to_owned(), ..new_user("linus", &[]) };
        let refused = world.users.create_user(with(&admin, ask)).await.unwrap_err();
        assert_eq!(refused_field(&refused), "external_id", "{bad:?}");
    }
    let nobody = world.users.get_user(with(&admin, v1::GetUserRequest { user: external("") })).await;
    assert_eq!(outcome(nobody), "INVALID_REQUEST");
}
