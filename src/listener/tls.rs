//! TLS on a listener: 1.2 and 1.3, with certificates that are replaced while it serves.
//!
//! A [`Tls`] reads its files again when it is told to, and hands what they held to the connections that come
//! from then on; those that are there go on with what they began with. Files that cannot be used leave what was
//! loaded last.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use countersign_verifier::UnixMillis;
use rustls::ServerConfig;

mod error;
mod files;
mod handshake;
mod identity;
mod server_config;

pub use error::{HandshakeError, TlsError};
pub use identity::CertificateNames;

use files::Contents;
use server_config::Material;

/// What becomes of clients' certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientCertificates {
    /// They are not asked for.
    #[default]
    Ignored,
    /// They are asked for; a client without one is served as nobody in particular, and one with a certificate
    /// that is not good is refused.
    Optional,
    /// A client without a good one is refused.
    Required,
}

/// Where the certificates are, and what a handshake may cost.
#[derive(Debug, Clone)]
pub struct TlsOptions {
    /// PEM: the server's certificate, and those between it and the authority.
    pub certificate_file: PathBuf,
    /// PEM: its private key.
    pub key_file: PathBuf,
    /// PEM: the authorities that clients' certificates are held to.
    pub client_ca_file: PathBuf,
    /// What becomes of clients' certificates.
    pub client_certificates: ClientCertificates,
    /// The protocols that are spoken (RFC 7301), the preferred one first.
    pub protocols: &'static [&'static [u8]],
    /// How long a handshake may take, from the connection's acceptance on.
    pub handshake_timeout: Duration,
}

impl TlsOptions {
    /// What HTTP/2 alone is negotiated by: gRPC.
    pub const HTTP2: &'static [&'static [u8]] = &[b"h2"];
    /// HTTP/2 and HTTP/1.1.
    pub const HTTP: &'static [&'static [u8]] = &[b"h2", b"http/1.1"];
}

/// What a reload has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reload {
    /// The files hold what they held before.
    Unchanged,
    /// New connections get what the files hold now.
    Replaced,
}

/// The TLS of one listener. See the module.
#[derive(Debug)]
pub struct Tls {
    options: TlsOptions,
    current: ArcSwap<Loaded>,
    /// One reload at a time: what was read last must be what is served last.
    reloading: Mutex<()>,
    failed: AtomicU64,
}

#[derive(Debug)]
struct Loaded {
    digest: files::Digest,
    config: Arc<ServerConfig>,
    not_before: UnixMillis,
    not_after: UnixMillis,
}

impl Tls {
    /// Reads the files. Blocks on the disk.
    pub fn load(options: TlsOptions) -> Result<Self, TlsError> {
        let contents = Contents::read(&options)?;
        let loaded = Loaded::new(&contents, &options)?;
        Ok(Self {
            current: ArcSwap::from_pointee(loaded),
            reloading: Mutex::new(()),
            failed: AtomicU64::new(0),
            options,
        })
    }

    /// Reads the files again. When they cannot be used, what was loaded last stays. Blocks on the disk.
    pub fn reload(&self) -> Result<Reload, TlsError> {
        let _one_at_a_time = self.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        let contents = Contents::read(&self.options)?;
        if contents.digest() == self.current.load().digest {
            return Ok(Reload::Unchanged);
        }
        self.current.store(Arc::new(Loaded::new(&contents, &self.options)?));
        Ok(Reload::Replaced)
    }

    /// When the certificate that new connections get expires.
    pub fn certificate_not_after(&self) -> UnixMillis {
        self.current.load().not_after
    }

    /// From when on the certificate that new connections get is good.
    pub fn certificate_not_before(&self) -> UnixMillis {
        self.current.load().not_before
    }

    /// How many handshakes have failed since the start.
    pub fn failed_handshakes(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }
}

impl Loaded {
    fn new(contents: &Contents, options: &TlsOptions) -> Result<Self, TlsError> {
        let Material { config, validity } = server_config::build(contents, options)?;
        let (not_before, not_after) = validity;
        Ok(Self { digest: contents.digest(), config: Arc::new(config), not_before, not_after })
    }
}
