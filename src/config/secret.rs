//! Secrets: never printed, and readable from a file of their own.

use std::path::Path;

use secrecy::{ExposeSecret as _, SecretString};
use serde::Serializer;

use crate::text;

/// The keys that hold secrets.
pub(super) const SECRETS: [&str; 7] = [
    "captcha.secret",
    "database.url",
    "edge.clients",
    "keys.encryption_key",
    "keys.previous_encryption_key",
    "redis.sentinel_password",
    "redis.url",
];

/// The largest file that a secret is read from.
const MAX_BYTES: usize = 64 * 1024;

/// Writes that there is a secret, or that there is none.
pub(super) fn redacted<S: Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(if secret.expose_secret().is_empty() { "" } else { "(redacted)" })
}

/// Reads a secret from a file, without the line break that ends it. Fails with what is wrong with the file.
pub(super) fn read(path: &Path) -> Result<String, String> {
    let text = text::file_text(path, MAX_BYTES).map_err(|invalid| invalid.to_string())?;
    let text = text::without_line_break(&text);
    if text.is_empty() { Err("is empty".to_owned()) } else { Ok(text.to_owned()) }
}
