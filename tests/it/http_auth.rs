//! The four RPCs over HTTP: the contract's JSON, and the refresh token in a cookie or in the body.

use std::time::Duration;

use countersign::grpc::proto::v1;
use countersign::grpc::proto::v1::auth_service_client::AuthServiceClient;
use countersign::transport::DESCRIPTORS;
use prost_reflect::{DescriptorPool, DynamicMessage};
use serde_json::{Value, json};

use crate::support::http::{PASSWORD, USERNAME, access_token, bearer, credentials, service};

const COOKIE: &str = "__Secure-countersign_refresh";
const ATTRIBUTES: &str = "Path=/v1/auth; HttpOnly; SameSite=Strict; Secure";

#[tokio::test]
async fn a_browser_keeps_the_refresh_token_in_a_cookie_that_no_script_sees() {
    let service = service(&[]).await;
    let login = service.http.login().await;
    assert_eq!(login.header("content-type"), "application/json");
    assert_eq!(login.header("cache-control"), "no-store");
    let [set] = login.cookies()[..] else { panic!("{login:?}") };
    let (pair, attributes) = set.split_once("; ").unwrap();
    let token = pair.strip_prefix(&format!("{COOKIE}=")).unwrap();
    assert!(token.starts_with("csgn_rt_"), "{set}");
    let (max_age, attributes) = attributes.split_once("; ").unwrap();
    assert_eq!(attributes, ATTRIBUTES);
    let seconds: u64 = max_age.strip_prefix("Max-Age=").unwrap().parse().unwrap();
    let idle = Duration::from_hours(14 * 24).as_secs();
    // For as long as the same token may be answered again, which sets no cookie and prolongs the idle life.
    let settled = 14;
    assert!((idle + settled - 60..=idle + settled).contains(&seconds), "{seconds}");
    assert!(!String::from_utf8_lossy(&login.body).contains("csgn_rt_"), "not in the body");
    assert!(login.json()["tokens"].get("refreshToken").is_none());
    assert!(login.header("x-countersign-development").is_empty());

    let rotated = service.http.refresh(&login.cookie()).await;
    assert_ne!(rotated.cookie(), login.cookie());
    let again = service.http.refresh(&login.cookie()).await;
    assert_eq!(again.cookie(), rotated.cookie(), "the identical successor");
    let unchanged = service.http.refresh(&rotated.cookie()).await;
    assert_eq!(unchanged.status, 200);
    assert!(unchanged.cookies().is_empty(), "an unchanged token overwrites nothing: {unchanged:?}");
    assert!(!String::from_utf8_lossy(&unchanged.body).contains("csgn_rt_"));

    let logout = service.http.post("/v1/auth/logout", &[("cookie", &rotated.cookie())], &json!({})).await;
    assert_eq!((logout.status.as_u16(), logout.changed()), (200, json!({})));
    assert_eq!(logout.cookies(), [format!("{COOKIE}=; Max-Age=0; {ATTRIBUTES}")]);
    let access = bearer(&access_token(&unchanged));
    service
        .http
        .get("/v1/auth/session", &[("authorization", &access)])
        .await
        .assert_refused(401, "SESSION_REVOKED");
    let refused = service.http.refresh(&rotated.cookie()).await;
    refused.assert_refused(401, "SESSION_REVOKED");
    assert!(refused.cookies().is_empty(), "a late refusal deletes no newer login's cookie");
    let twice = service.http.post("/v1/auth/logout", &[], &json!({})).await;
    assert_eq!(twice.status, 200, "another tab was faster");
    service.http.post("/v1/auth/refresh", &[], &json!({})).await.assert_refused(401, "TOKEN_MISSING");
}

#[tokio::test]
async fn the_cookie_has_the_name_the_path_and_the_pages_that_were_configured() {
    let settings = [
        ("EDGE__COOKIE_NAME", "id"),
        ("EDGE__COOKIE_PATH", "/"),
        ("EDGE__COOKIE_SAME_SITE", "none"),
        ("EDGE__ALLOWED_ORIGINS", "https://app.example"),
        ("EDGE__CSRF", "true"),
    ];
    let service = service(&settings).await;
    let login = service.http.login().await;
    let [refresh, csrf] = login.cookies()[..] else { panic!("{login:?}") };
    assert!(refresh.starts_with("__Host-id=csgn_rt_"), "{refresh}");
    assert!(refresh.ends_with("; Path=/; HttpOnly; SameSite=None; Secure"), "{refresh}");
    assert!(csrf.ends_with("; Path=/; SameSite=None; Secure"), "it goes wherever the other goes: {csrf}");
    let pair = |cookie: &str| cookie.split(';').next().unwrap().to_owned();
    let cookies = format!("{}; {}", pair(refresh), pair(csrf));
    let headers = [("cookie", cookies.as_str()), ("x-csrf-token", login.header("x-csrf-token"))];
    let rotated = service.http.post("/v1/auth/refresh", &headers, &json!({})).await;
    assert_eq!(rotated.status, 200, "{rotated:?}");
    let logout = service.http.post("/v1/auth/logout", &headers, &json!({})).await;
    assert_eq!(logout.cookies(), ["__Host-id=; Max-Age=0; Path=/; HttpOnly; SameSite=None; Secure"]);
}

