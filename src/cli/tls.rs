//! How the commands that ask a running service speak TLS.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::program::BoxError;

/// Whom to trust, and who we are.
#[derive(Debug, Clone, Default, Args)]
pub struct Tls {
    /// With https://: the authorities that the server's certificate must come from, in PEM
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// With https://: our own certificate, in PEM
    #[arg(long, value_name = "FILE", requires = "key_file")]
    pub certificate_file: Option<PathBuf>,
    /// With https://: its private key, in PEM
    #[arg(long, value_name = "FILE", requires = "certificate_file")]
    pub key_file: Option<PathBuf>,
    /// With https://: the name that the server's certificate must have, where it is not the URL's host
    #[arg(long, value_name = "NAME")]
    pub server_name: Option<String>,
}

impl Tls {
    /// Shakes hands with the server that is meant, for one of these protocols; none for HTTP/1.1.
    pub(super) async fn connect(
        &self,
        host: &str,
        stream: TcpStream,
        protocols: &[&[u8]],
    ) -> Result<TlsStream<TcpStream>, BoxError> {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(self.server_name.as_deref().unwrap_or(host).to_owned())?;
        let mut config = self.config()?;
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Ok(TlsConnector::from(Arc::new(config)).connect(name, stream).await?)
    }

    fn config(&self) -> Result<ClientConfig, BoxError> {
        let authorities = self.ca_file.as_ref().ok_or("--ca-file is needed with https://")?;
        let mut roots = RootCertStore::empty();
        for authority in certificates(authorities)? {
            roots.add(authority)?;
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        Ok(match self.certificate_file.as_ref().zip(self.key_file.as_ref()) {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let key = PrivateKeyDer::from_pem_file(key)
                    .map_err(|error| format!("{}: {error}", key.display()))?;
                builder.with_client_auth_cert(certificates(certificate)?, key)?
            }
        })
    }
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, BoxError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    let all = all.map_err(|error| format!("{}: {error}", file.display()))?;
    if all.is_empty() { Err(format!("{} holds no certificate", file.display()).into()) } else { Ok(all) }
}
