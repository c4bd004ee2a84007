//! What rustls is told.

use std::path::Path;
use std::sync::Arc;

use countersign_verifier::UnixMillis;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::files::Contents;
use super::{ClientCertificates, TlsError, TlsOptions};

/// What the files come to.
pub(super) struct Material {
    pub(super) config: ServerConfig,
    /// From when until when the server's certificate is good.
    pub(super) validity: (UnixMillis, UnixMillis),
}

pub(super) fn build(contents: &Contents, options: &TlsOptions) -> Result<Material, TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let chain = certificates(&contents.certificate, &options.certificate_file)?;
    let validity = validity(&chain[0], &options.certificate_file)?;
    let key = PrivateKeyDer::from_pem_slice(&contents.key)
        .map_err(|_| TlsError::Missing { file: options.key_file.clone(), what: "private key" })?;
    let pair = |source| TlsError::Pair {
        certificate: options.certificate_file.clone(),
        key: options.key_file.clone(),
        source,
    };
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(pair)?;
    let mut config = match options.client_certificates {
        ClientCertificates::Ignored => builder.with_no_client_auth(),
        asked => builder.with_client_cert_verifier(verifier(asked, &contents.client_ca, options, provider)?),
    }
    .with_single_cert(chain, key)
    .map_err(pair)?;
    config.alpn_protocols = options.protocols.iter().map(|protocol| protocol.to_vec()).collect();
    if options.client_certificates != ClientCertificates::Ignored {
        // A session that is resumed brings the certificate that it began with, and nobody looks at it again.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    Ok(Material { config, validity })
}

fn verifier(
    asked: ClientCertificates,
    pem: &[u8],
    options: &TlsOptions,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let file = &options.client_ca_file;
    let refuse = |why: String| TlsError::Authorities { file: file.clone(), why };
    let mut roots = RootCertStore::empty();
    for authority in certificates(pem, file)? {
        roots.add(authority).map_err(|error| refuse(error.to_string()))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder =
        if asked == ClientCertificates::Optional { builder.allow_unauthenticated() } else { builder };
    builder.build().map_err(|error| refuse(error.to_string()))
}

/// Every certificate of a file, of which there must be one.
fn certificates(pem: &[u8], file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let missing = || TlsError::Missing { file: file.to_owned(), what: "certificate" };
    let all: Vec<_> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|_| missing())?;
    if all.is_empty() { Err(missing()) } else { Ok(all) }
}

/// RFC 5280 §4.1.2.5.
fn validity(certificate: &CertificateDer<'_>, file: &Path) -> Result<(UnixMillis, UnixMillis), TlsError> {
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate)
        .map_err(|_| TlsError::Certificate { file: file.to_owned() })?;
    let validity = certificate.validity();
    let [not_before, not_after] =
        [&validity.not_before, &validity.not_after].map(|time| UnixMillis::from_secs(time.timestamp()));
    Ok((not_before, not_after))
}
