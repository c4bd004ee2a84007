//! Werkzeug's hashes, which Flask applications store: `method$salt$digest`, salt as text and digest in hexadecimal.

use super::pbkdf2::{Pbkdf2, Prf, TAG_BYTES};
use super::scrypt::{Costs, Scrypt};
use super::text::{Named, parts};
use super::{ForeignHash, Found, Unusable};

/// `scrypt:32768:8:1$salt$digest` or `pbkdf2:sha256:600000$salt$digest`.
pub(super) fn parse(text: &str) -> Found {
    let (method, rest) = text.split_once('$')?;
    let (name, arguments) = method.split_once(':')?;
    match name {
        "scrypt" => Some(scrypt(arguments, rest)),
        "pbkdf2" => Some(pbkdf2(arguments, rest)),
        _ => None,
    }
}

fn scrypt(arguments: &str, rest: &str) -> Result<ForeignHash, Unusable> {
    let format = Named("werkzeug-scrypt");
    let [n, r, p] = parts(arguments, ':').ok_or_else(|| format.malformed("it needs N, r and p"))?;
    let number = |text| format.number(text, "N, r and p are numbers");
    let costs = Costs::of_n(format, number(n)?, number(r)?, number(p)?)?;
    let (salt, digest) = salt_and_digest(format, rest)?;
    let tag = format.tag(format.hex(digest, "its digest", 16..=64)?)?;
    Ok(ForeignHash::new(format.0, Scrypt { costs, salt, tag_bytes: tag.len() }, tag))
}

fn pbkdf2(arguments: &str, rest: &str) -> Result<ForeignHash, Unusable> {
    let format = Named("werkzeug-pbkdf2");
    let [function, iterations] =
        parts(arguments, ':').ok_or_else(|| format.malformed("it needs a function and iterations"))?;
    let prf = match function {
        "sha1" => Prf::Sha1,
        "sha256" => Prf::Sha256,
        "sha512" => Prf::Sha512,
        _ => {
            return Err(Unusable::Unsupported {
                format: format.0,
                why: "its function is sha1, sha256 or sha512",
            });
        }
    };
    let iterations = format.number(iterations, "the number of iterations")?;
    let (salt, digest) = salt_and_digest(format, rest)?;
    Pbkdf2::with_tag(format, prf, iterations, salt, format.hex(digest, "its digest", TAG_BYTES)?)
}

fn salt_and_digest(format: Named, rest: &str) -> Result<(Vec<u8>, &str), Unusable> {
    let [salt, digest] = parts(rest, '$').ok_or_else(|| format.malformed("it needs salt and digest"))?;
    Ok((format.sized(salt.as_bytes().to_vec(), "its salt", 1..=1024)?, digest))
}
