//! What can be wrong with a directory of keys. Every error names the file; none shows what is in it.

use std::io;
use std::path::{Path, PathBuf};

use countersign_verifier::InvalidKeyId;

use super::super::mac_key::{InvalidMacKey, InvalidMacKeys};
use super::super::schedule::InvalidSchedule;
use super::super::signing_key::{GeneratingFailed, InvalidSigningKey};
use super::super::signing_keys::InvalidSigningKeys;
use super::Permissions;
use super::file::{MAX_FILE_BYTES, MAX_FILES};
use crate::text::shell_word;

/// Why keys could not be read or made.
#[derive(Debug, thiserror::Error)]
pub enum KeyDirectoryError {
    /// The operating system refused.
    #[error("cannot {action} {}: {source}", .path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Others may read, or change, what only the service may.
    #[error("{} is open to others than its owner (mode {mode:04o}); {remedy}", .path.display())]
    TooOpen {
        /// The directory or file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// What mends it, as a command that can be pasted where there is one.
        remedy: String,
    },
    /// More files than any rotation of keys needs.
    #[error("{} holds more than {MAX_FILES} files", .path.display())]
    TooMany {
        /// The directory.
        path: PathBuf,
    },
    /// A file that is not a key, or not one that can be used.
    #[error("{}: {defect}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        defect: KeyFileDefect,
    },
    /// The signing keys, each good by itself, cannot be used together.
    #[error("{}: {source}", .path.display())]
    Signing {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: InvalidSigningKeys,
    },
    /// The MAC keys, each good by itself, cannot be used together.
    #[error("{}: {source}", .path.display())]
    Refresh {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: InvalidMacKeys,
    },
    /// A key that comes into use in the same second is there already.
    #[error("{} comes into use in the same second as the new key would; choose another time", .path.display())]
    TimeTaken {
        /// The key that is there.
        path: PathBuf,
    },
    /// A new key's time has no name: it lies outside the years 0 to 9999.
    #[error("the time from which the new key is to be in use lies outside the years 0 to 9999")]
    TimeOutOfRange,
    /// A key could not be made.
    #[error(transparent)]
    Generate(#[from] GeneratingFailed),
}

/// What is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyFileDefect {
    /// Not called as a key is.
    #[error("not the name of a key here; expected {expected}")]
    Name {
        /// What is expected.
        expected: &'static str,
    },
    /// Called like a key, but no token can name it.
    #[error("the name is no key id: {0}")]
    KeyId(InvalidKeyId),
    /// The name begins with what looks like a time and is none, or has nothing after it.
    #[error("the name does not begin with a time and a hyphen: <yyyymmddThhmmssZ>-<8 hexadecimal digits>")]
    Time,
    /// A directory, a pipe or the like.
    #[error("not a file")]
    NotAFile,
    /// Larger than any key.
    #[error("larger than {MAX_FILE_BYTES} bytes, so not a key")]
    TooLarge,
    /// UTF-16.
    #[error("UTF-16 text, as Windows PowerShell writes it: save it as UTF-8")]
    Utf16,
    /// Not UTF-8, so not PEM.
    #[error("not text, so not a PEM file")]
    NotText,
    /// A public key for none of the algorithms.
    #[error("not a public key for Ed25519, P-256 or RSA")]
    UnsupportedPublicKey,
    /// Not a signing key.
    #[error(transparent)]
    SigningKey(#[from] InvalidSigningKey),
    /// Not a MAC key.
    #[error(transparent)]
    MacKey(#[from] InvalidMacKey),
}

impl KeyDirectoryError {
    /// Whether the directory, one of its two folders or the first key in it is not there yet.
    pub fn is_missing(&self) -> bool {
        match self {
            Self::Io { source, .. } => source.kind() == io::ErrorKind::NotFound,
            Self::Signing { source, .. } => {
                matches!(source, InvalidSigningKeys::Schedule(InvalidSchedule::Empty))
            }
            Self::Refresh { source, .. } => {
                matches!(source, InvalidMacKeys::Schedule(InvalidSchedule::Empty))
            }
            _ => false,
        }
    }

    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }

    /// `mode` is what the path should have.
    pub(super) fn too_open(path: &Path, found: u32, mode: &str, permissions: Permissions) -> Self {
        let remedy = match permissions {
            Permissions::Strict => format!("mend it with: chmod {mode} {}", shell_word(path)),
            // The kubelet writes these files anew; what changes their mode is the volume's definition.
            Permissions::Mounted => format!("mount the volume with defaultMode: {mode}"),
        };
        Self::TooOpen { path: path.to_owned(), mode: found, remedy }
    }
}
