//! The table of everything that is served. The router and the OpenAPI document are made from it.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::{MethodRouter, any, delete, get, post};
use http::Method;
use http::header::CONTENT_TYPE;

use super::contract;
use super::edge::Edge;
use super::{
    HttpOptions, auth_routes, body, csrf, forward_auth, introspection, jwks, metadata, openapi, revocation,
    token,
};
use crate::reason::Reason;

/// One operation.
pub(super) struct Operation {
    /// What programs call it.
    pub(super) id: &'static str,
    pub(super) methods: &'static [Method],
    pub(super) path: String,
    /// What it does, in a line.
    pub(super) summary: String,
    pub(super) takes: Takes,
    pub(super) gives: Gives,
    pub(super) caller: Caller,
    /// Every way to fail, beside those that every operation has.
    pub(super) reasons: Vec<Reason>,
    pub(super) mount: fn() -> MethodRouter<Arc<Edge>>,
}

/// What a request has in it.
pub(super) enum Takes {
    Nothing,
    /// The JSON of a message of the contract.
    Message(String),
    /// The form of RFC 7662 §2.1 and RFC 7009 §2.1.
    TokenForm,
    /// The form of RFC 6749 §4.4.2.
    GrantForm,
    /// The rules of a gateway, in the query.
    Rules,
}

/// What a success has in it.
pub(super) enum Gives {
    Nothing,
    /// The JSON of a message of the contract.
    Message(String),
    CsrfToken,
    KeySet,
    Metadata,
    Introspection,
    /// RFC 6749 §5.1.
    AccessToken,
    /// No body, and headers.
    Identity,
    OpenApi,
}

/// What the caller shows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Caller {
    Nobody,
    /// A refresh token, in one of the ways that are configured.
    RefreshToken,
    /// An access token.
    AccessToken,
    /// A client's id and secret.
    Client,
    /// A service account's id or name, and a service key; in the header or in the form.
    ServiceAccount,
}

/// Where changes come from is checked, and what the body is.
const OF_WRITES: [Reason; 5] = [
    Reason::InvalidRequest,
    Reason::CrossSiteRequest,
    Reason::RequestTimeout,
    Reason::RequestTooLarge,
    Reason::UnsupportedMediaType,
];

/// What every refresh token can be refused for.
const OF_REFRESH_TOKENS: [Reason; 4] = [
    Reason::RefreshTokenInvalid,
    Reason::RefreshTokenExpired,
    Reason::RefreshTokenReused,
    Reason::SessionRevoked,
];

/// What every access token can be refused for.
const OF_ACCESS_TOKENS: [Reason; 5] = [
    Reason::TokenMissing,
    Reason::AccessTokenExpired,
    Reason::AccessTokenInvalid,
    Reason::SessionRevoked,
    Reason::RevocationsStale,
];

/// What every use case can fail of.
const OF_STORES: [Reason; 3] = [Reason::StoreUnavailable, Reason::RevocationsStale, Reason::DeadlineExceeded];

/// What attempts can be too many for.
const LIMITED: [Reason; 2] = [Reason::RateLimitExceeded, Reason::LoginOverloaded];

/// Everything that these options serve.
pub(super) fn table(options: &HttpOptions) -> Vec<Operation> {
    let mut table = rpcs(options);
    table.extend(questions());
    if options.csrf {
        table.push(Operation {
            summary: "The double-submit token, for pages that cannot read its cookie".to_owned(),
            gives: Gives::CsrfToken,
            ..read("GetCsrfToken", "/v1/auth/csrf", || get(csrf::token))
        });
    }
    if metadata::is_served(&options.issuer) {
        table.push(Operation {
            summary: "Where the keys and the endpoints of OAuth are (RFC 8414)".to_owned(),
            gives: Gives::Metadata,
            ..read("GetAuthorizationServer", metadata::PATH, || get(metadata::metadata))
        });
    }
    table.push(service_tokens());
    if !options.clients.is_empty() {
        table.extend(oauth());
    }
    table
}

