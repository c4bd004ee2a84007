//! The administrative services as a client sees them: what `countersign … --server` asks.

use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};
use tonic_types::StatusExt as _;

use super::proto::v1::audit_service_client::AuditServiceClient;
use super::proto::v1::key_service_client::KeyServiceClient;
use super::proto::v1::service_account_service_client::ServiceAccountServiceClient;
use super::proto::v1::session_service_client::SessionServiceClient;
use super::proto::v1::user_service_client::UserServiceClient;
use super::target::{Connector, Target};
use crate::reason::Reason;

mod answer;
mod audit;
mod keys;
mod service_accounts;
mod sessions;
mod users;

use answer::Unreadable;
pub use audit::ToldEvents;

/// How many are asked for at once: the largest page of every list.
const PAGE: i32 = 500;
/// The largest answer that is read, in bytes: a page of users with as many claims as they may have.
const LARGEST_ANSWER: usize = 64 * 1024 * 1024;

/// Why a service did not do what it was asked. The text is for the operator.
#[derive(Debug, thiserror::Error)]
pub enum AdministratorError {
    /// It could not be connected to.
    #[error("cannot connect")]
    Connecting(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The token has characters that no token has.
    #[error("the token is neither a service key nor an access token")]
    Token,
    /// It said no.
    #[error("{0}")]
    Refused(Refusal),
    /// Its answer is not one of this contract.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
}

/// What a service said instead of doing what it was asked.
#[derive(Debug)]
pub struct Refusal {
    reason: String,
    message: String,
    /// Field and description.
    violations: Vec<(String, String)>,
    hint: &'static str,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reason, message, violations, hint } = self;
        write!(f, "{message} ({reason})")?;
        for (field, description) in violations {
            write!(f, "; {field} {description}")?;
        }
        f.write_str(hint)
    }
}

impl From<Status> for AdministratorError {
    fn from(status: Status) -> Self {
        let details = status.get_error_details();
        let reason =
            details.error_info().map_or_else(|| format!("{:?}", status.code()), |info| info.reason.clone());
        let violations = details.bad_request().map(|bad| bad.field_violations.clone()).unwrap_or_default();
        let hint = if reason == Reason::TokenMissing.name() {
            "; say who asks with --token-file, COUNTERSIGN_TOKEN or --certificate-file"
        } else {
            ""
        };
        Self::Refused(Refusal {
            reason,
            message: status.message().to_owned(),
            violations: violations.into_iter().map(|it| (it.field, it.description)).collect(),
            hint,
        })
    }
}

/// Shows who asks, with each call.
#[derive(Clone)]
struct Bearer(Option<MetadataValue<Ascii>>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request.metadata_mut().insert("authorization", value.clone());
        }
        Ok(request)
    }
}

type Connection = InterceptedService<Channel, Bearer>;

/// A running service, asked as somebody who may administer it.
pub struct Administrator {
    connection: Connection,
}

impl Administrator {
    /// Connects, and shows this service key or access token with each call; without one, the certificate of the connection
    /// alone says who asks.
    pub async fn connect(
        target: Target<impl Connector>,
        token: Option<&SecretString>,
    ) -> Result<Self, AdministratorError> {
        let bearer = |token: &SecretString| {
            let value = format!("Bearer {}", token.expose_secret());
            let mut value = MetadataValue::try_from(value).map_err(|_| AdministratorError::Token)?;
            value.set_sensitive(true);
            Ok::<_, AdministratorError>(value)
        };
        let bearer = Bearer(token.map(bearer).transpose()?);
        let channel = target.connect().await.map_err(AdministratorError::Connecting)?;
        Ok(Self { connection: InterceptedService::new(channel, bearer) })
    }

    fn users(&self) -> UserServiceClient<Connection> {
        UserServiceClient::new(self.connection.clone()).max_decoding_message_size(LARGEST_ANSWER)
    }

    fn sessions(&self) -> SessionServiceClient<Connection> {
        SessionServiceClient::new(self.connection.clone()).max_decoding_message_size(LARGEST_ANSWER)
    }

    fn audit(&self) -> AuditServiceClient<Connection> {
        AuditServiceClient::new(self.connection.clone()).max_decoding_message_size(LARGEST_ANSWER)
    }

    fn keys(&self) -> KeyServiceClient<Connection> {
        KeyServiceClient::new(self.connection.clone()).max_decoding_message_size(LARGEST_ANSWER)
    }

    fn service_accounts(&self) -> ServiceAccountServiceClient<Connection> {
        ServiceAccountServiceClient::new(self.connection.clone()).max_decoding_message_size(LARGEST_ANSWER)
    }
}

/// What a call answered.
async fn asked<T>(call: impl Future<Output = Result<Response<T>, Status>>) -> Result<T, AdministratorError> {
    Ok(call.await?.into_inner())
}

/// Where a list goes on.
fn next(page_token: String) -> Option<String> {
    Some(page_token).filter(|token| !token.is_empty())
}
