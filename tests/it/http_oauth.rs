//! What OAuth tools ask: the key set, introspection, revocation.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::http::{PASSWORD, Service, USERNAME, access_token, bearer, service};
use crate::support::tool;

/// Node's cryptography is OpenSSL's, and nothing in it is shared with ours.
const VERIFIER: &str = r#"
const { createPublicKey, verify } = require("node:crypto");
const [jwks, token] = process.argv.slice(1);
const [header, claims, signature] = token.split(".");
const read = (part) => JSON.parse(Buffer.from(part, "base64url"));
const { alg, kid } = read(header);
const jwk = JSON.parse(jwks).keys.find((key) => key.kid === kid && key.alg === alg && key.use === "sig");
const key = { key: createPublicKey({ key: jwk, format: "jwk" }), dsaEncoding: "ieee-p1363" };
const hash = alg === "EdDSA" ? null : "sha256";
const signed = (text) => verify(hash, Buffer.from(text), key, Buffer.from(signature, "base64url"));
console.log(JSON.stringify([signed(`${header}.${claims}`), signed(`${header}.${claims}A`), read(claims)]));
"#;

#[tokio::test]
async fn anybody_can_verify_with_the_published_keys() {
    let Some(node) = tool::find("node", "anybody_can_verify_with_the_published_keys") else { return };
    for (algorithm, kty) in [("EdDSA", "OKP"), ("ES256", "EC"), ("RS256", "RSA")] {
        let service = service(&[("KEYS__ALGORITHM", algorithm)]).await;
        let token = access_token(&service.http.login().await);
        let answer = service.http.get("/.well-known/jwks.json", &[]).await;
        assert_eq!(answer.header("content-type"), "application/jwk-set+json");
        let key = &answer.json()["keys"][0];
        assert_eq!((&key["kty"], &key["alg"], &key["use"]), (&json!(kty), &json!(algorithm), &json!("sig")));
        let jwks = str::from_utf8(&answer.body).unwrap();
        let output = tokio::process::Command::new(&node).args(["-e", VERIFIER, jwks, &token]).output().await;
        let output = output.unwrap();
        assert!(output.status.success(), "{algorithm}: {}", String::from_utf8_lossy(&output.stderr));
        let [genuine, changed, claims]: [Value; 3] = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((genuine, changed), (json!(true), json!(false)), "{algorithm}");
        assert_eq!((&claims["username"], &claims["aud"]), (&json!(USERNAME), &json!("countersign")));
    }
}