fn rpcs(options: &HttpOptions) -> Vec<Operation> {
    let by_cookie: &[Reason] = if options.csrf {
        &[Reason::TokenMissing, Reason::CsrfTokenMismatch]
    } else {
        &[Reason::TokenMissing]
    };
    let captcha: &[Reason] = match options.captcha {
        Some(_) => &[Reason::CaptchaRequired, Reason::CaptchaRejected, Reason::CaptchaUnavailable],
        None => &[],
    };
    let of_login = [Reason::InvalidCredentials, Reason::SessionLimitReached];
    vec![
        rpc("Login", &[&of_login, captcha, &LIMITED, &OF_STORES], || post(auth_routes::login)),
        Operation {
            caller: Caller::RefreshToken,
            ..rpc(
                "Refresh",
                &[&OF_REFRESH_TOKENS, by_cookie, &[Reason::RefreshInProgress], &LIMITED, &OF_STORES],
                || post(auth_routes::refresh),
            )
        },
        Operation {
            caller: Caller::RefreshToken,
            ..rpc("Logout", &[&OF_REFRESH_TOKENS, by_cookie, &OF_STORES], || post(auth_routes::logout))
        },
        rpc("VerifyAccessToken", &[&OF_STORES], || post(auth_routes::verify)),
        Operation {
            caller: Caller::RefreshToken,
            ..rpc(
                "ChangePassword",
                &[
                    &OF_REFRESH_TOKENS,
                    by_cookie,
                    &[Reason::InvalidCredentials, Reason::PasswordRejected],
                    &LIMITED,
                    &OF_STORES,
                ],
                || post(auth_routes::change_password),
            )
        },
        rpc(
            "ResetPassword",
            &[&[Reason::ResetTokenInvalid, Reason::PasswordRejected], &LIMITED, &OF_STORES],
            || post(auth_routes::reset_password),
        ),
        Operation {
            summary: "Where the user of a refresh token is logged in".to_owned(),
            gives: Gives::Message("ListOwnSessionsResponse".to_owned()),
            caller: Caller::RefreshToken,
            reasons: [&OF_REFRESH_TOKENS[..], &[Reason::TokenMissing, Reason::InvalidRequest], &OF_STORES]
                .concat(),
            ..read("ListOwnSessions", "/v1/auth/sessions", || get(auth_routes::list_own_sessions))
        },
        Operation {
            methods: &[Method::DELETE],
            summary: "Ends a session of the user of a refresh token, or all others".to_owned(),
            gives: Gives::Message("RevokeOwnSessionsResponse".to_owned()),
            caller: Caller::RefreshToken,
            reasons: [
                &OF_REFRESH_TOKENS[..],
                by_cookie,
                &[Reason::TokenMissing, Reason::InvalidRequest, Reason::CrossSiteRequest],
                &OF_STORES,
            ]
            .concat(),
            ..read("RevokeOwnSessions", "/v1/auth/sessions/{id}", || delete(auth_routes::revoke_own_sessions))
        },
    ]
}

/// An RPC: its path, its messages and what it does are what the contract says.
fn rpc(name: &'static str, reasons: &[&[Reason]], mount: fn() -> MethodRouter<Arc<Edge>>) -> Operation {
    let method = contract::method(name);
    Operation {
        id: name,
        methods: &[Method::POST],
        path: contract::path(&method),
        summary: contract::comment(method.parent_file().file_descriptor_proto(), method.path()),
        takes: Takes::Message(method.input().name().to_owned()),
        gives: Gives::Message(method.output().name().to_owned()),
        caller: Caller::Nobody,
        reasons: [&[OF_WRITES.as_slice()], reasons].concat().concat(),
        mount,
    }
}

/// An operation that changes nothing and is asked with GET.
fn read(id: &'static str, path: &'static str, mount: fn() -> MethodRouter<Arc<Edge>>) -> Operation {
    Operation {
        id,
        methods: &[Method::GET],
        path: path.to_owned(),
        summary: String::new(),
        takes: Takes::Nothing,
        gives: Gives::Nothing,
        caller: Caller::Nobody,
        reasons: Vec::new(),
        mount,
    }
}

