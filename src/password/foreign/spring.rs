//! Spring Security's hashes: `{id}` and what the encoder of that id writes. Without the prefix they are read as what they are.

use super::digest::{Composition, Digest, Function};
use super::pbkdf2::{Pbkdf2, Prf};
use super::scrypt::{Costs, Scrypt};
use super::text::{Named, parts};
use super::{ForeignHash, Found, Unusable, argon2, bcrypt, ldap};

/// By the id: those of `PasswordEncoderFactories`, with the parameters that its encoders have.
pub(super) fn parse(text: &str) -> Found {
    let (id, rest) = text.strip_prefix('{')?.split_once('}')?;
    match id {
        "bcrypt" => Some(inner(bcrypt::parse(rest), "spring-bcrypt")),
        "argon2" | "argon2@SpringSecurity_v5_8" => Some(inner(argon2::parse(rest), "spring-argon2")),
        "pbkdf2" => Some(pbkdf2(rest, Prf::Sha1, 185_000, 8)),
        "pbkdf2@SpringSecurity_v5_8" => Some(pbkdf2(rest, Prf::Sha256, 310_000, 16)),
        "scrypt" | "scrypt@SpringSecurity_v5_8" => Some(scrypt(rest)),
        "ldap" => Some(inner(ldap::parse(rest), "spring-ldap")),
        "sha256" => Some(standard(rest)),
        "MD4" => Some(Err(Unusable::Unsupported { format: "spring-md4", why: "MD4 is not taken" })),
        // LDAP writes `{MD5}`, too, and then base64.
        "MD5" if is_message_digest(rest, Function::Md5) => {
            Some(message_digest(Named("spring-md5"), Function::Md5, rest))
        }
        "SHA-1" => Some(message_digest(Named("spring-sha1"), Function::Sha1, rest)),
        "SHA-256" => Some(message_digest(Named("spring-sha256"), Function::Sha256, rest)),
        _ => None,
    }
}

fn inner(found: Found, name: &'static str) -> Result<ForeignHash, Unusable> {
    found.unwrap_or(Err(Named(name).malformed("it is no hash of its kind"))).map(|hash| hash.called(name))
}

/// In hexadecimal the salt and 32 bytes of PBKDF2.
fn pbkdf2(rest: &str, prf: Prf, iterations: u64, salt_bytes: usize) -> Result<ForeignHash, Unusable> {
    let format = Named("spring-pbkdf2");
    let bytes =
        format.hex(rest, "it is salt and digest in hexadecimal", salt_bytes + 32..=salt_bytes + 32)?;
    let (salt, tag) = bytes.split_at(salt_bytes);
    Pbkdf2::with_tag(format, prf, iterations, salt.to_vec(), tag.to_vec())
}

/// `$` the parameters as one hexadecimal number `$` salt `$` digest.
fn scrypt(rest: &str) -> Result<ForeignHash, Unusable> {
    let format = Named("spring-scrypt");
    let [before, costs, salt, tag] =
        parts(rest, '$').ok_or_else(|| format.malformed("it needs parameters, salt and digest"))?;
    let costs = u64::from_str_radix(costs, 16).ok().filter(|_| before.is_empty());
    let costs = costs.ok_or_else(|| format.malformed("its parameters are a hexadecimal number"))?;
    let costs = Costs::new(format, costs >> 16, costs >> 8 & 255, costs & 255)?;
    let salt = format.base64(salt, "its salt", 1..=128)?;
    let tag = format.tag(format.base64(tag, "its digest", 16..=64)?)?;
    Ok(ForeignHash::new(format.0, Scrypt { costs, salt, tag_bytes: tag.len() }, tag))
}

/// `StandardPasswordEncoder`: in hexadecimal 8 bytes of salt, and SHA-256 of salt and password, 1024 times.
fn standard(rest: &str) -> Result<ForeignHash, Unusable> {
    let format = Named("spring-standard-sha256");
    let bytes = format.hex(rest, "it is salt and digest in hexadecimal", 40..=40)?;
    let (salt, tag) = bytes.split_at(8);
    let recipe = Digest {
        function: Function::Sha256,
        composition: Composition::SaltPassword,
        times: 1024,
        salt: salt.to_vec(),
    };
    Ok(ForeignHash::new(format.0, recipe, tag.to_vec()))
}

/// `MessageDigestPasswordEncoder`: perhaps `{salt}`, braces included in what is hashed behind the password, and the digest.
fn message_digest(format: Named, function: Function, rest: &str) -> Result<ForeignHash, Unusable> {
    let (salt, digest) = match rest.rsplit_once('}') {
        Some((salt, digest)) if salt.starts_with('{') => (format!("{salt}}}").into_bytes(), digest),
        _ => (Vec::new(), rest),
    };
    let bytes = function.bytes();
    let tag = if digest.len() == 2 * bytes {
        format.hex(digest, "its digest", bytes..=bytes)?
    } else {
        format.base64(digest, "its digest", bytes..=bytes)?
    };
    let salt = format.sized(salt, "the salt has at most 256 bytes", 0..=256)?;
    let composition = if salt.is_empty() { Composition::Password } else { Composition::PasswordSalt };
    Ok(Digest::with_tag(format.0, function, composition, salt, tag))
}

fn is_message_digest(rest: &str, function: Function) -> bool {
    rest.starts_with('{') || rest.len() == 2 * function.bytes()
}
