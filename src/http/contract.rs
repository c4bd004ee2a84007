//! The contract's messages as JSON, exactly as protobuf maps them
//! (<https://protobuf.dev/programming-guides/json/>), and the paths that its `google.api.http` annotations name. Both
//! are read from the descriptors, so that they cannot differ from what a transcoding gateway does.

use std::sync::LazyLock;

use prost_reflect::{
    DescriptorPool, DeserializeOptions, DynamicMessage, MessageDescriptor, MethodDescriptor,
    ReflectMessage as _, Value,
};

use crate::auth::AuthError;
use crate::transport::DESCRIPTORS;

mod shape;

const COMPILED: &str = "build.rs compiled these descriptors";

static POOL: LazyLock<DescriptorPool> =
    LazyLock::new(|| DescriptorPool::decode(DESCRIPTORS).expect(COMPILED));

/// The message of `countersign.v1` with this name.
pub(super) fn descriptor(name: &str) -> MessageDescriptor {
    let full_name = if name.contains('.') { name.to_owned() } else { format!("countersign.v1.{name}") };
    POOL.get_message_by_name(&full_name).unwrap_or_else(|| unknown(&full_name))
}

/// The method of `AuthService` with this name.
pub(super) fn method(name: &str) -> MethodDescriptor {
    let service = POOL.get_service_by_name("countersign.v1.AuthService").expect(COMPILED);
    service.methods().find(|method| method.name() == name).unwrap_or_else(|| unknown(name))
}

#[expect(clippy::panic, reason = "names are constants in this module's callers, and a test goes through all")]
fn unknown(name: &str) -> ! {
    panic!("the contract has no {name}")
}

/// The path that a method is posted to with its whole request as the body: the one form of annotation that the
/// contract uses.
pub(super) fn path(method: &MethodDescriptor) -> String {
    let annotation = POOL.get_extension_by_name("google.api.http").expect(COMPILED);
    let options = method.options();
    let rule = options.get_extension(&annotation);
    let of_rule = |field| Some(rule.as_message()?.get_field_by_name(field)?.as_str()?.to_owned());
    assert_eq!(of_rule("body").as_deref(), Some("*"), "{} takes its request as the body", method.full_name());
    of_rule("post").expect("every method is posted to")
}

/// The comment that stands before an element of a file, without its line breaks.
pub(super) fn comment(file: &prost_reflect::prost_types::FileDescriptorProto, path: &[i32]) -> String {
    let places = file.source_code_info.iter().flat_map(|info| &info.location);
    let comment =
        places.into_iter().find(|place| place.path == path).and_then(|it| it.leading_comments.as_deref());
    let words: Vec<&str> = comment.unwrap_or_default().split_whitespace().collect();
    words.join(" ")
}

/// Reads a message. Unknown fields are left out, as Envoy's transcoder does, so that a newer client gets on with an
/// older server. No body at all is the empty message. What is wrong is told by its place alone: the text may hold
/// a secret.
pub(super) fn decode(name: &str, json: &[u8]) -> Result<DynamicMessage, AuthError> {
    if json.iter().all(u8::is_ascii_whitespace) {
        return Ok(DynamicMessage::new(descriptor(name)));
    }
    let descriptor = descriptor(name);
    let told = |what: &str, error: &serde_json::Error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        AuthError::invalid_field("", format!("{what} ({place})"))
    };
    let unreadable =
        |error: serde_json::Error| told(&format!("is not the JSON of a countersign.v1.{name}"), &error);
    let mut reader = serde_json::Deserializer::from_slice(json);
    shape::check(&descriptor, &mut reader).map_err(|(error, violation)| match violation {
        Some(violation) if violation.field.is_empty() => told(&violation.description, &error),
        Some(violation) => AuthError::invalid_request(vec![violation]),
        None => unreadable(error),
    })?;
    reader.end().map_err(unreadable)?;
    let mut reader = serde_json::Deserializer::from_slice(json);
    let options = DeserializeOptions::new().deny_unknown_fields(false);
    DynamicMessage::deserialize_with_options(descriptor, &mut reader, &options).map_err(unreadable)
}

/// Writes a message. Fields with the default value are left out, 64-bit integers are strings.
pub(super) fn encode(message: &DynamicMessage) -> serde_json::Value {
    let mut json = serde_json::to_value(message).unwrap_or_default();
    shorten_numbers(&mut json);
    json
}

/// The same with points in time as milliseconds since 1970.
pub(super) fn encode_with_millis(message: &DynamicMessage) -> serde_json::Value {
    let mut json = encode(message);
    put_millis(message, &mut json);
    json
}

