//! Real Envoy that verifies by itself, by `examples/gateways/envoy/jwt-authn.yaml`.

use super::echo;
use super::fleet::{
    ADMIN, EXTERNAL_ID, Fleet, SPOOFED, USER, assert_nothing_spoofed, get, sent, until_refused,
};
use super::proxy::Recipe;
use crate::support::replica::PASSWORD;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn envoy_verifies_with_our_keys_and_hears_of_no_logout() {
    let test = "envoy_verifies_with_our_keys_and_hears_of_no_logout";
    let Some(fleet) = Fleet::start(test, &[]).await else { return };
    let recipe = Recipe::new("envoy/jwt-authn.yaml", &fleet, echo::serve().await);
    let Some(envoy) = recipe.envoy(test, "ingress").await else { return };
    let (admin, user) = (fleet.login(ADMIN).await, fleet.login(USER).await);

    let answer = get(envoy.http, "/orders", &user.access_token, &SPOOFED).await;
    assert_nothing_spoofed(&answer);
    assert_eq!(sent(&answer, "x-auth-username"), [USER]);
    assert_eq!(sent(&answer, "x-auth-session").len(), 1);
    assert!(sent(&answer, "x-auth-external-id").is_empty());
    let answer = get(envoy.http, "/admin", &admin.access_token, &SPOOFED).await;
    assert_eq!(sent(&answer, "x-auth-external-id"), [EXTERNAL_ID]);
    assert_eq!(get(envoy.http, "/admin", &user.access_token, &[]).await.status, 403);
    assert_eq!(get(envoy.http, "/orders", "", &[]).await.status, 401);
    assert_nothing_spoofed(&get(envoy.http, "/public/page", "", &SPOOFED).await);
    // A refresh token is none of these, and what is not ours neither.
    for token in [&user.refresh_token, &format!("{}x", user.access_token)] {
        let refused = get(envoy.http, "/orders", token, &[]).await;
        assert_eq!(refused.status, 401);
        assert!(refused.header("www-authenticate").contains("invalid_token"), "{refused:?}");
    }

    // What "fast" costs: the token is good until it expires.
    fleet.client().logout(&user.refresh_token).await.unwrap();
    assert_eq!(get(envoy.http, "/orders", &user.access_token, &[]).await.status, 200);
    let short = fleet.deployment.start_with(&[("COUNTERSIGN__TOKENS__ACCESS_TTL", "1s")]);
    let token = short.client().login(USER, PASSWORD).await.unwrap().access_token;
    assert_eq!(until_refused(envoy.http, &token).await.status, 401);
}
