//! The fields of a row, by whatever file it came in.

use secrecy::SecretString;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::auth::{RawCredential, RowRefusal};
use crate::model::UnixMillis;

/// The names of all fields.
pub(super) const NAMES: [&str; 10] = [
    "username",
    "password_hash",
    "password",
    "no_password",
    "roles",
    "custom_claims",
    "user_id",
    "external_id",
    "disabled",
    "created_at",
];

/// How a user proves that it is them: exactly one of three must be there.
pub(super) fn credential(
    hash: Option<String>,
    password: Option<String>,
    no_password: bool,
) -> Result<RawCredential, RowRefusal> {
    match (hash, password, no_password) {
        (Some(hash), None, false) => Ok(RawCredential::Hash(SecretString::from(hash))),
        (None, Some(password), false) => Ok(RawCredential::Password(SecretString::from(password))),
        (None, None, true) => Ok(RawCredential::Nothing),
        (None, None, false) => {
            let what = "there must be password_hash or password, or no_password for a user without one";
            Err(RowRefusal::invalid("password_hash", what))
        }
        _ => {
            let what = "there must be one of password_hash, password and no_password, and no other of them";
            Err(RowRefusal::invalid("password_hash", what))
        }
    }
}

/// A time: as RFC 3339 writes it, also with a blank in the place of the `T`, or in whole seconds since 1970.
pub(super) fn created_at(text: &str) -> Result<Option<UnixMillis>, RowRefusal> {
    const LONGEST: usize = 40;
    let bad = || {
        RowRefusal::invalid(
            "created_at",
            "a time is written as 2026-11-29T12:00:00Z, or in seconds since 1970",
        )
    };
    if text.is_empty() {
        return Ok(None);
    }
    if text.len() > LONGEST || !text.is_ascii() {
        return Err(bad());
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        let seconds: i64 = text.parse().map_err(|_| bad())?;
        return seconds.checked_mul(1000).map(|millis| Some(UnixMillis(millis))).ok_or_else(bad);
    }
    let mut text = text.to_owned();
    if text.as_bytes().get(10) == Some(&b' ') {
        text.replace_range(10..11, "T");
    }
    let time = OffsetDateTime::parse(&text, &Rfc3339).map_err(|_| bad())?;
    let millis = i64::try_from(time.unix_timestamp_nanos().div_euclid(1_000_000)).map_err(|_| bad())?;
    Ok(Some(UnixMillis(millis)))
}
