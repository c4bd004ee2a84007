//! Forward auth: what a gateway is told, and under which names.

use std::sync::Arc;

use countersign::auth::Verification;

use crate::support::http::{access_token, alone, bearer, options, request, service};
use crate::support::stub::{Stub, session_id, user_id, verified};

#[tokio::test]
async fn a_gateway_is_told_who_it_is() {
    let service = service(&[]).await;
    let login = service.http.login().await;
    let access = bearer(&access_token(&login));
    let headers = [("authorization", access.as_str())];
    let session = &login.json()["session"];
    for method in ["GET", "POST"] {
        let answer = service.http.send(request(method, "/forward-auth?role=admin", &headers, "")).await;
        assert_eq!((answer.status.as_u16(), answer.body.len()), (200, 0), "{answer:?}");
        assert_eq!(answer.header("x-auth-subject"), session["subject"]);
        assert_eq!(answer.header("x-auth-session"), session["id"]);
        assert_eq!(answer.header("x-auth-username"), "ada");
        assert_eq!(answer.header("x-auth-roles"), "admin,ops");
    }
    for (query, status, reason) in [
        ("role=admin&role=ops&audience=countersign", 200, ""),
        ("role=admin&role=root", 403, "ROLE_REQUIRED"),
        ("audience=orders", 401, "ACCESS_TOKEN_INVALID"),
        ("audience=orders&audience=countersign", 200, ""),
        ("roles=root", 400, "INVALID_REQUEST"),
        ("role=", 400, "INVALID_REQUEST"),
    ] {
        let answer = service.http.get(&format!("/forward-auth?{query}"), &headers).await;
        assert_eq!(answer.status.as_u16(), status, "{query}");
        if status != 200 {
            answer.assert_refused(status, reason);
            assert_eq!(answer.header("x-auth-subject"), "");
        }
    }
    let forbidden = service.http.get("/forward-auth?role=root", &headers).await;
    assert!(forbidden.header("www-authenticate").contains("insufficient_scope"));

    let nobody = service.http.get("/forward-auth", &[]).await;
    nobody.assert_refused(401, "TOKEN_MISSING");
    assert_eq!(nobody.header("www-authenticate"), "Bearer realm=\"countersign\"");

    // A browser's page that is let through by the gateway is of any site.
    let cross = [("authorization", access.as_str()), ("sec-fetch-site", "cross-site")];
    assert_eq!(service.http.send(request("POST", "/forward-auth", &cross, "")).await.status, 200);

    service.http.post("/v1/auth/logout", &headers, &serde_json::json!({})).await;
    service.http.get("/forward-auth", &headers).await.assert_refused(401, "SESSION_REVOKED");
}

#[tokio::test]
async fn every_identity_header_is_there_and_none_is_ambiguous() {
    let mut token = Arc::unwrap_or_clone(verified());
    token.username = "李, \"x\"; 50%".to_owned();
    token.roles = Vec::new();
    let edge = alone(Arc::new(Stub::verifying(Verification::Verified(Arc::new(token)))), options()).await;
    let answer = edge.http.get("/forward-auth", &[("authorization", "Bearer a")]).await;
    assert_eq!(answer.header("x-auth-username"), "%E6%9D%8E%2C%20%22x%22%3B%2050%25");
    assert_eq!(answer.header("x-auth-subject"), user_id().to_string());
    assert_eq!(answer.header("x-auth-session"), session_id().to_string());
    assert!(answer.headers.contains_key("x-auth-roles"), "an empty one overwrites, too");
    assert_eq!(answer.header("x-auth-token-id"), "jti-1");
    assert_eq!(answer.header("x-auth-expires"), "400");
    assert!(
        !answer.headers.contains_key("x-auth-external-id"),
        "who has none is not said to have an empty one"
    );

    let mut token = Arc::unwrap_or_clone(verified());
    token.external_id = Some("4 2,é".to_owned());
    let edge = alone(Arc::new(Stub::verifying(Verification::Verified(Arc::new(token)))), options()).await;
    let answer = edge.http.get("/forward-auth", &[("authorization", "Bearer a")]).await;
    assert_eq!(answer.header("x-auth-external-id"), "4%202%2C%C3%A9");
}