#[tokio::test]
async fn on_plain_http_the_cookie_works_and_the_answer_says_what_differs() {
    let service = service(&[("EDGE__PLAIN_HTTP", "true")]).await;
    let login = service.http.login().await;
    let set = login.cookies()[0];
    assert!(set.starts_with("countersign_refresh=csgn_rt_"), "{set}");
    assert!(!set.contains("Secure") && set.contains("HttpOnly; SameSite=Strict"), "{set}");
    assert!(login.header("x-countersign-development").contains("no Secure"));
    assert_eq!(service.http.refresh(&login.cookie()).await.status, 200);
}

#[tokio::test]
async fn a_native_client_has_the_refresh_token_in_the_bodies() {
    let service = service(&[("EDGE__REFRESH_TRANSPORT", "body")]).await;
    let login = service.http.login().await;
    assert!(login.cookies().is_empty());
    let token = login.json()["tokens"]["refreshToken"].as_str().unwrap().to_owned();

    let by_body = service.http.post("/v1/auth/refresh", &[], &json!({ "refreshToken": token })).await;
    let by_bearer =
        service.http.post("/v1/auth/refresh", &[("authorization", &bearer(&token))], &json!({})).await;
    let successor = by_body.json()["tokens"]["refreshToken"].clone();
    assert!(successor.is_string());
    assert_eq!(by_bearer.json()["tokens"]["refreshToken"], successor, "the identical successor");

    let missing = service.http.post("/v1/auth/refresh", &[], &json!({})).await;
    missing.assert_refused(400, "INVALID_REQUEST");
    let no_cookie = format!("{COOKIE}={token}");
    service.http.refresh(&no_cookie).await.assert_refused(400, "INVALID_REQUEST");
    let empty = service.http.post("/v1/auth/logout", &[], &json!({})).await;
    empty.assert_refused(400, "INVALID_REQUEST");
    assert_eq!(empty.json()["violations"][0]["field"], "token");

    let everywhere = json!({ "refreshToken": successor, "everywhere": true });
    let logout = service.http.post("/v1/auth/logout", &[], &everywhere).await;
    assert_eq!(logout.changed(), json!({}), "{logout:?}");
    let access = bearer(&access_token(&login));
    service
        .http
        .get("/v1/auth/session", &[("authorization", &access)])
        .await
        .assert_refused(401, "SESSION_REVOKED");
}

#[tokio::test]
async fn an_access_token_on_a_refresh_does_not_cost_the_session() {
    let service = service(&[]).await;
    let login = service.http.login().await;
    let headers = [("cookie", &*login.cookie()), ("authorization", &*bearer(&access_token(&login)))];
    let answer = service.http.post("/v1/auth/refresh", &headers, &json!({})).await;
    assert_eq!(answer.status, 200, "{answer:?}");

    // Bearer tokens alone: the access token ends its session, too.
    let authorization = bearer(&access_token(&answer));
    let logout = service.http.post("/v1/auth/logout", &[("authorization", &authorization)], &json!({})).await;
    assert_eq!(logout.status, 200);
    service.http.refresh(&answer.cookie()).await.assert_refused(401, "SESSION_REVOKED");
}

#[tokio::test]
async fn the_session_is_told_to_its_bearer() {
    let service = service(&[]).await;
    let login = service.http.login().await;
    let access = bearer(&access_token(&login));
    let answer = service.http.get("/v1/auth/session", &[("authorization", &access)]).await;
    let session = answer.json();
    assert_eq!(session["username"], USERNAME);
    assert_eq!(session["sessionId"], login.json()["session"]["id"]);
    assert_eq!(session["roles"], json!(["admin", "ops"]));
    assert_eq!(session["customClaims"], json!({ "tenant": "acme", "seats": 7, "share": 0.5 }));
    assert!(session["expiresAt"].as_str().unwrap().ends_with('Z'));

    let nobody = service.http.get("/v1/auth/session", &[]).await;
    nobody.assert_refused(401, "TOKEN_MISSING");
    assert_eq!(nobody.header("www-authenticate"), "Bearer realm=\"countersign\"");
    let forged = service.http.get("/v1/auth/session", &[("authorization", "Bearer a.b.c")]).await;
    forged.assert_refused(401, "ACCESS_TOKEN_INVALID");
    assert!(forged.header("www-authenticate").contains("error=\"invalid_token\""));
    let basic = service.http.get("/v1/auth/session", &[("authorization", "Basic YTpi")]).await;
    basic.assert_refused(401, "TOKEN_MISSING");
}

