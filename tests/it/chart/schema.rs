//! What the values may be, and that `config` is what the binary reads.

use std::collections::{BTreeMap, BTreeSet};
use std::{env, fs};

use countersign::config::Config;
use countersign::grpc;
use serde_json::{Value, json};

use super::rendered::{Chart, read, root};

const SCHEMA: &str = "helm/countersign/values.schema.json";

/// What the chart sets by itself, or from Secrets: `config` must not.
const OF_THE_CHART: &[&str] = &[
    "captcha.secret",
    "database.url",
    "edge.clients",
    "edge.enabled",
    "edge.listen",
    "edge.plain_http",
    "grpc.allow",
    "grpc.listen",
    "keys.create_missing",
    "keys.directory",
    "keys.encryption_key",
    "keys.permissions",
    "keys.previous_encryption_key",
    "keys.store",
    "operations.listen",
    "redis.ca_file",
    "redis.certificate_file",
    "redis.key_file",
    "redis.sentinel_password",
    "redis.url",
    "shutdown.drain_delay",
    "shutdown.grace",
];

/// The same of each listener's `tls`.
const OF_THE_CHART_IN_TLS: [&str; 4] =
    ["certificate_file", "client_ca_file", "client_certificates", "key_file"];

#[test]
fn the_schema_knows_every_key_and_every_method_that_the_binary_knows() {
    let mut schema: Value = serde_json::from_str(&read(SCHEMA)).unwrap();
    let mut expected = schema.clone();
    let Value::Object(sections) = serde_json::to_value(Config::default()).unwrap() else { panic!() };
    let sections = sections.iter().map(|(name, keys)| (name.clone(), type_of(name, keys)));
    expected["properties"]["config"] = object(&sections.collect());
    expected["properties"]["grpc"] = object(&BTreeMap::from([("allow".to_owned(), rules())]));
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(root().join(SCHEMA), serde_json::to_string_pretty(&expected).unwrap() + "\n").unwrap();
        schema = expected.clone();
    }
    assert!(schema == expected, "{SCHEMA} is stale: UPDATE_DOCS=1 cargo test --test it chart");
}

/// A name in a rule, as the binary reads it: any, a host, or a URI that may stand for all below it.
const SAN: &str = r"^(\*|anyone|dns:[a-z0-9._*-]+|[a-z][a-z0-9+.-]*://[!-)+-.0-~][!-)+-~]*(/\*)?)$";

/// The schema of `grpc.allow`: a rule names methods that there are.
fn rules() -> Value {
    let methods = grpc::known_methods();
    let services = methods.iter().map(|method| format!("{}/*", method.split_once('/').unwrap().0));
    let names: BTreeSet<String> = services.chain(["*".to_owned()]).chain(methods.iter().cloned()).collect();
    let some = |items: Value| json!({ "type": "array", "minItems": 1, "maxItems": 64, "items": items });
    let rule = json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["methods", "sans"],
        "properties": { "methods": some(json!({ "enum": names })), "sans": some(json!({ "pattern": SAN })) },
    });
    json!({ "type": "array", "maxItems": 64, "items": rule })
}

/// The schema of a value like this default.
fn type_of(path: &str, default: &Value) -> Value {
    match default {
        Value::Bool(_) => json!({ "type": "boolean" }),
        Value::Number(_) => json!({ "type": "integer", "minimum": 0 }),
        Value::Array(_) => json!({ "type": "array" }),
        // A table whose keys are the operator's own, each with a whole number.
        Value::Object(keys) if keys.is_empty() => {
            json!({ "type": "object", "additionalProperties": { "type": "integer", "minimum": 0 } })
        }
        Value::Object(keys) => {
            let ours = |path: &str, key: &str| {
                OF_THE_CHART.contains(&path) || path.contains(".tls.") && OF_THE_CHART_IN_TLS.contains(&key)
            };
            let keys = keys.iter().map(|(key, value)| (key, format!("{path}.{key}"), value));
            let keys = keys.filter(|(key, path, _)| !ours(path, key));
            object(&keys.map(|(key, path, value)| (key.clone(), type_of(&path, value))).collect())
        }
        Value::String(_) | Value::Null => json!({ "type": "string" }),
    }
}

fn object(properties: &BTreeMap<String, Value>) -> Value {
    json!({ "type": "object", "additionalProperties": false, "properties": properties })
}

#[test]
fn a_table_whose_keys_are_the_operators_own_is_rendered_as_it_is() {
    let test = "a_table_whose_keys_are_the_operators_own_is_rendered_as_it_is";
    let Some(chart) = Chart::find(test) else { return };
    let set = [("config.sessions.limits.web", "1"), ("config.sessions.limits.mobile", "2")];
    let manifests = chart.render("values.yaml", &set).unwrap();
    let config: toml::Table = manifests.config().parse().unwrap();
    let limits = config["sessions"]["limits"].as_table().unwrap();
    assert_eq!((&limits["web"], &limits["mobile"]), (&toml::Value::Integer(1), &toml::Value::Integer(2)));
}

#[test]
fn a_value_that_is_mistyped_or_not_known_is_refused() {
    let Some(chart) = Chart::find("a_value_that_is_mistyped_or_not_known_is_refused") else { return };
    for (key, value) in [
        ("replica", "2"),
        ("replicas", "two"),
        ("image.digest", "latest"),
        ("ports.grpc", "70000"),
        ("probes.readiness", "exec"),
        ("tls.grpc.clientCertificates", "always"),
        ("config.token.issuer", "x"),
        ("config.tokens.isuer", "x"),
        ("config.database.url", "postgres://user:password@host/db"),
        ("config.redis.url", "redis://:password@host"),
        ("config.grpc.max_connections", "many"),
        ("config.sessions.limits.web", "one"),
        ("config.sessions.limits", "web"),
        ("listenHost", "127.0.0.1"),
        ("prometheusRule.runbookUrl", "docs/operations.md"),
        ("prometheusRule.runbookUrl", "https://host/page.md#alerts"),
        ("podLabels.app\\.kubernetes\\.io/name", "other"),
        ("config.grpc.allow", "{x}"),
        ("grpc.allow[0].methods", "{*}"),
        ("grpc.allow[0].methods", "{countersign.v1.RevokationService/*}"),
        ("grpc.allow[0].sans", "{orders.example}"),
        ("grpc.allow[0].sans", "{spiffe://td/a*}"),
        ("grpc.allow[0].sans", "{spiffe:///a}"),
        ("grpc.allow[0].sans", "{dns:Orders}"),
    ] {
        match chart.render("values.yaml", &[(key, value)]) {
            Ok(_) => panic!("{key}={value} is taken"),
            Err(error) => {
                assert!(error.contains("don't meet the specifications of the schema"), "{key}: {error}");
            }
        }
    }
}