fn questions() -> Vec<Operation> {
    vec![
        Operation {
            summary: "Who the bearer of an access token is".to_owned(),
            gives: Gives::Message("VerifiedToken".to_owned()),
            caller: Caller::AccessToken,
            reasons: [&OF_ACCESS_TOKENS[..], &[Reason::InvalidRequest]].concat(),
            ..read("GetSession", "/v1/auth/session", || get(auth_routes::session))
        },
        Operation {
            summary: "The keys that access tokens are verified with (RFC 7517)".to_owned(),
            gives: Gives::KeySet,
            ..read("GetKeySet", "/.well-known/jwks.json", || get(jwks::jwks))
        },
        Operation {
            // All of those that OpenAPI can describe and that have a body in their answer; others are answered as well.
            methods: &[
                Method::GET,
                Method::POST,
                Method::PUT,
                Method::PATCH,
                Method::DELETE,
                Method::OPTIONS,
            ],
            summary: "Whether a gateway may let a request through, and as whom".to_owned(),
            takes: Takes::Rules,
            gives: Gives::Identity,
            caller: Caller::AccessToken,
            reasons: [&OF_ACCESS_TOKENS[..], &[Reason::InvalidRequest, Reason::RoleRequired]].concat(),
            ..read("ForwardAuth", forward_auth::PATH, || any(forward_auth::forward_auth))
        },
        Operation {
            summary: "This document".to_owned(),
            gives: Gives::OpenApi,
            ..read("GetOpenApi", "/openapi.json", || get(document))
        },
    ]
}

fn service_tokens() -> Operation {
    Operation {
        methods: &[Method::POST],
        summary: "An access token for a service account (RFC 6749 section 4.4)".to_owned(),
        takes: Takes::GrantForm,
        gives: Gives::AccessToken,
        caller: Caller::ServiceAccount,
        reasons: [&[Reason::ClientUnauthenticated], &OF_WRITES[..], &OF_STORES].concat(),
        ..read("IssueToken", token::PATH, || post(token::issue))
    }
}

fn oauth() -> Vec<Operation> {
    let of_clients = [&[Reason::ClientUnauthenticated], &OF_WRITES[..], &OF_STORES].concat();
    let operation = |id, path, mount| Operation {
        methods: &[Method::POST],
        takes: Takes::TokenForm,
        caller: Caller::Client,
        reasons: of_clients.clone(),
        ..read(id, path, mount)
    };
    vec![
        Operation {
            summary: "What an access token says, if it is good (RFC 7662)".to_owned(),
            gives: Gives::Introspection,
            ..operation("IntrospectToken", "/oauth2/introspect", || post(introspection::introspect))
        },
        Operation {
            summary: "Ends the session that a token belongs to (RFC 7009)".to_owned(),
            ..operation("RevokeToken", "/oauth2/revoke", || post(revocation::revoke))
        },
    ]
}

async fn document(State(edge): State<Arc<Edge>>) -> impl IntoResponse {
    let describe = || openapi::document(&table(&edge.options), &edge.options).to_string().into();
    ([(CONTENT_TYPE, body::JSON)], edge.document.get_or_init(describe).clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_annotated_rpc_of_the_contract_is_served_where_it_says() {
        let options = HttpOptions::new(Arc::new(crate::model::SystemClock::new()), Arc::new(Arc::default));
        let served: Vec<_> = rpcs(&options).into_iter().map(|rpc| (rpc.id, rpc.path)).collect();
        for method in contract::annotated() {
            let path = contract::path(&method);
            assert!(served.iter().any(|rpc| *rpc == (method.name(), path.clone())), "{}", method.name());
        }
        assert_eq!(served[3], ("VerifyAccessToken", "/v1/auth/verify".to_owned()));
    }
}
