//! What is answered to tools that ask for a description where there is none: which setting it is.

use std::sync::Once;

use axum::routing::any;
use tonic::service::{AxumBody, AxumRouter};
use tonic::{Code, Status};

/// grpcurl says "server does not support the reflection API" to this and shows no message; others show it.
const MESSAGE: &str = "this service does not describe itself: set grpc.reflection = true, or give the tool the .proto \
                       files (README, Deployment)";

/// Both versions of the protocol.
const PATHS: [&str; 2] =
    ["/grpc.reflection.v1.ServerReflection/{method}", "/grpc.reflection.v1alpha.ServerReflection/{method}"];

/// Answers UNIMPLEMENTED, as every server without reflection does, and names the setting. The log names it once.
pub(super) fn route(routes: AxumRouter) -> AxumRouter {
    PATHS.into_iter().fold(routes, |routes, path| routes.route(path, any(refuse)))
}

async fn refuse() -> http::Response<AxumBody> {
    static SAID: Once = Once::new();
    SAID.call_once(|| tracing::info!("a tool has asked for reflection, and grpc.reflection is false"));
    Status::new(Code::Unimplemented, MESSAGE).into_http()
}
