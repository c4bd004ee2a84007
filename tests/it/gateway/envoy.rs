//! Real Envoy that asks two replicas, by `examples/gateways/envoy/ext-authz.yaml`.

use countersign::model::Clock as _;
use http::{HeaderValue, Request};
use http_body_util::Full;

use super::echo;
use super::fleet::{
    ADMIN, Fleet, SPOOFED, USER, assert_nothing_spoofed, get, keeps_out_whom_it_should,
    lets_through_whom_it_should, sent, until_refused,
};
use super::proxy::{Proxy, Recipe};
use crate::support::database::Server as _;
use crate::support::http::{Answer, bearer};
use crate::support::postgres::Postgres;
use crate::support::replica::PASSWORD;

const RECIPE: &str = "envoy/ext-authz.yaml";
const LISTENER: &str = "ingress";

/// Replicas with an Envoy before them, and an application behind it.
async fn start(test: &str, configuration: &[(&str, &str)]) -> Option<(Fleet, Proxy)> {
    let fleet = Fleet::start(test, configuration).await?;
    let envoy = Recipe::new(RECIPE, &fleet, echo::serve().await).envoy(test, LISTENER).await?;
    Some((fleet, envoy))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn envoy_lets_through_and_keeps_out_whom_it_should() {
    let test = "envoy_lets_through_and_keeps_out_whom_it_should";
    let Some((fleet, envoy)) = start(test, &[]).await else { return };
    lets_through_whom_it_should(&fleet, envoy.http).await;
    keeps_out_whom_it_should(&fleet, envoy.http).await;

    // A token that another replica has made to live for a second.
    let short = fleet.deployment.start_with(&[("COUNTERSIGN__TOKENS__ACCESS_TTL", "1s")]);
    let token = short.client().login(USER, PASSWORD).await.unwrap().access_token;
    let expired = until_refused(envoy.http, &token).await;
    expired.assert_refused(401, "ACCESS_TOKEN_EXPIRED");
    assert!(expired.header("www-authenticate").contains("error=\"invalid_token\""));

    let grpc = [("content-type", "application/grpc"), ("te", "trailers")];
    let answer = get(envoy.http, "/countersign.v1.Some/Method", "", &grpc).await;
    assert_eq!((answer.status.as_u16(), answer.header("grpc-status")), (200, "16"), "{answer:?}");
    assert!(answer.header("grpc-message").starts_with("Please log in"), "{answer:?}");
}

/// What Envoy removes by itself in the recipe is not there, and it tells of every header.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_spoofed_identity_gets_past_the_answer_alone() {
    let test = "no_spoofed_identity_gets_past_the_answer_alone";
    let Some(fleet) = Fleet::start(test, &[]).await else { return };
    let recipe = Recipe::new(RECIPE, &fleet, echo::serve().await)
        .changed("(?i)x[^a-z0-9]auth[^a-z0-9].*", "nothing-has-this-name")
        .changed("{ exact: upgrade, ignore_case: true }", "{ prefix: x, ignore_case: true }");
    let Some(envoy) = recipe.envoy(test, LISTENER).await else { return };
    let admin = fleet.login(ADMIN).await;
    assert_nothing_spoofed(&get(envoy.http, "/orders", &admin.access_token, &SPOOFED).await);
    let untouched = get(envoy.http, "/public/page", "", &SPOOFED).await;
    assert!(
        sent(&untouched, "x-auth-subject").concat().contains("spoofed"),
        "this is what the test is about"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_requests_have_the_answers_of_the_page() {
    let test = "odd_requests_have_the_answers_of_the_page";
    let Some((fleet, envoy)) = start(test, &[("EXT_AUTHZ__COOKIE", "__Host-access")]).await else { return };
    let (user, admin) = (fleet.login(USER).await.access_token, fleet.login(ADMIN).await.access_token);
    let http = envoy.http;
    let authorization = bearer(&user);

    let twice = [("authorization", authorization.as_str()), ("authorization", "Bearer other")];
    http.get("/orders", &twice).await.assert_refused(400, "INVALID_REQUEST");
    let other_scheme = http.get("/orders", &[("authorization", "Basic YTpi")]).await;
    other_scheme.assert_refused(401, "TOKEN_MISSING");

    let bytes = async |name: &str, value: &[u8]| -> Answer {
        let mut request = Request::get("/orders").header("authorization", &authorization);
        if name == "authorization" {
            request = Request::get("/orders");
        }
        let request = request.header(name, HeaderValue::from_bytes(value).unwrap());
        http.send(request.body(Full::default()).unwrap()).await
    };
    bytes("authorization", b"Bearer \xFF\xFE").await.assert_refused(401, "ACCESS_TOKEN_INVALID");
    for name in ["x-odd", "accept-language", "cookie", "x-request-id", "referer"] {
        assert_eq!(bytes(name, b"\xC3\x28=\xFF").await.status, 200, "{name}");
    }

    let cookie = |value: &str| format!("theme=dark; __Host-access={value}; lang=en");
    let by_cookie = http.get("/orders", &[("cookie", &cookie(&user))]).await;
    assert_eq!(sent(&by_cookie, "x-auth-username"), [USER]);
    let both = [("cookie", cookie(&user)), ("authorization", bearer(&admin))];
    let both = both.each_ref().map(|(name, value)| (*name, value.as_str()));
    assert_eq!(sent(&http.get("/orders", &both).await, "x-auth-username"), [ADMIN]);
    let two = [("cookie", cookie(&user)), ("cookie", cookie(&admin))];
    let two = two.each_ref().map(|(name, value)| (*name, value.as_str()));
    http.get("/orders", &two).await.assert_refused(400, "INVALID_REQUEST");
    let cookie = cookie(&user);
    let cross = [("cookie", cookie.as_str()), ("sec-fetch-site", "cross-site")];
    http.post("/orders", &cross, &serde_json::json!({})).await.assert_refused(403, "CROSS_SITE_REQUEST");

    for (path, status) in [
        ("/public/../admin", 403),
        ("/public/%2e%2e/admin", 403),
        ("//admin", 403),
        ("/admin/", 403),
        ("/x/../admin?a=/public/", 403),
        ("/public%2f..%2fadmin", 400),
        ("/public/..%5cadmin", 400),
        ("/Public/page", 200),
        ("/orders/%00", 400),
        ("/orders/%ff%zz;,|", 200),
        ("/admin.css", 200),
    ] {
        let answer = get(http, path, &user, &[]).await;
        assert_eq!(answer.status.as_u16(), status, "{path}: {answer:?}");
        let nobody = get(http, path, "", &[]).await;
        assert!([400, 401].contains(&nobody.status.as_u16()), "{path}: {nobody:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_redis_and_a_killed_replica_are_not_noticed_and_without_any_it_is_503() {
    let test = "a_frozen_redis_and_a_killed_replica_are_not_noticed_and_without_any_it_is_503";
    let Some((mut fleet, envoy)) = start(test, &[]).await else { return };
    let user = fleet.login(USER).await;
    let clock = countersign::model::SystemClock::new();

    fleet.redis.signal("STOP");
    let began = clock.monotonic();
    for _ in 0..200 {
        let answer = get(envoy.http, "/orders", &user.access_token, &[]).await;
        assert_eq!(sent(&answer, "x-auth-username"), [USER]);
    }
    println!("with Redis frozen: 200 of 200 let through in {:?}", clock.monotonic().since(began));
    // A logout is in the ledger, whatever Redis does.
    fleet.client().logout(&user.refresh_token).await.unwrap();
    until_refused(envoy.http, &user.access_token).await.assert_refused(401, "SESSION_REVOKED");
    fleet.redis.signal("CONT");

    let user = fleet.login(USER).await;
    fleet.replicas.remove(0).kill();
    for number in 0..100 {
        let answer = get(envoy.http, "/orders", &user.access_token, &[]).await;
        assert_eq!(answer.status, 200, "request {number} after one replica was killed: {answer:?}");
    }
    fleet.replicas.remove(0).kill();
    let nobody = get(envoy.http, "/orders", &user.access_token, &[]).await;
    assert_eq!((nobody.status.as_u16(), nobody.body.len()), (503, 0), "{nobody:?}");
    assert_eq!(nobody.header("www-authenticate"), "");
    assert_eq!(get(envoy.http, "/public/page", "", &[]).await.status, 200, "the allow-list needs nobody");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_knows_is_503_with_a_problem_where_that_is_configured() {
    let test = "what_nobody_knows_is_503_with_a_problem_where_that_is_configured";
    let Some(postgres) = Postgres::start(test) else { return };
    postgres.ready().await;
    let configuration = [
        ("EXT_AUTHZ__ERROR_RESPONSE", "true"),
        ("REVOCATION__POLL_INTERVAL", "100ms"),
        ("REVOCATION__MAX_STALENESS", "1s"),
    ];
    let Some(fleet) = Fleet::start_on(&postgres, test, &configuration).await else { return };
    let recipe = Recipe::new(RECIPE, &fleet, echo::serve().await);
    let Some(envoy) = recipe.envoy(test, LISTENER).await else { return };
    let user = fleet.login(USER).await;
    postgres.process().freeze();
    let stale = until_refused(envoy.http, &user.access_token).await;
    postgres.process().thaw();
    stale.assert_refused(503, "REVOCATIONS_STALE");
    assert_eq!(
        (stale.header("retry-after"), stale.header("content-type")),
        ("1", "application/problem+json")
    );
    // A token that is bad by itself is refused by whoever knows nothing else.
    get(envoy.http, "/orders", "x", &[]).await.assert_refused(401, "ACCESS_TOKEN_INVALID");
}
