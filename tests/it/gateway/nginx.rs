//! Real nginx, by `examples/gateways/nginx/nginx.conf`.

use super::echo;
use super::fleet::{Fleet, USER, get, lets_through_whom_it_should, until_refused};
use super::proxy::Recipe;
use crate::support::http::request;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nginx_lets_through_and_keeps_out_whom_it_should() {
    let test = "nginx_lets_through_and_keeps_out_whom_it_should";
    let Some(mut fleet) = Fleet::start(test, &[]).await else { return };
    let recipe = Recipe::new("nginx/nginx.conf", &fleet, echo::serve().await);
    let Some(nginx) = recipe.nginx(test).await else { return };
    lets_through_whom_it_should(&fleet, nginx.http).await;

    let user = fleet.login(USER).await;
    let missing = get(nginx.http, "/orders", "", &[]).await;
    assert_eq!((missing.status.as_u16(), missing.json()["status"].as_u64()), (401, Some(401)));
    assert_eq!(missing.headers.get_all("www-authenticate").iter().count(), 1, "{missing:?}");
    assert_eq!(missing.header("www-authenticate"), "Bearer realm=\"countersign\"");
    assert_eq!(missing.header("content-type"), "application/problem+json");
    let lacking = get(nginx.http, "/admin", &user.access_token, &[]).await;
    assert_eq!((lacking.status.as_u16(), lacking.json()["status"].as_u64()), (403, Some(403)));
    let twice = [("authorization", "Bearer a"), ("authorization", "Bearer b")];
    assert_eq!(nginx.http.get("/orders", &twice).await.status, 400, "nginx itself takes no two");
    for path in ["/public/../admin", "/public/%2e%2e/admin", "/public%2f..%2fadmin", "//admin"] {
        assert_eq!(get(nginx.http, path, &user.access_token, &[]).await.status, 403, "{path}");
    }

    fleet.client().logout(&user.refresh_token).await.unwrap();
    let revoked = until_refused(nginx.http, &user.access_token).await;
    assert_eq!(revoked.status, 401);
    assert!(revoked.header("www-authenticate").contains("error=\"invalid_token\""), "{revoked:?}");

    let user = fleet.login(USER).await;
    fleet.replicas.remove(0).kill();
    for _ in 0..20 {
        assert_eq!(get(nginx.http, "/orders", &user.access_token, &[]).await.status, 200);
    }
    fleet.replicas.remove(0).kill();
    let nobody = get(nginx.http, "/orders", &user.access_token, &[]).await;
    assert_eq!((nobody.status.as_u16(), nobody.header("retry-after")), (503, "1"), "{nobody:?}");
}

/// A gateway that asks with its client's method must not take the answer to a preflight for a yes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nginx_that_passes_the_method_on_keeps_every_method_out_without_a_token() {
    let test = "nginx_that_passes_the_method_on_keeps_every_method_out_without_a_token";
    let Some(fleet) = Fleet::start(test, &[]).await else { return };
    let recipe = Recipe::new("nginx/nginx.conf", &fleet, echo::serve().await);
    let recipe = recipe.changed(
        "proxy_pass_request_body off;",
        "proxy_pass_request_body off; proxy_method $request_method;",
    );
    let Some(nginx) = recipe.nginx(test).await else { return };
    let user = fleet.login(USER).await;
    let authorization = format!("Bearer {}", user.access_token);
    for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"] {
        let preflight = [("origin", "https://app.example"), ("access-control-request-method", "PUT")];
        let without = nginx.http.send(request(method, "/orders", &preflight, "")).await;
        assert_eq!(without.status, 401, "{method}: {without:?}");
        let with = [("authorization", authorization.as_str())];
        let with = nginx.http.send(request(method, "/orders", &with, "")).await;
        assert_eq!(with.status, 200, "{method}: {with:?}");
    }
}
