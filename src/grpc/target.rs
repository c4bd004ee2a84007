//! A running service that a command of ours asks.

use std::time::Duration;

use hyper::rt::{Read, Write};
use tonic::transport::{Channel, Endpoint, Uri};
use tower::Service;

/// Any error; its text is for the operator.
type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The service that is asked, and how it is reached.
#[derive(Debug, Clone)]
pub struct Target<C> {
    /// `http://host:port` or `https://host:port`.
    pub address: Uri,
    /// Opens the connection to the address, in TLS where that says so, whatever it is asked for.
    pub connector: C,
    /// The longest that connecting, and each call, may take.
    pub timeout: Duration,
}

/// What opens a connection.
pub trait Connector:
    Service<Uri, Response: Read + Write + Send + Unpin, Error = BoxError, Future: Send> + Send + 'static
{
}

impl<S> Connector for S where
    S: Service<Uri, Response: Read + Write + Send + Unpin, Error = BoxError, Future: Send> + Send + 'static
{
}

impl<C: Connector> Target<C> {
    /// Connects, once: all calls go over one connection, and so to one replica.
    pub(super) async fn connect(self) -> Result<Channel, BoxError> {
        let Self { address, connector, timeout } = self;
        // The connector knows where to go, and speaks TLS: tonic refuses https of its own where its TLS is switched on.
        let endpoint = Endpoint::from_static("http://countersign").origin(address).timeout(timeout);
        let connecting = tokio::time::timeout(timeout, endpoint.connect_with_connector(connector));
        Ok(connecting.await??)
    }
}
