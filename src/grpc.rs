//! The gRPC edge: decode, call, encode. tonic and the generated types stay in here.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::{AxumRouter, Routes};
use tower::layer::util::Stack;

use crate::auth::{Authenticate, EventRecorder};
use crate::model::Clock;
use crate::transport::TrustedProxies;

mod administration;
mod administrator;
mod allow;
mod at_once;
mod auth_service;
mod call;
mod convert;
mod deadline;
mod ext_authz;
mod health;
mod login_check;
mod meter;
mod no_reflection;
pub mod proto;
mod redact;
mod revocation_service;
mod status;
mod stream_end;
mod target;
#[cfg(feature = "test-server")]
mod test_service;
#[cfg(feature = "test-server")]
mod worlds;

pub use crate::transport::{Deadlines, Peer};
pub use administration::Administration;
pub use administrator::{Administrator, AdministratorError, ToldEvents};
pub use allow::{Allow, AllowList, InvalidRule, UnknownMethod, known_methods};
pub use at_once::VerifyAtOnce;
pub use ext_authz::ExtAuthz;
pub use health::Health;
pub use login_check::{LoginCheckFailed, login_check};
pub use meter::Calls;
pub use revocation_service::Published;
pub use target::{Connector, Target};
#[cfg(feature = "test-server")]
pub use worlds::InWorlds;

use ext_authz::ExtAuthzService;
use proto::v1::auth_service_server::AuthServiceServer;
use proto::v1::revocation_service_server::RevocationServiceServer;
use revocation_service::RevocationService;
use stream_end::StreamEnd;

/// The largest request that is read where nothing else is configured, in bytes.
pub const MAX_REQUEST_BYTES: usize = 64 * 1024;
/// The largest answer that is written, in bytes.
pub const MAX_RESPONSE_BYTES: usize = 1024 * 1024;

/// The most that a batch of tokens has in bytes beyond what another request may have: the tokens.
pub const MAX_BATCH_TOKEN_BYTES: usize = convert::BATCH_MAX_TOKEN_BYTES;
/// The largest answer to a batch, in bytes: what gRPC clients read unless they are told otherwise.
pub const MAX_BATCH_RESPONSE_BYTES: usize = 4 * 1024 * 1024;
const BATCH_PATH: &str = "/countersign.v1.AuthService/BatchVerifyAccessTokens";

/// How the edge behaves.
#[derive(Clone)]
pub struct GrpcOptions {
    /// Tells the time that [`crate::auth::CallContext::deadline`] is a point of.
    pub clock: Arc<dyn Clock>,
    /// The longest that each method may take.
    pub deadlines: Deadlines,
    /// The largest request that is read, in bytes.
    pub max_request_bytes: usize,
    /// The proxies whose `x-forwarded-for` is believed.
    pub trusted_proxies: TrustedProxies,
    /// Which callers may use which methods.
    pub allow: AllowList,
    /// Whether the server describes itself to tools such as grpcurl.
    pub reflection: bool,
    /// Every change that is under way, its caller waiting or gone. Close it and wait for it before the stores
    /// are closed.
    pub tasks: TaskTracker,
    /// What `RevocationService` passes on; without it there is no such service.
    pub published: Option<Published>,
    /// Cancelled when streams must end.
    pub stopping: CancellationToken,
    /// Counts every call.
    pub calls: Calls,
    /// How Envoy is answered; without it there is no such service.
    pub ext_authz: Option<ExtAuthz>,
    /// Changes users, sessions and service accounts; without it there are no such services.
    pub administration: Option<Administration>,
    /// What tests do to the world that this is; without it there is no such service.
    #[cfg(feature = "test-server")]
    pub test: Option<Arc<crate::testing::Control>>,
    /// Takes the events of callers that are refused.
    pub events: EventRecorder,
}

impl GrpcOptions {
    /// The usual deadlines, and no reflection.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            calls: Calls::new(clock.clone()),
            clock,
            deadlines: Deadlines::default(),
            max_request_bytes: MAX_REQUEST_BYTES,
            trusted_proxies: TrustedProxies::default(),
            allow: AllowList::default(),
            reflection: false,
            tasks: TaskTracker::new(),
            published: None,
            stopping: CancellationToken::new(),
            ext_authz: Some(ExtAuthz::default()),
            administration: None,
            #[cfg(feature = "test-server")]
            test: None,
            events: EventRecorder::default(),
        }
    }
}

/// What [`service`] makes.
pub type GrpcService = VerifyAtOnce<AxumRouter>;

