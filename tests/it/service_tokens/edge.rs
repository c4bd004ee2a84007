//! `POST /oauth2/token`, as the OAuth libraries of services call it.

use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::http::{Service, service};

const TOKEN: &str = "/oauth2/token";
const GRANT: &str = "grant_type=client_credentials";

/// Runs a subcommand on the service's data.
fn run(service: &Service, arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    let output = command.args(arguments).arg("--data-dir").arg(service.data.path()).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// An account of this name, with a key.
fn create(service: &Service, name: &str) -> (String, Value) {
    run(service, &["service-account", "create", name, "--role", "orders:read"]);
    let made = run(service, &["service-account", "key", "create", name, "--ttl", "1h", "--json"]);
    let made: Value = serde_json::from_str(&made).unwrap();
    (made["secret"].as_str().unwrap().to_owned(), made)
}

fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

#[tokio::test]
async fn a_service_gets_a_token_by_its_client_credentials() {
    let service = service(&[("EDGE__CLIENTS", "gateway s3cret-of-the-gateway\n")]).await;
    let (secret, _) = create(&service, "shop");
    let in_header = basic("shop", &secret);
    let in_form = format!("{GRANT}&client_id=shop&client_secret={secret}&scope=");
    let with_audience = format!("{GRANT}&audience=countersign");
    for (headers, form) in
        [(vec![("authorization", in_header.as_str())], with_audience), (Vec::new(), in_form)]
    {
        let answer = service.http.form(TOKEN, &headers, &form).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(answer.header("cache-control"), "no-store", "RFC 6749 section 5.1");
        let told = answer.json();
        assert_eq!(told.as_object().unwrap().len(), 3, "{told}");
        assert_eq!(told["token_type"], "Bearer");
        assert!(told["expires_in"].as_i64().unwrap() > 250);
        let token = told["access_token"].as_str().unwrap();

        let gateway = basic("gateway", "s3cret-of-the-gateway");
        let form = format!("token={token}");
        let introspected =
            service.http.form("/oauth2/introspect", &[("authorization", &gateway)], &form).await;
        let told = introspected.json();
        assert_eq!((&told["active"], &told["username"]), (&json!(true), &json!("shop")));
        assert_eq!(told["client_id"], told["sub"], "RFC 9068 section 2.2");

        let bearer = format!("Bearer {token}");
        let forwarded = service.http.get("/forward-auth", &[("authorization", &bearer)]).await;
        assert_eq!(forwarded.header("x-auth-subject-kind"), "service");
        assert_eq!(forwarded.header("x-auth-username"), "shop");
        let session = service.http.get("/v1/auth/session", &[("authorization", &bearer)]).await;
        assert_eq!(session.json()["subjectKind"], "SUBJECT_KIND_SERVICE");

        let revoked = service.http.form("/oauth2/revoke", &[("authorization", &gateway)], &form).await;
        assert_eq!(revoked.status, 200);
        let session = service.http.get("/v1/auth/session", &[("authorization", &bearer)]).await;
        session.assert_refused(401, "SESSION_REVOKED");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_request_for_a_service_token_is_said_as_oauth_says_it() {
    let service = service(&[]).await;
    let (secret, made) = create(&service, "shop");
    let (of_other, _) = create(&service, "other");
    let right = basic("shop", &secret);
    for (headers, form, status, error) in [
        (Some(basic("shop", &of_other)), GRANT.to_owned(), 401, "invalid_client"),
        (Some(basic("shop", "wrong")), GRANT.to_owned(), 401, "invalid_client"),
        (Some(basic("nobody", &secret)), GRANT.to_owned(), 401, "invalid_client"),
        (None, GRANT.to_owned(), 401, "invalid_client"),
        (Some(right.clone()), String::new(), 400, "invalid_request"),
        (Some(right.clone()), "grant_type=password".to_owned(), 400, "unsupported_grant_type"),
        (Some(right.clone()), format!("{GRANT}&scope=everything"), 400, "invalid_scope"),
        (Some(right.clone()), format!("{GRANT}&audience=elsewhere"), 400, "invalid_target"),
        (Some(right.clone()), format!("{GRANT}&resource=https://else.where/"), 400, "invalid_target"),
        (Some(right.clone()), format!("{GRANT}&client_secret={secret}"), 400, "invalid_request"),
    ] {
        let headers: Vec<_> = headers.iter().map(|value| ("authorization", value.as_str())).collect();
        let answer = service.http.form(TOKEN, &headers, &form).await;
        assert_eq!(
            (answer.status.as_u16(), answer.json()["error"].as_str()),
            (status, Some(error)),
            "{form}"
        );
        assert!(!answer.json()["error_description"].as_str().unwrap().is_empty());
        if status == 401 {
            assert!(answer.header("www-authenticate").starts_with("Basic "), "RFC 6749 section 5.2");
        }
    }
    let by_id = basic(made["service_account_id"].as_str().unwrap_or("shop"), &secret);
    assert_eq!(service.http.form(TOKEN, &[("authorization", &by_id)], GRANT).await.status, 200);
    let get = service.http.get(TOKEN, &[]).await;
    get.assert_refused(405, "METHOD_NOT_ALLOWED");
}
