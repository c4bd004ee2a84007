//! An axum service that lets in whoever brings a good access token:
//!
//! ```text
//! cargo run -- dev                                                   # in another terminal
//! cargo run -p countersign-verifier --features client --example axum
//! curl -H "Authorization: Bearer $ACCESS" http://127.0.0.1:8000/
//! ```

use std::error::Error;
use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRef, FromRequestParts};
use axum::http::header::WWW_AUTHENTICATE;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use countersign_verifier::client::{ConnectOptions, LiveVerifier, VerifyError, bearer_token};
use countersign_verifier::{Rules, VerifiedToken, Verifier};

/// Who calls: a handler that has this among its arguments is reached by nobody else.
struct Caller(Arc<VerifiedToken>);

/// Why somebody is not let in.
struct Refusal(VerifyError);

impl<S> FromRequestParts<S> for Caller
where
    S: Send + Sync,
    LiveVerifier: FromRef<S>,
{
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let token = bearer_token(&parts.headers).ok_or(Refusal(VerifyError::Missing))?;
        LiveVerifier::from_ref(state).verify(token, &[]).await.map(Self).map_err(Refusal)
    }
}

impl IntoResponse for Refusal {
    /// RFC 6750 §3.1; and 503 where nothing is known of the token: never log anybody out for that.
    fn into_response(self) -> Response {
        let Self(error) = self;
        if !error.is_about_the_token() {
            return (StatusCode::SERVICE_UNAVAILABLE, error.reason()).into_response();
        }
        let challenge = match error {
            VerifyError::Missing => HeaderValue::from_static("Bearer"),
            _ => HeaderValue::from_static("Bearer error=\"invalid_token\""),
        };
        (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, challenge)], error.reason()).into_response()
    }
}

async fn hello(Caller(token): Caller) -> String {
    format!("Hello {}, you are {}.\n", token.username, token.roles.join(" and "))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let rules = Rules::new("countersign", vec!["countersign".to_owned()]);
    let endpoint = tonic::transport::Endpoint::from_static("http://127.0.0.1:50051");
    let verifier = Verifier::connect(endpoint, ConnectOptions::new(rules));
    let service = Router::new().route("/", get(hello)).with_state(verifier);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8000").await?;
    Ok(axum::serve(listener, service).await?)
}