/// Everything that the gRPC port serves, as [`routes`] does, with a short cut for a plain Verify. Put a [`Peer`] into
/// the extensions of each request.
pub fn service(auth: Arc<dyn Authenticate>, health: &Health, options: GrpcOptions) -> GrpcService {
    let (allow, calls) = (Arc::new(options.allow.clone()), options.calls.clone());
    let max_request_bytes = options.max_request_bytes;
    let ordinary = routes(Arc::clone(&auth), health, options);
    VerifyAtOnce { auth, allow, calls, max_request_bytes, ordinary }
}

/// Everything that the gRPC port serves, layers included: `AuthService`, `RevocationService` where there is
/// something to publish, `UserService`, `SessionService`, `ServiceAccountService`, `KeyService` and `AuditService` where there is what they work on, Envoy's
/// `Authorization`, health and, where wanted, reflection (v1 and v1alpha). Put a [`Peer`] into the extensions of each request, and [`crate::transport::PeerNames`] where its connection brought a
/// certificate.
pub fn routes(auth: Arc<dyn Authenticate>, health: &Health, options: GrpcOptions) -> AxumRouter {
    let GrpcOptions {
        clock,
        deadlines,
        max_request_bytes,
        trusted_proxies,
        allow,
        reflection,
        tasks,
        published,
        stopping,
        calls,
        ext_authz,
        administration,
        #[cfg(feature = "test-server")]
        test,
        events,
    } = options;
    let allow = Arc::new(allow);
    let end = StreamEnd { stopping };
    let ext_authz = ext_authz.map(|options| ExtAuthzService { auth: Arc::clone(&auth), options }.bounded());
    let around = call::CallLayer {
        auth: Arc::clone(&auth),
        clock,
        deadlines,
        trusted_proxies,
        allow: Arc::clone(&allow),
        events: events.clone(),
    };
    let administration =
        administration.map(|administration| administration.services(&tasks, &allow, &end, events));
    let auth = Arc::new(auth_service::AuthService { auth, tasks, end: end.clone() });
    let batch = AuthServiceServer::from_arc(Arc::clone(&auth))
        .max_decoding_message_size(MAX_BATCH_TOKEN_BYTES + max_request_bytes)
        .max_encoding_message_size(MAX_BATCH_RESPONSE_BYTES);
    let auth = AuthServiceServer::from_arc(auth)
        .max_decoding_message_size(max_request_bytes)
        .max_encoding_message_size(MAX_RESPONSE_BYTES);
    let health = health.service().max_decoding_message_size(MAX_REQUEST_BYTES);
    let mut routes = Routes::new(auth).add_service(health);
    if let Some(published) = published {
        let service = RevocationServiceServer::new(RevocationService { published, end })
            .max_decoding_message_size(MAX_REQUEST_BYTES)
            .max_encoding_message_size(MAX_RESPONSE_BYTES);
        routes = routes.add_service(service);
    }
    if let Some(ext_authz) = ext_authz {
        routes = routes.add_service(ext_authz);
    }
    if let Some(administration::Services { users, sessions, service_accounts, keys, audit }) = administration
    {
        routes = routes
            .add_service(users.max_decoding_message_size(max_request_bytes))
            .add_service(sessions.max_decoding_message_size(max_request_bytes))
            .add_service(service_accounts.max_decoding_message_size(max_request_bytes))
            .add_service(keys.max_decoding_message_size(max_request_bytes))
            .add_service(audit.max_decoding_message_size(max_request_bytes));
    }
    #[cfg(feature = "test-server")]
    let described = test.as_ref().map(|_| proto::test_v1::DESCRIPTORS);
    #[cfg(not(feature = "test-server"))]
    let described = None;
    #[cfg(feature = "test-server")]
    if let Some(test) = test {
        routes = routes.add_service(test_service::server(test));
    }
    if reflection {
        routes = with_reflection(routes, described);
    }
    // One method reads more than the others may, so it has a route of its own.
    let routes = routes.prepare().into_axum_router().route_service(BATCH_PATH, batch);
    let routes = if reflection { routes } else { no_reflection::route(routes) };
    // One layer made of two, so that a call goes through no more boxes.
    routes.layer(Stack::new(around, meter::MeterLayer(calls)))
}

/// Describes what every server has, and what else this one has.
fn with_reflection(routes: Routes, described: Option<&'static [u8]>) -> Routes {
    const DESCRIBED: &str = "build.rs made the descriptors with the code that they describe";
    let builder = || {
        let builder = tonic_reflection::server::Builder::configure();
        let builder = match described {
            Some(descriptors) => builder.register_encoded_file_descriptor_set(descriptors),
            None => builder,
        };
        builder
            .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            // So that grpcurl shows an error's details in words.
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
    };
    let v1 = builder().build_v1().expect(DESCRIBED).max_decoding_message_size(MAX_REQUEST_BYTES);
    let v1alpha = builder().build_v1alpha().expect(DESCRIBED).max_decoding_message_size(MAX_REQUEST_BYTES);
    routes.add_service(v1).add_service(v1alpha)
}
