//! The OpenAPI document: whole, and true of what the edge answers.

use std::collections::BTreeSet;
use std::sync::Arc;

use countersign::http::{Client, HttpOptions, RefreshTransport, Times};
use countersign::reason::Reason;
use serde_json::{Value, json};

use crate::support::http::{alone, credentials, options, request};
use crate::support::stub::Stub;

async fn document(options: HttpOptions) -> Value {
    let edge = alone(Arc::new(Stub::default()), options).await;
    let answer = edge.http.get("/openapi.json", &[]).await;
    assert_eq!(answer.status, 200);
    answer.json()
}

fn with_everything() -> HttpOptions {
    let client = Client { id: "a".to_owned(), secret: "b".into(), audiences: Vec::new() };
    let issuer = "https://auth.example.com".to_owned();
    HttpOptions { csrf: true, clients: [client].into_iter().collect(), issuer, ..options() }
}

fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str));
            members.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[tokio::test]
async fn the_document_is_whole() {
    let document = document(with_everything()).await;
    assert_eq!(document["openapi"], "3.1.0");
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.len() > 5, "{found:?}");
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some_and(Value::is_object), "{reference}");
    }
    let paths: BTreeSet<_> = document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    let expected = BTreeSet::from([
        "/v1/auth/login",
        "/v1/auth/refresh",
        "/v1/auth/logout",
        "/v1/auth/verify",
        "/v1/auth/session",
        "/v1/auth/password",
        "/v1/auth/password/reset",
        "/v1/auth/sessions",
        "/v1/auth/sessions/{id}",
        "/v1/auth/csrf",
        "/.well-known/jwks.json",
        "/.well-known/oauth-authorization-server",
        "/oauth2/introspect",
        "/oauth2/revoke",
        "/oauth2/token",
        "/forward-auth",
        "/openapi.json",
    ]);
    assert_eq!(paths, expected);
    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{path} {method}");
            assert!(!operation["summary"].as_str().unwrap().is_empty(), "{path} {method}");
        }
    }
    let password = &document["components"]["schemas"]["LoginRequest"]["properties"]["password"];
    assert!(
        password["description"].as_str().unwrap().contains("byte for byte"),
        "the contract's own comment"
    );
}

#[tokio::test]
async fn what_is_switched_off_is_not_described() {
    let cookies = document(options()).await;
    for path in
        ["/oauth2/introspect", "/oauth2/revoke", "/v1/auth/csrf", "/.well-known/oauth-authorization-server"]
    {
        assert!(cookies["paths"].get(path).is_none(), "{path}");
    }
    let tokens = |document: &Value| document["components"]["schemas"]["Tokens"]["properties"].clone();
    assert!(tokens(&cookies).get("refreshToken").is_none(), "never in a body");
    let bodies = document(HttpOptions { refresh_transport: RefreshTransport::Body, ..options() }).await;
    assert!(tokens(&bodies).get("refreshToken").is_some());
}

#[tokio::test]
async fn times_are_described_as_they_are_written() {
    let created = |document: &Value| {
        document["components"]["schemas"]["SessionInfo"]["properties"]["createdAt"].clone()
    };
    let text = document(options()).await;
    assert_eq!((&created(&text)["type"], &created(&text)["format"]), (&json!("string"), &json!("date-time")));
    let numbers = document(HttpOptions { times: Times::EpochMillis, ..options() }).await;
    assert_eq!(created(&numbers)["type"], "integer");
    assert!(!created(&numbers)["description"].as_str().unwrap().is_empty());
}

/// Whatever a use case fails with, its answer is one that the document has.
#[tokio::test]
async fn every_answer_is_documented() {
    let described = document(with_everything()).await;
    let calls = [
        ("POST", "/v1/auth/login", credentials()),
        ("POST", "/v1/auth/refresh", json!({ "refreshToken": "r" })),
        ("POST", "/v1/auth/logout", json!({ "refreshToken": "r" })),
        ("POST", "/v1/auth/verify", json!({ "accessToken": "a" })),
        ("GET", "/v1/auth/session", Value::Null),
        ("GET", "/forward-auth", Value::Null),
        ("GET", "/openapi.json", Value::Null),
    ];
    for reason in
        [None, Some(Reason::StoreUnavailable), Some(Reason::Internal), Some(Reason::RevocationsStale)]
    {
        let stub = reason.map_or_else(Stub::default, |reason| Stub::failing(move || reason.into()));
        let edge = alone(Arc::new(stub), with_everything()).await;
        for (method, path, body) in &calls {
            let headers = [("authorization", "Bearer a"), ("content-type", "application/json")];
            let answer = edge.http.send(request(method, path, &headers, &body.to_string())).await;
            let operation = &described["paths"][*path][method.to_lowercase()];
            let status = answer.status.as_u16().to_string();
            let response = &operation["responses"][&status];
            // What is read from memory has no store that could be down.
            if reason == Some(Reason::StoreUnavailable) && *method == "GET" {
                continue;
            }
            assert!(response.is_object(), "{method} {path}: {status} is not documented");
            if let Some(content) = response["content"].as_object() {
                assert!(content.contains_key(answer.header("content-type")), "{method} {path}: {answer:?}");
            }
        }
    }
}
