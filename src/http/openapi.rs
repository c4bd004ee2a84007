//! `GET /openapi.json`: the edge described in OpenAPI 3.1, made from the table of routes, the contract's descriptors
//! and the catalogue of reasons.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::refusal::{TOKEN_ERRORS, oauth_code};
use super::routes::{Caller, Gives, Operation, Takes};
use super::{ErrorShape, HttpOptions, RefreshTransport, body, captcha, cookie, csrf, token};
use crate::auth::bounds;
use crate::reason::Reason;
use crate::transport::problem::PROBLEM;
use crate::transport::{IDENTITY_HEADERS, REQUIRED_ROLES_MAX};

mod schema;

use schema::{Schemas, reference};

/// The whole document.
pub(super) fn document(table: &[Operation], options: &HttpOptions) -> Value {
    let mut schemas = Schemas::new(options);
    let mut paths = Map::new();
    for operation in table {
        let mut item = Map::new();
        for method in operation.methods {
            let name = method.as_str().to_lowercase();
            // An id is one operation's, not one path's.
            let id = if operation.methods.len() == 1 {
                operation.id.to_owned()
            } else {
                format!("{}By{}{}", operation.id, &method.as_str()[..1], &name[1..])
            };
            item.insert(name, describe(operation, &id, options, &mut schemas));
        }
        paths.insert(operation.path.clone(), item.into());
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Countersign",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Logs users in, keeps them logged in, logs them out, and says who a request comes from. \
                Under `/v1/auth` the proto3 JSON of `countersign.v1.AuthService`.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": paths,
        "components": { "schemas": schemas.finish(), "securitySchemes": security_schemes(options) },
    })
}

fn describe(operation: &Operation, id: &str, options: &HttpOptions, schemas: &mut Schemas) -> Value {
    let mut described = json!({
        "operationId": id,
        "summary": operation.summary.split(". ").next().unwrap_or_default().trim_end_matches('.'),
        "description": operation.summary,
        "security": security(operation.caller, options),
        "responses": responses(operation, options, schemas),
    });
    let parameters = parameters(operation, options);
    if !parameters.is_empty() {
        described["parameters"] = parameters.into();
    }
    let content = match &operation.takes {
        Takes::Nothing | Takes::Rules => return described,
        Takes::Message(name) => json!({ body::JSON: { "schema": schemas.message(name) } }),
        Takes::TokenForm => json!({ body::FORM: { "schema": token_form() } }),
        Takes::GrantForm => json!({ body::FORM: { "schema": grant_form() } }),
    };
    // No body is the empty message, which is all that a refresh token in a cookie or in a header needs.
    let required = operation.caller != Caller::RefreshToken || operation.id == "ChangePassword";
    described["requestBody"] = json!({ "required": required, "content": content });
    described
}

fn token_form() -> Value {
    json!({
        "type": "object",
        "required": ["token"],
        "properties": { "token": { "type": "string", "minLength": 1 }, "token_type_hint": { "type": "string" } },
    })
}

fn grant_form() -> Value {
    let text = json!({ "type": "string" });
    let several = json!({ "type": "array", "items": { "type": "string", "maxLength": 256 }, "maxItems": bounds::AUDIENCES_MAX });
    json!({
        "type": "object",
        "required": ["grant_type"],
        "properties": {
            "grant_type": { "const": token::GRANT },
            "client_id": text,
            "client_secret": text,
            "audience": several,
            "resource": several,
        },
    })
}

fn parameters(operation: &Operation, options: &HttpOptions) -> Vec<Value> {
    let header = |name: &http::HeaderName, description: &str| json!({ "name": name.as_str(), "in": "header", "description": description, "schema": { "type": "string" } });
    let rule = |name: &str, max: usize, description: &str| {
        let items = json!({ "type": "string", "minLength": 1, "maxLength": 256 });
        let schema = json!({ "type": "array", "items": items, "maxItems": max });
        json!({ "name": name, "in": "query", "explode": true, "description": description, "schema": schema })
    };
    let mut parameters = Vec::new();
    if matches!(operation.takes, Takes::Rules) {
        parameters.push(rule(
            "role",
            REQUIRED_ROLES_MAX,
            "A role that the user must have; all of those named",
        ));
        let audiences = bounds::AUDIENCES_MAX;
        parameters.push(rule(
            "audience",
            audiences,
            "An audience that the token may be for; one of those named",
        ));
    }
    if operation.path.ends_with("/{id}") {
        let schema = json!({ "type": "string", "pattern": "^(others|[A-Za-z0-9_-]{22})$" });
        let description = "A session's id, or `others` for all but the one that asks";
        parameters.push(
            json!({ "name": "id", "in": "path", "required": true, "description": description, "schema": schema }),
        );
    }
    if operation.id == "Login" && options.captcha.is_some() {
        parameters.push(header(&captcha::HEADER, "The response of the captcha, where one is asked for"));
    }
    if operation.caller == Caller::RefreshToken && options.csrf {
        parameters
            .push(header(&csrf::HEADER, "The value of the CSRF cookie, where the refresh cookie is sent"));
    }
    parameters
}

fn security(caller: Caller, options: &HttpOptions) -> Value {
    match caller {
        Caller::Nobody => json!([]),
        Caller::AccessToken => json!([{ "accessToken": [] }]),
        Caller::Client => json!([{ "client": [] }]),
        // Neither is needed where id and secret stand in the form.
        Caller::ServiceAccount => json!([{}, { "client": [] }]),
        // None of them is needed where the token stands in the body.
        Caller::RefreshToken if options.refresh_transport == RefreshTransport::Cookie => {
            json!([{}, { "refreshCookie": [] }, { "refreshToken": [] }])
        }
        Caller::RefreshToken => json!([{}, { "refreshToken": [] }]),
    }
}

