//! What the edge reads from the head of a request: cookies, the client's address, origins, media types. Each is read
//! from the bytes of the header fields, and what is ambiguous is refused.

use std::sync::Arc;

use countersign::auth::Verification;
use countersign::grpc::proto::v1;
use countersign::grpc::proto::v1::auth_service_client::AuthServiceClient;
use countersign::grpc::{GrpcOptions, Health};
use countersign::http::HttpOptions;
use countersign::transport::TrustedProxies;
use http::header::{CONTENT_TYPE, COOKIE};
use http::{HeaderValue, Request};
use http_body_util::Full;
use hyper::body::Bytes;
use serde_json::json;
use tonic::metadata::MetadataValue;

use crate::support::grpc;
use crate::support::http::{
    Answer, Http, PASSWORD, Service, USERNAME, access_token, alone, bearer, credentials, options, request,
    service,
};
use crate::support::process::Dev;
use crate::support::stub::{Stub, verified};

/// A request whose header values are bytes, for what is not ASCII.
fn raw(method: &str, path: &str, headers: &[(&str, &[u8])], body: &str) -> Request<Full<Bytes>> {
    let mut request = request(method, path, &[], body);
    for (name, value) in headers {
        let name = http::HeaderName::from_bytes(name.as_bytes()).unwrap();
        request.headers_mut().append(name, HeaderValue::from_bytes(value).unwrap());
    }
    request
}

/// Posts an empty message with these cookie lines.
async fn with_cookies(http: Http, path: &str, lines: &[Vec<u8>]) -> Answer {
    let mut headers: Vec<(&str, &[u8])> = vec![(CONTENT_TYPE.as_str(), b"application/json")];
    headers.extend(lines.iter().map(|line| (COOKIE.as_str(), line.as_slice())));
    http.send(raw("POST", path, &headers, "{}")).await
}

/// How the session of a login stands, by its access token.
async fn session(service: &Service, login: &Answer) -> u16 {
    let access = bearer(&access_token(login));
    service.http.get("/v1/auth/session", &[("authorization", &access)]).await.status.as_u16()
}

/// Header lines with our cookie and another.
type Lines = fn(&[u8], &[u8]) -> Vec<Vec<u8>>;

#[tokio::test]
async fn a_foreign_cookie_of_any_bytes_hides_no_other_cookie() {
    let service = service(&[("THROTTLE__ENABLED", "false")]).await;
    let foreign: [&[u8]; 5] =
        [b"city=\xE5\x8C\x97\xE4\xBA\xAC", b"\xFF", b"a=\xC3(", b"=; ;;", b"\"q=\\\"; x=\xFE"];
    for odd in foreign {
        let orders: [Lines; 4] = [
            |ours, odd| vec![[ours, b"; ", odd].concat()],
            |ours, odd| vec![[odd, b"; ", ours].concat()],
            |ours, odd| vec![odd.to_vec(), ours.to_vec()],
            |ours, odd| vec![ours.to_vec(), odd.to_vec()],
        ];
        for lines in orders {
            let login = service.http.login().await;
            let refreshed =
                with_cookies(service.http, "/v1/auth/refresh", &lines(login.cookie().as_bytes(), odd)).await;
            assert_eq!(refreshed.status, 200, "{}: {refreshed:?}", odd.escape_ascii());
            let ours = refreshed.cookie();
            let logout = with_cookies(service.http, "/v1/auth/logout", &lines(ours.as_bytes(), odd)).await;
            assert_eq!(logout.status, 200, "{}: {logout:?}", odd.escape_ascii());
            assert_eq!(
                session(&service, &refreshed).await,
                401,
                "{}: the session has ended",
                odd.escape_ascii()
            );
        }
    }
}

