//! The edge reads proto3 JSON (<https://protobuf.dev/programming-guides/json/>) as its conformance tests ask: what is
//! refused is refused as `INVALID_REQUEST` with the field, and what is equal is read as equal.

use std::sync::Arc;

use countersign::http::{HttpOptions, RefreshTransport};
use serde_json::{Value, json};

use crate::support::http::{Alone, Answer, Http, alone, options, request};
use crate::support::stub::Stub;

async fn post(http: Http, path: &str, body: &[u8]) -> Answer {
    let (mut parts, _) = request("POST", path, &[("content-type", "application/json")], "").into_parts();
    parts.headers.remove("content-length");
    http.send(http::Request::from_parts(parts, body.to_vec().into())).await
}

/// With tokens in bodies, so that every field of the contract counts.
async fn edge() -> Alone {
    let options = HttpOptions { refresh_transport: RefreshTransport::Body, ..options() };
    alone(Arc::new(Stub::default()), options).await
}

const LOGIN: &str = "/v1/auth/login";
const REFRESH: &str = "/v1/auth/refresh";
const LOGOUT: &str = "/v1/auth/logout";
const VERIFY: &str = "/v1/auth/verify";

#[tokio::test]
async fn what_the_mapping_allows_is_read() {
    let edge = edge().await;
    let nested = format!("{{\"refreshToken\":\"r\",\"newer\":{}1{}}}", "[".repeat(60), "]".repeat(60));
    for (path, body) in [
        // Names: as in the contract, and in lowerCamelCase.
        (REFRESH, r#"{"refreshToken":"r"}"#),
        (REFRESH, r#"{"refresh_token":"r"}"#),
        (REFRESH, r#"{"refresh\u0054oken":"r"}"#),
        // Blanks, escapes, and what is not ASCII.
        (REFRESH, " \t\r\n{ \"refreshToken\" :\n\"r\" } \n"),
        (REFRESH, r#"{"refreshToken":"\u0072\/\b\f\n\r\t\"\\"}"#),
        (REFRESH, r#"{"refreshToken":"\ud83d\ude00 北京"}"#),
        // null is the default of any field.
        (LOGIN, r#"{"username":"ada","password":"p","audiences":null,"client":null}"#),
        (LOGIN, r#"{"username":"ada","password":"p","client":{"address":null,"userAgent":"u","name":null}}"#),
        (LOGOUT, r#"{"refreshToken":"r","accessToken":null,"everywhere":null}"#),
        (LOGOUT, r#"{"accessToken":null,"refreshToken":"r"}"#),
        (VERIFY, r#"{"accessToken":"a","maxStaleness":null}"#),
        // Lists and messages without anything in them.
        (LOGIN, r#"{"username":"ada","password":"p","audiences":[],"client":{}}"#),
        (LOGIN, r#"{"username":"ada","password":"p","audiences":["a","a"]}"#),
        // Durations.
        (VERIFY, r#"{"accessToken":"a","maxStaleness":"3s"}"#),
        (VERIFY, r#"{"accessToken":"a","maxStaleness":"3.5s"}"#),
        (VERIFY, r#"{"accessToken":"a","maxStaleness":"0.000000001s"}"#),
        (VERIFY, r#"{"accessToken":"a","maxStaleness":"0s"}"#),
        (VERIFY, r#"{"accessToken":"a","maxStaleness":"315576000000s"}"#),
        // Booleans.
        (LOGOUT, r#"{"refreshToken":"r","everywhere":true}"#),
        (LOGOUT, r#"{"refreshToken":"r","everywhere":false}"#),
        // What is not known is left out, of any kind.
        (REFRESH, r#"{"refreshToken":"r","newer":{"a":[1,-0,2.5,1e300,1E+2,null,true,{}],"":""}}"#),
        (REFRESH, r#"{"refreshToken":"r","REFRESHTOKEN":1,"[a.b]":2,"@type":"x"}"#),
        (REFRESH, r#"{"newer":18446744073709551616,"refreshToken":"r"}"#),
        (REFRESH, &nested),
    ] {
        let answer = post(edge.http, path, body.as_bytes()).await;
        assert_eq!(answer.status, 200, "{path} {body}: {answer:?}");
    }
    let empty = post(edge.http, REFRESH, b"").await;
    assert_eq!(empty.json()["violations"][0]["field"], "refresh_token", "the empty message: {empty:?}");
}

/// What is refused, and the field that is named for it.
const REFUSED: &[(&str, &str, &str)] = &[
    // A member twice, in one spelling or in both.
    (REFRESH, r#"{"refreshToken":"s3cret","refreshToken":"s3cret"}"#, "refresh_token"),
    (REFRESH, r#"{"refreshToken":"a","refresh_token":"s3cret"}"#, "refresh_token"),
    (VERIFY, r#"{"accessToken":"a","access_token":"s3cret"}"#, "access_token"),
    (VERIFY, r#"{"accessToken":null,"access_token":"s3cret"}"#, "access_token"),
    (VERIFY, r#"{"accessToken":"a","audiences":["s3cret"],"audiences":[]}"#, "audiences"),
    (LOGIN, r#"{"username":"a","username":"s3cret","password":"p"}"#, "username"),
    (LOGIN, r#"{"username":"a","password":"p","client":{"name":"a"},"client":{}}"#, "client"),
    (
        LOGIN,
        r#"{"username":"a","password":"p","client":{"userAgent":"a","user_agent":"b"}}"#,
        "client.user_agent",
    ),
    (REFRESH, r#"{"refreshToken":"r","newer":1,"newer":2}"#, ""),
    (REFRESH, r#"{"refreshToken":"r","newer":{"s3cret":1,"s3cret":2}}"#, ""),
    // Two of a oneof.
    (LOGOUT, r#"{"refreshToken":"a","accessToken":"s3cret"}"#, "token"),
    (LOGOUT, r#"{"refreshToken":"","accessToken":""}"#, "token"),
    (LOGOUT, r#"{"refreshToken":"a","refresh_token":"b"}"#, "refresh_token"),
    // Of another kind.
    (REFRESH, r#"{"refreshToken":17}"#, "refresh_token"),
    (REFRESH, r#"{"refreshToken":true}"#, "refresh_token"),
    (REFRESH, r#"{"refreshToken":["s3cret"]}"#, "refresh_token"),
    (REFRESH, r#"{"refreshToken":{"s3cret":1}}"#, "refresh_token"),
    (LOGOUT, r#"{"refreshToken":"r","everywhere":"true"}"#, "everywhere"),
    (LOGOUT, r#"{"refreshToken":"r","everywhere":1}"#, "everywhere"),
    (VERIFY, r#"{"accessToken":"a","audiences":"s3cret"}"#, "audiences"),
    (VERIFY, r#"{"accessToken":"a","audiences":{"0":"s3cret"}}"#, "audiences"),
    (VERIFY, r#"{"accessToken":"a","audiences":["a",null]}"#, "audiences[1]"),
    (VERIFY, r#"{"accessToken":"a","audiences":["a","b",3]}"#, "audiences[2]"),
    (VERIFY, r#"{"accessToken":"a","audiences":[["a"]]}"#, "audiences[0]"),
    (LOGIN, r#"{"username":"a","password":"p","client":"s3cret"}"#, "client"),
    (LOGIN, r#"{"username":"a","password":"p","client":[]}"#, "client"),
    (LOGIN, r#"{"username":"a","password":"p","client":{"name":5}}"#, "client.name"),
    // Durations.
    (VERIFY, r#"{"accessToken":"a","maxStaleness":3}"#, "max_staleness"),
    (VERIFY, r#"{"accessToken":"a","maxStaleness":{"seconds":3}}"#, "max_staleness"),
    (VERIFY, r#"{"accessToken":"a","maxStaleness":""}"#, "max_staleness"),
    (VERIFY, r#"{"accessToken":"a","maxStaleness":"3"}"#, "max_staleness"),
    (VERIFY, r#"{"accessToken":"a","maxStaleness":"3S"}"#, "max_staleness"),
    (VERIFY, r#"{"accessToken":"a","maxStaleness":"3 s"}"#, "max_staleness"),
    (VERIFY, r#"{"accessToken":"a","maxStaleness":" 3s"}"#, "max_staleness"),
    (VERIFY, r#"{"accessToken":"a","maxStaleness":"+3s"}"#, "max_staleness"),
    (VERIFY, r#"{"accessToken":"a","maxStaleness":"1e1s"}"#, "max_staleness"),
    (VERIFY, r#"{"accessToken":"a","maxStaleness":"0x3s"}"#, "max_staleness"),
    (VERIFY, r#"{"accessToken":"a","maxStaleness":"s"}"#, "max_staleness"),
    (VERIFY, r#"{"accessToken":"a","maxStaleness":"3s3s"}"#, "max_staleness"),
    (VERIFY, r#"{"accessToken":"a","maxStaleness":"3m"}"#, "max_staleness"),
    (VERIFY, r#"{"accessToken":"a","maxStaleness":"0.0000000001s"}"#, "max_staleness"),
    (VERIFY, r#"{"accessToken":"a","maxStaleness":"315576000001s"}"#, "max_staleness"),
    (VERIFY, r#"{"accessToken":"a","maxStaleness":"99999999999999999999s"}"#, "max_staleness"),
    (VERIFY, r#"{"accessToken":"a","maxStaleness":"-1s"}"#, "max_staleness"),
    // No JSON.
    (REFRESH, r#"{"refreshToken":"r",}"#, ""),
    (REFRESH, r#"{,"refreshToken":"r"}"#, ""),
    (VERIFY, r#"{"accessToken":"a","audiences":["a",]}"#, ""),
    (REFRESH, r#"{"refreshToken":"r"}{}"#, ""),
    (REFRESH, r#"{"refreshToken":"r"} s3cret"#, ""),
    (REFRESH, r#"{"refreshToken":"s3cret"#, ""),
    (REFRESH, r#"{refreshToken:"s3cret"}"#, ""),
    (REFRESH, r"{'refreshToken':'s3cret'}", ""),
    (REFRESH, "{\"refreshToken\":\"s3cret\nx\"}", ""),
    (REFRESH, r#"{"refreshToken":"\x41s3cret"}"#, ""),
    (REFRESH, r#"{"refreshToken":"r" /* s3cret */}"#, ""),
    (REFRESH, r#"{"newer":01,"refreshToken":"r"}"#, ""),
    (REFRESH, r#"{"newer":+1,"refreshToken":"r"}"#, ""),
    (REFRESH, r#"{"newer":.5,"refreshToken":"r"}"#, ""),
    (REFRESH, r#"{"newer":NaN,"refreshToken":"r"}"#, ""),
    (REFRESH, r#"{"newer":-Infinity,"refreshToken":"r"}"#, ""),
    (REFRESH, r#"{"newer":True,"refreshToken":"r"}"#, ""),
    ("/v1/auth/refresh", "\u{feff}{\"refreshToken\":\"r\"}", ""),
    // Half of a surrogate pair, known field or not.
    (REFRESH, r#"{"refreshToken":"\ud83d"}"#, ""),
    (REFRESH, r#"{"refreshToken":"\ude00\ud83d"}"#, ""),
    (REFRESH, r#"{"refreshToken":"r","newer":"\ud83d"}"#, ""),
    (REFRESH, r#"{"refreshToken":"r","\ud83d":1}"#, ""),
    // No message.
    (REFRESH, "null", ""),
    (REFRESH, "[]", ""),
    (REFRESH, "\"s3cret\"", ""),
    (REFRESH, "17", ""),
];

#[tokio::test]
async fn what_the_mapping_forbids_is_refused_with_its_field_and_never_quoted() {
    let edge = edge().await;
    let mut wrong = Vec::new();
    let deep = format!("{{\"refreshToken\":\"r\",\"newer\":{}1{}}}", "[".repeat(2_000), "]".repeat(2_000));
    let others: [(&str, Vec<u8>, &str); 3] = [
        (REFRESH, deep.into_bytes(), ""),
        (REFRESH, b"{\"refreshToken\":\"s3cret\xFF\"}".to_vec(), ""),
        (REFRESH, b"{\"refreshToken\":\"r\",\"newer\":\"\xC3(\"}".to_vec(), ""),
    ];
    let table = REFUSED.iter().map(|(path, body, field)| (*path, body.as_bytes().to_vec(), *field));
    for (path, body, field) in table.chain(others) {
        let answer = post(edge.http, path, &body).await;
        let problem: Value = serde_json::from_slice(&answer.body).unwrap_or(json!({}));
        let as_expected = answer.status == 400
            && problem["reason"] == "INVALID_REQUEST"
            && problem["violations"][0]["field"] == field
            && !String::from_utf8_lossy(&answer.body).contains("s3cret");
        if !as_expected {
            let body = String::from_utf8_lossy(&body[..body.len().min(80)]).into_owned();
            wrong.push(format!("{path} {body} ({field:?}): {} {}", answer.status, problem["violations"]));
        }
    }
    assert!(wrong.is_empty(), "{} of the table:\n{}", wrong.len(), wrong.join("\n"));
}
