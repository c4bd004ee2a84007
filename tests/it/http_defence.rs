//! What keeps other sites out: Fetch Metadata, origins, CORS, the double-submit token, and headers.

use std::sync::Arc;

use countersign::http::{HttpOptions, Pages, RefreshTransport};
use serde_json::json;

use crate::support::http::{Answer, Http, alone, credentials, options, request};
use crate::support::stub::Stub;

const APP: &str = "https://app.example";

fn for_app() -> HttpOptions {
    HttpOptions { allowed_origins: vec![APP.to_owned()], ..options() }
}

#[tokio::test]
async fn a_page_of_another_site_writes_nothing_and_reads_nothing() {
    let stub = Arc::new(Stub::default());
    let edge = alone(stub.clone(), for_app()).await;
    let own = format!("http://{}", edge.http.0);
    let cases: &[(&[(&str, &str)], u16)] = &[
        (&[], 200),
        (&[("sec-fetch-site", "same-origin")], 200),
        (&[("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")], 403),
        (&[("sec-fetch-site", "same-site"), ("origin", "https://www.app.example")], 403),
        (&[("sec-fetch-site", "cross-site"), ("origin", "null")], 403),
        (&[("sec-fetch-site", "cross-site"), ("origin", &own)], 403),
        (&[("sec-fetch-site", "cross-site"), ("origin", APP)], 200),
        (&[("origin", "https://evil.example")], 403),
        (&[("origin", "null")], 403),
        (&[("origin", &own)], 200),
        (&[("origin", APP)], 200),
    ];
    let writes = [
        ("/v1/auth/login", credentials()),
        ("/v1/auth/refresh", json!({ "refreshToken": "r" })),
        ("/v1/auth/logout", json!({ "refreshToken": "r" })),
        ("/v1/auth/verify", json!({ "accessToken": "a" })),
    ];
    for (headers, expected) in cases {
        for (path, body) in &writes {
            let before = stub.contexts.lock().unwrap().len();
            let answer = edge.http.post(path, headers, body).await;
            assert_eq!(answer.status.as_u16(), *expected, "{path} {headers:?}");
            if *expected == 403 {
                answer.assert_refused(403, "CROSS_SITE_REQUEST");
                assert_eq!(stub.contexts.lock().unwrap().len(), before, "nothing was done");
                assert_eq!(answer.header("access-control-allow-origin"), "");
            }
        }
    }
}

/// What a browser does before it lets a page of another origin send JSON.
async fn preflight(http: Http, origin: &str, method: &str) -> Answer {
    let headers = [
        ("origin", origin),
        ("access-control-request-method", method),
        ("access-control-request-headers", "authorization,content-type,x-csrf-token"),
    ];
    http.send(request("OPTIONS", "/v1/auth/refresh", &headers, "")).await
}

#[tokio::test]
async fn only_configured_origins_are_let_in_and_only_exactly() {
    let edge = alone(Arc::new(Stub::default()), for_app()).await;
    let allowed = preflight(edge.http, APP, "POST").await;
    assert_eq!(allowed.header("access-control-allow-origin"), APP);
    assert_eq!(allowed.header("access-control-allow-credentials"), "true");
    assert!(allowed.header("access-control-allow-headers").contains("x-csrf-token"));
    for origin in [
        "https://app.example:444",
        "http://app.example",
        "https://app.example.evil.example",
        "null",
        "https://evil.example",
    ] {
        let refused = preflight(edge.http, origin, "POST").await;
        assert_eq!(refused.header("access-control-allow-origin"), "", "{origin}");
        let answer = edge.http.get("/v1/auth/session", &[("origin", origin)]).await;
        assert_eq!(answer.header("access-control-allow-origin"), "", "{origin}");
        assert!(answer.header("vary").to_lowercase().contains("origin"), "{answer:?}");
    }
    let answer = edge.http.get("/v1/auth/session", &[("origin", APP)]).await;
    answer.assert_refused(401, "TOKEN_MISSING");
    assert_eq!(answer.header("access-control-allow-origin"), APP, "a failure can be read, too");
    let exposed = answer.header("access-control-expose-headers").to_lowercase();
    for name in ["retry-after", "www-authenticate", "x-request-id"] {
        assert!(exposed.contains(name), "{exposed}");
    }
    let without = edge.http.get("/v1/auth/session", &[]).await;
    assert!(without.header("vary").to_lowercase().contains("origin"), "no cache takes it for everybody's");
}

