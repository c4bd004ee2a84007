//! Secrets: never printed, and readable from a file of their own.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use secrecy::{ExposeSecret as _, SecretString};
use serde::Serializer;

/// The keys that hold secrets.
pub(super) const SECRETS: [&str; 5] =
    ["captcha.secret", "database.url", "edge.clients", "redis.sentinel_password", "redis.url"];

/// The largest file that a secret is read from.
const MAX_BYTES: u64 = 64 * 1024;

/// Writes that there is a secret, or that there is none.
pub(super) fn redacted<S: Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(if secret.expose_secret().is_empty() { "" } else { "(redacted)" })
}

/// Reads a secret from a file, without the newline that ends it. Fails with what is wrong with the file.
pub(super) fn read(path: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("is larger than {MAX_BYTES} bytes"));
    }
    let mut text = String::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned())?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    if text.is_empty() {
        return Err("is empty".to_owned());
    }
    Ok(text)
}
