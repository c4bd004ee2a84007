//! One deployment that serves a browser client, with cookies and problems, and an older API, with bodies and an envelope: two
//! processes on the same stores, as docs/two-front-ends.md has it.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::support::database::{Server as _, free_port};
use crate::support::http::{Answer, Http, access_token, bearer};
use crate::support::postgres::Postgres;
use crate::support::redis::{self, Server as Redis};
use crate::support::replica::{Deployment, PASSWORD, Replica};

const USER: &str = "ada";

/// The settings of the page, which the process for the older API has beside those of the other.
fn of_the_page() -> Vec<(String, String)> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/two-front-ends.md");
    let page = std::fs::read_to_string(path).unwrap();
    let block = page.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let table: toml::Table = block.parse().unwrap();
    let edge = table["edge"].as_table().unwrap();
    let text = |value: &toml::Value| match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Table(codes) => {
            codes.iter().map(|(name, code)| format!("{name}={code}")).collect::<Vec<_>>().join(",")
        }
        other => other.to_string(),
    };
    edge.iter()
        .map(|(key, value)| (format!("COUNTERSIGN__EDGE__{}", key.to_uppercase()), text(value)))
        .collect()
}

struct Fleet {
    browser: Http,
    older: Http,
    _replicas: [Replica; 2],
    _deployment: Deployment,
    _redis: Redis,
}

async fn fleet(test: &str) -> Option<Fleet> {
    let postgres = Postgres::shared(test)?;
    redis::is_installed(test).then_some(())?;
    let database = postgres.create_database().await;
    let redis = Redis::start();
    let deployment = Deployment::on(&postgres.url(&database), Some(&redis.url()))
        .with("EDGE__ENABLED", "true")
        .with("SESSIONS__LIMITS", "web=1,mobile=1");
    let [browser, older] = [(); 2].map(|()| SocketAddr::from(([127, 0, 0, 1], free_port())));
    let replicas = tokio::task::block_in_place(|| {
        deployment.prepare();
        let arguments = ["user", "create", USER, "--password-stdin", "--external-id", "42"];
        deployment.run(&arguments, &format!("{PASSWORD}\n"));
        let mut settings = of_the_page();
        let first = deployment.start_with(&[("COUNTERSIGN__EDGE__LISTEN", &browser.to_string())]);
        settings.push(("COUNTERSIGN__EDGE__LISTEN".to_owned(), older.to_string()));
        let settings: BTreeMap<&str, &str> =
            settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        [first, deployment.start_with(&settings.into_iter().collect::<Vec<_>>())]
    });
    Some(Fleet {
        browser: Http(browser),
        older: Http(older),
        _replicas: replicas,
        _deployment: deployment,
        _redis: redis,
    })
}

fn login(class: &str) -> Value {
    json!({ "username": USER, "password": PASSWORD, "client": { "class": class } })
}

/// The body of an answer of the older API: HTTP 200 whatever happened, and this code.
#[track_caller]
fn enveloped(answer: &Answer, code: u64) -> Value {
    let body = answer.json();
    assert_eq!((answer.status.as_u16(), &body["code"]), (200, &json!(code)), "{answer:?}");
    assert!(body["timestamp"].is_i64(), "{body}");
    assert!(answer.cookies().is_empty(), "no cookie is set: {answer:?}");
    body["data"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_and_an_older_api_have_the_same_users_and_sessions() {
    let test = "a_browser_and_an_older_api_have_the_same_users_and_sessions";
    let Some(fleet) = fleet(test).await else { return };
    let (browser, older) = (fleet.browser, fleet.older);

    // Each has its own way with tokens, times and errors.
    let page = browser.post("/v1/auth/login", &[], &login("web")).await;
    assert_eq!((page.status.as_u16(), page.cookies().len()), (200, 1), "{page:?}");
    assert!(page.json()["tokens"].get("refreshToken").is_none());
    assert!(page.json()["tokens"]["accessExpiresAt"].is_string());
    let app = enveloped(&older.post("/v1/auth/login", &[], &login("mobile")).await, 0);
    let refresh_token = app["tokens"]["refreshToken"].as_str().unwrap().to_owned();
    assert!(app["tokens"]["accessExpiresAt"].is_i64() && app["session"]["createdAt"].is_i64());
    let wrong = json!({ "username": USER, "password": "wrong horse battery" });
    browser.post("/v1/auth/login", &[], &wrong).await.assert_refused(401, "INVALID_CREDENTIALS");
    enveloped(&older.post("/v1/auth/login", &[], &wrong).await, 1004);
    enveloped(&older.get("/v1/auth/session", &[]).await, 1001);

    // What one has given, the other knows.
    let of_the_app = bearer(app["tokens"]["accessToken"].as_str().unwrap());
    let seen = browser.get("/v1/auth/session", &[("authorization", &of_the_app)]).await;
    assert_eq!((seen.status.as_u16(), &seen.json()["externalId"]), (200, &json!("42")));
    let of_the_page = bearer(&access_token(&page));
    enveloped(&older.get("/v1/auth/session", &[("authorization", &of_the_page)]).await, 0);
    let listed = browser.get("/v1/auth/sessions", &[("cookie", &page.cookie())]).await.json();
    let mut classes: Vec<&str> = Vec::new();
    for session in listed["sessions"].as_array().unwrap() {
        classes.push(session["client"]["class"].as_str().unwrap());
    }
    classes.sort_unstable();
    assert_eq!(classes, ["mobile", "web"]);

    // Refresh and a bound on sessions go over both.
    let again = json!({ "refreshToken": refresh_token });
    let refreshed = enveloped(&older.post("/v1/auth/refresh", &[], &again).await, 0);
    let refresh_token = json!({ "refreshToken": refreshed["tokens"]["refreshToken"] });
    let other_phone = browser.post("/v1/auth/login", &[], &login("mobile")).await;
    assert_eq!(other_phone.status, 200);
    let kicked = enveloped(&older.post("/v1/auth/refresh", &[], &refresh_token).await, 1003);
    assert_eq!(kicked["cause"], "SIGNED_IN_ELSEWHERE");

    // A logout at one of them is one everywhere: at once where it was made, and pushed to the other.
    let everywhere = json!({ "everywhere": true });
    let logout = browser.post("/v1/auth/logout", &[("cookie", &page.cookie())], &everywhere).await;
    assert_eq!(logout.status, 200);
    browser
        .get("/v1/auth/session", &[("authorization", &of_the_page)])
        .await
        .assert_refused(401, "SESSION_REVOKED");
    let told = async {
        while older.get("/v1/auth/session", &[("authorization", &of_the_page)]).await.json()["code"] == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), told).await.expect("the other process is told");
    enveloped(&older.get("/v1/auth/session", &[("authorization", &of_the_page)]).await, 1003);
}
