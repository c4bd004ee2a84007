//! How the commands that ask a running service speak TLS.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use zeroize::Zeroizing;

use super::program::BoxError;
use crate::text;

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
    /// Without authorities, any server is taken for the one that is meant. For a process on this machine, which is told
    /// nothing that others must not hear.
    #[arg(skip)]
    pub(super) any_server: bool,
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
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions()?;
        let builder = match &self.ca_file {
            None if self.any_server => {
                builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyServer(provider)))
            }
            None => return Err("--ca-file is needed with https://".into()),
            Some(authorities) => {
                let mut roots = RootCertStore::empty();
                for authority in certificates(authorities)? {
                    roots.add(authority)?;
                }
                builder.with_root_certificates(roots)
            }
        };
        Ok(match self.certificate_file.as_ref().zip(self.key_file.as_ref()) {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let pem = pem(key)?;
                let key = PrivateKeyDer::from_pem_slice(&pem)
                    .map_err(|error| format!("{}: {error}", key.display()))?;
                builder.with_client_auth_cert(certificates(certificate)?, key)?
            }
        })
    }
}

/// Asks of a server that it has the key of its certificate, and not whose certificate that is, nor until when it is good.
#[derive(Debug)]
struct AnyServer(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, BoxError> {
    let pem = pem(file)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let all = all.map_err(|error| format!("{}: {error}", file.display()))?;
    if all.is_empty() { Err(format!("{} holds no certificate", file.display()).into()) } else { Ok(all) }
}

fn pem(file: &Path) -> Result<Zeroizing<Vec<u8>>, BoxError> {
    Ok(text::file_bytes(file, text::MAX_PEM_BYTES)
        .map_err(|invalid| format!("{} {invalid}", file.display()))?)
}