/// Puts numbers in the place of the points in time of a message, which is written as this JSON.
fn put_millis(message: &DynamicMessage, json: &mut serde_json::Value) {
    for (field, value) in message.fields() {
        let Some(json) = json.get_mut(field.json_name()) else { continue };
        match (value, json) {
            (Value::Message(part), json) if part.descriptor().full_name() == TIMESTAMP => {
                *json = millis(part);
            }
            (Value::Message(part), json) => put_millis(part, json),
            (Value::List(items), serde_json::Value::Array(written)) => {
                for (item, json) in items.iter().zip(written) {
                    if let Value::Message(part) = item {
                        put_millis(part, json);
                    }
                }
            }
            _ => {}
        }
    }
}

const TIMESTAMP: &str = "google.protobuf.Timestamp";

fn millis(timestamp: &DynamicMessage) -> serde_json::Value {
    let number = |field| timestamp.get_field_by_name(field);
    let seconds = number("seconds").and_then(|value| value.as_i64()).unwrap_or(0);
    let nanos = number("nanos").and_then(|value| value.as_i32()).unwrap_or(0);
    (seconds * 1000 + i64::from(nanos) / 1_000_000).into()
}

/// A double without a fraction is written without one, as every other implementation does.
#[expect(clippy::cast_possible_truncation, reason = "a whole number below 2^53 has its i64")]
fn shorten_numbers(json: &mut serde_json::Value) {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match json {
        serde_json::Value::Array(items) => items.iter_mut().for_each(shorten_numbers),
        serde_json::Value::Object(members) => members.values_mut().for_each(shorten_numbers),
        serde_json::Value::Number(number) => {
            let whole = number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() < EXACT);
            if let Some(whole) = whole.filter(|_| number.is_f64()) {
                *json = (whole as i64).into();
            }
        }
        _ => {}
    }
}

/// Makes a message of its fields.
pub(super) fn message<'a>(name: &str, fields: impl IntoIterator<Item = (&'a str, Value)>) -> DynamicMessage {
    let mut message = DynamicMessage::new(descriptor(name));
    for (field, value) in fields {
        message.set_field_by_name(field, value);
    }
    message
}

