//! Real Caddy, by `examples/gateways/caddy/Caddyfile`.

use super::echo;
use super::fleet::{Fleet, USER, get, keeps_out_whom_it_should, lets_through_whom_it_should};
use super::proxy::Recipe;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn caddy_lets_through_and_keeps_out_whom_it_should() {
    let test = "caddy_lets_through_and_keeps_out_whom_it_should";
    let Some(mut fleet) = Fleet::start(test, &[]).await else { return };
    let recipe = Recipe::new("caddy/Caddyfile", &fleet, echo::serve().await);
    let Some(caddy) = recipe.caddy(test).await else { return };
    lets_through_whom_it_should(&fleet, caddy.http).await;
    keeps_out_whom_it_should(&fleet, caddy.http).await;

    let user = fleet.login(USER).await;
    for path in ["/public/../admin", "/public/%2e%2e/admin", "//admin", "/admin/users"] {
        let answer = get(caddy.http, path, &user.access_token, &[]).await;
        assert!(answer.status == 403 || answer.status.is_redirection(), "{path}: {answer:?}");
    }
    fleet.replicas.remove(0).kill();
    for _ in 0..20 {
        assert_eq!(get(caddy.http, "/orders", &user.access_token, &[]).await.status, 200);
    }
    fleet.replicas.remove(0).kill();
    let nobody = get(caddy.http, "/orders", &user.access_token, &[]).await;
    assert_eq!((nobody.status.as_u16(), nobody.header("retry-after")), (503, "1"), "{nobody:?}");
}
