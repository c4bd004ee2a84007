//! The HTTP edge: what browsers, gateways and OAuth tools call. Decode, call, encode, over the same use cases as
//! gRPC; axum stays in here.
//!
//! Everything that is served stands in one table, [`routes`], from which the router and the OpenAPI document are
//! both made. The paths and the JSON of the four RPCs come from the contract's own descriptors, so that a transcoding
//! gateway gives the same.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use countersign_verifier::KeySet;
use tokio_util::task::TaskTracker;

use crate::auth::{Authenticate, RequestLimit};
use crate::model::Clock;
use crate::reason::Reason;
use crate::transport::{AllowedOrigins, Deadlines, TrustedProxies};

mod around;
mod auth_routes;
mod bearer;
mod body;
mod call;
pub mod captcha;
mod clients;
mod contract;
mod convert;
mod cookie;
mod cors;
mod cross_site;
mod csrf;
mod edge;
mod foreign_origins;
mod forward_auth;
mod headers;
mod introspection;
mod jwks;
mod metadata;
mod meter;
mod openapi;
pub mod page;
mod refusal;
mod request_limit;
mod revocation;
mod routes;
mod token;
#[cfg(feature = "test-server")]
mod worlds;

pub use captcha::{Captcha, CaptchaOptions};
pub use clients::{Client, Clients};
pub use cookie::{RefreshCookie, SameSite};
use edge::Edge;
use foreign_origins::ForeignOrigins;
pub use meter::Calls;
use meter::Meter;
use refusal::Refused;
#[cfg(feature = "test-server")]
pub use worlds::InWorlds;

/// The largest request body that is read, in bytes.
pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// More routes to serve on the edge's port, such as a page; they get the same headers and may have no fallback.
pub type Pages = Router;

/// What [`router`] makes.
pub type EdgeService = Router;

/// Gives the keys that tokens are accepted from now.
pub type KeySource = Arc<dyn Fn() -> Arc<KeySet> + Send + Sync>;

/// How a refresh token travels between the edge and its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefreshTransport {
    /// In a cookie that no script can read, and never in the body of an answer.
    Cookie,
    /// In the bodies, as the contract says: for native clients, which have no cookie jar to protect it.
    Body,
}

/// In which shape an error is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorShape {
    /// A problem (RFC 9457).
    Problem,
    /// The JSON of a `google.rpc.Status`, as a transcoding gateway tells it.
    Status,
}

/// How a point in time is written in an answer under `/v1/auth`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Times {
    /// As text by RFC 3339, as proto3 JSON has it.
    Rfc3339,
    /// As a number: milliseconds since 1970.
    EpochMillis,
}

/// How the edge behaves.
pub struct HttpOptions {
    /// Tells the time that [`crate::auth::CallContext::deadline`] is a point of.
    pub clock: Arc<dyn Clock>,
    /// The longest that each use case may take.
    pub deadlines: Deadlines,
    /// How long the body of a request may take to arrive.
    pub body_timeout: Duration,
    /// Every change that is under way, its caller waiting or gone. Close it and wait for it before the stores are
    /// closed.
    pub tasks: TaskTracker,
    /// The `iss` of access tokens (RFC 7519 §4.1.1), which introspection tells.
    pub issuer: String,
    /// What `/.well-known/jwks.json` shows.
    pub keys: KeySource,
    /// For how long others may keep that document. Together with the time in which replicas look for new keys it
    /// must be shorter than the time for which a new key is announced.
    pub keys_max_age: Duration,
    /// How refresh tokens travel.
    pub refresh_transport: RefreshTransport,
    /// What their cookie is like.
    pub refresh_cookie: RefreshCookie,
    /// How long after a rotation a Refresh is answered with the same token, for which no cookie is set: so much longer
    /// than the token's idle life the cookie is kept, because each such Refresh prolongs that.
    pub unchanged_for: Duration,
    /// Whether the edge is reached by plain HTTP: cookies then lack what only HTTPS can have.
    pub plain_http: bool,
    /// In which shape errors are told, apart from those of `/oauth2/…`.
    pub errors: ErrorShape,
    /// Whether `/v1/auth/…` answers `{code, message, data, timestamp}` with HTTP 200, whatever happened.
    pub envelope: bool,
    /// How points in time are written under `/v1/auth/…`.
    pub times: Times,
    /// The application's own numbers for some reasons, in the place of the catalogue's.
    pub error_codes: BTreeMap<Reason, u32>,
    /// The origins (RFC 6454 §6.2) whose pages may call, beside the edge's own.
    pub allowed_origins: Vec<String>,
    /// Whether a request with the refresh cookie needs the double-submit token, too.
    pub csrf: bool,
    /// `Strict-Transport-Security` (RFC 6797) on what came over HTTPS; none when zero.
    pub hsts: Duration,
    /// Who may call `/oauth2/…`; without any, there is no such path.
    pub clients: Clients,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: TrustedProxies,
    /// How many requests one client may make; as many as it likes where there is none.
    pub requests: Option<RequestLimit>,
    /// What a login must pass before its password is looked at.
    pub captcha: Option<Captcha>,
    /// Served beside the rest.
    pub pages: Pages,
    /// Counts every request.
    pub calls: Calls,
}

