//! Talks to a Countersign server (feature `client`).
//!
//! [`LiveVerifier`] verifies in this process and is told of revocations and keys as they happen;
//! [`AuthenticateLayer`] puts it before a service; [`AuthClient`] logs in, refreshes and logs out.

mod auth_client;
mod backoff;
mod error;
mod follower;
mod layer;
mod live_verifier;
mod options;
mod positions;
pub(crate) mod proto;
mod server;

pub use auth_client::{AuthClient, CallOptions, Tokens};
pub use error::{VerifyError, reason};
pub use layer::{Authenticate, AuthenticateLayer, bearer_token};
pub use live_verifier::LiveVerifier;
pub use options::{ConnectOptions, OnStale};
pub use server::{ClientTls, InvalidServer, Server};