/// The methods of `AuthService` that are annotated: the others, for those who have many tokens, are gRPC's alone.
#[cfg(any(test, feature = "test-server"))]
pub(super) fn annotated() -> Vec<MethodDescriptor> {
    let annotation = POOL.get_extension_by_name("google.api.http").expect(COMPILED);
    let service = POOL.get_service_by_name("countersign.v1.AuthService").expect(COMPILED);
    service.methods().filter(|method| method.options().has_extension(&annotation)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_annotated_method_has_a_path_of_the_one_form() {
        assert!(!annotated().is_empty());
        for method in annotated() {
            assert!(path(&method).starts_with("/v1/auth/"), "{}", method.name());
        }
    }

    #[test]
    fn both_spellings_of_a_field_are_read_and_unknown_ones_left_out() {
        for json in [r#"{"refreshToken":"r"}"#, r#" {"refresh_token":"r","news":{"a":[1]}} "#] {
            let message = decode("RefreshRequest", json.as_bytes()).unwrap();
            assert_eq!(message.get_field_by_name("refresh_token").unwrap().as_str(), Some("r"));
        }
        assert!(decode("RefreshRequest", b" \n").is_ok());
    }

    #[test]
    fn what_cannot_be_read_is_told_by_its_place_and_not_quoted() {
        for json in [
            "[]",
            "null",
            "\"s3cret\"",
            "{",
            "{}{}",
            "{} s3cret",
            r#"{"refreshToken":["s3cret"]}"#,
            r#"{"refreshToken":17}"#,
            "{'refreshToken':'s3cret'}",
            "\u{feff}{}",
        ] {
            let error = decode("RefreshRequest", json.as_bytes()).expect_err(json);
            let told = format!("{error:?}");
            let place = told.contains("line 1") || told.contains("field: \"refresh_token\"");
            assert!(place && !told.contains("s3cret"), "{json}: {told}");
        }
        let both = br#"{"refreshToken":"a","accessToken":"b"}"#;
        assert!(decode("LogoutRequest", both).is_err(), "one of, not both of");
    }

    /// No request of today has these kinds; answers do, and requests to come may.
    #[test]
    fn numbers_enums_times_and_structs_are_read_as_the_mapping_says() {
        for (name, json, expected) in [
            ("Tokens", r#"{"expiresIn":"1"}"#, Some(r#"{"expiresIn":1}"#)),
            ("Tokens", r#"{"expiresIn":1.0}"#, Some(r#"{"expiresIn":1}"#)),
            ("Tokens", r#"{"expiresIn":1e2}"#, Some(r#"{"expiresIn":100}"#)),
            ("Tokens", r#"{"expiresIn":2147483647}"#, Some(r#"{"expiresIn":2147483647}"#)),
            ("Tokens", r#"{"expiresIn":2147483648}"#, None),
            ("Tokens", r#"{"expiresIn":1.5}"#, None),
            ("Tokens", r#"{"expiresIn":" 1"}"#, None),
            ("Tokens", r#"{"expiresIn":""}"#, None),
            ("Tokens", r#"{"expiresIn":true}"#, None),
            (
                "InvalidToken",
                r#"{"reason":"INVALID_REASON_REVOKED"}"#,
                Some(r#"{"reason":"INVALID_REASON_REVOKED"}"#),
            ),
            ("InvalidToken", r#"{"reason":9}"#, Some(r#"{"reason":"INVALID_REASON_REVOKED"}"#)),
            ("InvalidToken", r#"{"reason":99}"#, Some(r#"{"reason":99}"#)),
            ("InvalidToken", r#"{"reason":"NEWER"}"#, Some("{}")),
            ("InvalidToken", r#"{"reason":1.5}"#, None),
            ("InvalidToken", r#"{"reason":true}"#, None),
            (
                "SessionInfo",
                r#"{"createdAt":"1970-01-01T01:00:00+01:00"}"#,
                Some(r#"{"createdAt":"1970-01-01T00:00:00Z"}"#),
            ),
            (
                "SessionInfo",
                r#"{"createdAt":"0001-01-01T00:00:00Z"}"#,
                Some(r#"{"createdAt":"0001-01-01T00:00:00Z"}"#),
            ),
            ("SessionInfo", r#"{"createdAt":"0000-12-31T23:59:59Z"}"#, None),
            ("SessionInfo", r#"{"createdAt":"10000-01-01T00:00:00Z"}"#, None),
            ("SessionInfo", r#"{"createdAt":"1970-01-01t00:00:00z"}"#, None),
            ("SessionInfo", r#"{"createdAt":"1970-01-01T00:00:00"}"#, None),
            ("SessionInfo", r#"{"createdAt":0}"#, None),
            (
                "VerifiedToken",
                r#"{"customClaims":{"a":null,"b":[1,{}]}}"#,
                Some(r#"{"customClaims":{"a":null,"b":[1,{}]}}"#),
            ),
            ("VerifiedToken", r#"{"customClaims":null}"#, Some("{}")),
            ("VerifiedToken", r#"{"customClaims":{"a":1,"a":2}}"#, None),
            ("VerifiedToken", r#"{"customClaims":[]}"#, None),
        ] {
            let read = decode(name, json.as_bytes()).ok().map(|message| encode(&message).to_string());
            assert_eq!(read.as_deref(), expected, "{json}");
        }
    }

    #[test]
    fn points_in_time_are_written_as_milliseconds_where_that_is_asked_for_and_nothing_else_is() {
        let written =
            |name: &str, json: &str| encode_with_millis(&decode(name, json.as_bytes()).unwrap()).to_string();
        let json =
            r#"{"sessions":[{"createdAt":"1970-01-01T00:00:01.5Z"},{"id":"x"}],"currentSessionId":"y"}"#;
        let expected = r#"{"currentSessionId":"y","sessions":[{"createdAt":1500},{"id":"x"}]}"#;
        assert_eq!(written("ListOwnSessionsResponse", json), expected);
        let json =
            r#"{"expiresAt":"2026-01-31T12:00:00Z","customClaims":{"expiresAt":"2026-01-31T12:00:00Z"}}"#;
        let expected = r#"{"customClaims":{"expiresAt":"2026-01-31T12:00:00Z"},"expiresAt":1769860800000}"#;
        assert_eq!(written("VerifiedToken", json), expected, "claims are the operator's own");
        let json = r#"{"session":{"createdAt":"1969-12-31T23:59:59.9Z"}}"#;
        assert_eq!(written("LoginResponse", json), r#"{"session":{"createdAt":-100}}"#);
        let json = r#"{"revocationStaleness":"1.500s"}"#;
        assert_eq!(written("VerifyAccessTokenResponse", json), json, "no point in time");
    }

    #[test]
    fn whole_numbers_are_written_as_such() {
        let mut json =
            serde_json::json!({"a": [1.0, -0.0, 2.5, 1e300, 7], "b": {"c": 9_007_199_254_740_991.0}});
        shorten_numbers(&mut json);
        assert_eq!(json.to_string(), r#"{"a":[1,0,2.5,1e+300,7],"b":{"c":9007199254740991}}"#);
    }
}
