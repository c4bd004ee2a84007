//! Django's hashes: the name of the hasher, and then its parameters with `$` between.

use super::bcrypt::{self, Prehash};
use super::digest::{Composition, Digest, Function};
use super::pbkdf2::{Pbkdf2, Prf, TAG_BYTES};
use super::scrypt::{Costs, Scrypt};
use super::text::{Named, parts};
use super::{ForeignHash, Found, Unusable, argon2};

/// `pbkdf2_sha256$iterations$salt$digest` and its siblings.
pub(super) fn parse(text: &str) -> Found {
    let (hasher, rest) = text.split_once('$')?;
    match hasher {
        "pbkdf2_sha256" => Some(pbkdf2(Named("django-pbkdf2-sha256"), Prf::Sha256, rest)),
        "pbkdf2_sha1" => Some(pbkdf2(Named("django-pbkdf2-sha1"), Prf::Sha1, rest)),
        // What follows is the hash itself, whose first `$` was the separator.
        "argon2" => Some(inner(argon2::parse(&format!("${rest}")), "django-argon2")),
        "bcrypt" => Some(bcrypt::parse_mcf(rest, Prehash::None, "django-bcrypt")),
        "bcrypt_sha256" => Some(bcrypt::parse_mcf(rest, Prehash::Sha256Hex, "django-bcrypt-sha256")),
        "scrypt" => Some(scrypt(rest)),
        "md5" => Some(salted(Named("django-md5"), Function::Md5, rest)),
        "sha1" => Some(salted(Named("django-sha1"), Function::Sha1, rest)),
        _ => None,
    }
}

fn inner(found: Found, name: &'static str) -> Result<ForeignHash, Unusable> {
    found.unwrap_or(Err(Named(name).malformed("it is no hash of its kind"))).map(|hash| hash.called(name))
}

fn pbkdf2(format: Named, prf: Prf, rest: &str) -> Result<ForeignHash, Unusable> {
    let [iterations, salt, tag] =
        parts(rest, '$').ok_or_else(|| format.malformed("it needs iterations, salt and digest"))?;
    let iterations = format.number(iterations, "the number of iterations")?;
    let tag = format.base64(tag, "its digest", TAG_BYTES)?;
    Pbkdf2::with_tag(format, prf, iterations, salt.as_bytes().to_vec(), tag)
}

fn scrypt(rest: &str) -> Result<ForeignHash, Unusable> {
    let format = Named("django-scrypt");
    let [n, salt, r, p, tag] =
        parts(rest, '$').ok_or_else(|| format.malformed("it needs N, salt, r, p and digest"))?;
    let number = |text| format.number(text, "N, r and p are numbers");
    let costs = Costs::of_n(format, number(n)?, number(r)?, number(p)?)?;
    let tag = format.tag(format.base64(tag, "its digest", 16..=64)?)?;
    Ok(ForeignHash::new(
        format.0,
        Scrypt { costs, salt: salt.as_bytes().to_vec(), tag_bytes: tag.len() },
        tag,
    ))
}

fn salted(format: Named, function: Function, rest: &str) -> Result<ForeignHash, Unusable> {
    let [salt, tag] = parts(rest, '$').ok_or_else(|| format.malformed("it needs salt and digest"))?;
    let tag = format.hex(tag, "its digest", function.bytes()..=function.bytes())?;
    let salt = format.sized(salt.as_bytes().to_vec(), "the salt has at most 256 bytes", 0..=256)?;
    Ok(Digest::with_tag(format.0, function, Composition::SaltPassword, salt, tag))
}
