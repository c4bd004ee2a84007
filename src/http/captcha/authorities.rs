//! Whose certificates the verifier may have.

use std::fmt;

use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

/// Authorities (RFC 5280 §3.2) to trust, and no others.
#[derive(Clone)]
pub struct Authorities(pub(super) RootCertStore);

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authorities({})", self.0.len())
    }
}

/// The text names no authority, or what it names is none.
#[derive(Debug, thiserror::Error)]
#[error("must hold certificates in PEM")]
pub struct InvalidAuthorities(#[source] Option<Box<dyn std::error::Error + Send + Sync>>);

impl Authorities {
    /// Reads certificates in PEM (RFC 7468 §5), at least one.
    pub fn from_pem(pem: &[u8]) -> Result<Self, InvalidAuthorities> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| InvalidAuthorities(Some(error.into())))?;
            roots.add(certificate).map_err(|error| InvalidAuthorities(Some(error.into())))?;
        }
        if roots.is_empty() { Err(InvalidAuthorities(None)) } else { Ok(Self(roots)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_no_certificate_is_refused() {
        let garbled = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for pem in ["", "no PEM at all", garbled] {
            assert!(Authorities::from_pem(pem.as_bytes()).is_err(), "{pem:?}");
        }
    }
}
