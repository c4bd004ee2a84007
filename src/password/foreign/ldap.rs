//! The hashes of LDAP's `userPassword` (RFC 2307): `{SSHA}` and its siblings, whose names are of any case.

use super::digest::{Composition, Digest, Function};
use super::text::{Named, padded_base64};
use super::{ForeignHash, Found, Unusable, bcrypt, crypt};

/// `{SSHA}` and base64 of the digest and the salt behind it.
pub(super) fn parse(text: &str) -> Found {
    let (scheme, rest) = text.strip_prefix('{')?.split_once('}')?;
    let (name, function, salted) = match scheme.to_ascii_uppercase().as_str() {
        "MD5" => ("ldap-md5", Function::Md5, false),
        "SMD5" => ("ldap-smd5", Function::Md5, true),
        "SHA" => ("ldap-sha", Function::Sha1, false),
        "SSHA" => ("ldap-ssha", Function::Sha1, true),
        "SHA256" => ("ldap-sha256", Function::Sha256, false),
        "SSHA256" => ("ldap-ssha256", Function::Sha256, true),
        "SHA512" => ("ldap-sha512", Function::Sha512, false),
        "SSHA512" => ("ldap-ssha512", Function::Sha512, true),
        "CRYPT" => return Some(crypt(rest)),
        _ => return None,
    };
    Some(parse_digest(Named(name), function, salted, rest))
}

fn parse_digest(
    format: Named,
    function: Function,
    salted: bool,
    rest: &str,
) -> Result<ForeignHash, Unusable> {
    let bytes = padded_base64(rest).ok_or_else(|| format.malformed("it is not base64"))?;
    let parts = bytes.split_at_checked(function.bytes()).filter(|(_, salt)| salt.is_empty() != salted);
    let (tag, salt) = parts.ok_or_else(|| format.malformed("its length"))?;
    let salt = format.sized(salt.to_vec(), "the salt has at most 256 bytes", 0..=256)?;
    let composition = if salted { Composition::PasswordSalt } else { Composition::Password };
    Ok(Digest::with_tag(format.0, function, composition, salt, tag.to_vec()))
}

/// What the system's `crypt()` has written, as far as it is good for anything.
fn crypt(rest: &str) -> Result<ForeignHash, Unusable> {
    let why = "of crypt()'s formats only bcrypt, `$5$` and `$6$` are taken";
    let unsupported = Unusable::Unsupported { format: "ldap-crypt", why };
    bcrypt::parse(rest).or_else(|| crypt::parse(rest)).unwrap_or(Err(unsupported))
}
