use std::fmt;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use http::uri::{PathAndQuery, Scheme};
use hyper_util::rt::TokioIo;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, InvalidDnsNameError, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint};
use tower_service::Service;

/// How long connecting and the handshake may take together.
const PATIENCE: Duration = Duration::from_secs(10);
/// gRPC is HTTP/2, and a server that speaks something else must not be spoken to (RFC 7301).
const HTTP2: &[u8] = b"h2";

/// How to speak TLS with a server. The files are read for each connection, so that what replaces them is used from
/// the next one on; the server ends connections after some ten minutes.
#[derive(Debug, Clone)]
pub struct ClientTls {
    /// PEM: the authorities that the server's certificate must come from. No others are trusted.
    pub ca_file: PathBuf,
    /// PEM: our certificate, with those between it and the authority, and its private key; for a server that asks
    /// for one.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// The name or address that the server's certificate must have, where it is not the host of the URL.
    pub server_name: Option<String>,
}

/// Where a server is, and how to speak with it.
#[derive(Clone)]
pub struct Server {
    endpoint: Endpoint,
    connector: Option<Connector>,
}

/// What is wrong with a server's URL.
#[derive(Debug, thiserror::Error)]
pub enum InvalidServer {
    /// It is no URL, or not one that begins with `https://` and a host.
    #[error("a server with TLS is https://host or https://host:port")]
    Url,
    /// The host is no name that a certificate could have.
    #[error("the server's name is not one that a certificate can have: {0}")]
    Name(#[from] InvalidDnsNameError),
}

impl From<Endpoint> for Server {
    fn from(endpoint: Endpoint) -> Self {
        Self { endpoint, connector: None }
    }
}

impl Server {
    /// The server at `https://host[:port]` (443 where no port is given).
    pub fn with_tls(url: &str, tls: ClientTls) -> Result<Self, InvalidServer> {
        let uri: Uri = url.parse().map_err(|_| InvalidServer::Url)?;
        let host = uri.host().filter(|host| !host.is_empty()).ok_or(InvalidServer::Url)?;
        if uri.scheme() != Some(&Scheme::HTTPS) || !matches!(uri.path(), "" | "/") {
            return Err(InvalidServer::Url);
        }
        let port = match uri.port() {
            Some(port) => port.as_u16(),
            // `http` tells a port that is no number as none.
            None if uri.authority().is_some_and(|it| it.as_str().ends_with(host)) => 443,
            None => return Err(InvalidServer::Url),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(tls.server_name.clone().unwrap_or_else(|| host.clone()))?;
        // TLS is the connector's business. tonic refuses https of its own where a program has switched its TLS on.
        let mut parts = uri.clone().into_parts();
        parts.scheme = Some(Scheme::HTTP);
        parts.path_and_query = Some(PathAndQuery::from_static("/"));
        let plain = Uri::from_parts(parts).map_err(|_| InvalidServer::Url)?;
        let connector = Connector { host: host.into(), port, name, tls: Arc::new(tls) };
        Ok(Self { endpoint: Endpoint::from(plain).origin(uri), connector: Some(connector) })
    }

    /// Changes how long things may take.
    #[must_use]
    pub fn configured(self, configure: impl FnOnce(Endpoint) -> Endpoint) -> Self {
        Self { endpoint: configure(self.endpoint), ..self }
    }

    /// A channel that connects when it is used, and again whenever it has to.
    pub fn channel(&self) -> Channel {
        match &self.connector {
            Some(connector) => self.endpoint.connect_with_connector_lazy(connector.clone()),
            None => self.endpoint.connect_lazy(),
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("uri", self.endpoint.uri())
            .field("tls", &self.connector.is_some())
            .finish_non_exhaustive()
    }
}

/// Opens connections that speak TLS.
#[derive(Clone)]
struct Connector {
    host: Arc<str>,
    port: u16,
    name: ServerName<'static>,
    tls: Arc<ClientTls>,
}

impl Service<Uri> for Connector {
    type Response = TokioIo<TlsStream<TcpStream>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move {
            let connected = timeout(PATIENCE, connector.connect()).await;
            connected.map_err(|_elapsed| io::Error::from(io::ErrorKind::TimedOut))?.map(TokioIo::new)
        })
    }
}

impl Connector {
    async fn connect(self) -> io::Result<TlsStream<TcpStream>> {
        let tls = Arc::clone(&self.tls);
        let config = tokio::task::spawn_blocking(move || tls.read()).await.map_err(io::Error::other)??;
        let stream = TcpStream::connect((&*self.host, self.port)).await?;
        stream.set_nodelay(true)?;
        let stream = TlsConnector::from(Arc::new(config)).connect(self.name, stream).await?;
        if stream.get_ref().1.alpn_protocol() != Some(HTTP2) {
            return Err(io::Error::other("the server does not speak HTTP/2"));
        }
        Ok(stream)
    }
}

impl ClientTls {
    /// Blocks on the disk.
    fn read(&self) -> io::Result<ClientConfig> {
        let mut roots = RootCertStore::empty();
        for authority in certificates(&self.ca_file)? {
            roots.add(authority).map_err(io::Error::other)?;
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(roots);
        let mut config = match &self.certificate {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let key = pem(key)
                    .and_then(|pem| PrivateKeyDer::from_pem_slice(&pem).map_err(io::Error::other))
                    .map_err(|error| io::Error::other(format!("{}: {error}", key.display())))?;
                builder.with_client_auth_cert(certificates(certificate)?, key).map_err(io::Error::other)?
            }
        };
        config.alpn_protocols = vec![HTTP2.to_vec()];
        Ok(config)
    }
}

/// Every certificate of a file, of which there must be one.
fn certificates(file: &PathBuf) -> io::Result<Vec<CertificateDer<'static>>> {
    let named = |error: &dyn fmt::Display| io::Error::other(format!("{}: {error}", file.display()));
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&pem(file).map_err(|error| named(&error))?)
        .collect::<Result<_, _>>()
        .map_err(|error| named(&error))?;
    if certificates.is_empty() { Err(named(&"no certificate is in it")) } else { Ok(certificates) }
}

/// A file in PEM, without the byte order mark that some editors put at its head: the reader would pass over the first
/// block with it.
fn pem(file: &PathBuf) -> io::Result<Vec<u8>> {
    const MARK: &[u8] = b"\xEF\xBB\xBF";
    let mut pem = std::fs::read(file)?;
    if pem.starts_with(MARK) {
        pem.drain(..MARK.len());
    }
    Ok(pem)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(url: &str) -> Result<Server, InvalidServer> {
        let tls = ClientTls { ca_file: "ca.pem".into(), certificate: None, server_name: None };
        Server::with_tls(url, tls)
    }

    #[test]
    fn only_an_https_url_names_a_server_with_tls() {
        for good in
            ["https://countersign:50051", "https://127.0.0.1:1", "https://[::1]:1", "https://a.example/"]
        {
            server(good).unwrap();
        }
        for bad in ["http://a", "https://", "a:1", "", "https://a/path", "https://a_b:x"] {
            assert!(server(bad).is_err(), "{bad}");
        }
    }
}