#[tokio::test]
async fn the_key_set_is_cached_until_it_changes_and_tells_of_keys_to_come() {
    let service = service(&[("KEYS__RELOAD_INTERVAL", "100ms")]).await;
    let first = service.http.get("/.well-known/jwks.json", &[]).await;
    assert_eq!(first.header("cache-control"), "public, max-age=0, stale-if-error=86400");
    let tag = first.header("etag").to_owned();
    let again =
        service.http.get("/.well-known/jwks.json", &[("if-none-match", &format!("\"x\", W/{tag}"))]).await;
    assert_eq!((again.status.as_u16(), again.body.len()), (304, 0));
    assert_eq!(again.header("etag"), tag);

    let directory = service.data.path();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_countersign"))
        .args(["key", "generate", "--kind", "signing", "--activate-in", "1d", "--data-dir"])
        .arg(directory)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let noticed = async {
        loop {
            let answer = service.http.get("/.well-known/jwks.json", &[("if-none-match", &tag)]).await;
            if answer.status == 200 {
                return answer;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let patience = std::time::Duration::from_secs(20);
    let changed = tokio::time::timeout(patience, noticed).await.expect("the new key is noticed");
    assert_eq!(changed.json()["keys"].as_array().unwrap().len(), 2, "announced before it signs");
    assert_ne!(changed.header("etag"), tag);
}

const CLIENTS: &str = "gateway s3cret-of-the-gateway\norders s3cret-of-the-orders orders billing\n";

async fn with_clients() -> Service {
    service(&[("EDGE__CLIENTS", CLIENTS)]).await
}

fn basic(credentials: &str) -> String {
    format!("Basic {}", STANDARD.encode(credentials))
}

#[tokio::test]
async fn a_client_is_told_of_tokens_that_are_meant_for_it() {
    let service = with_clients().await;
    let login = service.http.login().await;
    let token = access_token(&login);
    let gateway = basic("gateway:s3cret-of-the-gateway");
    let headers = [("authorization", gateway.as_str())];
    let form = format!("token={token}&token_type_hint=access_token");
    let answer = service.http.form("/oauth2/introspect", &headers, &form).await;
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("cache-control"), "no-store");
    let told = answer.json();
    assert_eq!(told["active"], true);
    assert_eq!(told["sub"], login.json()["session"]["subject"]);
    assert_eq!(told["sid"], login.json()["session"]["id"]);
    assert_eq!((&told["iss"], &told["aud"]), (&json!("countersign"), &json!(["countersign"])));
    assert_eq!((&told["token_type"], &told["tenant"]), (&json!("Bearer"), &json!("acme")));
    assert!(told["exp"].is_i64() && told["iat"].is_i64());
    assert_eq!(told["ext"], Value::Null, "nobody says of whom there is none");

    let orders = basic("orders:s3cret-of-the-orders");
    let of_others = service.http.form("/oauth2/introspect", &[("authorization", &orders)], &form).await;
    assert_eq!(of_others.json(), json!({ "active": false }), "and nothing more");
    let for_orders = json!({ "username": USERNAME, "password": PASSWORD, "audiences": ["orders"] });
    let for_orders = access_token(&service.http.post("/v1/auth/login", &[], &for_orders).await);
    let own = format!("token={for_orders}");
    assert_eq!(
        service.http.form("/oauth2/introspect", &[("authorization", &orders)], &own).await.json()["active"],
        true
    );

    let refresh = login.cookie().split_once('=').unwrap().1.to_owned();
    for token in ["nonsense", refresh.as_str()] {
        let answer = service.http.form("/oauth2/introspect", &headers, &format!("token={token}")).await;
        assert_eq!(answer.json(), json!({ "active": false }), "{token}");
    }
}

#[tokio::test]
async fn a_client_revokes_by_either_token() {
    let service = with_clients().await;
    let gateway = basic("gateway:s3cret-of-the-gateway");
    let headers = [("authorization", gateway.as_str())];
    for with_refresh_token in [true, false] {
        let login = service.http.login().await;
        let access = access_token(&login);
        let refresh = login.cookie().split_once('=').unwrap().1.to_owned();
        let token = if with_refresh_token { &refresh } else { &access };
        // A wrong hint is only a hint.
        let form = format!("token={token}&token_type_hint=something_else");
        for _ in 0..2 {
            let answer = service.http.form("/oauth2/revoke", &headers, &form).await;
            assert_eq!((answer.status.as_u16(), answer.body.len()), (200, 0), "{answer:?}");
        }
        let access = bearer(&access);
        let session = service.http.get("/v1/auth/session", &[("authorization", &access)]).await;
        session.assert_refused(401, "SESSION_REVOKED");
        service.http.refresh(&login.cookie()).await.assert_refused(401, "SESSION_REVOKED");
    }
    let unknown = service.http.form("/oauth2/revoke", &headers, "token=unknown").await;
    assert_eq!(unknown.status, 200, "RFC 7009 §2.2");
}

#[tokio::test]
async fn nobody_asks_about_tokens_without_a_secret() {
    let service = with_clients().await;
    let token = access_token(&service.http.login().await);
    let form = format!("token={token}");
    for path in ["/oauth2/introspect", "/oauth2/revoke"] {
        for wrong in [basic("gateway:s3cret-of-the-orders"), basic("nobody:x"), bearer(&token)] {
            let answer = service.http.form(path, &[("authorization", &wrong)], &form).await;
            answer.assert_refused(401, "CLIENT_UNAUTHENTICATED");
            assert_eq!(answer.json()["error"], "invalid_client");
            assert!(answer.header("www-authenticate").starts_with("Basic "));
            assert_eq!(answer.header("content-type"), "application/json");
        }
        let right = basic("gateway:s3cret-of-the-gateway");
        for body in ["", "token=", "tokens=x", "token=a&token=b"] {
            let answer = service.http.form(path, &[("authorization", &right)], body).await;
            answer.assert_refused(400, "INVALID_REQUEST");
            assert_eq!(answer.json()["error"], "invalid_request");
        }
        let as_json = service.http.post(path, &[("authorization", &right)], &json!({ "token": token })).await;
        as_json.assert_refused(415, "UNSUPPORTED_MEDIA_TYPE");
    }
    let without_clients = crate::support::http::service(&[]).await;
    let answer = without_clients.http.form("/oauth2/introspect", &[], &form).await;
    assert_eq!(answer.status, 404, "there is no such path");
}

/// Tools are given the issuer alone, and find the keys.
#[tokio::test]
async fn the_issuer_leads_to_the_keys_and_to_the_endpoints() {
    const PATH: &str = "/.well-known/oauth-authorization-server";
    let issuer = ("TOKENS__ISSUER", "https://auth.example.com");
    let without = service(&[issuer]).await;
    let answer = without.http.get(PATH, &[]).await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "application/json"));
    let expected = json!({
        "issuer": "https://auth.example.com",
        "jwks_uri": "https://auth.example.com/.well-known/jwks.json",
        "response_types_supported": [],
        "grant_types_supported": ["client_credentials"],
        "token_endpoint": "https://auth.example.com/oauth2/token",
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
    });
    assert_eq!(answer.json(), expected, "without clients there is nothing else");

    let with = service(&[("TOKENS__ISSUER", "https://auth.example.com/"), ("EDGE__CLIENTS", CLIENTS)]).await;
    let told = with.http.get(PATH, &[]).await.json();
    assert_eq!(told["issuer"], "https://auth.example.com/", "byte for byte as tokens have it");
    assert_eq!(told["introspection_endpoint"], "https://auth.example.com/oauth2/introspect");
    assert_eq!(told["revocation_endpoint"], "https://auth.example.com/oauth2/revoke");
    assert_eq!(told["revocation_endpoint_auth_methods_supported"], json!(["client_secret_basic"]));
    for url in [&told["jwks_uri"], &told["introspection_endpoint"], &told["revocation_endpoint"]] {
        let path = url.as_str().unwrap().strip_prefix("https://auth.example.com").unwrap();
        assert_ne!(with.http.get(path, &[]).await.status, 404, "{path}");
    }

    let name = service(&[]).await;
    assert_eq!(name.http.get(PATH, &[]).await.status, 404, "an issuer that is no URL leads nowhere");
}