/// What a transcoding gateway would make of a gRPC answer.
fn transcoded(name: &str, message: &impl prost::Message) -> Value {
    let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
    let descriptor = pool.get_message_by_name(&format!("countersign.v1.{name}")).unwrap();
    let dynamic = DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice()).unwrap();
    let mut json = serde_json::to_value(dynamic).unwrap();
    // How old the view of revocations is changes from moment to moment.
    if let Some(staleness) = json.get_mut("revocationStaleness") {
        assert!(staleness.as_str().unwrap().ends_with('s'));
        *staleness = json!("same");
    }
    json
}

/// Numbers are equal by value and not by spelling.
fn comparable(mut json: Value) -> Value {
    if let Some(staleness) = json.get_mut("revocationStaleness") {
        assert!(staleness.as_str().unwrap().ends_with('s'));
        *staleness = json!("same");
    }
    json
}

fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| equal(a, b)))
        }
        _ => a == b,
    }
}

#[tokio::test]
async fn the_json_is_that_of_a_gateway_over_the_same_service() {
    let service = service(&[("EDGE__REFRESH_TRANSPORT", "body")]).await;
    let mut grpc = AuthServiceClient::connect(format!("http://{}", service.grpc)).await.unwrap();
    let login = v1::LoginRequest {
        username: USERNAME.to_owned(),
        password: PASSWORD.to_owned(),
        ..Default::default()
    };
    let by_grpc = grpc.login(login).await.unwrap().into_inner();
    let by_http = service.http.login().await.json();
    let shape = transcoded("LoginResponse", &by_grpc);
    let names = |json: &Value, part: &str| {
        json[part].as_object().unwrap().keys().cloned().collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(names(&by_http, "tokens"), names(&shape, "tokens"));
    assert_eq!(names(&by_http, "session"), names(&shape, "session"));
    assert!(by_http["tokens"]["expiresIn"].is_number(), "as RFC 6749 §5.1 has it");

    // One token, asked about in both ways.
    let tokens = by_grpc.tokens.unwrap();
    let good = tokens.access_token;
    for token in [good.as_str(), "", "a.b.c", tokens.refresh_token.as_str()] {
        let ask = v1::VerifyAccessTokenRequest { access_token: token.to_owned(), ..Default::default() };
        let by_grpc = grpc.verify_access_token(ask).await.unwrap().into_inner();
        let ask = json!({ "accessToken": token });
        let by_http = comparable(service.http.post("/v1/auth/verify", &[], &ask).await.json());
        let by_grpc = transcoded("VerifyAccessTokenResponse", &by_grpc);
        assert!(equal(&by_http, &by_grpc), "{by_http}\n{by_grpc}");
    }

    let of_refresh = |token: &str| json!({ "refresh_token": token, "something_newer": [1, {}] });
    let by_grpc =
        grpc.refresh(v1::RefreshRequest { refresh_token: tokens.refresh_token.clone() }).await.unwrap();
    let by_http = service.http.post("/v1/auth/refresh", &[], &of_refresh(&tokens.refresh_token)).await;
    let by_grpc = transcoded("RefreshResponse", &by_grpc.into_inner());
    for member in ["refreshToken", "refreshExpiresAt", "tokenType"] {
        assert_eq!(by_http.json()["tokens"][member], by_grpc["tokens"][member], "the identical successor");
    }
}

#[tokio::test]
async fn a_request_that_breaks_the_contract_has_the_status_that_a_gateway_gives() {
    let service = service(&[("EDGE__REFRESH_TRANSPORT", "body")]).await;
    let mut grpc = AuthServiceClient::connect(format!("http://{}", service.grpc)).await.unwrap();
    let wrong = json!({ "username": USERNAME, "password": "wrong" });
    service.http.post("/v1/auth/login", &[], &wrong).await.assert_refused(401, "INVALID_CREDENTIALS");
    let unknown = json!({ "username": "nobody", "password": "wrong" });
    service.http.post("/v1/auth/login", &[], &unknown).await.assert_refused(401, "INVALID_CREDENTIALS");

    let nothing = service.http.post("/v1/auth/login", &[], &json!({})).await;
    nothing.assert_refused(400, "INVALID_REQUEST");
    let by_grpc = grpc.login(v1::LoginRequest::default()).await.unwrap_err();
    let details = tonic_types::StatusExt::get_error_details(&by_grpc);
    let by_grpc = details.bad_request().unwrap().field_violations.iter();
    let by_grpc: Vec<_> =
        by_grpc.map(|it| json!({ "field": it.field, "description": it.description })).collect();
    assert_eq!(nothing.json()["violations"], json!(by_grpc));

    let audience = json!({ "username": USERNAME, "password": PASSWORD, "audiences": ["unheard-of"] });
    service.http.post("/v1/auth/login", &[], &audience).await.assert_refused(400, "INVALID_REQUEST");
    let negative = json!({ "accessToken": "a", "maxStaleness": "-1s" });
    service.http.post("/v1/auth/verify", &[], &negative).await.assert_refused(400, "INVALID_REQUEST");
    for body in ["[]", "null", "{", "{\"username\":1}", "\u{0}"] {
        let headers = [("content-type", "application/json")];
        let request = crate::support::http::request("POST", "/v1/auth/login", &headers, body);
        service.http.send(request).await.assert_refused(400, "INVALID_REQUEST");
    }
}

#[tokio::test]
async fn a_login_names_the_client_that_it_came_from() {
    let service = service(&[("EDGE__TRUSTED_PROXIES", "127.0.0.0/8")]).await;
    let headers = [("user-agent", "Browser/1"), ("x-forwarded-for", "198.51.100.7, 203.0.113.9")];
    let answer = service.http.post("/v1/auth/login", &headers, &credentials()).await;
    assert_eq!(answer.status, 200);
    let database = service.data.path().join("countersign.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(database);
    let mut connection = sqlx::ConnectOptions::connect(&options).await.unwrap();
    let client: String =
        sqlx::query_scalar("SELECT client FROM sessions").fetch_one(&mut connection).await.unwrap();
    assert!(client.contains("203.0.113.9") && client.contains("Browser/1"), "{client}");
}

/// What ended a session, the page of that session can say.
#[tokio::test]
async fn a_browser_is_told_what_ended_its_session() {
    let service = service(&[]).await;
    let http = service.http;
    let (ended, other) = (http.login().await, http.login().await);
    let logout =
        http.post("/v1/auth/logout", &[("cookie", &other.cookie())], &json!({ "everywhere": true })).await;
    assert_eq!(logout.status, 200, "{logout:?}");
    let refused = http.refresh(&ended.cookie()).await;
    refused.assert_refused(401, "SESSION_REVOKED");
    assert_eq!(refused.json()["cause"], "LOGGED_OUT_EVERYWHERE");
}

/// Every point in time of every answer, against the same in the usual form.
#[tokio::test]
async fn points_in_time_are_numbers_where_that_is_configured() {
    let service = service(&[("EDGE__TIMES", "epoch_millis")]).await;
    let login = service.http.login().await;
    let told = login.json();
    let millis = |value: &Value| value.as_i64().unwrap_or_else(|| panic!("{value} is no number"));
    let (created, expires) = (millis(&told["session"]["createdAt"]), millis(&told["session"]["expiresAt"]));
    let absolute = i64::try_from(Duration::from_hours(90 * 24).as_millis()).unwrap();
    assert_eq!(expires - created, absolute);
    assert!(created > 1_700_000_000_000, "milliseconds and not seconds");
    for name in ["accessExpiresAt", "refreshExpiresAt"] {
        assert!(millis(&told["tokens"][name]) > created, "{name}");
    }
    let seconds = told["tokens"]["expiresIn"].as_i64().unwrap();
    assert!((1..=300).contains(&seconds), "seconds, as ever: {seconds}");

    let access = bearer(&access_token(&login));
    let session = service.http.get("/v1/auth/session", &[("authorization", &access)]).await.json();
    assert_eq!(millis(&session["authTime"]), created / 1000 * 1000);
    assert_eq!(millis(&session["expiresAt"]), millis(&told["tokens"]["accessExpiresAt"]));
    assert!(session["issuedAt"].is_i64());
    let verify = json!({ "accessToken": access_token(&login) });
    let verified = service.http.post("/v1/auth/verify", &[], &verify).await.json();
    assert_eq!(verified["verified"]["authTime"], session["authTime"]);
    assert!(verified["revocationStaleness"].is_string(), "how long is no point in time");
    let own = service.http.get("/v1/auth/sessions", &[("cookie", &login.cookie())]).await.json();
    for name in ["createdAt", "refreshedAt", "idleExpiresAt", "expiresAt"] {
        assert!(millis(&own["sessions"][0][name]) >= created, "{name}");
    }
}