#[tokio::test]
async fn a_cookie_alone_does_nothing_where_the_double_submit_token_is_asked_for() {
    let edge = alone(Arc::new(Stub::default()), HttpOptions { csrf: true, ..for_app() }).await;
    let login = edge.http.login().await;
    let [refresh, csrf] = login.cookies()[..] else { panic!("{login:?}") };
    assert!(csrf.starts_with("__Host-countersign_csrf=") && !csrf.contains("HttpOnly"), "{csrf}");
    assert!(csrf.contains("Path=/; SameSite=Strict; Secure"), "{csrf}");
    let pair = |set: &str| set.split(';').next().unwrap().to_owned();
    let (refresh, csrf) = (pair(refresh), pair(csrf));
    let token = login.header("x-csrf-token").to_owned();
    assert_eq!(csrf, format!("__Host-countersign_csrf={token}"));
    let both = format!("{refresh}; {csrf}");
    let other = "0".repeat(32);

    for path in ["/v1/auth/refresh", "/v1/auth/logout"] {
        for (cookie, header) in [(&both, ""), (&both, &*other), (&refresh, &*token), (&refresh, "")] {
            let mut headers = vec![("cookie", cookie.as_str())];
            if !header.is_empty() {
                headers.push(("x-csrf-token", header));
            }
            let answer = edge.http.post(path, &headers, &json!({})).await;
            answer.assert_refused(403, "CSRF_TOKEN_MISMATCH");
        }
        let headers = [("cookie", both.as_str()), ("x-csrf-token", &token)];
        assert_eq!(edge.http.post(path, &headers, &json!({})).await.status, 200, "{path}");
        // Nobody's browser attaches a bearer token by itself.
        let answer = edge.http.post(path, &[("authorization", "Bearer csgn_rt_x")], &json!({})).await;
        assert_eq!(answer.status, 200, "{path}");
    }

    let fetched = edge.http.get("/v1/auth/csrf", &[("origin", APP), ("cookie", &csrf)]).await;
    assert_eq!(fetched.json()["csrfToken"], token, "the one that the browser has");
    let fresh = edge.http.get("/v1/auth/csrf", &[("cookie", "__Host-countersign_csrf=planted")]).await;
    assert_eq!(fresh.json()["csrfToken"].as_str().unwrap().len(), 32);
    assert!(fresh.cookie().contains(fresh.json()["csrfToken"].as_str().unwrap()));
}

#[tokio::test]
async fn every_answer_is_hardened() {
    let pages =
        Pages::new().route("/page", axum::routing::get(async || axum::response::Html("<p>hello</p>")));
    let edge = alone(Arc::new(Stub::default()), HttpOptions { pages, ..options() }).await;
    let https = [("x-forwarded-proto", "https")];
    for path in ["/v1/auth/session", "/nothing", "/openapi.json", "/page", "/.well-known/jwks.json"] {
        let answer = edge.http.get(path, &https).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
        assert!(answer.header("content-security-policy").starts_with("default-src 'none'"), "{path}");
        assert_eq!(answer.header("strict-transport-security"), "max-age=31536000", "{path}");
        assert!(!answer.header("x-request-id").is_empty(), "{path}");
        let cached = path == "/.well-known/jwks.json";
        assert_eq!(answer.header("cache-control") == "no-store", !cached, "{path}");
        let plain = edge.http.get(path, &[]).await;
        assert_eq!(plain.header("strict-transport-security"), "", "never over plain HTTP");
    }
    let page = edge.http.get("/page", &[]).await;
    let policy = page.header("content-security-policy");
    assert!(policy.contains("script-src 'self'") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");

    let never = HttpOptions { hsts: std::time::Duration::ZERO, ..options() };
    let edge = alone(Arc::new(Stub::default()), never).await;
    assert_eq!(edge.http.get("/nothing", &https).await.header("strict-transport-security"), "");
}

#[tokio::test]
async fn with_tokens_in_bodies_no_cookie_is_looked_at_or_set() {
    let options = HttpOptions { refresh_transport: RefreshTransport::Body, ..options() };
    let edge = alone(Arc::new(Stub::default()), options).await;
    let cookie = [("cookie", "__Secure-countersign_refresh=r")];
    edge.http.post("/v1/auth/refresh", &cookie, &json!({})).await.assert_refused(400, "INVALID_REQUEST");
    let answer = edge.http.post("/v1/auth/logout", &cookie, &json!({ "refreshToken": "r" })).await;
    assert!(answer.cookies().is_empty(), "{answer:?}");
}
