//! JSON schemas: of the contract's messages, made from their descriptors and comments, and of the errors.

use std::collections::{BTreeMap, BTreeSet};

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};

use super::super::contract::{comment, descriptor};
use super::super::{HttpOptions, RefreshTransport, Times};
use crate::reason::Reason;
use crate::transport::problem::TYPE_PREFIX;

/// The schema with this name among the document's.
pub(super) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// The document's schemas, each made when it is first referred to.
pub(super) struct Schemas {
    known: BTreeMap<String, Value>,
    without_refresh_token: bool,
    times: Times,
}

impl Schemas {
    pub(super) fn new(options: &HttpOptions) -> Self {
        let known =
            [("Problem", problem(options)), ("OAuthError", oauth_error()), ("FieldViolation", violation())];
        Self {
            known: known.map(|(name, schema)| (name.to_owned(), schema)).into(),
            without_refresh_token: options.refresh_transport == RefreshTransport::Cookie,
            times: options.times,
        }
    }

    pub(super) fn finish(self) -> Value {
        self.known.into_iter().collect::<Map<_, _>>().into()
    }

    /// A message of the contract.
    pub(super) fn message(&mut self, name: &str) -> Value {
        self.of(&descriptor(name))
    }

    fn of(&mut self, message: &MessageDescriptor) -> Value {
        if !self.known.contains_key(message.name()) {
            self.known.insert(message.name().to_owned(), Value::Null);
            let schema = self.object(message);
            self.known.insert(message.name().to_owned(), schema);
        }
        reference(message.name())
    }

    fn object(&mut self, message: &MessageDescriptor) -> Value {
        let file = message.parent_file();
        let file = file.file_descriptor_proto();
        let mut properties = Map::new();
        for field in message.fields() {
            if self.without_refresh_token && field.full_name() == "countersign.v1.Tokens.refresh_token" {
                continue;
            }
            let mut schema = self.field(&field);
            schema["description"] = comment(file, field.path()).into();
            properties.insert(field.json_name().to_owned(), schema);
        }
        let mut schema = json!({
            "type": "object",
            "description": comment(file, message.path()),
            "properties": properties,
        });
        let exclusive: Vec<Value> = message.oneofs().map(|oneof| at_most_one(&oneof)).collect();
        if !exclusive.is_empty() {
            schema["allOf"] = exclusive.into();
        }
        schema
    }

    fn field(&mut self, field: &FieldDescriptor) -> Value {
        let schema = match field.kind() {
            Kind::Bool => json!({ "type": "boolean" }),
            Kind::String => json!({ "type": "string" }),
            Kind::Int64 => json!({ "type": "string", "pattern": "^-?[0-9]+$" }),
            Kind::Enum(values) => {
                let names: Vec<_> = values.values().map(|value| value.name().to_owned()).collect();
                json!({ "type": "string", "enum": names })
            }
            Kind::Message(message) => match message.full_name() {
                "google.protobuf.Timestamp" => match self.times {
                    Times::Rfc3339 => json!({ "type": "string", "format": "date-time" }),
                    Times::EpochMillis => json!({ "type": "integer", "format": "int64" }),
                },
                "google.protobuf.Duration" => {
                    json!({ "type": "string", "pattern": "^-?[0-9]+(\\.[0-9]{1,9})?s$" })
                }
                "google.protobuf.Struct" => json!({ "type": "object" }),
                _ => self.of(&message),
            },
            // The contract has no others, and a schema that allows everything is never wrong.
            _ => json!({}),
        };
        if field.is_list() { json!({ "type": "array", "items": schema }) } else { schema }
    }
}

/// Of the fields of a oneof no two may stand together.
fn at_most_one(oneof: &prost_reflect::OneofDescriptor) -> Value {
    let names: Vec<String> = oneof.fields().map(|field| field.json_name().to_owned()).collect();
    json!({ "not": { "required": names } })
}

fn problem(options: &HttpOptions) -> Value {
    let types: Vec<String> = Reason::all().map(|reason| format!("{TYPE_PREFIX}{}", reason.name())).collect();
    let names: Vec<&str> = Reason::all().map(Reason::name).collect();
    let numbers: BTreeSet<u32> = Reason::all().map(|reason| options.number_of(reason)).collect();
    json!({
        "type": "object",
        "description": "What went wrong (RFC 9457)",
        "required": ["type", "title", "status", "detail", "reason", "code", "requestId"],
        "properties": {
            "type": { "type": "string", "enum": types },
            "title": { "type": "string", "description": "In English" },
            "status": { "type": "integer" },
            "detail": { "type": "string", "description": "For people, in the language that `Accept-Language` asks for" },
            "reason": { "type": "string", "enum": names },
            "code": { "type": "integer", "enum": numbers },
            "requestId": { "type": "string", "description": "The name of the call in the log" },
            "violations": { "type": "array", "items": reference("FieldViolation") },
            "cause": { "type": "string", "description": "What ended the session, where that is known (docs/errors.md)" },
        },
    })
}

fn violation() -> Value {
    json!({
        "type": "object",
        "required": ["field", "description"],
        "properties": {
            "field": { "type": "string", "description": "As the contract spells it; empty for the request as a whole" },
            "description": { "type": "string" },
        },
    })
}

fn oauth_error() -> Value {
    json!({
        "type": "object",
        "description": "What went wrong (RFC 6749 section 5.2)",
        "required": ["error"],
        "properties": {
            "error": { "type": "string" },
            "error_description": { "type": "string" },
            "reason": { "type": "string" },
            "code": { "type": "integer" },
        },
    })
}

/// An answer of an edge with `edge.errors = "status"`.
pub(super) fn status(reasons: &[&str]) -> Value {
    let schema = json!({
        "type": "object",
        "description": "What went wrong (google.rpc.Status)",
        "required": ["code", "message", "details"],
        "properties": {
            "code": { "type": "integer", "description": "The canonical code (google.rpc.Code)" },
            "message": { "type": "string", "description": "In English" },
            "details": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["@type"],
                    "properties": {
                        "@type": { "type": "string" },
                        "reason": { "type": "string", "enum": reasons },
                    },
                },
            },
        },
    });
    json!({ "description": reasons.join(", "), "content": { "application/json": { "schema": schema } } })
}

/// The one answer of an edge with `edge.envelope`.
pub(super) fn envelope(data: &Value, codes: &BTreeSet<u32>) -> Value {
    let failure = json!({ "type": "object", "required": ["reason"] });
    let schema = json!({
        "type": "object",
        "required": ["code", "message", "data", "timestamp"],
        "properties": {
            "code": { "type": "integer", "enum": codes, "description": "0 for a success" },
            "message": { "type": "string" },
            "data": { "anyOf": [data, failure] },
            "timestamp": { "type": "integer", "description": "Milliseconds since 1970" },
        },
    });
    json!({ "description": "Whatever happened", "content": { "application/json": { "schema": schema } } })
}
