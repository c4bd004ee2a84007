//! Reading: what may be read at all, and no more of it than a key can be.

use std::fs::{self, File, Metadata};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::Permissions;
use super::error::{KeyDirectoryError, KeyFileDefect};
use crate::text::{self, InvalidText};

/// The largest key file, in bytes: an RSA key of 8192 bits takes less than half of it.
pub(super) const MAX_FILE_BYTES: usize = 16 * 1024;
/// The most keys in one directory.
pub(super) const MAX_FILES: usize = 64;

/// Refuses a directory that others may enter.
pub(super) fn check_directory(path: &Path, permissions: Permissions) -> Result<(), KeyDirectoryError> {
    let metadata = fs::metadata(path).map_err(KeyDirectoryError::io("read the directory", path))?;
    if !metadata.is_dir() {
        let source = std::io::ErrorKind::NotADirectory.into();
        return Err(KeyDirectoryError::io("read the directory", path)(source));
    }
    let mode = mode_bits(&metadata);
    match permissions {
        Permissions::Strict if mode & 0o077 != 0 => {
            Err(KeyDirectoryError::too_open(path, mode, "700", permissions))
        }
        _ => Ok(()),
    }
}

fn check_file(path: &Path, metadata: &Metadata, permissions: Permissions) -> Result<(), KeyDirectoryError> {
    let mode = mode_bits(metadata);
    let (forbidden, right) = match permissions {
        Permissions::Strict => (0o077, "600"),
        Permissions::Mounted => (0o037, "0440"),
    };
    if mode & forbidden == 0 {
        Ok(())
    } else {
        Err(KeyDirectoryError::too_open(path, mode, right, permissions))
    }
}

fn mode_bits(metadata: &Metadata) -> u32 {
    metadata.permissions().mode() & 0o7777
}

/// The key files of a directory.
#[derive(Debug)]
pub(super) struct Listing(Vec<KeyFile>);

/// A file that has a name like a key's, and may be read.
#[derive(Debug)]
pub(super) struct KeyFile {
    path: PathBuf,
    name: String,
    permissions: Permissions,
}

impl Listing {
    /// Every entry whose name does not begin with a dot, in order of name, so that the same directory always
    /// gives the same answer.
    pub(super) fn read(directory: &Path, permissions: Permissions) -> Result<Self, KeyDirectoryError> {
        check_directory(directory, permissions)?;
        let unreadable = || KeyDirectoryError::io("read the directory", directory);
        let mut files = Vec::new();
        for entry in fs::read_dir(directory).map_err(unreadable())? {
            let entry = entry.map_err(unreadable())?;
            // A name that is not UTF-8 is told as one that no key has.
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') {
                continue;
            }
            if files.len() == MAX_FILES {
                return Err(KeyDirectoryError::TooMany { path: directory.to_owned() });
            }
            files.push(KeyFile { path: entry.path(), name, permissions });
        }
        files.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self(files))
    }

    pub(super) fn into_files(self) -> std::vec::IntoIter<KeyFile> {
        self.0.into_iter()
    }
}

impl KeyFile {
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn error(&self, defect: impl Into<KeyFileDefect>) -> KeyDirectoryError {
        KeyDirectoryError::File { path: self.path.clone(), defect: defect.into() }
    }

    /// What the file holds, if it is one, nobody else may read it and it is not too large.
    pub(super) fn text(&self) -> Result<Zeroizing<String>, KeyDirectoryError> {
        let unreadable = || KeyDirectoryError::io("read", &self.path);
        // Asked before it is opened too: opening a pipe would wait for somebody to write to it.
        if !fs::metadata(&self.path).map_err(unreadable())?.is_file() {
            return Err(self.error(KeyFileDefect::NotAFile));
        }
        let file = File::open(&self.path).map_err(unreadable())?;
        check_file(&self.path, &file.metadata().map_err(unreadable())?, self.permissions)?;

        text::text(file, MAX_FILE_BYTES).map_err(|invalid| match invalid {
            InvalidText::Io(error) => unreadable()(error),
            InvalidText::TooLarge(_) => self.error(KeyFileDefect::TooLarge),
            InvalidText::Utf16 => self.error(KeyFileDefect::Utf16),
            InvalidText::Marked | InvalidText::NotUtf8 | InvalidText::Nul => {
                self.error(KeyFileDefect::NotText)
            }
        })
    }
}
