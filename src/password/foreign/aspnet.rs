//! ASP.NET Identity's hashes: base64 of bytes, of which the first is the version.

use super::pbkdf2::{Pbkdf2, Prf};
use super::text::{Named, padded_base64};
use super::{Found, Unusable};

/// Version 2: a zero, 16 bytes of salt, 32 bytes of PBKDF2 with HMAC-SHA-1 and 1000 iterations. Version 3: a one, and in four
/// bytes each the function, the iterations and the length of the salt; then the salt and the rest.
pub(super) fn parse(text: &str) -> Found {
    let bytes = padded_base64(text)?;
    match bytes.split_first()? {
        (0, rest) if rest.len() == 48 => {
            let (salt, tag) = rest.split_at(16);
            Some(Pbkdf2::with_tag(Named("aspnet-identity-v2"), Prf::Sha1, 1000, salt.to_vec(), tag.to_vec()))
        }
        (1, rest) if rest.len() > 12 => Some(version_3(rest)),
        _ => None,
    }
}

fn version_3(rest: &[u8]) -> Result<super::ForeignHash, Unusable> {
    let format = Named("aspnet-identity-v3");
    let (head, rest) = rest.split_at(12);
    let number = |place: usize| {
        head[place..place + 4].iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
    };
    let prf = match number(0) {
        0 => Prf::Sha1,
        1 => Prf::Sha256,
        2 => Prf::Sha512,
        _ => return Err(format.malformed("its function is 0, 1 or 2")),
    };
    let salt_bytes = usize::try_from(number(8)).unwrap_or(usize::MAX);
    let parts = rest.split_at_checked(salt_bytes).filter(|_| salt_bytes >= 16);
    let (salt, tag) = parts.ok_or_else(|| format.malformed("the length of its salt"))?;
    Pbkdf2::with_tag(format, prf, number(4), salt.to_vec(), tag.to_vec())
}
