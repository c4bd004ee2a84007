//! What every handler has at hand.

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::response::{IntoResponse as _, Response};
use prost_reflect::DynamicMessage;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::call::Call;
use super::contract::{encode, encode_with_millis};
use super::cookie::Cookie;
use super::foreign_origins::ForeignOrigins;
use super::refusal::Refused;
use super::{HttpOptions, RefreshTransport, Times};
use crate::auth::{AuthError, Authenticate, CallContext, VerifiedToken, VerifyRequest};
use crate::model::Monotonic;
use crate::reason::Reason;
use crate::transport::{AllowedOrigins, bearer_of, carry_through};

use std::sync::{Arc, OnceLock};

/// The use cases, and how they are offered.
pub(super) struct Edge {
    pub(super) auth: Arc<dyn Authenticate>,
    pub(super) options: HttpOptions,
    /// The refresh token's.
    pub(super) refresh_cookie: Cookie,
    /// The double-submit token's.
    pub(super) csrf_cookie: Cookie,
    /// The origins whose pages may call, beside the edge's own.
    pub(super) allowed_origins: AllowedOrigins,
    /// Those whose pages called and may not.
    pub(super) foreign_origins: ForeignOrigins,
    /// The OpenAPI document, from the first time that somebody asks for it: few do, and a start need not wait for it.
    pub(super) document: OnceLock<Bytes>,
}

impl Edge {
    /// Whether refresh tokens travel in a cookie.
    pub(super) fn has_cookie(&self) -> bool {
        self.options.refresh_transport == RefreshTransport::Cookie
    }

    /// What the use cases are told of a call that may take as long as `budget`.
    pub(super) fn context(&self, call: &Call, budget: Duration) -> CallContext {
        let now = self.options.clock.monotonic();
        CallContext {
            deadline: Monotonic(now.0.saturating_add(budget)),
            peer: call.client,
            request_id: call.request_id.shared(),
        }
    }

    /// Runs a change to its end, whatever becomes of its caller, and waits for it for as long as `budget`.
    pub(super) async fn change<T: Send + 'static>(
        &self,
        budget: Duration,
        change: impl Future<Output = Result<T, AuthError>> + Send + 'static,
    ) -> Result<T, Refused> {
        let change = async move { change.await.map_err(Refused::from) };
        match tokio::time::timeout(budget, carry_through(&self.options.tasks, change)).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(panicked)) => Err(AuthError::from(panicked).into()),
            Err(_elapsed) => Err(Reason::DeadlineExceeded.into()),
        }
    }

    /// Who an access token speaks for.
    pub(super) fn verified(
        &self,
        call: &Call,
        access_token: SecretString,
        audiences: Vec<String>,
    ) -> Result<VerifiedToken, Refused> {
        let request = VerifyRequest { access_token, audiences, max_staleness: None };
        request.check()?;
        let context = self.context(call, self.options.deadlines.verify);
        let verification = self.auth.verify(&context, &request)?.verification;
        Ok(Arc::unwrap_or_clone(bearer_of(verification)?))
    }

    /// A success under `/v1/auth/…`: this message.
    pub(super) fn answer_with(&self, message: &DynamicMessage) -> Response {
        self.answer(match self.options.times {
            Times::Rfc3339 => encode(message),
            Times::EpochMillis => encode_with_millis(message),
        })
    }

    /// A success under `/v1/auth/…`.
    pub(super) fn answer(&self, body: Value) -> Response {
        if self.options.envelope {
            Json(self.envelope(0, "ok", &body)).into_response()
        } else {
            Json(body).into_response()
        }
    }

    /// The shape of those front ends that look at `code` and not at the status.
    pub(super) fn envelope(&self, code: u32, message: &str, data: &Value) -> Value {
        json!({ "code": code, "message": message, "data": data, "timestamp": self.options.clock.now().0 })
    }
}