#[tokio::test]
async fn two_refresh_cookies_are_refused_and_never_acknowledged_as_a_logout() {
    let service = service(&[]).await;
    let login = service.http.login().await;
    let ours = login.cookie();
    let name = ours.split('=').next().unwrap();
    let lines: [Vec<Vec<u8>>; 5] = [
        vec![format!("{name}=xyz; {ours}").into_bytes()],
        vec![format!("{ours}; {name}=xyz").into_bytes()],
        vec![format!("{ours}; {ours}").into_bytes()],
        vec![ours.clone().into_bytes(), format!("{name}=xyz").into_bytes()],
        vec![[name.as_bytes(), b"=\xFF; ", ours.as_bytes()].concat()],
    ];
    for lines in &lines {
        for path in ["/v1/auth/refresh", "/v1/auth/logout"] {
            let answer = with_cookies(service.http, path, lines).await;
            answer.assert_refused(400, "INVALID_REQUEST");
            let description = answer.json()["violations"][0]["description"].as_str().unwrap().to_owned();
            assert!(description.contains(name) && !description.contains("xyz"), "{description}");
            assert!(answer.cookies().is_empty(), "no cookie is touched: {answer:?}");
        }
    }
    assert_eq!(session(&service, &login).await, 200, "nothing has ended");
    // A cookie of the name without a value says nothing, and is no second one.
    let empty = [format!("{name}=; {ours}").into_bytes()];
    assert_eq!(with_cookies(service.http, "/v1/auth/logout", &empty).await.status, 200);
    assert_eq!(session(&service, &login).await, 401);
}

