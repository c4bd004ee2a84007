//! A user's own sessions and password at the HTTP edge.

use serde_json::{Value, json};

use crate::support::http::{Answer, PASSWORD, Service, access_token, bearer, credentials, request, service};

const OTHER: &str = "another horse battery";

async fn verifies(service: &Service, login: &Answer) -> bool {
    let token = bearer(&access_token(login));
    service.http.get("/v1/auth/session", &[("authorization", &token)]).await.status == 200
}

async fn delete(service: &Service, what: &str, headers: &[(&str, &str)]) -> Answer {
    use http_body_util::Full;
    let mut sent = request("DELETE", &format!("/v1/auth/sessions/{what}"), headers, "");
    *sent.body_mut() = Full::default();
    service.http.send(sent).await
}

fn change(current: &str, new: &str) -> Value {
    json!({ "currentPassword": current, "newPassword": new })
}

#[tokio::test]
async fn the_class_of_a_client_is_taken_and_shown() {
    let service = service(&[("SESSIONS__LIMITS", "mobile=1")]).await;
    let mut ask = credentials();
    ask["client"] = json!({ "class": "mobile" });
    let first = service.http.post("/v1/auth/login", &[], &ask).await;
    let second = service.http.post("/v1/auth/login", &[], &ask).await;
    let listed = service.http.get("/v1/auth/sessions", &[("cookie", &second.cookie())]).await.json();
    assert_eq!(listed["sessions"].as_array().unwrap().len(), 1);
    assert_eq!(listed["sessions"][0]["client"]["class"], "mobile");
    let kicked = service.http.post("/v1/auth/refresh", &[("cookie", &first.cookie())], &json!({})).await;
    kicked.assert_refused(401, "SESSION_REVOKED");
    assert_eq!(kicked.json()["cause"], "SIGNED_IN_ELSEWHERE");
    ask["client"]["class"] = "tablet".into();
    let unknown = service.http.post("/v1/auth/login", &[], &ask).await;
    unknown.assert_refused(400, "INVALID_REQUEST");
    assert_eq!(unknown.json()["violations"][0]["field"], "client.class");
}

#[tokio::test]
async fn the_page_of_a_user_lists_their_sessions_and_ends_some() {
    let service = service(&[]).await;
    let (here, elsewhere, third) =
        (service.http.login().await, service.http.login().await, service.http.login().await);
    let cookie = here.cookie();
    let listed = service.http.get("/v1/auth/sessions", &[("cookie", &cookie)]).await;
    assert_eq!(listed.status, 200, "{listed:?}");
    assert_eq!(listed.header("cache-control"), "no-store");
    let told = listed.json();
    assert_eq!(told["currentSessionId"], here.json()["session"]["id"]);
    let sessions = told["sessions"].as_array().unwrap();
    assert_eq!(sessions.len(), 3);
    assert_eq!(sessions[0]["client"]["address"], "127.0.0.1");
    assert!(sessions[0]["createdAt"].is_string() && sessions[0]["refreshedAt"].is_string());

    let other = elsewhere.json()["session"]["id"].as_str().unwrap().to_owned();
    let ended = delete(&service, &other, &[("cookie", &cookie)]).await;
    assert_eq!((ended.status.as_u16(), ended.changed()), (200, json!({ "revoked": 1 })));
    assert_eq!(delete(&service, &other, &[("cookie", &cookie)]).await.changed(), json!({}), "none is left");
    assert!(!verifies(&service, &elsewhere).await);
    assert!(verifies(&service, &third).await);
    let others = delete(&service, "others", &[("cookie", &cookie)]).await;
    assert_eq!(others.changed(), json!({ "revoked": 1 }));
    assert!(!verifies(&service, &third).await);
    assert!(verifies(&service, &here).await);
    let of_the_ended = service.http.get("/v1/auth/sessions", &[("cookie", &third.cookie())]).await;
    of_the_ended.assert_refused(401, "SESSION_REVOKED");

    for what in ["x", "AAAAAAAAAAAAAAAAAAAAA", "OTHERS"] {
        delete(&service, what, &[("cookie", &cookie)]).await.assert_refused(400, "INVALID_REQUEST");
    }
    service.http.get("/v1/auth/sessions", &[]).await.assert_refused(401, "TOKEN_MISSING");
    delete(&service, "others", &[]).await.assert_refused(401, "TOKEN_MISSING");
    let access = bearer(&access_token(&here));
    let by_access = service.http.get("/v1/auth/sessions", &[("authorization", &access)]).await;
    by_access.assert_refused(401, "REFRESH_TOKEN_INVALID");
    let foreign = [("cookie", cookie.as_str()), ("origin", "https://evil.example")];
    delete(&service, "others", &foreign).await.assert_refused(403, "CROSS_SITE_REQUEST");
    let foreign = service.http.post("/v1/auth/password", &foreign, &change(PASSWORD, OTHER)).await;
    foreign.assert_refused(403, "CROSS_SITE_REQUEST");
}

