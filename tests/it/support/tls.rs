//! An authority of the tests' own, and the certificates that it issues.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rcgen::string::Ia5String;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use time::OffsetDateTime;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Issues certificates.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
}

/// A certificate and its key, in PEM.
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, "authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A certificate with these names: hosts, addresses, and what has `://` in it, as a URI.
    pub(crate) fn issue(&self, names: &[&str]) -> Pair {
        self.issue_for(names, Duration::from_hours(90 * 24))
    }

    /// One that expires so long after now, and was good for nine times as long before.
    pub(crate) fn issue_for(&self, names: &[&str], left: Duration) -> Pair {
        let (uris, hosts): (Vec<&str>, Vec<&str>) = names.iter().partition(|name| name.contains("://"));
        let hosts: Vec<String> = hosts.into_iter().map(str::to_owned).collect();
        let mut params = CertificateParams::new(hosts).unwrap();
        // Another than the authority's: OpenSSL takes it for its own authority otherwise.
        params.distinguished_name.push(DnType::CommonName, "issued");
        for uri in uris {
            params.subject_alt_names.push(SanType::URI(Ia5String::try_from(uri).unwrap()));
        }
        params.not_before = OffsetDateTime::now_utc() - left * 9;
        params.not_after = OffsetDateTime::now_utc() + left;
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Pair { certificate, key: key.serialize_pem() }
    }
}

impl Pair {
    /// Writes it as `NAME.pem` and `NAME.key`.
    pub(crate) fn write(&self, directory: &Path, name: &str) -> (PathBuf, PathBuf) {
        let paths = (directory.join(format!("{name}.pem")), directory.join(format!("{name}.key")));
        std::fs::write(&paths.0, &self.certificate).unwrap();
        std::fs::write(&paths.1, &self.key).unwrap();
        paths
    }
}

/// A directory as Kubernetes mounts a Secret: each file is a link through `..data`, which is replaced at once.
pub(crate) struct MountedSecret {
    directory: tempfile::TempDir,
    versions: std::cell::Cell<u32>,
}

impl MountedSecret {
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let secret = Self { directory: tempfile::tempdir().unwrap(), versions: std::cell::Cell::new(0) };
        secret.replace(files);
        for (name, _) in files {
            std::os::unix::fs::symlink(format!("..data/{name}"), secret.path(name)).unwrap();
        }
        secret
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Swaps all files for these.
    pub(crate) fn replace(&self, files: &[(&str, &str)]) {
        let version = format!("..version_{}", self.versions.replace(self.versions.get() + 1));
        let directory = self.path(&version);
        std::fs::create_dir(&directory).unwrap();
        for (name, content) in files {
            std::fs::write(directory.join(name), content).unwrap();
        }
        let link = self.path("..data_tmp");
        std::os::unix::fs::symlink(&version, &link).unwrap();
        std::fs::rename(&link, self.path("..data")).unwrap();
    }
}

/// How a client of the tests speaks TLS: whom it trusts, who it is, and what it offers.
pub(crate) struct Offer<'a> {
    pub(crate) authority: &'a str,
    pub(crate) pair: Option<&'a Pair>,
    pub(crate) versions: &'a [&'static SupportedProtocolVersion],
    pub(crate) protocols: &'a [&'a str],
}

impl<'a> Offer<'a> {
    /// All versions, HTTP/2 and HTTP/1.1, and no certificate.
    pub(crate) fn trusting(authority: &'a Authority) -> Self {
        let (versions, protocols) = (rustls::ALL_VERSIONS, &["h2", "http/1.1"]);
        Self { authority: &authority.pem, pair: None, versions, protocols }
    }

    /// Shakes hands with the server at this address as `localhost`. With TLS 1.3 a server that refuses our
    /// certificate says so only afterwards.
    pub(crate) async fn connect(&self, address: SocketAddr) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.authority.as_bytes()).unwrap()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(self.versions)
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match self.pair {
            None => builder.with_no_client_auth(),
            Some(pair) => {
                let certificate = CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap();
                let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
                builder.with_client_auth_cert(vec![certificate], key).unwrap()
            }
        };
        config.alpn_protocols = self.protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, TcpStream::connect(address).await?).await
    }
}

/// Whether the server has this certificate.
pub(crate) fn presents(stream: &TlsStream<TcpStream>, pair: &Pair) -> bool {
    let wanted = CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0] == wanted
}