fn security_schemes(options: &HttpOptions) -> Value {
    let mut schemes = json!({
        "accessToken": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT" },
        "refreshToken": { "type": "http", "scheme": "bearer" },
        "client": { "type": "http", "scheme": "basic" },
    });
    if options.refresh_transport == RefreshTransport::Cookie {
        let cookie = cookie::refresh_token(options);
        schemes["refreshCookie"] = json!({ "type": "apiKey", "in": "cookie", "name": cookie.name() });
    }
    schemes
}

/// A success, and for each status the reasons that it is answered for.
fn responses(operation: &Operation, options: &HttpOptions, schemas: &mut Schemas) -> Value {
    let of_all = [Reason::Internal, Reason::RateLimitExceeded, Reason::MethodNotAllowed];
    let mut by_status: BTreeMap<u16, BTreeSet<&str>> = BTreeMap::new();
    for reason in operation.reasons.iter().copied().chain(of_all) {
        by_status.entry(reason.http_status()).or_default().insert(reason.name());
    }
    let mut responses = Map::new();
    let enveloped = options.envelope && operation.path.starts_with("/v1/auth/");
    if enveloped {
        let data = success_schema(&operation.gives, schemas).unwrap_or(Value::Bool(true));
        let reasons = operation.reasons.iter().copied().chain(of_all);
        // Several reasons may have one number of the application's.
        let codes: BTreeSet<u32> = reasons.map(|reason| options.number_of(reason)).chain([0]).collect();
        responses.insert("200".to_owned(), schema::envelope(&data, &codes));
        return responses.into();
    }
    responses.insert("200".to_owned(), success(&operation.gives, schemas));
    if matches!(operation.gives, Gives::KeySet) {
        responses.insert("304".to_owned(), json!({ "description": "Nothing has changed" }));
    }
    let oauth = matches!(operation.caller, Caller::Client | Caller::ServiceAccount);
    for (status, reasons) in by_status {
        let reasons: Vec<_> = reasons.into_iter().collect();
        let response = match options.errors {
            _ if oauth => oauth_error(&reasons, operation.caller == Caller::ServiceAccount),
            ErrorShape::Problem => problem(&reasons),
            ErrorShape::Status => schema::status(&reasons),
        };
        responses.insert(status.to_string(), response);
    }
    responses.into()
}

fn success_schema(gives: &Gives, schemas: &mut Schemas) -> Option<Value> {
    match gives {
        Gives::Nothing | Gives::Identity => None,
        Gives::Message(name) => Some(schemas.message(name)),
        Gives::CsrfToken => Some(json!({
            "type": "object",
            "required": ["csrfToken"],
            "properties": { "csrfToken": { "type": "string" } },
        })),
        Gives::KeySet => Some(json!({
            "type": "object",
            "required": ["keys"],
            "properties": { "keys": { "type": "array", "items": { "type": "object", "required": ["kty", "kid"] } } },
        })),
        Gives::Metadata => Some(json!({
            "type": "object",
            "required": ["issuer", "jwks_uri", "response_types_supported"],
            "properties": { "issuer": { "type": "string" }, "jwks_uri": { "type": "string", "format": "uri" } },
        })),
        Gives::Introspection => Some(json!({
            "type": "object",
            "required": ["active"],
            "properties": { "active": { "type": "boolean" } },
        })),
        Gives::AccessToken => Some(json!({
            "type": "object",
            "required": ["access_token", "token_type", "expires_in"],
            "properties": {
                "access_token": { "type": "string" },
                "token_type": { "const": "Bearer" },
                "expires_in": { "type": "integer", "minimum": 0 },
            },
        })),
        Gives::OpenApi => Some(json!({ "type": "object" })),
    }
}

fn success(gives: &Gives, schemas: &mut Schemas) -> Value {
    let mut response = json!({ "description": "Success" });
    if let Some(schema) = success_schema(gives, schemas) {
        let media_type = if matches!(gives, Gives::KeySet) { "application/jwk-set+json" } else { body::JSON };
        response["content"] = json!({ media_type: { "schema": schema } });
    }
    if matches!(gives, Gives::Identity) {
        let each = |name: &str| (name.to_owned(), json!({ "schema": { "type": "string" } }));
        response["headers"] = IDENTITY_HEADERS.into_iter().map(each).collect::<Map<_, _>>().into();
    }
    response
}

fn problem(reasons: &[&str]) -> Value {
    let restricted = json!({ "properties": { "reason": { "enum": reasons } } });
    let schema = json!({ "allOf": [reference("Problem"), restricted] });
    json!({ "description": reasons.join(", "), "content": { PROBLEM: { "schema": schema } } })
}

fn oauth_error(reasons: &[&str], of_tokens: bool) -> Value {
    let of = |name: &&str| Reason::all().find(|reason| reason.name() == *name).map(oauth_code);
    let mut errors: BTreeSet<_> = reasons.iter().filter_map(of).collect();
    // What is wrong with a request for a token has names of its own.
    if of_tokens && reasons.contains(&Reason::InvalidRequest.name()) {
        errors.extend(TOKEN_ERRORS);
    }
    let restricted = json!({ "properties": { "error": { "enum": errors }, "reason": { "enum": reasons } } });
    let schema = json!({ "allOf": [reference("OAuthError"), restricted] });
    json!({ "description": reasons.join(", "), "content": { body::JSON: { "schema": schema } } })
}