#[tokio::test]
async fn a_change_of_the_password_gives_the_browser_another_cookie_and_ends_every_session() {
    let service = service(&[("EDGE__CSRF", "true")]).await;
    let (here, elsewhere) = (service.http.login().await, service.http.login().await);
    let pair = |cookie: &str| cookie.split(';').next().unwrap().to_owned();
    let cookies = here.cookies().iter().map(|cookie| pair(cookie)).collect::<Vec<_>>().join("; ");
    let by_cookie = [("cookie", cookies.as_str())];
    let body = change(PASSWORD, OTHER);
    service
        .http
        .post("/v1/auth/password", &by_cookie, &body)
        .await
        .assert_refused(403, "CSRF_TOKEN_MISMATCH");
    delete(&service, "others", &by_cookie).await.assert_refused(403, "CSRF_TOKEN_MISMATCH");

    let headers = [("cookie", cookies.as_str()), ("x-csrf-token", here.header("x-csrf-token"))];
    let wrong = service.http.post("/v1/auth/password", &headers, &change("a guess", OTHER)).await;
    wrong.assert_refused(401, "INVALID_CREDENTIALS");
    let weak = service.http.post("/v1/auth/password", &headers, &change(PASSWORD, "short")).await;
    weak.assert_refused(400, "PASSWORD_REJECTED");
    assert!(weak.cookies().is_empty(), "{weak:?}");

    let changed = service.http.post("/v1/auth/password", &headers, &body).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    assert!(changed.json()["tokens"]["refreshToken"].is_null(), "it is in the cookie");
    let cookie = pair(changed.cookies()[0]);
    assert!(cookie.contains("csgn_rt_"), "{cookie}");
    for old in [&here, &elsewhere] {
        assert!(!verifies(&service, old).await);
    }
    assert!(verifies(&service, &changed).await);
    let fresh = changed.cookies().iter().map(|cookie| pair(cookie)).collect::<Vec<_>>().join("; ");
    let headers = [("cookie", fresh.as_str()), ("x-csrf-token", changed.header("x-csrf-token"))];
    let next = service.http.post("/v1/auth/refresh", &headers, &json!({})).await;
    assert_eq!(next.status, 200, "{next:?}");
    let old = service.http.post("/v1/auth/login", &[], &credentials()).await;
    old.assert_refused(401, "INVALID_CREDENTIALS");
}

#[tokio::test]
async fn tokens_in_bodies_do_as_well() {
    let service = service(&[("EDGE__REFRESH_TRANSPORT", "body")]).await;
    let here = service.http.login().await;
    let token = here.json()["tokens"]["refreshToken"].as_str().unwrap().to_owned();
    let authorization = bearer(&token);
    let by_bearer = [("authorization", authorization.as_str())];
    let listed = service.http.get("/v1/auth/sessions", &by_bearer).await;
    assert_eq!(listed.json()["sessions"].as_array().unwrap().len(), 1);
    service.http.get("/v1/auth/sessions", &[]).await.assert_refused(401, "TOKEN_MISSING");
    let mut body = change(PASSWORD, OTHER);
    service.http.post("/v1/auth/password", &[], &body).await.assert_refused(400, "INVALID_REQUEST");
    body["refreshToken"] = token.into();
    let changed = service.http.post("/v1/auth/password", &[], &body).await;
    assert!(changed.json()["tokens"]["refreshToken"].as_str().unwrap().starts_with("csgn_rt_"));
    let next = bearer(changed.json()["tokens"]["refreshToken"].as_str().unwrap());
    let others = delete(&service, "others", &[("authorization", &next)]).await;
    assert_eq!((others.status.as_u16(), others.changed()), (200, json!({})));
}

#[tokio::test]
async fn a_reset_needs_no_session() {
    let service = service(&[]).await;
    let body = json!({ "resetToken": "csgn_pr_nonsense", "newPassword": OTHER });
    let refused = service.http.post("/v1/auth/password/reset", &[], &body).await;
    refused.assert_refused(401, "RESET_TOKEN_INVALID");
    let body = json!({ "resetToken": "csgn_pr_nonsense" });
    let refused = service.http.post("/v1/auth/password/reset", &[], &body).await;
    refused.assert_refused(400, "INVALID_REQUEST");
}
