//! `envoy.service.auth.v3.Authorization`: Envoy asks of every request whether it may go on, and as whom. The same
//! answers as `/forward-auth`, from the same verifier as `VerifyAccessToken`. See `docs/gateways.md`.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::call::Call;
use super::proto::envoy::authorization_server::{Authorization, AuthorizationServer};
use super::status;
use crate::auth::{AuthError, Authenticate, CallContext, VerifiedToken, VerifyRequest};
use crate::reason::Reason;
use crate::transport::{AllowedOrigins, HeaderFields as _, RequestId, bearer_of, language, log_failure};

mod asked;
mod told;
pub(super) mod wire;

use asked::Required;
use told::Client;
use wire::{AttributeContext, CheckRequest, CheckResponse, Entry, HttpRequest};

/// The path of its one method.
pub(super) const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";

/// The largest request that is read, in bytes: what a client sent, head and all, which Envoy limits to 60 KiB unless it
/// is told otherwise. One that were refused for its size would be an error and no answer.
const MAX_CHECK_BYTES: usize = 256 * 1024;

/// How Envoy is answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExtAuthz {
    /// The cookie that an access token is looked for in when there is no bearer token.
    pub cookie: Option<String>,
    /// The origins whose pages may change something by that cookie, beside the one that the request is for.
    pub allowed_origins: AllowedOrigins,
    /// Whether Envoy is told what to answer when it cannot be known (`CheckResponse.error_response`); otherwise it
    /// gets the bare status of the call, which every version understands.
    pub error_response: bool,
}

/// The service, over whatever answers its calls.
pub(super) struct ExtAuthzService {
    pub(super) auth: Arc<dyn Authenticate>,
    pub(super) options: ExtAuthz,
}

impl ExtAuthzService {
    /// With its bounds.
    pub(super) fn bounded(self) -> AuthorizationServer<Self> {
        AuthorizationServer::new(self).max_decoding_message_size(MAX_CHECK_BYTES)
    }

    /// Whom the request comes from, or why it goes no further.
    async fn decide(
        &self,
        context: &CallContext,
        http: &HttpRequest,
        extensions: &[Entry],
    ) -> Result<Arc<VerifiedToken>, AuthError> {
        let Required { audiences, roles, at_least } = Required::parse(extensions)?;
        let access_token = http.token(self.options.cookie.as_deref(), &self.options.allowed_origins)?;
        let request = VerifyRequest { access_token, audiences, max_staleness: None };
        request.check()?;
        let verify = self.auth.verify_at_least(context, &request, at_least).await?;
        let token = bearer_of(verify.verification)?;
        if roles.iter().any(|role| !token.roles.contains(role)) {
            return Err(Reason::RoleRequired.into());
        }
        Ok(token)
    }
}

#[tonic::async_trait]
impl Authorization for ExtAuthzService {
    async fn check(&self, request: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        let (call, message) = Call::split(request);
        let AttributeContext { request, context_extensions } = message.attributes.unwrap_or_default();
        let http = request.and_then(|request| request.http).unwrap_or_default();
        let error = match self.decide(&call.context(), &http, &context_extensions).await {
            Ok(token) => return Ok(Response::new(told::allowed(&token, &http))),
            Err(error) => error,
        };
        let request_id = request_id_of(&http).unwrap_or(call.request_id);
        let client = Client {
            language: language(&http),
            request_id: request_id.as_str(),
            grpc: http.all("content-type").any(|value| value.starts_with(b"application/grpc")),
        };
        if is_answer(error.reason) {
            log_failure(&error);
            Ok(Response::new(client.denied(&error)))
        } else if self.options.error_response {
            log_failure(&error);
            Ok(Response::new(client.unknown(&error)))
        } else {
            Err(status::refuse(&error, client.language))
        }
    }
}

/// Whether a reason is known to be the client's, or the gateway's, and no failure of ours.
fn is_answer(reason: Reason) -> bool {
    matches!(reason.http_status(), 400..=499)
}

/// What the client calls its request: Envoy names those that have no name.
fn request_id_of(http: &HttpRequest) -> Option<RequestId> {
    http.all("x-request-id").next().and_then(RequestId::parse)
}