/// Logs in with these `X-Forwarded-For` lines, and returns the address that the session was stored with.
async fn address_of_a_login(service: &Service, forwarded: &[&[u8]]) -> String {
    let mut headers: Vec<(&str, &[u8])> = vec![("content-type", b"application/json")];
    headers.extend(forwarded.iter().map(|line| ("x-forwarded-for", *line)));
    let login = raw("POST", "/v1/auth/login", &headers, &credentials().to_string());
    let answer = service.http.send(login).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let database = service.data.path().join("countersign.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(database);
    let mut connection = sqlx::ConnectOptions::connect(&options).await.unwrap();
    let client: String =
        sqlx::query_scalar("SELECT client FROM sessions").fetch_one(&mut connection).await.unwrap();
    sqlx::query("DELETE FROM sessions").execute(&mut connection).await.unwrap();
    let client: serde_json::Value = serde_json::from_str(&client).unwrap();
    client["address"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_hop_that_a_trusted_proxy_saw_counts_whatever_its_client_wrote_before() {
    let service = service(&[("EDGE__TRUSTED_PROXIES", "127.0.0.0/8"), ("THROTTLE__ENABLED", "false")]).await;
    for (forwarded, expected) in [
        (&[b"\xE9, 203.0.113.9".as_slice()][..], "203.0.113.9"),
        (&[b"\xE9", b"203.0.113.9"], "203.0.113.9"),
        (&[b"203.0.113.9", b"198.51.100.7"], "198.51.100.7"),
        (&[b"\xE9, 203.0.113.9, 127.0.0.7"], "203.0.113.9"),
        (&[b"::ffff:203.0.113.9"], "203.0.113.9"),
        (&[b"203.0.113.9, \xE9"], "127.0.0.1"),
    ] {
        assert_eq!(address_of_a_login(&service, forwarded).await, expected, "{forwarded:?}");
    }
}

#[tokio::test]
async fn a_call_over_grpc_comes_from_the_client_that_the_proxy_saw() {
    let stub = Arc::new(Stub::default());
    let trusted_proxies = TrustedProxies::new(vec![("127.0.0.0".parse().unwrap(), 8)]);
    let options = GrpcOptions { trusted_proxies, ..grpc::options() };
    let wire = grpc::serve_shared(stub.clone(), &Health::new().await, options).await;
    let mut client = AuthServiceClient::with_origin(wire.clone(), wire.origin.clone());
    for forwarded in [b"\xE9, 203.0.113.9".as_slice(), b"::ffff:203.0.113.9", b"x, 203.0.113.9:80, 127.0.0.5"]
    {
        let mut login = tonic::Request::new(v1::LoginRequest {
            username: USERNAME.to_owned(),
            password: PASSWORD.to_owned(),
            ..Default::default()
        });
        let forwarded_for = MetadataValue::try_from(forwarded).unwrap();
        login.metadata_mut().insert("x-forwarded-for", forwarded_for);
        client.login(login).await.unwrap();
        let peer = stub.contexts.lock().unwrap().last().unwrap().peer;
        assert_eq!(peer, Some("203.0.113.9".parse().unwrap()), "{}", forwarded.escape_ascii());
    }
}

#[tokio::test]
async fn a_proxy_that_is_named_by_its_mapped_address_is_trusted() {
    for network in ["::ffff:127.0.0.1", "::ffff:127.0.0.0/104", "::ffff:7f00:0/104", "127.0.0.0/8"] {
        let service = service(&[("EDGE__TRUSTED_PROXIES", network)]).await;
        let address = address_of_a_login(&service, &[b"203.0.113.9"]).await;
        assert_eq!(address, "203.0.113.9", "{network}");
    }
    let of_the_other_family = service(&[("EDGE__TRUSTED_PROXIES", "::/0")]).await;
    assert_eq!(address_of_a_login(&of_the_other_family, &[b"203.0.113.9"]).await, "127.0.0.1");
}

#[tokio::test]
async fn an_origin_is_compared_as_an_origin_and_not_as_text() {
    let edge = alone(Arc::new(Stub::default()), options()).await;
    for (host, origin, expected) in [
        ("auth.example:443", "https://auth.example", 200),
        ("auth.example", "https://auth.example:443", 200),
        ("auth.example:80", "http://auth.example", 200),
        ("auth.example", "http://auth.example:80", 200),
        ("AUTH.example", "https://auth.EXAMPLE", 200),
        ("auth.example:", "https://auth.example", 200),
        ("[::1]:8080", "http://[::1]:8080", 200),
        ("[::1]", "http://[0:0:0:0:0:0:0:1]", 200),
        ("[2001:DB8::1]:443", "https://[2001:db8::1]", 200),
        ("auth.example:8443", "https://auth.example", 403),
        ("auth.example:80", "https://auth.example", 403),
        ("auth.example:443", "http://auth.example", 403),
        ("auth.example", "https://auth.example.evil.example", 403),
        ("auth.example", "https://auth.example@evil.example", 403),
        ("auth.example", "https://auth.example/", 403),
        ("auth.example", "https://auth.example https://evil.example", 403),
        ("auth.example", "ftp://auth.example", 403),
        ("auth.example", "null", 403),
        ("null", "null", 403),
        ("auth.example", "", 403),
    ] {
        let headers = [("host", host), ("origin", origin)];
        let answer = edge.http.post("/v1/auth/refresh", &headers, &json!({ "refreshToken": "r" })).await;
        assert_eq!(answer.status.as_u16(), expected, "{host} {origin}: {answer:?}");
        if expected == 403 {
            answer.assert_refused(403, "CROSS_SITE_REQUEST");
        }
    }
    // Over HTTPS, a page that came over plain HTTP is of another origin.
    let insecure =
        [("host", "auth.example"), ("origin", "http://auth.example"), ("x-forwarded-proto", "https, http")];
    let answer = edge.http.post("/v1/auth/refresh", &insecure, &json!({ "refreshToken": "r" })).await;
    answer.assert_refused(403, "CROSS_SITE_REQUEST");
}

#[tokio::test]
async fn forward_auth_answers_every_method_as_it_answers_get() {
    const APP: &str = "https://app.example";
    let allowed = HttpOptions { allowed_origins: vec![APP.to_owned()], ..options() };
    let stub = Stub::verifying(Verification::Verified(verified()));
    let edge = alone(Arc::new(stub), allowed).await;
    for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "X-odd"] {
        let preflight = [("origin", APP), ("access-control-request-method", "PUT")];
        for headers in [&[][..], &preflight] {
            let answer = edge.http.send(request(method, "/forward-auth", headers, "")).await;
            assert_eq!(answer.status.as_u16(), 401, "{method} without a token: {answer:?}");
            assert_eq!(answer.header("access-control-allow-methods"), "", "{method} is no preflight here");
            let headers = [&[("authorization", "Bearer a")], headers].concat();
            let answer = edge.http.send(request(method, "/forward-auth", &headers, "")).await;
            assert_eq!(answer.status.as_u16(), 200, "{method} with a good token: {answer:?}");
            assert_eq!(answer.header("x-auth-username"), "ada", "{method}");
            let wrong = edge.http.send(request(method, "/forward-auth?role=root", &headers, "")).await;
            assert_eq!(wrong.status.as_u16(), 403, "{method} without the role");
        }
    }
}

#[tokio::test]
async fn a_request_without_a_body_needs_no_content_type() {
    let service = service(&[]).await;
    let login = service.http.login().await;
    let cookie = login.cookie();
    let refreshed = service.http.send(request("POST", "/v1/auth/refresh", &[("cookie", &cookie)], "")).await;
    assert_eq!(refreshed.status, 200, "{refreshed:?}");
    let none = service.http.send(request("POST", "/v1/auth/refresh", &[], "")).await;
    none.assert_refused(401, "TOKEN_MISSING");
    for content_type in [
        "application/json; charset=utf8",
        "application/json;charset=UTF8",
        "Application/Json; charset=\"utf-8\"",
    ] {
        let headers = [("content-type", content_type), ("cookie", cookie.as_str())];
        let answer = service.http.send(request("POST", "/v1/auth/refresh", &headers, "{}")).await;
        assert_eq!(answer.status, 200, "{content_type}: {answer:?}");
    }
    for headers in [
        &[][..],
        &[("content-type", "text/plain")],
        &[("content-type", "application/json; charset=gbk")],
        &[("content-type", "application/json"), ("content-type", "application/json")],
    ] {
        let answer = service.http.send(request("POST", "/v1/auth/refresh", headers, "{}")).await;
        answer.assert_refused(415, "UNSUPPORTED_MEDIA_TYPE");
        let violation = &answer.json()["violations"][0];
        assert_eq!(violation["field"], "Content-Type", "{answer:?}");
        assert!(violation["description"].as_str().unwrap().contains("application/json"), "{answer:?}");
    }
    let logout = service.http.send(request("POST", "/v1/auth/logout", &[("cookie", &cookie)], "")).await;
    assert_eq!(logout.status, 200, "{logout:?}");
    assert_eq!(session(&service, &login).await, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_origin_that_may_not_call_is_logged_once_with_the_setting_that_is_missing() {
    let data = tempfile::tempdir().unwrap();
    let dev = tokio::task::block_in_place(|| Dev::start(data.path()));
    let edge = Http(dev.http);
    let preflight = |origin: &'static str| {
        [("origin", origin), ("access-control-request-method", "POST"), ("sec-fetch-site", "cross-site")]
    };
    for _ in 0..3 {
        for origin in ["https://app.example", "https://other.example"] {
            edge.send(request("OPTIONS", "/v1/auth/login", &preflight(origin), "")).await;
            let headers = [("origin", origin), ("sec-fetch-site", "cross-site")];
            edge.post("/v1/auth/refresh", &headers, &json!({}))
                .await
                .assert_refused(403, "CROSS_SITE_REQUEST");
        }
        // The gateway's client, and the edge's own page, are no such pages.
        edge.get("/forward-auth", &[("origin", "https://shop.example")]).await;
        let own = format!("http://{}", dev.http);
        edge.post("/v1/auth/refresh", &[("origin", &own)], &json!({})).await;
    }
    let log = dev.log();
    for origin in ["https://app.example", "https://other.example"] {
        let lines: Vec<_> = log.lines().filter(|line| line.contains(origin)).collect();
        assert_eq!(lines.len(), 1, "{origin}: {log}");
        assert!(lines[0].contains("edge.allowed_origins") && lines[0].contains("WARN"), "{}", lines[0]);
    }
    assert_eq!(log.matches("does not name it").count(), 2, "{log}");
}

#[tokio::test]
async fn one_odd_line_of_a_header_hides_no_other() {
    let edge = alone(Arc::new(Stub::default()), options()).await;
    let languages: [&[(&str, &[u8])]; 3] = [
        &[("accept-language", b"x-\xFF, zh-CN")],
        &[("accept-language", b"\xFF"), ("accept-language", b"zh-CN")],
        &[("accept-language", b"en;q=0.1"), ("accept-language", b"zh-CN;q=0.9")],
    ];
    for headers in languages {
        let answer = edge.http.send(raw("GET", "/v1/auth/session", headers, "")).await;
        assert_eq!(answer.header("content-language"), "zh-CN", "{headers:?}");
    }
    let known = edge.http.get("/.well-known/jwks.json", &[]).await;
    let tag = known.header("etag").to_owned();
    let headers: [(&str, &[u8]); 1] = [("if-none-match", &[b"\"\xFF\", ", tag.as_bytes()].concat())];
    let answer = edge.http.send(raw("GET", "/.well-known/jwks.json", &headers, "")).await;
    assert_eq!(answer.status, 304, "{answer:?}");
    // Prometheus' wish, with a line that is no text before it.
    let service = service(&[]).await;
    let headers: [(&str, &[u8]); 2] =
        [("accept", b"text/x-\xFF"), ("accept", b"application/openmetrics-text;version=1.0.0")];
    let scrape = service.operations.send(raw("GET", "/metrics", &headers, "")).await;
    assert!(scrape.header("content-type").starts_with("application/openmetrics-text"), "{scrape:?}");
    let merged = [("authorization", "Bearer a,Bearer b")];
    edge.http.get("/v1/auth/session", &merged).await.assert_refused(400, "INVALID_REQUEST");
}
