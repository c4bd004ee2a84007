//! Writes a `CheckResponse`: go on as somebody, go away, or nobody knows.

use std::sync::LazyLock;

use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};
use tonic_types::pb::Status;

use super::wire::{
    CheckResponse, DeniedHttpResponse, HeaderValueOption, HttpRequest, HttpResponse, HttpStatus,
    OkHttpResponse,
};
use crate::auth::{AuthError, VerifiedToken};
use crate::reason::Language;
use crate::transport::problem::{PROBLEM, challenge, problem, retry_after};
use crate::transport::{IDENTITY_HEADERS, identity};

/// The identity headers with underscores in the place of some hyphens or all: many a server behind cannot tell them
/// apart.
static UNDERSCORED: LazyLock<Vec<String>> =
    LazyLock::new(|| IDENTITY_HEADERS.into_iter().flat_map(underscored).collect());

fn underscored(name: &str) -> Vec<String> {
    let spellings = name.split('-').fold(vec![String::new()], |spellings, part| {
        let longer = |before: String| match before.as_str() {
            "" => vec![part.to_owned()],
            before => vec![format!("{before}-{part}"), format!("{before}_{part}")],
        };
        spellings.into_iter().flat_map(longer).collect()
    });
    spellings.into_iter().filter(|spelling| spelling != name).collect()
}

/// The request goes on as the bearer of this token, whatever its client says that it is. Envoy sets headers first and
/// removes afterwards, so that what is set must not be among what is removed.
pub(super) fn allowed(token: &VerifiedToken, http: &HttpRequest) -> CheckResponse {
    let mut headers_to_remove = UNDERSCORED.clone();
    let mut headers = Vec::with_capacity(IDENTITY_HEADERS.len());
    for (name, value) in IDENTITY_HEADERS.into_iter().zip(identity(token)) {
        match value {
            Some(value) => headers.push(HeaderValueOption::overwrite(name, value)),
            None => headers_to_remove.push(name.to_owned()),
        }
    }
    headers_to_remove.extend(http.lookalikes());
    CheckResponse {
        status: Some(Status::default()),
        http_response: Some(HttpResponse::Ok(OkHttpResponse { headers, headers_to_remove })),
        dynamic_metadata: Some(metadata(token)),
    }
}

/// For other filters and the access log: the namespace is the filter's.
fn metadata(token: &VerifiedToken) -> Struct {
    let text = |text: &str| Value { kind: Some(Kind::StringValue(text.to_owned())) };
    let list = |items: &[String]| {
        let values = items.iter().map(|item| text(item)).collect();
        Value { kind: Some(Kind::ListValue(ListValue { values })) }
    };
    #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 are far below 2^53")]
    let expires = Value { kind: Some(Kind::NumberValue(token.expires_at as f64)) };
    let fields = [
        ("subject", text(&token.subject.to_string())),
        ("subject_kind", text(token.subject_kind.as_str())),
        ("username", text(&token.username)),
        ("session", text(&token.session.to_string())),
        ("roles", list(&token.roles)),
        ("audiences", list(&token.audiences)),
        ("token_id", text(&token.token_id)),
        ("expires", expires),
    ];
    let external_id = token.external_id.as_deref().map(|id| ("external_id", text(id)));
    Struct {
        fields: fields.into_iter().chain(external_id).map(|(name, value)| (name.to_owned(), value)).collect(),
    }
}

/// Whom a refusal is for.
pub(super) struct Client<'a> {
    pub(super) language: Language,
    pub(super) request_id: &'a str,
    /// Whether it speaks gRPC: Envoy then makes a gRPC status of the answer, and of the body its message.
    pub(super) grpc: bool,
}

impl Client<'_> {
    /// The request goes no further.
    pub(super) fn denied(&self, error: &AuthError) -> CheckResponse {
        self.answer(error, HttpResponse::Denied)
    }

    /// Whether it may go on cannot be said: Envoy's `error_response`.
    pub(super) fn unknown(&self, error: &AuthError) -> CheckResponse {
        self.answer(error, HttpResponse::Error)
    }

    fn answer(&self, error: &AuthError, arm: fn(DeniedHttpResponse) -> HttpResponse) -> CheckResponse {
        let reason = error.reason;
        let message = reason.message(Language::En).to_owned();
        let denied = DeniedHttpResponse {
            status: Some(HttpStatus { code: reason.http_status().into() }),
            headers: self.headers(error),
            body: if self.grpc {
                message.clone()
            } else {
                problem(error, self.language, self.request_id).to_string()
            },
        };
        CheckResponse {
            status: Some(Status { code: reason.code().number(), message, details: Vec::new() }),
            http_response: Some(arm(denied)),
            dynamic_metadata: None,
        }
    }

    fn headers(&self, error: &AuthError) -> Vec<HeaderValueOption> {
        let mut headers = vec![HeaderValueOption::overwrite("cache-control", "no-store")];
        if !self.grpc {
            headers.push(HeaderValueOption::overwrite("content-type", PROBLEM));
            headers.push(HeaderValueOption::overwrite("content-language", self.language.tag()));
        }
        if let Some(challenge) = challenge(error.reason) {
            headers.push(HeaderValueOption::overwrite("www-authenticate", challenge));
        }
        if let Some(delay) = error.retry_delay() {
            headers.push(HeaderValueOption::overwrite("retry-after", retry_after(delay).to_string()));
        }
        headers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_a_header_with_underscores_is_removed_and_the_header_itself_is_not() {
        let expected = ["x-auth_roles", "x_auth-roles", "x_auth_roles"];
        assert_eq!(underscored("x-auth-roles"), expected);
        assert_eq!(underscored("x-auth-token-id").len(), 7);
        assert_eq!(UNDERSCORED.len(), 5 * 3 + 3 * 7);
        assert!(!UNDERSCORED.iter().any(|name| IDENTITY_HEADERS.contains(&name.as_str())));
    }
}