impl HttpOptions {
    /// The defaults of `[edge]`.
    pub fn new(clock: Arc<dyn Clock>, keys: KeySource) -> Self {
        Self {
            calls: Calls::new(clock.clone()),
            clock,
            deadlines: Deadlines::default(),
            body_timeout: Duration::from_secs(10),
            tasks: TaskTracker::new(),
            issuer: String::new(),
            keys,
            keys_max_age: Duration::from_secs(30),
            refresh_transport: RefreshTransport::Cookie,
            refresh_cookie: RefreshCookie::default(),
            unchanged_for: Duration::ZERO,
            plain_http: false,
            errors: ErrorShape::Problem,
            envelope: false,
            times: Times::Rfc3339,
            error_codes: BTreeMap::new(),
            allowed_origins: Vec::new(),
            csrf: false,
            hsts: Duration::from_hours(365 * 24),
            clients: Clients::default(),
            trusted_proxies: TrustedProxies::default(),
            requests: None,
            captcha: None,
            pages: Router::new(),
        }
    }
}

impl HttpOptions {
    /// The number that answers carry beside a reason's name.
    fn number_of(&self, reason: Reason) -> u32 {
        self.error_codes.get(&reason).copied().unwrap_or_else(|| reason.number())
    }
}

/// Everything that the edge's port serves, layers included. Put a [`crate::transport::Peer`] into the extensions of
/// each request.
pub fn router(auth: Arc<dyn Authenticate>, mut options: HttpOptions) -> EdgeService {
    let pages = std::mem::take(&mut options.pages);
    let cors = cors::layer(&options.allowed_origins);
    let table = routes::table(&options);
    let paths = table.iter().map(|operation| (operation.path.as_str(), operation.id));
    let meter = Arc::new(Meter::new(&options.calls, paths));
    let (refresh_cookie, csrf_cookie) = (cookie::refresh_token(&options), cookie::csrf_token(&options));
    let edge = Arc::new(Edge {
        auth,
        allowed_origins: AllowedOrigins::new(&options.allowed_origins),
        foreign_origins: ForeignOrigins::default(),
        options,
        refresh_cookie,
        csrf_cookie,
        document: OnceLock::new(),
    });
    let mut router = Router::new();
    for operation in table {
        router = router.route(&operation.path, (operation.mount)());
    }
    router
        .fallback(async || Refused::from(Reason::NotFound))
        .method_not_allowed_fallback(async || Refused::from(Reason::MethodNotAllowed))
        .with_state(edge.clone())
        .merge(pages)
        .layer(from_fn_with_state(edge.clone(), request_limit::request_limit))
        .layer(cors)
        .layer(from_fn_with_state(edge, around::around))
        .layer(from_fn_with_state(meter, meter::meter))
}
