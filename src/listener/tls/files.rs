//! Reading the files as one.

use std::path::Path;

use aws_lc_rs::digest::{Context, SHA256, SHA256_OUTPUT_LEN};
use zeroize::Zeroizing;

use super::{ClientCertificates, TlsError, TlsOptions};
use crate::text::{self, InvalidText, MAX_PEM_BYTES};

/// How often files that change while they are read are read again.
const ATTEMPTS: usize = 4;

/// What tells one reading from another.
pub(super) type Digest = [u8; SHA256_OUTPUT_LEN];

/// What stood in the files at one time.
pub(super) struct Contents {
    pub(super) certificate: Zeroizing<Vec<u8>>,
    pub(super) key: Zeroizing<Vec<u8>>,
    /// Empty where clients' certificates are not asked for.
    pub(super) client_ca: Zeroizing<Vec<u8>>,
}

impl Contents {
    /// Reads until two readings agree: Kubernetes replaces a mounted Secret at once, but a certificate read before
    /// and a key read after it would not be each other's.
    pub(super) fn read(options: &TlsOptions) -> Result<Self, TlsError> {
        let mut last = Self::read_once(options)?;
        for _ in 1..ATTEMPTS {
            let next = Self::read_once(options)?;
            if next.digest() == last.digest() {
                return Ok(next);
            }
            last = next;
        }
        Err(TlsError::Changing)
    }

    fn read_once(options: &TlsOptions) -> Result<Self, TlsError> {
        let client_ca = match options.client_certificates {
            ClientCertificates::Ignored => Zeroizing::default(),
            ClientCertificates::Optional | ClientCertificates::Required => read(&options.client_ca_file)?,
        };
        Ok(Self { certificate: read(&options.certificate_file)?, key: read(&options.key_file)?, client_ca })
    }

    pub(super) fn digest(&self) -> Digest {
        let mut context = Context::new(&SHA256);
        for file in [self.certificate.as_slice(), self.key.as_slice(), self.client_ca.as_slice()] {
            context.update(&(file.len() as u64).to_be_bytes());
            context.update(file);
        }
        let mut digest = Digest::default();
        digest.copy_from_slice(context.finish().as_ref());
        digest
    }
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, TlsError> {
    let file = path.to_owned();
    text::file_bytes(path, MAX_PEM_BYTES).map_err(|invalid| match invalid {
        InvalidText::TooLarge(most) => TlsError::TooLarge { file, most: most as u64 },
        invalid => TlsError::Unreadable { file, source: invalid.into() },
    })
}
